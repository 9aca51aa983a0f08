// Package kerneltest is the conformance suite of operators. It compares an operator's
// gradients with finite differences of its reference, and the CPU kernels of every
// instruction set with the reference: at odd pitches, among guard cells, in poisoned
// memory, on several threads. The CUDA kernels are tested in the same way on the
// simulator, in both precisions.
package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Budget is the largest relative L2 error of a float32 kernel.
const Budget = 1e-6

// Input of an operator under test.
type Input struct {
	Shape tensor.Shape
	Fixed []float64 // its values; nil draws normal ones
	Inert bool      // it has no gradient
	// Activation of fewer than four axes; one of four is taken for one in any case.
	Activation bool
}

// Shape is an input with a gradient.
func Shape(dims ...int) Input { return Input{Shape: dims} }

// Check tests the operator that build applies, and its gradients.
func Check(t *testing.T, inputs []Input, build func(in []*gorgonia.Node) *gorgonia.Node) {
	t.Helper()
	c := newCase(t, inputs, build)
	values := c.evaluate(c.given)
	c.checkTape(t, values)
	c.checkDifferences(t, values)
	c.checkKernels(t, values)
	c.checkDevice(t, values)
}

// CheckKernels runs only the kernels of the operator and its gradients: for
// shapes whose finite differences would take long.
func CheckKernels(t *testing.T, inputs []Input, build func(in []*gorgonia.Node) *gorgonia.Node) {
	t.Helper()
	c := newCase(t, inputs, build)
	values := c.evaluate(c.given)
	c.checkKernels(t, values)
	c.checkDevice(t, values)
}

// CheckCPU runs only the kernels on the CPU: for shapes that would take long elsewhere, too.
func CheckCPU(t *testing.T, inputs []Input, build func(in []*gorgonia.Node) *gorgonia.Node) {
	t.Helper()
	c := newCase(t, inputs, build)
	c.checkKernels(t, c.evaluate(c.given))
}

// testCase is a small graph with its inputs, output, cotangent and gradients.
type testCase struct {
	graph     *gorgonia.ExprGraph
	inputs    []Input
	in        []*gorgonia.Node
	out       *gorgonia.Node
	cotangent *gorgonia.Node
	gradients []*gorgonia.Node // nil where inert
	nodes     []*gorgonia.Node // the operations, in order of execution
	given     map[int64]kernels.Array
	roles     map[int64]kernels.Role
}

func newCase(t *testing.T, inputs []Input, build func([]*gorgonia.Node) *gorgonia.Node) *testCase {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	c := &testCase{graph: gorgonia.NewGraph(), inputs: inputs, given: map[int64]kernels.Array{}, roles: map[int64]kernels.Role{}}
	leaf := func(name string, i Input) *gorgonia.Node {
		n := gorgonia.NewTensor(c.graph, tensor.Float64, len(i.Shape), gorgonia.WithShape(i.Shape...), gorgonia.WithName(name))
		a := kernels.NewArray(i.Shape...)
		for j := range a.Data {
			a.Data[j] = float64(float32(rng.NormFloat64()))
		}
		copy(a.Data, i.Fixed)
		c.given[n.ID()] = a
		if i.Activation || len(i.Shape) == 4 {
			c.roles[n.ID()] = kernels.Activation
		}
		return n
	}
	for i, input := range inputs {
		c.in = append(c.in, leaf(fmt.Sprint("in", i), input))
	}
	c.out = build(c.in)
	c.gradients = make([]*gorgonia.Node, len(inputs))
	var wrt gorgonia.Nodes
	for i, n := range c.in {
		if !inputs[i].Inert {
			wrt = append(wrt, n)
		}
	}
	defer c.list()
	if len(wrt) == 0 {
		return c
	}
	if c.out.IsScalar() {
		c.cotangent = gorgonia.NewConstant(1.0)
		grads, err := gorgonia.Grad(c.out, wrt...)
		c.take(t, grads, err)
		return c
	}
	c.list()
	c.cotangent = leaf("cotangent", Input{Shape: c.out.Shape(), Activation: c.roles[c.out.ID()] == kernels.Activation})
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{c.out}, gorgonia.Nodes{c.cotangent}, wrt)
	c.take(t, grads, err)
	return c
}

func (c *testCase) take(t *testing.T, grads gorgonia.Nodes, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.inputs {
		if !c.inputs[i].Inert {
			c.gradients[i], grads = grads[0], grads[1:]
		}
	}
}

// list finds the operations of the graph, and the roles of what they make.
func (c *testCase) list() {
	c.nodes = nil
	for _, n := range c.graph.AllNodes() {
		if n.Op() != nil && len(inputsOf(n)) > 0 {
			c.nodes = append(c.nodes, n)
		}
	}
	slices.SortFunc(c.nodes, func(a, b *gorgonia.Node) int { return int(a.ID() - b.ID()) })
	for _, n := range c.nodes {
		if k, ok := n.Op().(kernels.Kernel); ok {
			c.roles[n.ID()] = kernels.RoleOf(k, c.rolesOf(n))
		}
	}
}

