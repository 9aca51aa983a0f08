package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/kerneltest"
	"fluxion/kernels/loss"
	"fluxion/nets"
	"fluxion/nets/netstest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Every test here goes over all classes of networks, as a new one has to pass them.

// networks are the smallest preset of each class, for images of 4×4 pixels, with and
// without what a network may be told.
func networks(t *testing.T) map[string]nets.Network {
	t.Helper()
	all := map[string]nets.Network{}
	for _, class := range classes() {
		if class.Import != nil { // it is read as another
			continue
		}
		for name, like := range map[string]nets.Spec{
			"alone":             {},
			"with classes":      {Classes: 3},
			"with its estimate": {Classes: 3, Estimate: true},
			"with a jump alone": {Jump: true},
			"with an input":     {Classes: 3, Concat: 1},
			"with guidance":     {Classes: 3, Guidance: [2]float64{1, 4}},
			"with all":          {Classes: 3, Estimate: true, Concat: 2, Jump: true, Guidance: [2]float64{0.5, 8}},
		} {
			like.Height, like.Width, like.Channels = 4, 4, 2
			n, err := class.Presets[0].Network.Fit(like)
			if err != nil {
				t.Fatal(class.Name, err)
			}
			if s := n.Spec(); s.Concat != like.Concat && s.Concat != 0 {
				t.Errorf("%s: a second image of %d channels where %d were asked for", class.Name, s.Concat, like.Concat)
			}
			all[class.Name+" "+name] = n
		}
	}
	return all
}

// has says whether a network of networks is given something.
func has(name, what string) bool {
	return strings.Contains(name, what) || strings.HasSuffix(name, "all")
}

// TestNetworks: what a network says of itself is so, and nothing that it declares is idle.
func TestNetworks(t *testing.T) {
	for name, n := range networks(t) {
		s := n.Spec()
		if s.Height != 4 || s.Width != 4 || s.Channels != 2 || s.Outputs != 2 || s.Conditional() == strings.HasSuffix(name, "alone") || s.Estimate != has(name, "estimate") || s.Jump != has(name, "jump") || s.Told() != has(name, "guidance") {
			t.Errorf("%s: %+v", name, s)
		}
		if err := nets.CheckDenoiser(n); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		g, err := nets.Build(n, nets.BuildOptions{Batch: 3})
		if err != nil {
			t.Fatal(name, err)
		}
		if !g.Output.Shape().Eq(tensor.Shape{3, 4, 4, 2}) || (g.Class != nil) != s.Conditional() || (g.Estimate != nil) != s.Estimate || (g.Jump != nil) != s.Jump || (g.Guidance != nil) != s.Told() || (g.Concat != nil) != (s.Concat > 0) {
			t.Errorf("%s: output %v, class %v, estimate %v, jump %v", name, g.Output.Shape(), g.Class, g.Estimate, g.Jump)
		}
		if len(g.Blocks) < 2 || g.Blocks[len(g.Blocks)-1] != g.Output {
			t.Errorf("%s: blocks %v", name, g.Blocks)
		}
		for i, p := range g.Params {
			if node := g.Nodes[i]; node.Name() != p.Name || !node.Shape().Eq(p.Shape) || g.G.To(node.ID()).Len() == 0 {
				t.Errorf("%s: node %v stands for parameter %s, or nothing uses it", name, node, p.Name)
			}
			if i > 0 && (g.Params[i-1].Name >= p.Name || g.Params[i-1].Offset+g.Params[i-1].Size() > p.Offset) {
				t.Errorf("%s: parameter %s does not come behind %s", name, p.Name, g.Params[i-1].Name)
			}
		}
		if table := slices.ContainsFunc(g.Params, func(p nets.Param) bool { return p.Name == nets.ClassTable }); table != s.Conditional() {
			t.Errorf("%s: a table of classes is %v", name, table)
		}
		var size *nets.SizeError
		if _, err := nets.Build(n, nets.BuildOptions{Batch: 1 << 40}); !errors.As(err, &size) {
			t.Errorf("%s: a batch that no machine holds: %v", name, err)
		}
		large := g.Inputs
		large.Sample = gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithShape(1<<40, 4, 4, 2), gorgonia.WithName("large"))
		if _, err := g.Apply(large); !errors.As(err, &size) {
			t.Errorf("%s: applied to a batch that no machine holds: %v", name, err)
		}
	}
}

