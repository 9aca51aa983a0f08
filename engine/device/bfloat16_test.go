package device

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cpu/amx/amxtest"
	"fluxion/kernels/number"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// TestBFloat16 runs fixtures with gradients in bfloat16, with products of bfloat16
// and, where the processor has those, without. Without, the bits must be those of
// the same network in float32 with every activation rounded by hand (weights are
// rounded for products of bfloat16 alone); with them,
// sums are in another order and attention rounds its probabilities, so the result is
// to be as near to diffusers in float64 as that one. Bits do not depend on the number
// of threads.
func TestBFloat16(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	files, err := filepath.Glob(fixtures + "/*/grads.safetensors")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	var sets []*cpu.Kernels // the best, and the best without products of bfloat16
	for _, name := range cpu.Names() {
		k, err := cpu.Select(name)
		if err != nil {
			t.Fatal(err)
		}
		if sets = append(sets, k); k.BF16 == nil {
			break
		}
	}
	for i := range len(files) * len(sets) {
		file, set := files[i/len(sets)], sets[i%len(sets)]
		t.Run(filepath.Base(filepath.Dir(file))+"/"+set.Name, func(t *testing.T) {
			dir := filepath.Dir(file)
			io, grads := open(t, dir+"/io.safetensors"), open(t, file)
			sample, shape := numbers(t, io, "sample")
			want, _ := numbers(t, io, "output")
			cotangent, _ := numbers(t, grads, "cotangent")
			wantGradient, _ := numbers(t, grads, "sample")
			run := func(precision number.Type, threads int, run func(*network)) (output, all []float64) {
				d, err := NewCPU(threads, set.Name)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { d.Close() })
				n := loadIn(t, dir, d, shape, true, precision)
				n.write(t, n.graph.Sample, sample, true)
				n.write(t, n.cotangent, cotangent, true)
				n.writeIf(t, n.graph.Time, io, "timestep")
				n.writeIf(t, n.graph.Class, io, "class_labels")
				run(n)
				output = n.read(t, n.graph.Output)
				flat := make([]float32, nets.FlatSize(n.graph.Params))
				if err := n.memory.Read(n.grads, 0, flat); err != nil {
					t.Fatal(err)
				}
				all = append(slices.Clone(output), n.read(t, n.gradients[0])...)
				for _, g := range flat {
					all = append(all, float64(g))
				}
				return output, all
			}
			output, first := run(number.BFloat16, 1, func(n *network) { n.run(t) })
			if e := worst(output, want); e < 1e-4 || !(e <= 3e-2) {
				t.Errorf("the output is off by %.2g of its scale", e)
			}
			if _, again := run(number.BFloat16, 3, func(n *network) { n.run(t) }); !slices.Equal(again, first) {
				t.Error("three threads give other bits")
			}
			_, byHand := run(number.Float32, 1, func(n *network) { n.runRounded(t, set.BF16 != nil) })
			if set.BF16 != nil {
				n := len(output)
				near := func(what string, got, hand, want []float64) {
					if e, h := worst(got, want), worst(hand, want); slices.Equal(got, hand) || !(e <= 1.5*h) {
						t.Errorf("%s: off by %.2g, and by %.2g if rounded by hand", what, e, h)
					}
				}
				near("output", output, byHand[:n], want)
				near("gradient of the sample", first[n:][:n], byHand[n:][:n], wantGradient)
				return
			}
			for i, x := range byHand {
				if x != first[i] {
					t.Fatalf("element %d of %d is %g, rounded by hand %g", i, len(byHand), first[i], x)
				}
			}
		})
	}
}

// TestWidened: in bfloat16 no launch has copies of its operands in float32, but that
// products do where the instruction set has none of bfloat16: every element meets
// many others there, and would be widened for each.
func TestWidened(t *testing.T) {
	files, err := filepath.Glob(fixtures + "/*/grads.safetensors")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		_, shape := numbers(t, open(t, dir+"/io.safetensors"), "sample")
		for _, set := range cpu.Names() {
			d, err := NewCPU(1, set)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			target := d.Target().(CPUTarget)
			for _, l := range loadIn(t, dir, d, shape, true, number.BFloat16).plan.Launches {
				_, product := l.Kernel.(kernels.NativeProduct)
				if n := len(target.widened(l)); n > 0 && (target.BF16 || !product) {
					t.Errorf("%s, %s: %v copies %d operands", filepath.Base(dir), set, l.Kernel, n)
				}
			}
		}
	}
}

// runRounded runs a plan in float32 and rounds to bfloat16 what a plan in
// bfloat16 stores in it, and the weights if products round them.
func (n *network) runRounded(t *testing.T, weights bool) {
	t.Helper()
	for _, p := range n.graph.Params {
		if !weights {
			break
		}
		// Maps of time and class are of rank 2 throughout.
		single := strings.Contains(p.Name, "time_emb") || strings.Contains(p.Name, "class_emb") || strings.Contains(p.Name, "time_proj")
		if !strings.HasSuffix(p.Name, ".weight") || len(p.Shape) < 2 || single {
			continue
		}
		values := make([]float32, p.Size())
		err := n.memory.Read(n.weights, p.Offset, values)
		round(values)
		if err := errors.Join(err, n.memory.Write(n.weights, p.Offset, values)); err != nil {
			t.Fatal(err)
		}
	}
	roundPlace := func(place plan.Tensor) error {
		values := make([]float32, place.Values())
		err := n.program.Read(place, values)
		round(values)
		return errors.Join(err, n.program.Write(place, values))
	}
	for _, input := range []*gorgonia.Node{n.graph.Sample, n.cotangent} {
		if err := roundPlace(n.plan.Place(input)); err != nil {
			t.Fatal(err)
		}
	}
	err := n.program.Launches(func(i int) error {
		if out := n.plan.Launches[i].Out; len(out.Shape) == 4 && out.Buffer == plan.Arena {
			return roundPlace(out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func round(values []float32) {
	for i, x := range values {
		values[i] = number.Round(x)
	}
}

// TestBFloat16CUDA: in bfloat16 a GPU, which adds in another order and so rounds
// here and there to the other side, is as near to diffusers as the CPU is.
func TestBFloat16CUDA(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir := fixtures + "/imagenet"
	io, grads := open(t, dir+"/io.safetensors"), open(t, dir+"/grads.safetensors")
	sample, shape := numbers(t, io, "sample")
	cotangent, _ := numbers(t, grads, "cotangent")
	want, _ := numbers(t, io, "output")
	wantGradient, _ := numbers(t, grads, "sample")
	cpu, err := NewCPU(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cpu.Close() })
	var errors [2][2]float64
	for i, d := range []Device{cpu, testCUDA(t)} {
		n := loadIn(t, dir, d, shape, true, number.BFloat16)
		n.write(t, n.graph.Sample, sample, true)
		n.write(t, n.cotangent, cotangent, true)
		n.writeIf(t, n.graph.Time, io, "timestep")
		n.writeIf(t, n.graph.Class, io, "class_labels")
		n.run(t)
		errors[i] = [2]float64{worst(n.read(t, n.graph.Output), want), worst(n.read(t, n.gradients[0]), wantGradient)}
	}
	for k, what := range []string{"output", "gradient of the sample"} {
		if c, g := errors[0][k], errors[1][k]; !(g <= 2*c) || g < 1e-4 {
			t.Errorf("%s: off by %.2g on the GPU, by %.2g on the CPU", what, g, c)
		}
	}
}

// TestAMX is TestBFloat16 on tiles, where need be on emulated ones.
func TestAMX(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	amxtest.Run(t, "^TestBFloat16$/./^amx$")
}
