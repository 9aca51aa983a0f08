package train

import (
	"errors"
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/nets"
)

// TestPairing: the products that a coupling chooses by are the same bits on the CPU and a
// GPU, whether images come with a batch or lie there, mirrored or not.
func TestPairing(t *testing.T) {
	const batch, accumulate, set = 3, 2, 9
	network, err := Network("micro", nets.Spec{Height: 8, Width: 8, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]byte, set*64)
	for i := range pixels {
		pixels[i] = byte(i * 37)
	}
	var step []*data.Batch
	for k := range accumulate {
		b := &data.Batch{Pixels: data.NewPixels(data.Bytes, batch*64)}
		for i := range batch {
			at := int64(k*batch + i)
			source, flip := (at*4)%set, at%2 == 1
			b.Indices, b.Noise, b.Sources, b.Flips = append(b.Indices, at), append(b.Noise, at+100), append(b.Sources, source), append(b.Flips, flip)
			for p := range 64 {
				from := p
				if flip {
					from = p&^7 + 7 - p&7
				}
				b.Pixels.Bytes[i*64+p] = pixels[int(source)*64+from]
			}
		}
		step = append(step, b)
	}
	table := func(name string, resident int) []float32 {
		t.Setenv(device.Variable, cudatest.Name())
		d, err := device.Open(name, 2)
		if err != nil {
			t.Fatal(err)
		}
		o := StepOptions{Network: network, Height: 8, Width: 8, Batch: batch, Accumulate: accumulate, Seed: 5, Flip: true, Resident: resident, Target: d.Target()}
		images := o.resident("images", 1, false)
		p, err := newPairing(o, images)
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.Alloc(p.plan.Sizes)
		if err == nil && resident > 0 {
			err = m.WriteBytes(images, 0, pixels)
		}
		if err == nil {
			err = p.load(d, m)
		}
		if err == nil {
			_, err = p.multiply(step)
		}
		if err := errors.Join(err, p.free(), m.Free(), d.Close()); err != nil {
			t.Fatal(err)
		}
		return p.values
	}
	want := table("cpu", 0)
	for _, resident := range []int{0, set} {
		if got := table("cuda:0", resident); !slices.Equal(got, want) {
			t.Errorf("a GPU with %d images on it gives other products", resident)
		}
	}
}