// TestFolders: a network and its weights are read as they were written, to the byte.
func TestFolders(t *testing.T) {
	for name, n := range networks(t) {
		params := nets.Params(n)
		flat := make([]float32, nets.FlatSize(params))
		nets.Initialise(params, 7, flat)
		dir, again := t.TempDir(), t.TempDir()
		if err := nets.WriteModel(dir, n, params, flat); err != nil {
			t.Fatal(name, err)
		}
		back, weights, err := ReadModel(dir)
		if err != nil || !slices.Equal(weights, flat) || back.ClassName() != n.ClassName() || back.Spec() != n.Spec() {
			t.Fatalf("%s: read again: %+v, %v", name, back, err)
		}
		if err := nets.WriteModel(again, back, params, weights); err != nil {
			t.Fatal(name, err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range files {
			want, _ := os.ReadFile(f)
			if got, _ := os.ReadFile(filepath.Join(again, filepath.Base(f))); len(want) == 0 || !bytes.Equal(got, want) {
				t.Errorf("%s: %s differs when written again", name, filepath.Base(f))
			}
		}
	}
	if len(classes()) < 2 {
		t.Error("one class is no list")
	}
}

func TestUnknownClass(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"_class_name": "DiTTransformer2DModel"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := ReadConfig(dir)
	for _, class := range classes() {
		if err == nil || !strings.Contains(err.Error(), "DiTTransformer2DModel") || !strings.Contains(err.Error(), class.Name) {
			t.Errorf("error %v, want one that names %s", err, class.Name)
		}
	}
}

// graph is a network in float64, its inputs and parameters drawn.
type graph struct {
	*nets.Graph
	random *rand.Rand
	points [][]float64 // of the parameters
}

func newGraph(t *testing.T, n nets.Network) *graph {
	t.Helper()
	g := &graph{random: rand.New(rand.NewPCG(1, 2))}
	var err error
	if g.Graph, err = nets.Build(n, nets.BuildOptions{Batch: 2, Dtype: tensor.Float64}); err != nil {
		t.Fatal(err)
	}
	for _, p := range g.Nodes {
		g.points = append(g.points, g.draw(p.Shape(), 0.05))
		netstest.Let(t, p, g.points[len(g.points)-1])
	}
	g.give(t, g.Inputs)
	return g
}

// give draws what inputs hold.
func (g *graph) give(t *testing.T, in nets.Inputs) {
	t.Helper()
	netstest.Let(t, in.Sample, g.draw(in.Sample.Shape(), 1))
	netstest.Let(t, in.Time, []float64{300, 700.5})
	if in.Jump != nil {
		netstest.Let(t, in.Jump, []float64{120, 700.5})
	}
	if in.Guidance != nil {
		netstest.Let(t, in.Guidance, []float64{2.5, 1.25})
	}
	if in.Class != nil {
		netstest.Let(t, in.Class, []float64{2, 0})
	}
	if in.Estimate != nil {
		netstest.Let(t, in.Estimate, g.draw(in.Estimate.Shape(), 1))
	}
	if in.Concat != nil {
		netstest.Let(t, in.Concat, g.draw(in.Concat.Shape(), 1))
	}
}

func (g *graph) draw(shape tensor.Shape, scale float64) []float64 {
	v := make([]float64, shape.TotalSize())
	for i := range v {
		v[i] = scale * g.random.NormFloat64()
	}
	return v
}

// project is Σ output·cotangent.
func (g *graph) project(t *testing.T, seed uint64, y *gorgonia.Node) *gorgonia.Node {
	t.Helper()
	c := gorgonia.NewTensor(g.G, tensor.Float64, 4, gorgonia.WithShape(y.Shape()...), gorgonia.WithName(fmt.Sprint("cotangent ", seed)))
	netstest.Let(t, c, normal(y.Shape().TotalSize(), seed, 0))
	return gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(y, c))))
}

// normal numbers of a seed.
func normal(n int, seed, part uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, part))
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

func values(nodes gorgonia.Nodes) [][]float64 {
	var all [][]float64
	for _, n := range nodes {
		all = append(all, slices.Clone(n.Value().Data().([]float64)))
	}
	return all
}

func (g *graph) run(t *testing.T) {
	t.Helper()
	netstest.Run(t, g.G)
}

