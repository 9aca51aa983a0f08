// Command glyphnet trains the classifier that is part of the program, network glyph of
// nets/feature: 36 characters of the data set glyphs:all and ten handwritten digits. It
// prints what share of images it never saw are classified right.
//
//	FLUXION_CPU=avx2 go run ./scripts/glyphnet -digits 'mnist:DIR#t10k' -out nets/feature/glyph.safetensors
//	FLUXION_CPU=avx2 go run ./scripts/glyphnet -digits 'mnist:DIR#t10k' -check
//
// The first line made the file, of the 10,000 smaller images of MNIST, of which every
// fifth is held out. The second trains anew and compares: on one instruction set the
// bytes are the same, whatever the number of threads. -test judges the embedded weights.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/nets"
	"fluxion/nets/feature"
	"fluxion/nets/safetensors"
)

type options struct {
	digits      string
	out         string
	check, test bool
	steps       int
	seed        uint64
}

func main() {
	var o options
	flag.StringVar(&o.digits, "digits", "", "handwritten digits, as train --data takes them: mnist:DIR#t10k")
	flag.StringVar(&o.out, "out", "", "file for the weights")
	flag.BoolVar(&o.check, "check", false, "compare with the embedded weights")
	flag.BoolVar(&o.test, "test", false, "judge the embedded weights, and train nothing")
	flag.IntVar(&o.steps, "steps", 3000, "training steps")
	flag.Uint64Var(&o.seed, "seed", 1, "of the first weights, and of how images are bent")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "glyphnet:", err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	if o.digits == "" || o.out == "" && !o.check && !o.test {
		return errors.New("want -digits, and -out, -check or -test")
	}
	network, err := feature.Find("glyph")
	if err != nil {
		return err
	}
	images, err := open(o.digits, o.seed)
	if err != nil {
		return err
	}
	d, err := device.Open("cpu", 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	g, err := network.Build(1)
	if err != nil {
		return err
	}
	var weights []float32
	if o.test {
		weights, err = network.EmbeddedWeights(g.Params)
	} else {
		weights, err = train(network, d, images, o)
	}
	if err != nil {
		return err
	}
	for _, of := range images.held {
		right, all, err := accuracy(network, d, weights, of)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d of %d images right that were not trained on, %.2f %%\n", of.name, right, all, 100*float64(right)/float64(all))
	}
	if o.test {
		return nil
	}
	file, err := write(g.Params, weights)
	if err != nil {
		return err
	}
	fmt.Printf("%d bytes, SHA-256 %x, %s\n", len(file), sha256.Sum256(file), d.Describe())
	if o.check && !bytes.Equal(file, network.Embedded()) {
		return errors.New("these are not the embedded weights")
	}
	if o.out == "" {
		return nil
	}
	return durable.Disk{}.WriteFile(o.out, file)
}

// write makes a file of safetensors of the weights.
func write(params []nets.Param, weights []float32) ([]byte, error) {
	var tensors []safetensors.Tensor
	of := map[string]nets.Param{}
	for _, p := range params {
		tensors = append(tensors, safetensors.Tensor{Name: p.Name, Dtype: safetensors.F32, Shape: p.Stored})
		of[p.Name] = p
	}
	var file bytes.Buffer
	err := safetensors.Write(&file, tensors, nil, func(t safetensors.Tensor, w io.Writer) error {
		values := make([]float32, t.Elements())
		nets.ToStored(of[t.Name], weights, values)
		return safetensors.WriteFloat32(w, values)
	})
	return file.Bytes(), err
}
