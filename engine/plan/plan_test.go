package plan

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/loss"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// floats is a target that asks for what the kernels ask for in float32: one like a
// GPU, where kernels leave statistics, or like a CPU, where they make inputs themselves.
type floats struct{ joins bool }

func (floats) Precision() number.Type { return number.Float32 }

func (floats) Row(Launch) int { return 0 }

func (floats) Scratch(l Launch) int {
	var in []tensor.Shape
	for _, t := range l.In {
		in = append(in, t.Shape)
	}
	return 4 * l.Kernel.Scratch(in, l.Out.Shape, 2)
}

func (f floats) Joins() bool { return f.joins }

func (f floats) Sums() bool { return f.joins }

func (f floats) Stacks() bool { return f.joins }

func (f floats) Widens(Launch) bool { return f.joins }
func (f floats) Chains(Launch) bool { return f.joins }

func (f floats) Upsamples() bool { return f.joins }

// Partials lets whatever can leave statistics on a GPU do so.
func (floats) Partials(maker, reader Launch, _ int) Partials {
	_, leaves := maker.Kernel.(cuda.Measurer)
	_, takes := reader.Kernel.(cuda.Measured)
	if !leaves || !takes {
		return Partials{}
	}
	return Partials{Space{Bytes: 12}, 1, 1, true}
}

// training returns the plan of loss and gradients of a preset in float32.
func training(t *testing.T, preset string, batch int, without ...string) *Plan {
	t.Helper()
	return precise(t, preset, batch, number.Float32, without...)
}

func precise(t *testing.T, preset string, batch int, precision number.Type, without ...string) *Plan {
	t.Helper()
	return planned(t, preset, batch, Options{Precision: precision, Without: without})
}

// planned takes precision, fusions and recomputation from the options.
func planned(t *testing.T, preset string, batch int, o Options) *Plan {
	t.Helper()
	network, err := catalog.Preset(preset)
	if err != nil {
		t.Fatal(err)
	}
	g, err := nets.Build(network.Network, nets.BuildOptions{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	target := gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithShape(g.Output.Shape()...), gorgonia.WithName("target"))
	weight := gorgonia.NewVector(g.G, tensor.Float32, gorgonia.WithShape(batch), gorgonia.WithName("weight"))
	l := loss.MSE(g.Output, target, weight)
	grads, err := gorgonia.Grad(l, g.Nodes...)
	if err != nil {
		t.Fatal(err)
	}
	o.Inputs, o.Outputs = []*gorgonia.Node{g.Sample, g.Time, target, weight}, []*gorgonia.Node{l}
	if o.Target == nil {
		o.Target = floats{}
	}
	weights := Weights("params", nets.FlatSize(g.Params), o.Target, o.Precision)
	o.Gradients = &Buffer{Name: "grads", Type: number.Float32, Size: weights.Size, Transient: true}
	o.Forward = Forward{l, g.Blocks}
	for i, p := range g.Params {
		o.Parameters = append(o.Parameters, Parameter{g.Nodes[i], weights, p.Offset, grads[i]})
	}
	p, err := Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// named is the buffer of a plan with a name, nil if it touches none.
func named(p *Plan, name string) *Buffer {
	for b := range p.Sizes {
		if b.Name == name {
			return b
		}
	}
	return nil
}

func text(p *Plan) string {
	var b strings.Builder
	if _, err := p.WriteTo(&b); err != nil {
		panic(err)
	}
	return b.String()
}

// TestDeterministic: the same network gives the same plan, which resuming to the bit stands on.
func TestDeterministic(t *testing.T) {
	first := text(training(t, "small", 4))
	for range 3 {
		if again := text(training(t, "small", 4)); again != first {
			t.Fatal("two compilations differ")
		}
	}
}

// TestFLOPs compares with the count of reference/unet_flops.py for google/ddpm-cifar10-32:
// 12.44 GFLOP an image forward, and three times that for training but for the first convolution.
func TestFLOPs(t *testing.T) {
	p := training(t, "cifar", 1)
	if got := float64(p.Cost().FLOPs) / 1e9; got < 37 || got > 38.5 {
		t.Errorf("training cifar costs %.2f GFLOP an image, want about 37.3", got)
	}
}

// TestMemoryLinear: memory but for parameters and workspaces grows with the batch.
func TestMemoryLinear(t *testing.T) {
	a, b, c := training(t, "tiny", 4).Sizes[Arena], training(t, "tiny", 8).Sizes[Arena], training(t, "tiny", 12).Sizes[Arena]
	if slope := float64(c-b) / float64(b-a); slope < 0.97 || slope > 1.03 {
		t.Errorf("arenas of %d, %d, %d bytes for batches of 4, 8, 12: not linear", a, b, c)
	}
}

// TestFusionsSave: every fusion saves launches or traffic, and an unknown one is refused.
func TestFusionsSave(t *testing.T) {
	for _, name := range FusionNames() {
		if name == "together" { // saves launches of a device: TestTogether
			continue
		}
		on := floats{joins: name == "norms" || name == "upsample" || name == "bias" || name == "chain" || name == "products"}
		preset := "small"
		if name == "reshape" { // which no UNet has
			preset = "mlp"
		}
		full := planned(t, preset, 2, Options{Target: on})
		p := planned(t, preset, 2, Options{Target: on, Without: []string{name}})
		if len(p.Launches) <= len(full.Launches) && p.Cost().Bytes <= full.Cost().Bytes {
			t.Errorf("without %q the plan has %d launches that move %d bytes, with it %d and %d",
				name, len(p.Launches), p.Cost().Bytes, len(full.Launches), full.Cost().Bytes)
		}
	}
	if _, err := Compile(Options{Without: []string{"add", "nothing"}}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("an unknown fusion: %v", err)
	}
}

// TestAssign packs random lives around gradients, which lie where they must and live
// to the end, and checks that nothing alive together overlaps.
func TestAssign(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var blocks []*block
		least := make([]int, 101)
		for range 200 {
			b := &block{size: 1 + rng.IntN(4000), first: rng.IntN(100), align: []int{alignment, scratchAlignment}[rng.IntN(2)]}
			b.last = b.first + rng.IntN(100-b.first)
			for i := b.first; i <= b.last; i++ {
				least[i] += b.size
			}
			blocks = append(blocks, b)
		}
		for i := range 30 {
			b := &block{size: 1000, first: rng.IntN(100), last: 100, align: alignment, offset: 1024 * i, fixed: true}
			for i := b.first; i <= b.last; i++ {
				least[i] += b.size
			}
			blocks = append(blocks, b)
		}
		end := assign(blocks, 101)
		for i, b := range blocks[200:] {
			if b.offset != 1024*i {
				t.Fatalf("gradient %d was moved to %d", i, b.offset)
			}
		}
		if most := slices.Max(alive(blocks, 101)); most != slices.Max(least) {
			t.Errorf("%d bytes are said to be alive together, want %d", most, slices.Max(least))
		}
		for i, a := range blocks {
			if a.offset%a.align != 0 || a.offset+a.size > end {
				t.Fatalf("block at %d of %d bytes in an arena of %d", a.offset, a.size, end)
			}
			for _, b := range blocks[:i] {
				if a.first <= b.last && b.first <= a.last && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
					t.Fatal("two blocks alive together overlap")
				}
			}
		}
		if bound := slices.Max(least); end > bound+bound/2 {
			t.Errorf("arena of %d bytes where %d are alive at most", end, bound)
		}
	}
}
