package device

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/cast"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"
	"fluxion/nets/netstest"
	"fluxion/nets/safetensors"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const fixtures = "../../nets/unet/testdata/diffusers"

// network is a fixture of diffusers, bound to a device.
type network struct {
	graph     *nets.Graph
	plan      *plan.Plan
	program   Program
	memory    Memory
	weights   *plan.Buffer
	grads     *plan.Buffer // nil unless it is trained
	cotangent *gorgonia.Node
	gradients gorgonia.Nodes
}

// load builds the fixture's network, with the gradients of Σ output·cotangent if asked.
func load(t *testing.T, dir string, d Device, shape []int, train bool, without ...string) *network {
	t.Helper()
	return loadIn(t, dir, d, shape, train, number.Float32, without...)
}

func loadIn(t *testing.T, dir string, d Device, shape []int, train bool, precision number.Type, without ...string) *network {
	t.Helper()
	return loadAs(t, dir, d, shape, train, plan.Options{Precision: precision, Without: without})
}

// loadAs takes precision, fusions and recomputation from the options.
func loadAs(t *testing.T, dir string, d Device, shape []int, train bool, o plan.Options) *network {
	t.Helper()
	config, flat, err := catalog.ReadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{}
	n.graph, err = nets.Build(config, nets.BuildOptions{Batch: shape[0], Height: shape[2], Width: shape[3], Dtype: tensor.Float32})
	if err != nil {
		t.Fatal(err)
	}
	n.graph.Output = netstest.Whole(n.graph)
	o.Inputs, o.Outputs = []*gorgonia.Node{n.graph.Sample, n.graph.Time}, []*gorgonia.Node{n.graph.Output}
	o.Target = d.Target()
	n.weights = plan.Weights("params", nets.FlatSize(n.graph.Params), o.Target, o.Precision)
	if train {
		n.grads = &plan.Buffer{Name: "grads", Type: number.Float32, Size: n.weights.Size, Transient: true}
		o.Gradients = n.grads
	}
	o.Forward = plan.Forward{Loss: n.graph.Output, Blocks: n.graph.Blocks}
	for _, in := range []*gorgonia.Node{n.graph.Class, n.graph.Concat} {
		if in != nil {
			o.Inputs = append(o.Inputs, in)
		}
	}
	if train {
		n.cotangent = gorgonia.NewTensor(n.graph.G, tensor.Float32, 4, gorgonia.WithShape(n.graph.Output.Shape()...), gorgonia.WithName("cotangent"))
		o.Inputs = append(o.Inputs, n.cotangent)
		wrt := append(gorgonia.Nodes{n.graph.Sample}, n.graph.Nodes...)
		n.gradients, err = gorgonia.Backpropagate(gorgonia.Nodes{n.graph.Output}, gorgonia.Nodes{n.cotangent}, wrt)
		if err != nil {
			t.Fatal(err)
		}
		o.Outputs = append(o.Outputs, n.gradients[0])
	}
	for i, p := range n.graph.Params {
		q := plan.Parameter{Node: n.graph.Nodes[i], Buffer: n.weights, Offset: p.Offset}
		if train {
			q.Gradient = n.gradients[i+1]
		}
		o.Parameters = append(o.Parameters, q)
	}
	if n.plan, err = plan.Compile(o); err != nil {
		t.Fatal(err)
	}
	if n.memory, err = d.Alloc(n.plan.Sizes); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.memory.Free(); err != nil {
			t.Error(err)
		}
	})
	const nan = 0xff // in every byte, whatever the type
	if err := errors.Join(n.memory.Fill(plan.Arena, nan), n.memory.Write(n.weights, 0, flat)); err != nil {
		t.Fatal(err)
	}
	if n.program, err = d.Load(n.plan, n.memory); err != nil {
		t.Fatal(err)
	}
	if n.weights.Copy != nil {
		n.refresh(t, d)
	}
	return n
}

