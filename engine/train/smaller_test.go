package train

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/kernels/cuda/simdriver"
)

// simulatedGPU is one with so many bytes of memory.
func simulatedGPU(t *testing.T, bytes int64) *device.CUDA {
	t.Helper()
	d, err := device.NewCUDA(simdriver.New(simdriver.Options{Memory: bytes}).Direct(), 0)
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

// A run that a GPU has no memory for is refused before its folder is made, with settings that would fit; and they do.
func TestSmaller(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := small()
	// Activations of so many images are more than the parts of products in bf16.
	s.Size, s.Batch, s.SampleCount, s.Precision = data.Square(32), 64, 0, "fp32"
	plan := func(s Settings, memory int64) (int64, error) {
		o, _ := options(t, s, filepath.Join(t.TempDir(), "run"))
		o.Device = simulatedGPU(t, memory)
		_, p, err := planRun(o)
		if _, missing := os.Stat(o.Dir); missing == nil {
			t.Errorf("%s was made", o.Dir)
		}
		return p.sizes.Bytes(), err
	}
	whole, err := plan(s, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan(s, whole+1<<16); err != nil {
		t.Errorf("%d bytes planned, %d are there: %v", whole, whole+1<<16, err)
	}
	fits := func(memory int64) bool { _, err := plan(s, memory); return err == nil }
	memory, enough := whole/64, whole // the latter has room for the data set
	for enough-memory > 1<<14 {
		if between := (memory + enough) / 2; fits(between) {
			enough = between
		} else {
			memory = between
		}
	}
	_, err = plan(s, memory)
	var e *device.MemoryError
	if !errors.As(err, &e) || e.Device != "cuda:0" || len(e.Fits) != 4 || !strings.Contains(err.Error(), "this would fit: --recompute ") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error is %v", err)
	}
	for _, setting := range e.Fits {
		other := s
		name, value, _ := strings.Cut(setting, " ")
		number, _ := strconv.Atoi(value)
		switch name {
		case "--recompute":
			other.Recompute = value
		case "--precision":
			other.Precision = value
		case "--accumulate":
			other.Accumulate = number
		case "--batch":
			other.Batch = number
		}
		if bytes, err := plan(other, memory); err != nil || bytes > memory {
			t.Errorf("%s: %d of %d bytes, %v", setting, bytes, memory, err)
		}
	}
	if _, err := plan(s, 1<<16); !errors.As(err, &e) || !strings.HasSuffix(err.Error(), "; nothing of it would fit") {
		t.Errorf("64 KiB: %v", err)
	}
}