// rolesOf are those of a node's inputs.
func (c *testCase) rolesOf(n *gorgonia.Node) []kernels.Role {
	var roles []kernels.Role
	for _, in := range inputsOf(n) {
		roles = append(roles, c.roles[in.ID()])
	}
	return roles
}

func inputsOf(n *gorgonia.Node) []*gorgonia.Node {
	var in []*gorgonia.Node
	for it := n.Graph().From(n.ID()); it.Next(); {
		in = append(in, it.Node().(*gorgonia.Node))
	}
	return in
}

func dense(a kernels.Array) gorgonia.Value {
	if a.Shape.IsScalar() {
		return gorgonia.NewF64(a.Data[0])
	}
	return tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(slices.Clone(a.Data)))
}

func array(v gorgonia.Value) kernels.Array {
	switch d := v.Data().(type) {
	case []float64:
		return kernels.Array{Shape: v.Shape().Clone(), Data: d}
	case float64:
		return kernels.Array{Shape: tensor.ScalarShape(), Data: []float64{d}}
	}
	panic(fmt.Sprintf("%T", v.Data()))
}

// evaluate runs the references in order.
func (c *testCase) evaluate(given map[int64]kernels.Array) map[int64]kernels.Array {
	return evaluate(c.nodes, given)
}

// forward are the operations that the output is made by: gradients are made after it.
func (c *testCase) forward() []*gorgonia.Node {
	last := slices.Index(c.nodes, c.out)
	return c.nodes[:last+1]
}

func evaluate(nodes []*gorgonia.Node, given map[int64]kernels.Array) map[int64]kernels.Array {
	values := map[int64]kernels.Array{}
	for id, a := range given {
		values[id] = a
	}
	for _, n := range nodes {
		var in []gorgonia.Value
		for _, i := range inputsOf(n) {
			in = append(in, dense(values[i.ID()]))
		}
		v, err := n.Op().Do(in...)
		if err != nil {
			panic(err)
		}
		values[n.ID()] = array(v)
	}
	return values
}

// checkTape runs the graph on Gorgonia's tape machine.
func (c *testCase) checkTape(t *testing.T, want map[int64]kernels.Array) {
	t.Helper()
	for i, n := range c.in {
		if err := gorgonia.Let(n, dense(c.given[n.ID()])); err != nil {
			t.Fatal(i, err)
		}
	}
	if a, ok := c.given[c.idOfCotangent()]; ok {
		if err := gorgonia.Let(c.cotangent, dense(a)); err != nil {
			t.Fatal(err)
		}
	}
	read := map[*gorgonia.Node]*gorgonia.Value{c.out: new(gorgonia.Value)}
	gorgonia.Read(c.out, read[c.out])
	for _, g := range c.gradients {
		if g != nil && read[g] == nil {
			read[g] = new(gorgonia.Value)
			gorgonia.Read(g, read[g])
		}
	}
	m := gorgonia.NewTapeMachine(c.graph)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	for n, v := range read {
		if e := difference(array(*v).Data, want[n.ID()].Data); e > 1e-12 {
			t.Errorf("tape machine: %v is off by %.2g", n.Op(), e)
		}
	}
}

func (c *testCase) idOfCotangent() int64 {
	if c.cotangent == nil {
		return -1
	}
	return c.cotangent.ID()
}

// shortDifferences is how many elements of an input -short differentiates by, at random.
const shortDifferences = 24

// checkDifferences holds gradients against central differences.
func (c *testCase) checkDifferences(t *testing.T, values map[int64]kernels.Array) {
	t.Helper()
	forward := c.forward()
	objective := func(given map[int64]kernels.Array) float64 {
		out := evaluate(forward, given)[c.out.ID()]
		sum := 0.0
		for i, y := range out.Data {
			w := 1.0
			if a, ok := c.given[c.idOfCotangent()]; ok {
				w = a.Data[i]
			}
			sum += w * y
		}
		return sum
	}
	const step = 1e-4
	for i, g := range c.gradients {
		if g == nil {
			continue
		}
		x := c.given[c.in[i].ID()]
		elements := rand.New(rand.NewPCG(5, 6)).Perm(len(x.Data))
		if testing.Short() {
			elements = elements[:min(len(elements), shortDifferences)]
		}
		var analytic, numeric []float64
		for _, j := range elements {
			e := x.Data[j]
			x.Data[j] = e + step
			up := objective(c.given)
			x.Data[j] = e - step
			down := objective(c.given)
			x.Data[j] = e
			numeric = append(numeric, (up-down)/(2*step))
			analytic = append(analytic, values[g.ID()].Data[j])
		}
		if e := difference(analytic, numeric); !(e <= 1e-6) {
			t.Errorf("gradient of input %d (%v) differs from finite differences by %.2g", i, g.Op(), e)
		}
	}
}

