package kerneltest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// checkCUDA compares with the CPU, too, where that ran.
func (l Launch) checkCUDA(t *testing.T, fromCPU [][]float64) (functions []string) {
	t.Helper()
	on, err := boards()
	if err != nil {
		t.Fatal(err)
	}
	for _, gap := range l.gaps(0, 5, l.Gap) {
		var results [][][]float64
		for _, b := range on {
			got, err := l.runCUDA(t.Context(), b, gap)
			if err == nil {
				err = l.check(got.values)
			}
			if err != nil {
				t.Fatalf("on a GPU, gap %d: %v", gap, err)
			}
			if l.Moves > 0 && gap == 0 && b.sure() {
				Traffic(t, got.counted, l.Moves, trafficBudget)
			}
			results, functions = append(results, got.values), append(functions, got.functions...)
		}
		if err := l.same(results[0], results[1]); err != nil {
			t.Fatalf("on a GPU, gap %d: the result depends on the order of warps: %v", gap, err)
		}
		if fromCPU == nil || !l.Bits {
			continue
		}
		if err := l.same(results[0], fromCPU); err != nil {
			t.Fatalf("a GPU, gap %d, and the CPU give different bits: %v", gap, err)
		}
	}
	return functions
}

// ran is what came of a launch on a GPU.
type ran struct {
	values    [][]float64 // of all operands
	functions []string
	counted   sim.Counters
}

func (l Launch) runCUDA(ctx context.Context, b board, gap int) (r ran, err error) {
	m := &layout{board: b}
	defer m.free()
	var places []place
	var launch cuda.Launch
	for i, o := range l.operands() {
		p := m.place(o.Shape, o.Type, gapOf(i, gap))
		if o.Before != nil {
			m.write(&p, o.Before)
		}
		places, launch.In = append(places, p), append(launch.In, p.Operand)
	}
	launch.In, launch.Out = launch.In[:len(l.In)], launch.In[len(l.In)]
	k := l.Kernel.(cuda.Kernel)
	launch.Scratch = m.alloc(k.CUDAScratch(withoutAddresses(launch)))
	if numbers, ok := l.Kernel.(cuda.Parameterised); ok {
		launch.Parameters = m.parameters(numbers)
	}
	for _, call := range k.CUDA(launch) {
		if m.err == nil {
			var c sim.Counters
			c, m.err = b.run(ctx, call)
			r.counted.Add(c)
		}
		r.functions = append(r.functions, call.Function)
	}
	for _, p := range places {
		r.values = append(r.values, numbers(m.rows(p), p.Type))
	}
	return r, m.err
}

// parameters is a table whose second row is the launch's. In the first one, of the run
// before, there is nothing.
func (m *layout) parameters(numbers cuda.Parameterised) cuda.Parameters {
	const aligned = 64
	row := bytes.Repeat([]byte{0xFF}, numbers.ParameterBytes()) // all of which must be written
	numbers.PutParameters(row)
	p := cuda.Parameters{Stride: roundUp(len(row), aligned)}
	p.Table, p.Counter = m.alloc(p.Stride+len(row)), m.alloc(4)
	if m.err == nil {
		m.err = errors.Join(m.Write(p.Table+cuda.Address(p.Stride), row), m.Write(p.Counter, []byte{1, 0, 0, 0}))
	}
	return p
}
