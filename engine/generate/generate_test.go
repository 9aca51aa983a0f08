package generate

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/number"
	"fluxion/kernels/update"
	"fluxion/nets"
	"fluxion/nets/unet"
)

const classes = 3

// pictures samples on the CPU in float32; see picturesOn.
func pictures(t *testing.T, method string, seeds []int64, batch, threads int, guidance float64) map[int64][]byte {
	t.Helper()
	return guided(t, method, seeds, batch, threads, Guidance{Scale: guidance}, nil)
}

// guided does so with guidance of any kind; second is the second network's weights
// as a multiple of the first's, nil without.
func guided(t *testing.T, method string, seeds []int64, batch, threads int, guidance Guidance, second *float32) map[int64][]byte {
	t.Helper()
	d, err := device.NewCPU(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return guidedOn(t, d, number.Float32, method, seeds, batch, guidance, second, nil)
}

// picturesOn samples with a network of random weights and returns the pixels by seed.
func picturesOn(t *testing.T, d device.Device, precision number.Type, method string, seeds []int64, batch int, guidance float64) map[int64][]byte {
	t.Helper()
	return guidedOn(t, d, precision, method, seeds, batch, Guidance{Scale: guidance}, nil, nil)
}

func guidedOn(t *testing.T, d device.Device, precision number.Type, method string, seeds []int64, batch int, guidance Guidance, second *float32, picture *Picture) map[int64][]byte {
	t.Helper()
	config, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	config = config.WithSize(8).WithClasses(classes + 1)
	if precision == number.BFloat16 && d.Name() == "cpu" {
		config.BlockOutChannels = []int{32, 32} // which Winograd's convolution takes
	}
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.Get(method)
	if err != nil {
		t.Fatal(err)
	}
	var table sampler.Table
	var adaptive *Adaptive
	if s.Adaptive {
		grid, err := sampler.NewGrid(p, sampler.Options{Steps: 1})
		if err != nil {
			t.Fatal(err)
		}
		adaptive = &Adaptive{s, grid, sampler.Options{Tolerance: 3e-2}}
	} else if table, err = s.Plan(p, sampler.Options{Steps: 4}); err != nil {
		t.Fatal(err)
	}
	kept, err := table.Memory(update.MaxHistory)
	if err != nil {
		t.Fatal(err)
	}
	var weaker nets.Network
	if second != nil {
		weaker = config
	}
	step, err := NewStep(Options{
		Network: config, Height: 8, Width: 8, Batch: batch, Guided: guidance.Scale != 1 && second == nil, Reduced: guidance.Reduces(), Guide: weaker, Inpaint: picture != nil, Slots: kept.Slots, Calls: len(table.Rows),
		Target: d.Target(), Precision: precision,
	})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := d.Alloc(step.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	weights := make([]float32, nets.FlatSize(step.Graph.Params))
	nets.Initialise(step.Graph.Params, 1, weights)
	for i := range weights { // layers that begin at zero must matter, too
		weights[i] += float32(i%5)*0.02 - 0.04
	}
	if err := memory.Write(step.Weights, 0, weights); err != nil {
		t.Fatal(err)
	}
	if second != nil {
		for i := range weights {
			weights[i] *= *second
		}
		if err := memory.Write(step.GuideWeights, 0, weights); err != nil {
			t.Fatal(err)
		}
	}
	generator, err := step.Load(d, memory)
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Table: table, Adaptive: adaptive, Seed: 9, Seeds: seeds, NullClass: classes, Guidance: guidance, Picture: picture}
	for _, seed := range seeds {
		r.Classes = append(r.Classes, int(seed%classes))
	}
	got := map[int64][]byte{}
	err = generator.Run(context.Background(), r, func(i int, s Sample) error {
		got[seeds[i]] = slices.Clone(s.Pixels)
		for k, v := range s.Values {
			if s.Pixels[k] != update.Pixel(v) {
				t.Fatalf("image %d: pixel %d is %d, its value %v", seeds[i], k, s.Pixels[k], v)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestImageDependsOnItsSeedAlone: not on the batch, its place in it, or the threads.
func TestImageDependsOnItsSeedAlone(t *testing.T) {
	// One of each kind: without memory, with noise, that keeps outputs, that keeps
	// another variable, with two calls a step, without a table.
	for _, method := range []string{"euler", "ddpm", "lms", "unipc", "dpm++-2m-sde", "heun", "rk45"} {
		for _, guidance := range []float64{1, 2.5} {
			if testing.Short() && guidance == 1 {
				continue
			}
			want := pictures(t, method, []int64{0, 1, 2, 3, 4, 5, 6}, 7, 1, guidance)
			if bytes.Equal(want[0], want[3]) {
				t.Fatal("two seeds of one class give one picture")
			}
			for _, c := range []struct{ batch, threads int }{{1, 1}, {3, 2}, {8, 3}} {
				for seed, pixels := range pictures(t, method, []int64{6, 2, 5, 0}, c.batch, c.threads, guidance) {
					if !bytes.Equal(pixels, want[seed]) {
						t.Errorf("%s, guidance %v: seed %d is another picture in batches of %d on %d threads", method, guidance, seed, c.batch, c.threads)
					}
				}
			}
		}
	}
}

// TestBF16ImageDependsOnItsSeedAlone: in bfloat16 either, with every instruction set.
func TestBF16ImageDependsOnItsSeedAlone(t *testing.T) {
	for _, name := range cpu.Names() {
		bf16 := func(seeds []int64, batch, threads int) map[int64][]byte {
			d, err := device.NewCPU(threads, name)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			return picturesOn(t, d, number.BFloat16, "euler", seeds, batch, 2.5)
		}
		want := bf16([]int64{0, 1, 2, 3, 4}, 5, 1)
		for _, c := range []struct{ batch, threads int }{{1, 1}, {2, 2}, {3, 3}} {
			for seed, pixels := range bf16([]int64{4, 2, 0}, c.batch, c.threads) {
				if !bytes.Equal(pixels, want[seed]) {
					t.Errorf("%s: seed %d is another picture in batches of %d on %d threads", name, seed, c.batch, c.threads)
				}
			}
		}
	}
}

// TestImageOnGPUDependsOnItsSeedAlone: the same on a simulated GPU, whose kernels choose by the sizes.
func TestImageOnGPUDependsOnItsSeedAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	t.Setenv(device.Variable, driver.Simulated)
	d, err := device.Open("cuda:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		want := picturesOn(t, d, precision, "ddpm", []int64{1, 2}, 2, 2.5)
		for seed, pixels := range picturesOn(t, d, precision, "ddpm", []int64{2}, 1, 2.5) {
			if !bytes.Equal(pixels, want[seed]) {
				t.Errorf("%v: seed %d is another picture alone", precision, seed)
			}
		}
	}
}

// TestAdaptive: with a small tolerance it makes the picture that many small steps make.
func TestAdaptive(t *testing.T) {
	adaptive, small := pictures(t, "rk45", []int64{3}, 1, 1, 2)[3], pictures(t, "dpm-3", []int64{3}, 1, 1, 2)[3]
	difference := 0.0
	for i, p := range adaptive {
		difference += math.Abs(float64(p)-float64(small[i])) / float64(len(adaptive))
	}
	if difference > 3 || slices.Min(adaptive) == slices.Max(adaptive) {
		t.Errorf("pixels differ by %v in the mean", difference)
	}
}

// TestGuidance: of one it is none, of three it shows.
func TestGuidance(t *testing.T) {
	one := pictures(t, "euler", []int64{4}, 1, 1, 1)
	strong := pictures(t, "euler", []int64{4}, 1, 1, 3)
	almost := pictures(t, "euler", []int64{4}, 1, 1, 1+1e-9)
	if !bytes.Equal(one[4], almost[4]) {
		t.Error("guidance of one changes the picture")
	}
	if bytes.Equal(one[4], strong[4]) {
		t.Error("guidance of three changes nothing")
	}
}

func TestStops(t *testing.T) {
	config, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	step, err := NewStep(Options{Network: config, Height: 8, Width: 8, Batch: 1, Target: device.NewCPUTarget(1)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := device.NewCPU(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	row := sampler.Row{Call: process.Point{Input: 1}, B: []float64{0}}
	r := Request{Table: sampler.Table{Start: 1, Rows: []sampler.Row{row, row, row}}, Guidance: Guidance{Scale: 1}, Seeds: []int64{0}}
	memory, err := d.Alloc(step.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	generator, err := step.Load(d, memory)
	if err != nil {
		t.Fatal(err)
	}
	if err := generator.Run(ctx, r, nil); !errors.Is(err, cause) {
		t.Errorf("a stopped run returns %v", err)
	}
}

// TestGuidanceOfWholeImages: rescaling and thresholds look at one image at a time,
// and the stage that does it guides as the update does.
func TestGuidanceOfWholeImages(t *testing.T) {
	seeds := []int64{0, 1, 2}
	plain := guided(t, "heun", seeds, 3, 1, Guidance{Scale: 4}, nil)
	for name, g := range map[string]Guidance{
		"rescaled": {Scale: 4, Rescale: 0.7}, "thresholds": {Scale: 4, Percentile: 0.9}, "both": {Scale: 4, Rescale: 0.7, Percentile: 0.9},
	} {
		want := guided(t, "heun", seeds, 3, 1, g, nil)
		if bytes.Equal(want[1], plain[1]) {
			t.Errorf("%s changes nothing", name)
		}
		for seed, pixels := range guided(t, "heun", []int64{2, 0}, 1, 2, g, nil) {
			if !bytes.Equal(pixels, want[seed]) {
				t.Errorf("%s: seed %d is another picture alone", name, seed)
			}
		}
	}
	almost := guided(t, "heun", seeds, 3, 1, Guidance{Scale: 4, Rescale: 1e-12}, nil)
	for seed := range plain {
		for i, p := range plain[seed] {
			if d := int(p) - int(almost[seed][i]); d < -1 || d > 1 {
				t.Fatalf("rescaled by almost nothing, pixel %d of seed %d is %d, not %d", i, seed, almost[seed][i], p)
			}
		}
	}
}

// TestInterval: outside of it nothing is guided.
func TestInterval(t *testing.T) {
	seeds := []int64{0, 1}
	none, all := pictures(t, "euler", seeds, 2, 1, 1), pictures(t, "euler", seeds, 2, 1, 3)
	for _, c := range []struct {
		interval [2]float64
		want     map[int64][]byte
	}{{[2]float64{1e6, 1e7}, none}, {[2]float64{0, math.Inf(1)}, all}} {
		got := guided(t, "euler", seeds, 2, 1, Guidance{Scale: 3, Interval: c.interval}, nil)
		for seed := range got {
			for i, p := range got[seed] {
				if d := int(p) - int(c.want[seed][i]); d < -1 || d > 1 {
					t.Fatalf("guided within %v: pixel %d of seed %d is %d, want %d", c.interval, i, seed, p, c.want[seed][i])
				}
			}
		}
	}
	half := guided(t, "euler", seeds, 2, 1, Guidance{Scale: 3, Interval: [2]float64{0, 1.5}}, nil)
	if bytes.Equal(half[0], none[0]) || bytes.Equal(half[0], all[0]) {
		t.Error("half of the noise levels is none or all of them")
	}
}

// TestAutoguidance: away from a network that is the same, nothing changes; from
// another one, something does, for each image by itself.
func TestAutoguidance(t *testing.T) {
	seeds := []int64{0, 1, 2}
	none := pictures(t, "heun", seeds, 3, 1, 1)
	one, other := float32(1), float32(0.5)
	same := guided(t, "heun", seeds, 3, 1, Guidance{Scale: 2}, &one)
	away := guided(t, "heun", seeds, 3, 1, Guidance{Scale: 2}, &other)
	alone := guided(t, "heun", []int64{2}, 1, 1, Guidance{Scale: 2}, &other)
	for seed := range none {
		if !bytes.Equal(same[seed], none[seed]) {
			t.Errorf("seed %d: guided away from the same network it is another picture", seed)
		}
		if bytes.Equal(away[seed], none[seed]) {
			t.Errorf("seed %d: guidance changes nothing", seed)
		}
	}
	if !bytes.Equal(alone[2], away[2]) {
		t.Error("seed 2 is another picture alone")
	}
}

// TestPicture: where the mask is black the picture comes back, elsewhere images
// differ by seed, and each depends on its own alone; with guidance, by every
// kind of sampler.
func TestPicture(t *testing.T) {
	const values = 8 * 8 * 3
	p := &Picture{Values: make([]float32, values), Mask: make([]float32, values)}
	want := make([]byte, values)
	for i := range want {
		want[i] = byte(i * 7)
		p.Values[i] = float32(2*int(want[i])-255) / 255
		if i%24 >= 12 {
			p.Mask[i] = 1
		}
	}
	run := func(method string, seeds []int64, batch int, picture *Picture) map[int64][]byte {
		d, err := device.NewCPU(1, "")
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return guidedOn(t, d, number.Float32, method, seeds, batch, Guidance{Scale: 2}, nil, picture)
	}
	for _, method := range []string{"euler", "ddpm", "heun", "unipc", "dpm++-2m"} {
		got := run(method, []int64{0, 3, 6}, 3, p)
		if slices.Equal(got[0], got[3]) {
			t.Errorf("%s: two seeds give one picture", method)
		}
		for seed, pixels := range got {
			for i, b := range pixels {
				if p.Mask[i] == 0 && b != want[i] {
					t.Fatalf("%s: value %d of seed %d, which is to be kept, is %d, want %d", method, i, seed, b, want[i])
				}
			}
		}
		if alone := run(method, []int64{3}, 1, p); !slices.Equal(alone[3], got[3]) {
			t.Errorf("%s: seed 3 is another picture alone", method)
		}
	}
}
