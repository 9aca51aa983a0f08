package data

import (
	"slices"
	"testing"

	"fluxion/data/affine"
)

// TestTransformed: an image's position alone decides what becomes of it, whatever the
// batch; pixels are what a network sees.
func TestTransformed(t *testing.T) {
	d, err := Open("glyphs", Options{Size: Square(8), Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	read := func(batch int, transform func(int64) affine.Transform) (all []float32) {
		l, err := NewLoader(d, LoaderOptions{Batch: batch, Seed: 1, Augment: transform})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for len(all) < 8*64 {
			b, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			values := make([]float32, b.Pixels.Len())
			b.Pixels.Values(values)
			all = append(all, values...)
			l.Release(b)
		}
		return all
	}
	odd := func(at int64) affine.Transform { return affine.Transform{FlipX: at%2 == 1} }
	got, plain := read(8, odd), read(8, nil)
	if !slices.Equal(got, read(2, odd)) {
		t.Error("batches of 2 hold other images than those of 8")
	}
	for i := range 8 {
		want := slices.Clone(plain[i*64:][:64])
		if i%2 == 1 {
			mirror(want, 8, 1)
		}
		if !slices.Equal(got[i*64:][:64], want) {
			t.Errorf("image %d is not transformed as its position says", i)
		}
	}
}