// refresh makes the copy of the weights that products read.
func (n *network) refresh(t *testing.T, d Device) {
	t.Helper()
	p, err := n.plan.Then(plan.Stage{Kernel: cast.New(1), In: []plan.Ref{{Buffer: n.weights}}, Out: plan.Ref{Buffer: n.weights.Copy}})
	if err != nil {
		t.Fatal(err)
	}
	program, err := d.Load(p, n.memory)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Run(program), program.Free()); err != nil {
		t.Fatal(err)
	}
}

// write puts an NCHW or plain tensor into an input of the network.
func (n *network) write(t *testing.T, node *gorgonia.Node, values []float64, nchw bool) {
	t.Helper()
	if second := n.graph.Concat; node == n.graph.Sample && second != nil { // the channels behind those of the output
		var parts [2][]float64
		channels := node.Shape()[3] + second.Shape()[3]
		pixels := len(values) / channels / node.Shape()[0]
		for i, x := range values {
			part := 0
			if i/pixels%channels >= node.Shape()[3] {
				part = 1
			}
			parts[part] = append(parts[part], x)
		}
		n.write(t, second, parts[1], nchw)
		values = parts[0]
	}
	s := node.Shape()
	flat := make([]float32, len(values))
	for i, x := range values {
		if nchw {
			i = n.nhwc(s, i)
		}
		flat[i] = float32(x)
	}
	if err := n.program.Write(n.plan.Place(node), flat); err != nil {
		t.Fatal(err)
	}
}

// writeIf writes an input of a fixture that the network may not have.
func (n *network) writeIf(t *testing.T, node *gorgonia.Node, f *safetensors.File, name string) {
	t.Helper()
	if values, _ := numbers(t, f, name); node != nil {
		n.write(t, node, values, false)
	}
}

// nhwc is the place of element i of an NCHW tensor.
func (*network) nhwc(s tensor.Shape, i int) int {
	c, pixels := s[3], s[1]*s[2]
	return (i/(c*pixels)*pixels+i%pixels)*c + i/pixels%c
}

// read returns a tensor as NCHW.
func (n *network) read(t *testing.T, node *gorgonia.Node) []float64 {
	t.Helper()
	s := node.Shape()
	flat := make([]float32, s.TotalSize())
	if err := n.program.Read(n.plan.Place(node), flat); err != nil {
		t.Fatal(err)
	}
	out := make([]float64, len(flat))
	for i := range out {
		out[i] = float64(flat[n.nhwc(s, i)])
	}
	return out
}

func (n *network) run(t *testing.T) {
	t.Helper()
	if err := Run(n.program); err != nil {
		t.Fatal(err)
	}
}

func numbers(t *testing.T, f *safetensors.File, name string) ([]float64, []int) {
	t.Helper()
	info, ok := f.Lookup(name)
	if !ok {
		return nil, nil
	}
	values := make([]float64, info.Elements())
	var err error
	if info.Dtype == "I64" {
		whole := make([]int64, len(values))
		err = f.ReadInt64(name, whole)
		for i, x := range whole {
			values[i] = float64(x)
		}
	} else {
		err = f.ReadFloat64(name, values)
	}
	if err != nil {
		t.Fatal(err)
	}
	return values, info.Shape
}

