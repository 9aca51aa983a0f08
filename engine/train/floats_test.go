package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/kernels/number"
)

// asFloats are pixels as a network sees them.
func asFloats(p data.Pixels) data.Pixels {
	f := data.NewPixels(data.Floats, len(p.Bytes))
	for i, b := range p.Bytes {
		f.Floats[i] = float32(2*int(b)-255) / 255
	}
	return f
}

// TestFloatSteps: images that come as floats, or lie on the device as such, make the steps
// of the same images as bytes, to the bit.
func TestFloatSteps(t *testing.T) {
	streamed, batches := newTrainer(t, 1, 2, number.Float32)
	trainer := func(resident int) *Trainer {
		options := streamed.StepOptions
		options.Floats, options.Resident, options.Flip = true, resident, resident > 0
		s, err := NewStep(options)
		if err != nil {
			t.Fatal(err)
		}
		d := cpuDevice(t, 2)
		memory, err := d.Alloc(s.Sizes())
		if err != nil {
			t.Fatal(err)
		}
		tr, err := s.Load(d, memory)
		if err != nil {
			t.Fatal(err)
		}
		weights := make([]float32, s.Buffers.Parameters.Size)
		if err := errors.Join(streamed.Memory.Read(streamed.Buffers.Parameters, 0, weights), memory.Write(s.Buffers.Parameters, 0, weights), tr.Refresh()); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	floats, lying := trainer(0), trainer(8)
	b := batches[0]
	b.Pixels = asFloats(b.Pixels)
	if err := lying.Memory.Write(lying.Buffers.Images, 0, b.Pixels.Floats); err != nil {
		t.Fatal(err)
	}
	there := b
	there.Pixels, there.Sources = data.Pixels{}, []int64{0, 1, 2, 3, 4, 5, 6, 7}
	for i := range int64(3) {
		want := streamed.step(t, batches, i)
		if got := floats.step(t, []data.Batch{b}, i); got != want {
			t.Errorf("step %d: loss %v of floats, %v of bytes", i, got, want)
		}
		if got := lying.step(t, []data.Batch{there}, i); got != want {
			t.Errorf("step %d: loss %v of floats on the device, %v of bytes", i, got, want)
		}
	}
}

// TestNoiseOfAnImage: an image that names an address is trained with the noise of that
// address, wherever it comes in the stream.
func TestNoiseOfAnImage(t *testing.T) {
	tr, batches := newTrainer(t, 1, 1, number.Float32)
	b := batches[0]
	tr.Fill(&b)
	if !slices.Equal(tr.addresses, b.Indices) {
		t.Errorf("noise at %v of images at %v that have none of their own", tr.addresses, b.Indices)
	}
	b.Noise = []int64{7, 7, 1 << 40, 0, 1, 2, 3, 4}
	tr.Fill(&b)
	if !slices.Equal(tr.addresses, b.Noise) {
		t.Errorf("noise at %v, want %v", tr.addresses, b.Noise)
	}
}

// floats is a set of bytes as floats.
type floats struct{ data.Dataset }

func (floats) Kind() data.Kind { return data.Floats }
func (f floats) Read(i int, e *data.Example) error {
	of := data.NewExample(f.Dataset)
	err := f.Dataset.Read(i, of)
	e.Class, e.Noise = of.Class, of.Noise
	e.Copy(asFloats(of.Pixels))
	return err
}

// TestFloatRun: a run on floats makes the checkpoint of the run on the same images as
// bytes, but for what says which they are; and neither goes on on the other's data.
func TestFloatRun(t *testing.T) {
	s := small()
	s.Images, s.SampleCount, s.Flip = 24, 4, true
	want, _ := options(t, s, t.TempDir())
	want.Data = one{want.Data}
	train(t, want)
	got, _ := options(t, s, t.TempDir())
	got.Data = one{floats{got.Data}}
	train(t, got)
	for _, name := range []string{"unet/diffusion_pytorch_model.safetensors", "training/optimizer.safetensors"} {
		path := filepath.Join(model.CheckpointsDir, "24", name)
		a, err1 := os.ReadFile(filepath.Join(want.Dir, path))
		b, err2 := os.ReadFile(filepath.Join(got.Dir, path))
		if err := errors.Join(err1, err2); err != nil || !slices.Equal(a, b) {
			t.Errorf("%s differs (%v)", path, err)
		}
	}
	if m, err := model.Read(got.Dir, model.EMA); err != nil || !m.Floats {
		t.Errorf("the model does not know that its data were floats (%v)", err)
	}
	if m, err := model.Read(want.Dir, model.EMA); err != nil || m.Floats {
		t.Errorf("the model takes its data for floats (%v)", err)
	}
	got.Data = want.Data
	got.Settings.Images = 32
	if _, err := Run(context.Background(), got); err == nil || !strings.Contains(err.Error(), "values of images") {
		t.Errorf("a run goes on with bytes in the place of floats: %v", err)
	}
}

// TestFloatNotes: a variance that is far from 1 is told.
func TestFloatNotes(t *testing.T) {
	d := open(t, small())
	for variance, want := range map[float64]int{0.05: 1, 0.3: 0, 1: 0, 5: 0, 20: 1} {
		if got := (&run{data: floats{d}}).floatNotes(variance); len(got) != want {
			t.Errorf("variance %g: notes %q", variance, got)
		}
	}
	if got := (&run{data: floats{d}, settings: Settings{SelfConditioning: 0.5}}).floatNotes(1); len(got) != 1 || !strings.Contains(got[0], "±1") {
		t.Errorf("with self-conditioning: notes %q", got)
	}
	if got := (&run{data: d}).floatNotes(20); got != nil {
		t.Errorf("of bytes: %q", got)
	}
}

// one is the beginning of a set, whose images all come more than once.
type one struct{ data.Dataset }

func (o one) Len() int { return 10 }