// TestGradients holds the gradient of all parameters against central differences along
// random directions.
func TestGradients(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for name, n := range networks(t) {
		t.Run(name, func(t *testing.T) {
			g := newGraph(t, n)
			loss := g.project(t, 1, g.Output)
			grads, err := gorgonia.Grad(loss, g.Nodes...)
			if err != nil {
				t.Fatal(err)
			}
			g.run(t)
			gradients := values(grads)
			for direction := range uint64(3) {
				const h = 2e-6
				at := func(step float64) float64 {
					for i, point := range g.points {
						if g.Params[i].Fixed { // a constant, whose gradient is said to be 0
							continue
						}
						moved := slices.Clone(point)
						for k, d := range normal(len(point), direction, uint64(i)) {
							moved[k] += step * d
						}
						netstest.Let(t, g.Nodes[i], moved)
					}
					g.run(t)
					return loss.Value().Data().(float64)
				}
				want := (at(h) - at(-h)) / (2 * h)
				got, scale := 0.0, 0.0
				for i, point := range g.points {
					if g.Params[i].Fixed {
						continue
					}
					for k, d := range normal(len(point), direction, uint64(i)) {
						got += d * gradients[i][k]
						scale += math.Abs(d * gradients[i][k])
					}
				}
				if math.Abs(got-want) > 1e-8*scale {
					t.Errorf("direction %d: the gradient says %g, differences %g", direction, got, want)
				}
			}
		})
	}
}

// TestInputs: all that a network is given counts, for its own image and no other.
func TestInputs(t *testing.T) {
	for name, n := range networks(t) {
		g := newGraph(t, n)
		g.run(t)
		before := slices.Clone(g.Output.Value().Data().([]float64))
		for _, input := range []*gorgonia.Node{g.Sample, g.Time, g.Jump, g.Guidance, g.Class, g.Estimate, g.Concat} {
			if input == nil {
				continue
			}
			was := slices.Clone(input.Value().Data().([]float64))
			other := slices.Clone(was)
			other[0] = 1 // of the first image
			netstest.Let(t, input, other)
			g.run(t)
			after := g.Output.Value().Data().([]float64)
			if half := len(before) / 2; slices.Equal(after[:half], before[:half]) || !slices.Equal(after[half:], before[half:]) {
				t.Errorf("%s: another %s of the first image gives %v instead of %v", name, input.Name(), after, before)
			}
			netstest.Let(t, input, was)
		}
	}
}

// TestManyImages: a training step of more images than a grid is high can be launched on a GPU.
func TestManyImages(t *testing.T) {
	for name, n := range networks(t) {
		g, err := nets.Build(n, nets.BuildOptions{Batch: kerneltest.Many})
		if err != nil {
			t.Fatal(name, err)
		}
		target := gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithShape(g.Sample.Shape()...), gorgonia.WithName("target"))
		weight := gorgonia.NewVector(g.G, tensor.Float32, gorgonia.WithShape(kerneltest.Many), gorgonia.WithName("weight"))
		if _, err := gorgonia.Grad(loss.MSE(g.Output, target, weight), g.Nodes...); err != nil {
			t.Fatal(name, err)
		}
		kerneltest.CheckGrids(t, g.G)
	}
}

// TestTwoApplications: of two applications in one graph, the parameters are the same
// nodes, what both compute alike is there once, and gradients add.
func TestTwoApplications(t *testing.T) {
	for name, n := range networks(t) {
		t.Run(name, func(t *testing.T) {
			of := func(first, second bool) [][]float64 {
				g := newGraph(t, n)
				nodes := len(g.G.AllNodes())
				if again, err := g.Apply(g.Inputs); err != nil || again.Output != g.Output || len(g.G.AllNodes()) != nodes {
					t.Errorf("applied to the same inputs again: %v, %d nodes and then %d", err, nodes, len(g.G.AllNodes()))
				}
				other := g.Inputs // but for the image
				other.Sample = gorgonia.NewTensor(g.G, tensor.Float64, 4, gorgonia.WithShape(g.Sample.Shape()...), gorgonia.WithName("other sample"))
				netstest.Let(t, other.Sample, g.draw(g.Sample.Shape(), 1))
				again, err := g.Apply(other)
				if err != nil {
					t.Fatal(err)
				}
				embeddings := 0
				for _, node := range g.G.AllNodes() {
					if node.Op() != nil && strings.HasPrefix(node.Op().String(), "timestep") {
						embeddings++
					}
				}
				most := 1
				if n.Spec().Jump {
					most++
				}
				if n.Spec().Told() {
					most++
				}
				if embeddings > most { // a network may take the time as it is
					t.Errorf("one time is embedded %d times", embeddings)
				}
				var loss *gorgonia.Node
				switch {
				case !second:
					loss = g.project(t, 1, g.Output)
				case !first:
					loss = g.project(t, 2, again.Output)
				default:
					loss = gorgonia.Must(gorgonia.Add(g.project(t, 1, g.Output), g.project(t, 2, again.Output)))
				}
				grads, err := gorgonia.Grad(loss, g.Nodes...)
				if err != nil {
					t.Fatal(err)
				}
				g.run(t)
				return values(grads)
			}
			a, b, both := of(true, false), of(false, true), of(true, true)
			for i, p := range nets.Params(n) {
				largest, off := 0.0, 0.0
				for k := range both[i] {
					largest = max(largest, math.Abs(a[i][k]), math.Abs(b[i][k]))
					off = max(off, math.Abs(both[i][k]-a[i][k]-b[i][k]))
				}
				if off > 1e-10*max(largest, 1) {
					t.Errorf("%s: the gradient of both applications is %g from the sum, of up to %g", p.Name, off, largest)
				}
			}
		})
	}
}

