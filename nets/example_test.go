package nets_test

import (
	"fmt"

	"fluxion/nets"
	"fluxion/nets/unet"
)

// A configuration becomes a graph for a batch and an image size.
func ExampleBuild() {
	config, err := unet.Preset("micro")
	if err != nil {
		panic(err)
	}
	g, err := nets.Build(config.WithClasses(11), nets.BuildOptions{Batch: 2, Height: 16, Width: 16})
	if err != nil {
		panic(err)
	}
	fmt.Println("input", g.Sample.Shape(), "output", g.Output.Shape())
	fmt.Println(len(g.Params), "parameters of", nets.Count(g.Params), "values, the first of them", g.Params[0].Name)
	// Output:
	// input (2, 16, 16, 3) output (2, 16, 16, 3)
	// 145 parameters of 45611 values, the first of them class_embedding.weight
}
