package catalog

import (
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/netstest"

	"gorgonia.org/gorgonia"
)

// adopt gives one network what it begins with of another, and the rest what it begins with by
// itself: zeros where that is so, or else numbers of its own.
func adopt(t *testing.T, to, from *graph, rows []int) (fresh, notes []string) {
	t.Helper()
	flat := make([]float32, nets.FlatSize(from.Params))
	for i, p := range from.Params {
		for k, x := range from.points[i] {
			flat[p.Offset+k] = float32(x)
			from.points[i][k] = float64(float32(x))
		}
		netstest.Let(t, from.Nodes[i], from.points[i])
	}
	taken, fresh, notes := nets.Adopt(to.Network, from.Network, to.Params, rows)
	for i, p := range to.Params {
		values := to.points[i]
		if at := slices.IndexFunc(taken, func(a nets.Adopted) bool { return a.Name == p.Name }); at >= 0 {
			for k, x := range taken[at].Values(flat) {
				values[k] = float64(x)
			}
		}
		netstest.Let(t, to.Nodes[i], values)
	}
	return fresh, notes
}

func fitted(t *testing.T, n nets.Network, change func(s *nets.Spec)) nets.Network {
	t.Helper()
	like := n.Spec()
	change(&like)
	n, err := n.Fit(like)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// unit says whether weights of a network are of unit size, which are not mixed.
func unit(n nets.Network) bool {
	return slices.ContainsFunc(nets.Params(n), func(p nets.Param) bool { return p.Unit > 0 })
}

// checkUnit says whether what such a network begins anew is what has another shape, and no more.
func checkUnit(t *testing.T, name string, to, from nets.Network, fresh []string) {
	t.Helper()
	was := map[string]nets.Param{}
	for _, p := range nets.Params(from) {
		was[p.Name] = p
	}
	for _, p := range nets.Params(to) {
		anew := slices.ContainsFunc(fresh, func(f string) bool { return f == p.Name || strings.HasPrefix(f, p.Name+" ") })
		if q, there := was[p.Name]; anew == (there && q.Shape.Eq(p.Shape)) {
			t.Errorf("%s: %s, there %v: fresh is %v", name, p.Name, q.Shape, anew)
		}
	}
}

// TestAdopt: a network that begins with the weights of another makes what that makes, though it
// is given more, is for more channels, or is told a class.
func TestAdopt(t *testing.T) {
	for name, n := range networks(t) {
		for what, change := range map[string]func(s *nets.Spec){
			"a second image": func(s *nets.Spec) { s.Concat += 3 }, "an estimate": func(s *nets.Spec) { s.Estimate = true },
			"channels": func(s *nets.Spec) { s.Channels = 5 },
			"classes":  func(s *nets.Spec) { s.Classes = 4 },
		} {
			if what == "classes" && n.Spec().Conditional() || what == "classes" && n.Spec().Jump { // a flow map of diffusers has another embedding then
				continue
			}
			m := fitted(t, n, change)
			from, to := newGraph(t, n), newGraph(t, m)
			fresh, notes := adopt(t, to, from, nil)
			if unit(n) {
				checkUnit(t, name+", given "+what, m, n, fresh)
				continue
			}
			if string(m.JSON()) != string(n.JSON()) && len(notes) == 0 && (what != "an estimate" || !n.Spec().Estimate) || len(fresh) > 0 {
				t.Errorf("%s, given %s: notes %q, fresh %q", name, what, notes, fresh)
			}
			mine, others := n.Spec().Channels, m.Spec().Channels
			for _, pair := range [][2]*gorgonia.Node{{from.Sample, to.Sample}, {from.Estimate, to.Estimate}, {from.Concat, to.Concat}} {
				if pair[0] == nil {
					continue
				}
				was, is := values(gorgonia.Nodes{pair[0]})[0], values(gorgonia.Nodes{pair[1]})[0]
				a, b := pair[0].Shape()[3], pair[1].Shape()[3]
				for i, x := range was {
					is[i/a*b+i%a] = x
				}
				netstest.Let(t, pair[1], is)
			}
			from.run(t)
			to.run(t)
			got, want := values(gorgonia.Nodes{to.Output})[0], values(gorgonia.Nodes{from.Output})[0]
			for i, x := range want {
				if y := got[i/mine*others+i%mine]; !(math.Abs(x-y) <= 1e-12) {
					t.Fatalf("%s, given %s: begins with %g, the other gives %g", name, what, y, x)
				}
			}
			for i, p := range to.Params {
				if what == "channels" && (p.Name == "conv_out.bias" || p.Name == "proj_out.bias") {
					for k, x := range to.points[i] {
						if k%others >= mine && x != 0 {
							t.Errorf("%s: channel %d begins with %g", name, k%others, x)
						}
					}
				}
			}
		}
	}
}

// TestAdoptGrey: to a network of colours a grey image is three equal channels, of which it gives
// the mean; to one of grey images a picture in colours is its mean.
func TestAdoptGrey(t *testing.T) {
	for _, class := range classes() {
		if class.Import != nil {
			continue
		}
		of := func(channels int) *graph {
			n, err := class.Presets[0].Network.Fit(nets.Spec{Height: 4, Width: 4, Channels: channels})
			if err != nil {
				t.Fatal(err)
			}
			return newGraph(t, n)
		}
		for _, c := range [][2]int{{3, 1}, {1, 3}} {
			from, to := of(c[0]), of(c[1])
			if unit(from.Network) {
				fresh, _ := adopt(t, to, from, nil)
				checkUnit(t, class.Name, to.Network, from.Network, fresh)
				continue
			}
			if fresh, notes := adopt(t, to, from, nil); len(fresh) > 0 || len(notes) != 1 {
				t.Errorf("%s: fresh %q, notes %q", class.Name, fresh, notes)
			}
			sample := values(gorgonia.Nodes{to.Sample})[0]
			netstest.Let(t, from.Sample, recoloured(sample, c[1], c[0]))
			from.run(t)
			to.run(t)
			got, want := values(gorgonia.Nodes{to.Output})[0], recoloured(values(gorgonia.Nodes{from.Output})[0], c[0], c[1])
			for i, x := range want {
				if !(math.Abs(got[i]-x) <= 1e-6) { // a third is rounded to float32
					t.Fatalf("%s of %d channels: begins with %g, the one of %d gives %g", class.Name, c[1], got[i], c[0], x)
				}
			}
		}
	}
}

// recoloured makes grey of colours by their mean, and colours of grey.
func recoloured(x []float64, from, to int) (y []float64) {
	for p := range slices.Chunk(x, from) {
		sum := 0.
		for _, v := range p {
			sum += v
		}
		for range to {
			y = append(y, sum/float64(from))
		}
	}
	return y
}

// TestAdoptClasses: a class begins as the row that it is said to, or as the mean of all.
func TestAdoptClasses(t *testing.T) {
	for name, n := range networks(t) {
		if n.Spec().Classes != 3 {
			continue
		}
		from, to := newGraph(t, n), newGraph(t, fitted(t, n, func(s *nets.Spec) { s.Classes = 5 }))
		if fresh, _ := adopt(t, to, from, []int{1, 0, 2, nets.MeanRow, 2}); len(fresh) > 0 {
			t.Errorf("%s: fresh %q", name, fresh)
		}
		table := func(g *graph) [][]float64 {
			i := slices.IndexFunc(g.Params, func(p nets.Param) bool { return p.Name == nets.ClassTable })
			return slices.Collect(slices.Chunk(g.points[i], g.Params[i].Shape[1]))
		}
		was, is := table(from), table(to)
		for row, of := range map[int]int{0: 1, 1: 0, 2: 2, 4: 2} {
			if !slices.Equal(is[row], was[of]) {
				t.Errorf("%s: row %d is not %d", name, row, of)
			}
		}
		for k, x := range is[3] {
			if want := float64(float32((was[0][k] + was[1][k] + was[2][k]) / 3)); x != want {
				t.Fatalf("%s: a mean %g, want %g", name, x, want)
			}
		}
		if _, fresh, _ := nets.Adopt(to.Network, from.Network, to.Params, nil); len(fresh) != 1 || !strings.HasPrefix(fresh[0], nets.ClassTable) {
			t.Errorf("%s: no rows are said, and fresh are %q", name, fresh)
		}
	}
}

// TestUntold: every class of networks can be made one that is told no class, and makes what it
// makes of it.
func TestUntold(t *testing.T) {
	for name, n := range networks(t) {
		if n.Spec().Classes == 0 || n.Spec().Jump { // which a UNet then is told in another way
			continue
		}
		told := newGraph(t, n)
		flat := make([]float32, nets.FlatSize(told.Params))
		for i, p := range told.Params {
			for k, x := range told.points[i] {
				flat[p.Offset+k] = float32(x)
			}
		}
		alone, weights, ok := n.(nets.Teller).Untold(flat, []float32{1})
		if !ok || alone.Spec().Conditional() {
			t.Fatalf("%s: %v, %+v", name, ok, alone)
		}
		if _, _, ok := n.(nets.Teller).Untold(flat, []float32{3}); ok {
			t.Errorf("%s has no class 3", name)
		}
		g := newGraph(t, alone)
		for i, p := range g.Params {
			for k := range g.points[i] {
				g.points[i][k] = float64(weights[p.Offset+k])
			}
			netstest.Let(t, g.Nodes[i], g.points[i])
		}
		netstest.Let(t, told.Class, []float64{1, 1})
		for _, pair := range [][2]*gorgonia.Node{{told.Sample, g.Sample}, {told.Estimate, g.Estimate}, {told.Concat, g.Concat}} {
			if pair[0] != nil {
				netstest.Let(t, pair[1], values(gorgonia.Nodes{pair[0]})[0])
			}
		}
		told.run(t)
		g.run(t)
		got, want := values(gorgonia.Nodes{g.Output})[0], values(gorgonia.Nodes{told.Output})[0]
		for i, x := range want {
			if !(math.Abs(got[i]-x) <= 1e-6) { // weights are rounded to float32
				t.Fatalf("%s: %g, told its class %g", name, got[i], x)
			}
		}
	}
}
