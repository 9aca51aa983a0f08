package kerneltest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	// trafficBudget is the bytes that a kernel moves for each byte of its operands:
	// whole sectors, and what passes hand to each other.
	trafficBudget = 1.05
	// Operands of fewer bytes are not held to it: they fit the first cache.
	trafficFloor = 128 << 10
)

// CheckTraffic counts the sectors of memory that the CUDA kernels of the operator
// and of its gradients touch, in plans of either precision, with all their
// epilogues, and holds them against the bytes of their operands.
func CheckTraffic(t *testing.T, inputs []Input, build func(in []*gorgonia.Node) *gorgonia.Node) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	c := newCase(t, inputs, build)
	for _, n := range c.nodes {
		kernel, ok := n.Op().(kernels.Kernel)
		if !ok {
			continue
		}
		device, ok := n.Op().(cuda.Kernel)
		if !ok {
			continue
		}
		var in []kernels.Array // any values will do
		var shapes []tensor.Shape
		for _, i := range inputsOf(n) {
			a := kernels.NewArray(i.Shape()...)
			for j := range a.Data {
				a.Data[j] = rng.Float64()
			}
			in, shapes = append(in, a), append(shapes, a.Shape)
		}
		// Not every kernel reads all of its inputs.
		share := float64(kernel.Cost(shapes, n.Shape()).Bytes) / float64(kernels.Traffic(n.Shape(), shapes...))
		for precision, d := range deviceCases(kernel, device, in, c.rolesOf(n), n.Shape()) {
			t.Run(fmt.Sprintf("%v/%v", precision, kernel), func(t *testing.T) { d.checkTraffic(t, rng, share) })
		}
	}
}

func (d deviceCase) checkTraffic(t *testing.T, rng *rand.Rand, share float64) {
	epilogue := kernels.Epilogue{}
	if f, ok := d.kernel.(kernels.Fuser); ok {
		epilogue = f.Fuses()
	}
	e := fusedInputs(rng, epilogue, kernels.NewArray(d.out...), d.outType)
	size := func(s tensor.Shape, of number.Type) float64 { return float64(s.TotalSize() * of.Size()) }
	ideal := size(d.out, d.outType)
	for i, a := range d.in {
		ideal += size(a.Shape, d.types[i])
	}
	ideal *= share
	if e.add.Data != nil {
		ideal += size(e.add.Shape, d.outType)
	}
	if e.perImage.Data != nil {
		ideal += size(e.perImage.Shape, number.Float32)
	}
	gaps := []int{0}
	if c := d.out[len(d.out)-1]; c%16 == 0 { // whole sectors: also as channels of another tensor
		gaps = append(gaps, 64)
	}
	for _, gap := range gaps {
		_, c, err := d.run(t.Context(), simulators()[0], gap, e)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("gap %d: %.2f and %.2f sectors a load and store, %d bank conflicts in %d wavefronts", gap, c.GlobalLoads.SectorsPerRequest(),
			c.GlobalStores.SectorsPerRequest(), c.BankConflicts, c.SharedWavefronts)
		if ideal >= trafficFloor {
			Traffic(t, c, int(ideal), trafficBudget)
		}
	}
}

// Traffic holds what launches moved between global memory and multiprocessors, in
// whole sectors of 32 bytes, against the bytes that they must move at least.
func Traffic(t testing.TB, c sim.Counters, ideal int, factor float64) {
	t.Helper()
	const sector = 32
	moved := sector * (c.GlobalLoads.Sectors + c.GlobalStores.Sectors)
	if ratio := float64(moved) / float64(ideal); ratio > factor {
		t.Errorf("%d bytes of sectors were moved, %.3f of the %d that must be; want at most %.3f", moved, ratio, ideal, factor)
	} else {
		t.Logf("%.3f of the ideal bytes", ratio)
	}
}
