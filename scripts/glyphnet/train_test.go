package main

import (
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/nets/feature"
)

// TestTrain: a few steps tell two characters apart, and each has the same bits on one
// thread and on two.
func TestTrain(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	glyphs, err := data.NewGlyphs("", 1)
	if err != nil {
		t.Fatal(err)
	}
	few := part{"noughts and ones", glyphs, 320, func(i int) int { return i/2*len(glyphs.Classes()) + i%2 }, 0}
	network, err := feature.Find("glyph")
	if err != nil {
		t.Fatal(err)
	}
	run := func(threads, steps int) (right int, weights []float32) {
		d, err := device.Open("cpu", threads)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if weights, err = train(network, d, &images{trained: []part{few}, seed: 1}, options{steps: steps, seed: 1}); err != nil {
			t.Fatal(err)
		}
		if right, _, err = accuracy(network, d, weights, few); err != nil {
			t.Fatal(err)
		}
		return right, weights
	}
	if right, _ := run(2, 24); right < few.n*9/10 {
		t.Errorf("%d of %d are right", right, few.n)
	}
	_, one := run(1, 4)
	_, two := run(2, 4)
	if !slices.Equal(one, two) {
		t.Error("two threads train other weights than one")
	}
}

// TestHeldOut: no image is both trained on and held out, and none is left out.
func TestHeldOut(t *testing.T) {
	const n = 23
	trained, held := split(n)
	seen := make([]int, n)
	for _, p := range []part{trained, held} {
		for i := range p.n {
			seen[p.at(i)]++
		}
	}
	for i, times := range seen {
		if want := 1; i >= 20 && times > 0 || i < 20 && times != want {
			t.Errorf("image %d is used %d times", i, times)
		}
	}
}

// TestBend: an image that is not bent is what the network sees, and grey is three channels.
func TestBend(t *testing.T) {
	from := make([]byte, 28*28)
	for i := range from {
		from[i] = 200
	}
	to := make([]float32, side*side*3)
	bend(to, from, 28, 28, 1, newRandom(1, 2))
	for i, v := range to {
		if v != (200-128)/128. {
			t.Fatalf("value %d of a grey image is %g", i, v)
		}
	}
}
