package generate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/kernels/cuda/simdriver"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// TestRoom: sampling that a GPU has no memory for is refused with settings that would fit, and do.
func TestRoom(t *testing.T) {
	preset, err := catalog.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	network, err := preset.Network.Fit(nets.Spec{Height: 8, Width: 8, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	// room checks a step on a GPU of so much memory.
	room := func(o generate.Options, memory int64) (int64, error) {
		d, err := device.NewCUDA(simdriver.New(simdriver.Options{Memory: memory}).Direct(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		o.Network, o.Height, o.Width, o.Target, o.Prepare, o.Calls = network, 8, 8, d.Target(), true, 1
		s, err := generate.NewStep(o)
		if err != nil {
			t.Fatal(err)
		}
		return s.Sizes().Bytes(), s.CheckRoom(d)
	}
	whole, err := room(generate.Options{Batch: 32}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	memory := whole * 3 / 4
	_, err = room(generate.Options{Batch: 32}, memory)
	var e *device.MemoryError
	if !errors.As(err, &e) || e.Device != "cuda:0" || len(e.Fits) != 2 || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error is %v", err)
	}
	batch := 0
	if _, err := fmt.Sscanf(e.Fits[1], "--batch %d", &batch); err != nil || e.Fits[0] != "--precision bf16" {
		t.Fatalf("would fit: %q, %v", e.Fits, err)
	}
	for _, c := range []struct {
		batch     int
		precision number.Type
		fits      bool
	}{{batch, number.Float32, true}, {batch + 1, number.Float32, false}, {32, number.BFloat16, true}} {
		if _, err := room(generate.Options{Batch: c.batch, Precision: c.precision}, memory); (err == nil) != c.fits {
			t.Errorf("%d images in %v: %v", c.batch, c.precision, err)
		}
	}
	if _, err := room(generate.Options{Batch: 1}, 1<<12); err == nil || !strings.Contains(err.Error(), "nothing of it would fit") {
		t.Errorf("error is %v", err)
	}
}