// checkKernels runs every kernel of the graph on its own.
func (c *testCase) checkKernels(t *testing.T, values map[int64]kernels.Array) {
	t.Helper()
	for _, name := range []string{"portable", "avx2", "avx512", "avx512_bf16", "amx"} {
		k, err := cpu.Select(name)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		c.checkBF16(t, k, values)
		if k.BF16 != nil { // whose kernels for float32 are those of another
			continue
		}
		for _, n := range c.nodes {
			kernel, ok := n.Op().(kernels.Kernel)
			if !ok {
				continue // Gorgonia's own addition
			}
			var in []kernels.Array
			for _, i := range inputsOf(n) {
				in = append(in, values[i.ID()])
			}
			t.Run(fmt.Sprintf("%s/%v", name, kernel), func(t *testing.T) { checkKernel(t, k, kernel, in, values[n.ID()]) })
		}
	}
}

const guard = 64 // floats around an operand; kernels may read, not write, behind one

// operand lays an array out in memory that is poisoned wherever it is not the operand.
func operand(a kernels.Array, gap int, fill bool) kernels.Operand {
	cols := 1
	if len(a.Shape) > 0 {
		cols = a.Shape[len(a.Shape)-1]
	}
	if len(a.Shape) < 4 {
		gap = 0
	}
	rows, pitch := len(a.Data)/cols, cols+gap
	data := make([]float32, guard+rows*pitch+guard)
	for i := range data {
		data[i] = float32(math.NaN())
	}
	if fill {
		for i, x := range a.Data {
			data[guard+i/cols*pitch+i%cols] = float32(x)
		}
	}
	return kernels.Operand{Matrix: cpu.Matrix{Data: data[guard:], Rows: rows, Cols: cols, Pitch: pitch}, Shape: a.Shape}
}

// read returns the operand's values and fails if anything around them was written.
func read(t *testing.T, o kernels.Operand) []float64 {
	t.Helper()
	var values []float64
	for i, x := range o.Data {
		r, c := i/o.Pitch, i%o.Pitch
		if r < o.Rows && c < o.Cols {
			values = append(values, float64(x))
		} else if !math.IsNaN(float64(x)) {
			t.Fatalf("wrote outside the result, %d floats behind its start", i)
		}
	}
	return values
}

func checkKernel(t *testing.T, k *cpu.Kernels, kernel kernels.Kernel, in []kernels.Array, want kernels.Array) {
	var shapes []tensor.Shape
	for _, a := range in {
		shapes = append(shapes, a.Shape)
	}
	epilogue := kernels.Epilogue{}
	if f, ok := kernel.(kernels.Fuser); ok {
		epilogue = f.Fuses()
	}
	rng := rand.New(rand.NewPCG(3, 4))
	addend := func(shape ...int) kernels.Array {
		a := kernels.NewArray(shape...)
		for i := range a.Data {
			a.Data[i] = float64(float32(rng.NormFloat64()))
		}
		return a
	}
	for _, gap := range []int{0, 5} {
		for _, fused := range slices.Compact([]kernels.Epilogue{{}, {Add: epilogue.Add}, epilogue}) {
			expect := slices.Clone(want.Data)
			var results [][]float64
			add, perImage := addend(want.Shape...), kernels.Array{}
			if fused.PerImage {
				perImage = addend(want.Shape[0], want.Shape[3])
			}
			for i := range expect {
				if fused.Add {
					expect[i] += add.Data[i]
				}
				if fused.PerImage {
					c := want.Shape[3]
					expect[i] += perImage.Data[i/(len(expect)/want.Shape[0])*c+i%c]
				}
			}
			for _, threads := range []int{1, 3} {
				pool := cpu.NewPool(threads, k)
				l := kernels.Launch{Out: operand(want, gap, false), Threads: threads, Cut: &kernels.Cut{}}
				for _, a := range in {
					l.In = append(l.In, operand(a, gap, true))
				}
				if fused.Add {
					l.Add = operand(add, gap, true)
				}
				if fused.PerImage {
					l.PerImage = operand(perImage, 0, true)
				}
				l.Scratch = make([]float32, kernel.Scratch(shapes, want.Shape, threads))
				for i := range l.Scratch {
					l.Scratch[i] = float32(math.NaN())
				}
				run := kernel.CPU(l)
				run(pool)
				run(pool) // nothing may depend on what a run left behind
				results = append(results, read(t, l.Out))
				if n := Allocations(func() { run(pool) }); n > 0 && threads == 1 {
					t.Errorf("a launch allocates %v times", n)
				}
				checkCuts(t, pool, run, l, read)
				checkPrepared(t, pool, kernel, l, shapes, read)
				pool.Close()
			}
			if e := difference(results[0], expect); !(e <= Budget) {
				t.Errorf("gap %d, epilogue %+v: relative error %.3g, budget %g", gap, fused, e, Budget)
			}
			if !slices.Equal(results[0], results[1]) {
				t.Errorf("gap %d: 1 and 3 threads give different bits", gap)
			}
		}
	}
}

// difference is the relative L2 distance of two vectors.
func difference(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff, norm := 0.0, 0.0
	for i := range want {
		diff += (got[i] - want[i]) * (got[i] - want[i])
		norm += want[i] * want[i]
	}
	if norm == 0 {
		return math.Sqrt(diff)
	}
	return math.Sqrt(diff / norm)
}
