package plan_test

import (
	"os"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/linear"
	"fluxion/kernels/number"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A graph becomes launches, each operand at a fixed place of a buffer.
func ExampleCompile() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(4, 8), gorgonia.WithName("x"))
	w := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(8, 8), gorgonia.WithName("w"))
	b := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(8), gorgonia.WithName("b"))
	y := pointwise.Add(x, linear.Linear(x, w, b)) // a residual: fused into the product

	weights := &plan.Buffer{Name: "weights", Type: number.Float32, Size: 8*8 + 8}
	p, err := plan.Compile(plan.Options{
		Inputs: []*gorgonia.Node{x}, Outputs: []*gorgonia.Node{y},
		Parameters: []plan.Parameter{{Node: w, Buffer: weights}, {Node: b, Buffer: weights, Offset: 8 * 8}},
		Target:     device.CPUTarget{Threads: 1},
	})
	if err != nil {
		panic(err)
	}
	if _, err := p.WriteTo(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// 0 arena+128[4x8] = linear(arena+0[4x8], weights+0[8x8], weights+256[8]) + arena+0[4x8]
}
