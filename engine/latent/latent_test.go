package latent

import (
	"math"
	"strings"
	"testing"

	"fluxion/engine/device"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/number"
	"fluxion/nets/autoencoder/autoencodertest"
)

func open(t *testing.T, name string) device.Device {
	t.Helper()
	t.Setenv(device.Variable, cudatest.Name())
	d, err := device.Open(name, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// loaded is a half on its device.
func loaded[H interface {
	Load() error
	Close() error
}](t *testing.T, h H, err error) H {
	t.Helper()
	if err == nil {
		err = h.Load()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// near fails where values are further apart than a share of the largest of those wanted.
func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	off, largest := 0.0, 0.0
	for i, w := range want {
		off, largest = max(off, math.Abs(float64(got[i])-float64(w))), max(largest, math.Abs(float64(w)))
	}
	t.Logf("%s: %.2g of %.3g", what, off, largest)
	if !(off <= tolerance*largest) {
		t.Errorf("%s: off by %.2g of %.3g", what, off, largest)
	}
}

// TestDiffusers: posteriors and images are those of diffusers, whole and in tiles, in a batch
// and one by one, on the CPU and the GPU.
func TestDiffusers(t *testing.T) {
	for _, on := range []struct {
		device    string
		precision number.Type
		tolerance float64
		names     []string
	}{
		{"cpu", number.Float32, 1e-5, autoencodertest.Names},
		{"cpu", number.BFloat16, 0.03, autoencodertest.Names},
		{"cuda:0", number.Float32, 1e-5, []string{"sdxl", "grey"}},
		{"cuda:0", number.BFloat16, 0.03, []string{"grey"}},
	} {
		for _, name := range on.names {
			t.Run(on.device+" "+on.precision.String()+" "+name, func(t *testing.T) {
				if on.device != "cpu" && testing.Short() {
					t.Skip("takes seconds on the simulator")
				}
				d := open(t, on.device)
				compare(t, name, Options{Model: autoencodertest.Read(t, name), Device: d, Precision: on.precision}, on.tolerance)
			})
		}
	}
}

func compare(t *testing.T, name string, o Options, tolerance float64) {
	t.Helper()
	want := autoencodertest.Recorded(t, name)
	images, latents := want["image_of_z"].Shape, want["mean"].Shape
	n := images[0]
	shift, scale := o.Model.Scaling()
	z := autoencodertest.Numbers("z", product(latents))
	for i := range z { // as a denoiser has it
		z[i] = float32((float64(z[i]) - shift[i%len(shift)]) * scale[i%len(scale)])
	}
	for prefix, tile := range map[string]int{"": 0, "tiled_": o.Model.Tile()} {
		if _, there := want[prefix+"mean"]; !there {
			continue
		}
		for o.Batch = 1; o.Batch <= n; o.Batch++ {
			o.Tile = tile
			encoder, err := NewEncoder(o, images[1], images[2])
			loaded(t, encoder, err)
			if h, w, c := encoder.Shape(); h != latents[1] || w != latents[2] || c != latents[3] {
				t.Fatalf("latents of %d×%d×%d, want %v", h, w, c, latents)
			}
			image := autoencodertest.Numbers("image", product(images))
			mean, logvar := make([]float32, len(z)), make([]float32, len(z))
			for i := 0; i < n; i += o.Batch {
				from, to := i*len(z)/n, (i+o.Batch)*len(z)/n
				if err := encoder.Encode(image[i*len(image)/n:(i+o.Batch)*len(image)/n], mean[from:to], logvar[from:to]); err != nil {
					t.Fatal(err)
				}
			}
			near(t, prefix+"mean", mean, want[prefix+"mean"].Values, tolerance)
			near(t, prefix+"logvar", logvar, want[prefix+"logvar"].Values, tolerance)
			decoder, err := NewDecoder(o, latents[1], latents[2])
			loaded(t, decoder, err)
			got := make([]float32, product(images))
			if err := decoder.Decode(z, got); err != nil {
				t.Fatal(err)
			}
			near(t, prefix+"image_of_z", got, want[prefix+"image_of_z"].Values, tolerance)
		}
	}
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// TestSizes: what cannot be halved, and tiles that do not overlap by whole latents, are refused.
func TestSizes(t *testing.T) {
	o := Options{Model: autoencodertest.Read(t, "sdxl"), Device: open(t, "cpu"), Batch: 1}
	if _, err := NewEncoder(o, 10, 12); err == nil || !strings.Contains(err.Error(), "12×10 pixels") || !strings.Contains(err.Error(), "multiples of 4") {
		t.Errorf("10×12: %v", err)
	}
	o.Tile = 24
	if _, err := NewEncoder(o, 32, 32); err == nil || !strings.Contains(err.Error(), "a multiple of 16") {
		t.Errorf("tiles of 24: %v", err)
	}
	if _, err := NewEncoder(o, 24, 24); err != nil { // a tile
		t.Error(err)
	}
}

// TestTilesTakeLess: memory is that of a tile.
func TestTilesTakeLess(t *testing.T) {
	o := Options{Model: autoencodertest.Read(t, "sd"), Device: open(t, "cpu"), Batch: 1}
	whole, err := NewDecoder(o, 128, 128)
	if err != nil {
		t.Fatal(err)
	}
	o.Tile = 16
	tiles, err := NewDecoder(o, 128, 128)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := whole.Sizes().Bytes(), tiles.Sizes().Bytes(); b > a/4 {
		t.Errorf("%d bytes in tiles, %d whole", b, a)
	}
}
