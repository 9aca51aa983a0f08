package device

import (
	"errors"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
)

// listed is a driver of which only the list of its devices is asked for.
type listed struct {
	cuda.Driver
	all []cuda.Properties
	err error
}

func (l listed) Devices() ([]cuda.Properties, error) { return l.all, l.err }

// TestNameOf: each process of a machine has a GPU of its own, or is told that it has none.
func TestNameOf(t *testing.T) {
	gpus := make([]cuda.Properties, 2)
	simulated := []cuda.Properties{{Simulated: true}}
	broken := errors.New("no driver")
	for _, c := range []struct {
		name    string
		process int
		driver  listed
		want    string
	}{
		{"cuda", 0, listed{all: gpus}, "cuda:0"},
		{"cuda", 1, listed{all: gpus}, "cuda:1"},
		{"auto", 1, listed{all: gpus}, "cuda:1"},
		{"cuda", 2, listed{all: gpus}, "device cuda: process 2 of this machine has no GPU, of which it sees 2"},
		{"cuda", 7, listed{all: gpus[:1]}, "cuda:0"}, // as a scheduler shows each its own
		{"cuda", 1, listed{all: simulated}, "cuda:0"},
		{"auto", 1, listed{all: simulated}, "auto"}, // which takes none
		{"auto", 1, listed{}, "auto"},
		{"auto", 1, listed{err: broken}, "auto"},
		{"cuda", 1, listed{err: broken}, "device cuda: no driver"},
		{"cuda:0", 1, listed{err: broken}, "cuda:0"}, // as it is said
		{"cpu", 1, listed{err: broken}, "cpu"},
	} {
		got, err := nameOf(c.name, c.process, func(string) (cuda.Driver, error) { return c.driver, c.driver.err })
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("process %d of %d GPUs, --device %s: %s, want %s", c.process, len(c.driver.all), c.name, got, c.want)
		}
	}
}