func open(t *testing.T, path string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// worst is the largest difference, as a share of the largest value wanted.
func worst(got, want []float64) float64 {
	diff, scale := 0.0, 0.0
	for i := range want {
		if d := math.Abs(got[i] - want[i]); !(d <= diff) {
			diff = d
		}
		scale = max(scale, math.Abs(want[i]))
	}
	return diff / scale
}

func devices(t *testing.T) []Device {
	var ds []Device
	for _, name := range []string{"portable", "avx2", "avx512"} {
		d, err := NewCPU(2, name)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		t.Cleanup(func() { d.Close() })
		ds = append(ds, d)
	}
	return append(ds, testCUDA(t))
}

// variants are the fusions to leave out of a fixture, in turn. A simulated GPU
// takes its time, so there it is one plan, with all of them, and not every fixture.
func variants(d Device, fixture string) [][]string {
	switch {
	case !d.Simulated() && testing.Short():
		return [][]string{nil}
	case !d.Simulated():
		return [][]string{nil, plan.FusionNames()}
	case simulatedFixtures != nil && !slices.Contains(simulatedFixtures, fixture):
		return nil
	}
	return [][]string{nil}
}

// TestDiffusers runs every fixture through plan and device in float32 and
// compares with diffusers in float64, fusions on and off.
func TestDiffusers(t *testing.T) {
	dirs, err := filepath.Glob(fixtures + "/*/config.json")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no fixtures", err)
	}
	for i, d := range devices(t) {
		for j, config := range dirs {
			if !d.Simulated() && testing.Short() && (i+j)%3 != 0 { // each fixture on one instruction set
				continue
			}
			dir := filepath.Dir(config)
			leaveOut := variants(d, filepath.Base(dir))
			if leaveOut == nil {
				continue
			}
			t.Run(d.Describe()+"/"+filepath.Base(dir), func(t *testing.T) {
				io := open(t, dir+"/io.safetensors")
				sample, shape := numbers(t, io, "sample")
				want, _ := numbers(t, io, "output")
				for _, without := range leaveOut {
					n := load(t, dir, d, shape, false, without...)
					n.write(t, n.graph.Sample, sample, true)
					n.writeIf(t, n.graph.Time, io, "timestep")
					n.writeIf(t, n.graph.Class, io, "class_labels")
					n.run(t)
					got := n.read(t, n.graph.Output)
					if e := worst(got, want); !(e <= 1e-5) {
						t.Errorf("without %v: off by %.2g of the output's scale", without, e)
					}
					if d.Simulated() {
						continue // that runs repeat is tested with the kernels
					}
					n.run(t)
					if !slices.Equal(n.read(t, n.graph.Output), got) {
						t.Error("a second run gives other bits")
					}
				}
			})
		}
	}
}

// TestDiffusersGradients compares the gradients of every parameter and of the input.
func TestDiffusersGradients(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	files, err := filepath.Glob(fixtures + "/*/grads.safetensors")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, d := range devices(t) {
		for _, file := range files {
			dir := filepath.Dir(file)
			leaveOut := variants(d, filepath.Base(dir)+" gradients")
			if leaveOut == nil {
				continue
			}
			t.Run(d.Describe()+"/"+filepath.Base(dir), func(t *testing.T) {
				io, grads := open(t, dir+"/io.safetensors"), open(t, file)
				sample, shape := numbers(t, io, "sample")
				cotangent, _ := numbers(t, grads, "cotangent")
				for _, without := range leaveOut {
					n := load(t, dir, d, shape, true, without...)
					n.write(t, n.graph.Sample, sample, true)
					n.writeIf(t, n.graph.Time, io, "timestep")
					n.writeIf(t, n.graph.Class, io, "class_labels")
					n.write(t, n.cotangent, cotangent, true)
					n.run(t)
					want, _ := numbers(t, grads, "sample")
					if e := worst(n.read(t, n.gradients[0]), want); !(e <= 1e-4) {
						t.Errorf("gradient of the sample: off by %.2g", e)
					}
					n.checkGradients(t, grads)
				}
			})
		}
	}
}

func (n *network) checkGradients(t *testing.T, grads *safetensors.File) {
	t.Helper()
	flat := make([]float32, nets.FlatSize(n.graph.Params))
	if err := n.memory.Read(n.grads, 0, flat); err != nil {
		t.Fatal(err)
	}
	total, diff := 0.0, 0.0
	for _, p := range n.graph.Params {
		want := make([]float64, p.Size())
		if !p.Fixed {
			want, _ = numbers(t, grads, p.Name)
		}
		got := make([]float32, p.Size())
		nets.ToStored(p, flat, got)
		norm, off := 0.0, 0.0
		for i, x := range got {
			off += (float64(x) - want[i]) * (float64(x) - want[i])
			norm += want[i] * want[i]
		}
		total, diff = total+norm, diff+off
		if math.Sqrt(off) > 3e-4*math.Sqrt(norm)+1e-5 {
			t.Errorf("gradient of %s: off by %.2g of %.2g", p.Name, math.Sqrt(off), math.Sqrt(norm))
		}
	}
	if e := math.Sqrt(diff / total); !(e <= 3e-5) {
		t.Errorf("all gradients together: relative error %.2g", e)
	}
}