// TestTwoSets: another set of parameters in the same graph is another network of the same inputs.
func TestTwoSets(t *testing.T) {
	for name, n := range networks(t) {
		g := newGraph(t, n)
		teacher, err := nets.Place(g.G, n, tensor.Float64, "teacher.")
		if err != nil {
			t.Fatal(name, err)
		}
		out, err := teacher.Apply(g.Inputs)
		if err != nil || out.Output == g.Output {
			t.Fatalf("%s: %v, output %v beside %v", name, err, out.Output, g.Output)
		}
		for i, node := range teacher.Nodes {
			if node == g.Nodes[i] || node.Name() != "teacher."+g.Params[i].Name || g.G.To(node.ID()).Len() == 0 {
				t.Errorf("%s: %v of the teacher is %v", name, g.Params[i].Name, node)
			}
			netstest.Let(t, node, g.points[i])
		}
		g.run(t)
		if !slices.Equal(g.Output.Value().Data().([]float64), out.Output.Value().Data().([]float64)) {
			t.Errorf("%s: the same parameters in another set give another output", name)
		}
	}
}

// TestBeginsAsBefore: a network that is told a jump, or its guidance, begins as the one
// without: the embedding of that is 0, and the rest has the same names.
func TestBeginsAsBefore(t *testing.T) {
	for name, n := range networks(t) {
		jumps, guided := n.Spec(), n.Spec()
		if jumps.Jump || guided.Told() {
			continue
		}
		jumps.Jump, guided.Guidance = true, [2]float64{1, 3}
		begins(t, name+", told a jump", n, jumps)
		begins(t, name+", told its guidance", n, guided)
	}
}

func begins(t *testing.T, name string, n nets.Network, like nets.Spec) {
	t.Helper()
	m, err := n.Fit(like)
	if err != nil {
		t.Fatal(name, err)
	}
	g, other := newGraph(t, n), newGraph(t, m)
	of := map[string][]float64{}
	for i, p := range g.Params {
		of[p.Name] = g.points[i]
	}
	for i, p := range other.Params {
		values, known := of[p.Name]
		if !known {
			values = make([]float64, p.Size())
			if p.Init != (nets.Init{}) {
				values = other.points[i]
			}
		}
		delete(of, p.Name)
		netstest.Let(t, other.Nodes[i], values)
	}
	if len(of) > 0 {
		t.Errorf("%s: it lacks %d of its tensors", name, len(of))
	}
	for _, of := range [][2]*gorgonia.Node{{g.Sample, other.Sample}, {g.Estimate, other.Estimate}, {g.Concat, other.Concat}} {
		if of[0] != nil {
			netstest.Let(t, of[1], values(gorgonia.Nodes{of[0]})[0])
		}
	}
	g.run(t)
	other.run(t)
	if got, want := values(gorgonia.Nodes{other.Output}), values(gorgonia.Nodes{g.Output}); !slices.Equal(got[0], want[0]) {
		t.Errorf("%s: it begins otherwise", name)
	}
	if back, err := m.Fit(n.Spec()); err != nil || string(back.JSON()) != string(n.JSON()) {
		t.Errorf("%s: without that it is %s, %v", name, back.JSON(), err)
	}
}

// TestMissingInputs: a network that is given less than it takes says so.
func TestMissingInputs(t *testing.T) {
	for name, n := range networks(t) {
		g := newGraph(t, n)
		bare := nets.Inputs{Sample: g.Sample, Time: g.Time}
		if _, err := g.Apply(bare); (err == nil) == (g.Jump != nil || g.Guidance != nil || g.Network.Spec().Conditional()) {
			t.Errorf("%s: given a sample and a time: %v", name, err)
		}
		bare.Class, bare.Jump, bare.Guidance = g.Class, g.Jump, g.Guidance
		if _, err := g.Apply(bare); (err == nil) == (g.Estimate != nil || g.Concat != nil) {
			t.Errorf("%s: given no estimate and no second image: %v", name, err)
		}
		bare.Estimate = g.Estimate
		if _, err := g.Apply(bare); (err == nil) == (g.Concat != nil) {
			t.Errorf("%s: given no second image: %v", name, err)
		}
	}
}
