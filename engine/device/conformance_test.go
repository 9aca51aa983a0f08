package device

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/feed"
	"fluxion/kernels/number"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// adder is a plan that adds what it is fed to a total, and copies gradients to a sum.
type adder struct {
	plan     *plan.Plan
	grads    *plan.Buffer // the beginning of the arena
	sum      *plan.Buffer
	fed      *feed.Vector
	x, total *gorgonia.Node
}

const adderWidth = 5

func newAdder(t testing.TB, target plan.Target, ahead int) *adder {
	t.Helper()
	g := gorgonia.NewGraph()
	vector := func(name string) *gorgonia.Node {
		return gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(adderWidth), gorgonia.WithName(name))
	}
	a := &adder{
		fed: feed.New(adderWidth, 1), x: vector("x"), total: vector("total"),
		grads: &plan.Buffer{Name: "grads", Type: number.Float32, Size: 48, Transient: true}, sum: &plan.Buffer{Name: "sum", Type: number.Float32, Size: 48},
	}
	var err error
	a.plan, err = plan.Compile(plan.Options{
		Inputs: []*gorgonia.Node{a.x, a.total}, Target: target, Ahead: ahead,
		Before: []plan.Stage{{Kernel: a.fed, Out: plan.Ref{Node: a.x}}},
		After: []plan.Stage{
			{Kernel: pointwise.NewAdd(1), In: []plan.Ref{{Node: a.total}, {Node: a.x}}, Out: plan.Ref{Node: a.total}},
			{Kernel: pointwise.NewCopy(1), In: []plan.Ref{{Buffer: a.grads}}, Out: plan.Ref{Buffer: a.sum}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// alloc returns memory that is given back at the end of the test.
func alloc(t testing.TB, d Device, sizes plan.Sizes) Memory {
	t.Helper()
	m, err := d.Alloc(sizes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Free(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// loaded binds a plan until the end of the test.
func loaded(t testing.TB, d Device, p *plan.Plan, m Memory, results ...plan.Tensor) Program {
	t.Helper()
	g, err := d.Load(p, m, results...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Free(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// TestRunSteps: every run sees the parameters that were set for it, however many
// the device sets ahead, and results come with or without having been announced.
func TestRunSteps(t *testing.T) {
	for _, d := range devices(t) {
		for _, ahead := range []int{0, 1, 3, 100} {
			a := newAdder(t, d.Target(), ahead)
			place := a.plan.Place(a.total)
			var results []plan.Tensor
			if ahead != 1 {
				results = append(results, place)
			}
			m := alloc(t, d, a.plan.Sizes)
			if err := m.Fill(a.grads, 0); err != nil {
				t.Fatal(err)
			}
			g := loaded(t, d, a.plan, m, results...)
			total := func(want ...float32) {
				t.Helper()
				got := make([]float32, adderWidth)
				if err := g.Read(place, got); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s, %d ahead: total %v (%v), want %v", d.Name(), ahead, got, err, want)
				}
			}
			if err := g.Write(place, []float32{1, 2, 3, 4, 5}); err != nil {
				t.Fatal(err)
			}
			total(1, 2, 3, 4, 5)
			var order []int
			err := g.RunSteps(8, func(i int) error {
				order = append(order, i)
				for k := range a.fed.Values {
					a.fed.Values[k] = float32(i * k)
				}
				return nil
			})
			if err != nil || !slices.Equal(order, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
				t.Errorf("%s: runs %v, %v", d.Name(), order, err)
			}
			total(1, 2+28, 3+2*28, 4+3*28, 5+4*28)
			a.fed.Set(0.5)
			if err := errors.Join(Run(g), Run(g)); err != nil {
				t.Fatal(err)
			}
			total(2, 3+28, 4+2*28, 5+3*28, 6+4*28)
			visited := 0
			if err := g.Launches(func(int) error { visited++; return nil }); err != nil || visited != len(a.plan.Launches) {
				t.Errorf("%s: %d launches visited of %d, %v", d.Name(), visited, len(a.plan.Launches), err)
			}
			total(2.5, 3.5+28, 4.5+2*28, 5.5+3*28, 6.5+4*28)
			enough := errors.New("enough")
			if err := g.RunSteps(3, func(i int) error { return enough }); !errors.Is(err, enough) {
				t.Errorf("%s: an error of set became %v", d.Name(), err)
			}
			total(2.5, 3.5+28, 4.5+2*28, 5.5+3*28, 6.5+4*28)
		}
	}
}

// TestMemory: what is written is read; buffers have types and ends; zeros at first.
func TestMemory(t *testing.T) {
	for _, d := range devices(t) {
		a := newAdder(t, d.Target(), 1)
		sizes := a.plan.Sizes
		images, bf16 := &plan.Buffer{Name: "images", Type: number.Uint8, Size: 1000}, &plan.Buffer{Name: "bf16", Type: number.BFloat16, Size: 48}
		sizes[images], sizes[bf16] = 1000, 96
		m := alloc(t, d, sizes)
		if got := m.Sizes(); !maps.Equal(got, sizes) {
			t.Errorf("%s: sizes %v, want %v", d.Name(), got, sizes)
		}
		x := make([]float32, 48)
		if err := m.Read(a.sum, 0, x); err != nil || slices.Max(x) != 0 || slices.Min(x) != 0 {
			t.Errorf("%s: fresh memory holds %v, %v", d.Name(), x, err)
		}
		if err := errors.Join(m.Fill(a.grads, 0), m.Write(a.grads, 3, []float32{7, 8}), m.Read(a.grads, 2, x[:4])); err != nil || !slices.Equal(x[:4], []float32{0, 7, 8, 0}) {
			t.Errorf("%s: read %v, %v", d.Name(), x[:4], err)
		}
		if lies := Floats(m, a.grads); (lies != nil) != (d.Target() != plan.Target(CUDATarget{})) || Floats(m, bf16) != nil {
			t.Errorf("%s: gradients at %p for the host", d.Name(), lies)
		} else if lies != nil {
			lies[47] = 9
			if err := m.Read(a.grads, 47, x[:1]); err != nil || x[0] != 9 {
				t.Errorf("%s: wrote 9 where the gradients lie, read %v, %v", d.Name(), x[0], err)
			}
		}
		if err := m.Read(plan.Arena, 3, x[:1]); err != nil || x[0] != 7 {
			t.Errorf("%s: the arena does not begin with the gradients: %v, %v", d.Name(), x[0], err)
		}
		if err := errors.Join(m.Fill(a.sum, 0xff), m.Read(a.sum, 47, x[:1])); err != nil || x[0] == x[0] {
			t.Errorf("%s: filled with 0xff: %v, %v", d.Name(), x[0], err)
		}
		if err := m.WriteBytes(images, 990, make([]byte, 10)); err != nil {
			t.Errorf("%s: %v", d.Name(), err)
		}
		for name, err := range map[string]error{
			"past the end":         m.Write(a.grads, sizes[a.grads]/4-1, x[:2]),
			"before the beginning": m.Read(a.grads, -1, x[:1]),
			"another type":         m.Read(bf16, 0, x[:1]),
			"bytes past the end":   m.WriteBytes(images, 995, make([]byte, 10)),
			"bytes of floats":      m.WriteBytes(a.sum, 0, make([]byte, 4)),
		} {
			if err == nil {
				t.Errorf("%s: %s was allowed", d.Name(), name)
			}
		}
	}
}

// TestTensors: ranges of channels and bfloat16 go to the device and back.
func TestTensors(t *testing.T) {
	for _, d := range devices(t) {
		a := newAdder(t, d.Target(), 1)
		sizes := a.plan.Sizes
		sizes[plan.Arena] = 4096
		m := alloc(t, d, sizes)
		g := loaded(t, d, a.plan, m)
		values := make([]float32, 12)
		for i := range values {
			values[i] = 1 + float32(i)/1000
		}
		for _, dtype := range []number.Type{number.Float32, number.BFloat16} {
			whole := plan.Tensor{Buffer: plan.Arena, Type: dtype, Offset: 1024, Shape: tensor.Shape{1, 2, 2, 5}, Pitch: 5}
			part := plan.Tensor{Buffer: plan.Arena, Type: dtype, Offset: 1024 + dtype.Size(), Shape: tensor.Shape{1, 2, 2, 3}, Pitch: 5}
			got, all := make([]float32, 12), make([]float32, 20)
			if err := errors.Join(m.Fill(plan.Arena, 0), g.Write(part, values), g.Read(part, got), g.Read(whole, all)); err != nil {
				t.Fatal(err)
			}
			for i, x := range values {
				if dtype == number.BFloat16 {
					x = number.Round(x)
				}
				if got[i] != x || all[i/3*5+1+i%3] != x || all[i/3*5] != 0 {
					t.Errorf("%s, %v: element %d is %v, in its row %v, want %v", d.Name(), dtype, i, got[i], all[i/3*5:][:5], x)
				}
			}
			if err := g.Read(part, got[:3]); err == nil {
				t.Errorf("%s: a slice of another length was allowed", d.Name())
			}
		}
		pixels := plan.Tensor{Buffer: plan.Arena, Type: number.Uint8, Offset: 1024, Shape: tensor.Shape{8}, Pitch: 8}
		if err := g.ReadBytes(pixels, make([]byte, 8)); err != nil {
			t.Error(err)
		}
		if g.Read(pixels, make([]float32, 8)) == nil || g.Write(pixels, make([]float32, 8)) == nil {
			t.Errorf("%s: bytes were read as numbers", d.Name())
		}
	}
}

// TestLoadRefuses a plan for another device, and memory that is too small or elsewhere.
func TestLoadRefuses(t *testing.T) {
	ds := devices(t)
	for i, d := range ds {
		a := newAdder(t, d.Target(), 1)
		other := ds[(i+len(ds)-1)%len(ds)]
		for name, c := range map[string]struct {
			target plan.Target
			memory Memory
			want   string
		}{
			"another target": {cpuWith(7), alloc(t, d, a.plan.Sizes), "does not run"},
			"little memory":  {d.Target(), alloc(t, d, plan.Sizes{plan.Arena: 64}), "has 64"},
		} {
			if _, err := d.Load(newAdder(t, c.target, 1).plan, c.memory); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: %v", d.Name(), name, err)
			}
		}
		if d.Name() != other.Name() {
			if _, err := d.Load(a.plan, alloc(t, other, a.plan.Sizes)); err == nil || !strings.Contains(err.Error(), "another device") {
				t.Errorf("%s with memory of %s: %v", d.Name(), other.Name(), err)
			}
		}
	}
}

func cpuWith(threads int) plan.Target { return NewCPUTarget(threads) }
