package train

import (
	"math"
	"testing"

	"fluxion/engine/process"
	"fluxion/nets"
)

// TestRetold: an embedding of time that changes slowly is kept to a hundredth when it is to
// be told other numbers, and one that changes fast loses what does; what is made changes
// slowly enough for differences, and is the same each time.
func TestRetold(t *testing.T) {
	slow, err := process.Get("fm", process.ScheduleOptions{TimeScale: 16}, "u")
	if err != nil {
		t.Fatal(err)
	}
	slower, err := process.Get("fm", process.ScheduleOptions{TimeScale: 8}, "u")
	if err != nil {
		t.Fatal(err)
	}
	fast, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	n, err := Network("mlp", nets.Spec{Height: 1, Width: 1, Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	params := nets.Params(n)
	features, ok := n.(nets.Timed).TimeFeatures()
	if !ok {
		t.Fatal("the network has no embedding of time")
	}
	fit := func(was, now process.Process) (apart, less float64, flat []float32) {
		flat = make([]float32, nets.FlatSize(params))
		nets.Initialise(params, 5, flat)
		e, ok := embeddingOf(n, params, flat, was.Schedule.NetworkTime)
		if !ok {
			t.Fatal("no embedding")
		}
		before := changes(e)
		said, err := e.retold(features, now.Schedule.NetworkTime)
		if err != nil {
			t.Fatal(err)
		}
		e.told = now.Schedule.NetworkTime
		return said, before / changes(e), flat
	}
	apart, _, first := fit(slow, slower)
	if apart > 0.01 {
		t.Errorf("of a slow one a share of %g is lost", apart)
	}
	_, _, second := fit(slow, slower)
	for i := range first {
		if first[i] != second[i] {
			t.Fatal("it is another one each time")
		}
	}
	apart, less, _ := fit(fast, slow)
	if apart < 0.02 || apart > 0.9 || less < 5 {
		t.Errorf("of a fast one a share of %g is lost, and it changes %g times less", apart, less)
	}
}

// changes is how much an embedding changes with time, as a share of it.
func changes(e embedding) float64 {
	const step = 1e-4
	size, change := 0.0, 0.0
	for k := range 200 {
		t := (float64(k) + 0.5) / 200
		later := e.hiddenOut(t + step)
		for i, x := range e.hiddenOut(t) {
			size, change = size+x*x, change+(later[i]-x)*(later[i]-x)
		}
	}
	return math.Sqrt(change/size) / step
}

// hiddenOut is the embedding of a time.
func (e embedding) hiddenOut(t float64) []float64 {
	h, out := e.hidden([]float64{t}), e.out()
	y := make([]float64, len(e.b2))
	for j := range y {
		for i := range len(e.b1) + 1 {
			y[j] += h.At(0, i) * out.At(i, j)
		}
	}
	return y
}
