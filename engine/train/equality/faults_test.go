package equality

import (
	"context"
	"errors"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/model"
	"fluxion/engine/train"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

// saboteur arms a fault when the first checkpoint is there.
type saboteur struct {
	silent
	driver *simdriver.Driver
	fault  simdriver.Fault
}

func (s *saboteur) Checkpoint(string, int64) { s.driver.Inject(s.fault) }

// TestFaultsInTraining: whatever happens to the GPU in the middle of a run, there
// is a clear error, nothing is left on the device, and the run goes on from its
// last checkpoint.
func TestFaultsInTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for name, fault := range map[string]simdriver.Fault{
		"lost in the middle of a step": {Call: simdriver.Operation, Number: 40, Result: cuda.LaunchFailed},
		"lost between calls":           {Call: "", Number: 3, Result: cuda.ECCUncorrectable},
		"a refused copy":               {Call: "cuMemcpyHtoDAsync", Number: 2, Result: cuda.OperatingSystem},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := settings("cuda:0", 200)
			s.CheckpointEvery = 2
			set := glyphs(t)
			driver := simdriver.New(simdriver.Options{})
			d, err := device.NewCUDA(driver.Direct(), 0)
			if err != nil {
				t.Fatal(err)
			}
			o := &saboteur{driver: driver, fault: fault}
			_, err = train.Run(context.Background(), train.Options{Settings: s, Dir: dir, Data: set, Device: d, Observer: o})
			if !errors.Is(err, fault.Result) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the run ends with %v", err)
			}
			if err := d.Close(); err != nil && !errors.Is(err, fault.Result) {
				t.Error(err)
			}
			if leaks := driver.Leaks(); leaks != nil {
				t.Errorf("left on the device: %v", leaks)
			}
			newest, err := model.Newest(dir)
			if err != nil || newest == dir {
				t.Fatalf("no checkpoint: %v", err)
			}
			_, start := runTo(t, dir, "cpu", 40)
			if start.Images < 2 || start.From != newest {
				t.Errorf("the run went on from %d images, %q", start.Images, start.From)
			}
		})
	}
}

// TestNotFinite: a run that diverges on a GPU names the first tensor that did.
func TestNotFinite(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	s := settings("cuda:0", 40)
	s.LR, s.Clip = 1e30, 0
	d, done := open(t, "cuda:0")
	defer done()
	_, err := train.Run(context.Background(), train.Options{Settings: s, Dir: t.TempDir(), Data: glyphs(t), Device: d, Observer: &silent{}})
	bad := (*train.NotFiniteError)(nil)
	if !errors.As(err, &bad) || bad.Where == "" {
		t.Errorf("a learning rate of 1e30: %v", err)
	}
}

// settings of a short run in float32.
func settings(deviceName string, images int64) train.Settings {
	s := train.Default()
	s.Preset, s.Size, s.Batch, s.Images, s.Flip = "micro", data.Square(size), 2, images, true
	s.Device, s.Precision, s.Warmup, s.Decay, s.SampleCount = deviceName, "fp32", 0, 0, 0
	return s
}

// glyphs are a small data set.
func glyphs(t *testing.T) data.Dataset {
	t.Helper()
	set, err := data.Open("glyphs", data.Options{Size: data.Square(size)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return few{set, 40}
}
