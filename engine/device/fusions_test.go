package device

import (
	"math"
	"slices"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// TestFusions leaves out one fusion after the other: each changes the plans, and
// none what a network and its gradients come to. In float32 that is to 2e-5; in
// bfloat16, where the fixtures' gradients are worth a digit, errors against
// float32 at most double. Norms in one launch give the bits of those in two.
func TestFusions(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	d, err := NewCPU(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	unchanged := map[string]bool{}
	for _, name := range plan.FusionNames() {
		unchanged[name] = true
	}
	delete(unchanged, "reshape") // of no UNet; engine/train/equality leaves it out of a perceptron
	if _, leaves := d.Target().(plan.Measurer); !leaves {
		delete(unchanged, "statistics")
	}
	if _, gathers := d.Target().(plan.Gatherer); !gathers {
		delete(unchanged, "together")
	}
	if _, sums := d.Target().(plan.Summer); !sums {
		delete(unchanged, "bias")
	}
	if _, stacks := d.Target().(plan.Stacker); !stacks {
		delete(unchanged, "products")
	}
	if _, chains := d.Target().(plan.Chainer); !chains {
		delete(unchanged, "chain")
	}
	for _, fixture := range []string{"ddpm", "imagenet"} {
		want := differentiated(t, d, fixture, number.Float32).results(t)
		for _, precision := range []number.Type{number.Float32, number.BFloat16} {
			fused := differentiated(t, d, fixture, precision)
			var budgets [3]float64
			for i, got := range fused.results(t) {
				budgets[i] = max(2e-5, 2*relative(got, want[i]))
			}
			for _, name := range plan.FusionNames() {
				apart := differentiated(t, d, fixture, precision, name)
				if len(apart.plan.Launches) != len(fused.plan.Launches) || apart.plan.Cost() != fused.plan.Cost() {
					delete(unchanged, name)
				}
				joint := fused.results(t)
				for i, got := range apart.results(t) {
					if name == "norms" && !slices.Equal(got, joint[i]) {
						t.Errorf("%v, %s without %q: result %d has other bits", precision, fixture, name, i)
					}
					if e := relative(got, want[i]); !(e <= budgets[i]) {
						t.Errorf("%v, %s without %q: result %d has a relative error of %.2g, want at most %.2g", precision, fixture, name, i, e, budgets[i])
					}
				}
			}
		}
	}
	for name := range unchanged {
		t.Errorf("plans are the same without %q", name)
	}
}

// differentiated is a fixture's network with its gradients, run once.
func differentiated(t *testing.T, d Device, fixture string, precision number.Type, without ...string) *network {
	t.Helper()
	return differentiatedAs(t, d, fixture, plan.Options{Precision: precision, Without: without})
}

func differentiatedAs(t *testing.T, d Device, fixture string, o plan.Options) *network {
	t.Helper()
	dir := fixtures + "/" + fixture
	io, grads := open(t, dir+"/io.safetensors"), open(t, dir+"/grads.safetensors")
	sample, shape := numbers(t, io, "sample")
	cotangent, _ := numbers(t, grads, "cotangent")
	n := loadAs(t, dir, d, shape, true, o)
	n.write(t, n.graph.Sample, sample, true)
	n.writeIf(t, n.graph.Time, io, "timestep")
	n.writeIf(t, n.graph.Class, io, "class_labels")
	n.write(t, n.cotangent, cotangent, true)
	n.run(t)
	return n
}

// results are the output, the gradient of the sample, and those of the parameters.
func (n *network) results(t *testing.T) [3][]float64 {
	t.Helper()
	flat := make([]float32, nets.FlatSize(n.graph.Params))
	if err := n.memory.Read(n.grads, 0, flat); err != nil {
		t.Fatal(err)
	}
	gradients := make([]float64, len(flat))
	for i, x := range flat {
		gradients[i] = float64(x)
	}
	return [3][]float64{n.read(t, n.graph.Output), n.read(t, n.gradients[0]), gradients}
}

// relative is the L2 norm of a difference over that of what is wanted.
func relative(got, want []float64) float64 {
	off, norm := 0.0, 0.0
	for i, x := range want {
		off += (got[i] - x) * (got[i] - x)
		norm += x * x
	}
	return math.Sqrt(off / norm)
}
