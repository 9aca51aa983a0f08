package noise

import (
	"slices"
	"sync"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels/philox"
)

// TestDrawAtOnce: several goroutines draw what one does.
func TestDrawAtOnce(t *testing.T) {
	for _, text := range []string{"gaussian", "laplace", "offset:0.5", "spectrum:1"} {
		s, err := process.GetSource(text)
		if err != nil {
			t.Fatal(err)
		}
		const size, n = 16 * 16 * 3, 200
		draw := Draw(s, 16, 16, 3, 7, philox.Noise)
		want, got := make([]float32, n*size), make([]float32, n*size)
		var all sync.WaitGroup
		for i := range n {
			draw(int64(i), want[i*size:][:size])
		}
		for i := range n {
			all.Go(func() { draw(int64(i), got[i*size:][:size]) })
		}
		if all.Wait(); !slices.Equal(got, want) {
			t.Errorf("%s: noise drawn at once is other noise", text)
		}
	}
}
