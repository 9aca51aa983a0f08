package device_test

import (
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A plan is bound to memory once, and then runs.
func ExampleOpen() {
	d, err := device.Open("cpu", 1)
	if err != nil {
		panic(err)
	}
	defer d.Close()

	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(1, 3), gorgonia.WithName("x"))
	y := pointwise.Affine(x, 2, 1)
	p, err := plan.Compile(plan.Options{Inputs: []*gorgonia.Node{x}, Outputs: []*gorgonia.Node{y}, Target: d.Target()})
	if err != nil {
		panic(err)
	}
	memory, err := d.Alloc(p.Sizes)
	if err != nil {
		panic(err)
	}
	defer memory.Free()
	program, err := d.Load(p, memory)
	if err != nil {
		panic(err)
	}
	defer program.Free()

	values := []float32{1, 2, 3}
	if err := program.Write(p.Place(x), values); err != nil {
		panic(err)
	}
	if err := device.Run(program); err != nil {
		panic(err)
	}
	if err := program.Read(p.Place(y), values); err != nil {
		panic(err)
	}
	fmt.Println(values)
	// Output:
	// [3 5 7]
}
