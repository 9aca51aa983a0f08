package data_test

import (
	"context"
	"fmt"

	"fluxion/data"
)

// A data set by its spec, as a stream of batches in an order that the seed decides.
func ExampleOpen() {
	set, err := data.Open("glyphs", data.Options{Size: data.Square(16)})
	if err != nil {
		panic(err)
	}
	defer set.Close()
	height, width, channels := set.Shape()
	fmt.Printf("%s: %d images of %d×%d×%d, %d classes\n", set.Name(), set.Len(), height, width, channels, len(set.Classes()))

	loader, err := data.NewLoader(set, data.LoaderOptions{Batch: 4, Seed: 1})
	if err != nil {
		panic(err)
	}
	defer loader.Close()
	batch, err := loader.Next(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(batch.Pixels.Len(), "bytes of", len(batch.Classes), "images")
	loader.Release(batch)
	// Output:
	// glyphs: 100000 images of 16×16×3, 10 classes
	// 3072 bytes of 4 images
}
