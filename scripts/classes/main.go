// Command classes prints what a network of features says of pictures, a line of JSON
// each: its logits and its features.
//
//	go run ./scripts/classes -network lite0 -weights efficientnet-lite0-57934424.pth PICTURE.png …
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/kernels/number"
	"fluxion/nets/feature"
)

func main() {
	network := flag.String("network", "lite0", "the network")
	weights := flag.String("weights", "", "file with its weights")
	convention := flag.String("convention", "legacy-tf", "how pictures are resized")
	flag.Parse()
	if err := run(*network, *weights, *convention, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "classes:", err)
		os.Exit(1)
	}
}

// said is a line.
type said struct {
	Picture string    `json:"picture"`
	Logits  []float32 `json:"logits"`
	Pooled  []float32 `json:"pooled"`
}

func run(network, weights, convention string, pictures []string) (err error) {
	o := evaluate.ExtractorOptions{Outputs: []string{feature.Logits, feature.Pooled}, Batch: 1, Precision: number.Float32}
	if o.Network, err = feature.Find(network); err != nil {
		return err
	}
	if o.Convention, err = evaluate.FindConvention(convention); err != nil {
		return err
	}
	g, err := o.Network.Build(1)
	if err != nil {
		return err
	}
	if o.Weights, err = o.Network.ReadWeights(weights, g.Params); err != nil {
		return err
	}
	if o.Device, err = device.Open("cpu", 0); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Device.Close()) }()
	var of said
	e, err := evaluate.NewExtractor(o, func(output string, rows []float32, _ int) error {
		if output == feature.Logits {
			of.Logits = append(of.Logits, rows...)
		} else {
			of.Pooled = append(of.Pooled, rows...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := e.Load(); err != nil {
		return err
	}
	for _, path := range pictures {
		pixels, h, w, c, err := data.ReadPNG(path)
		if err != nil {
			return err
		}
		of = said{Picture: path}
		if err := e.Add(evaluate.Image{Pixels: pixels, Height: h, Width: w, Channels: c}); err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(of); err != nil {
			return err
		}
	}
	return nil
}
