package data

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
)

// TestResident: what a resident stream points at is what a loader decodes.
func TestResident(t *testing.T) {
	d := numbered{n: 100, broken: 9}
	o := LoaderOptions{Batch: 7, Seed: 5, Flip: true, SkipBroken: true, Start: 21}
	var all []byte
	r, err := NewResident(context.Background(), d, o, func(first int, pixels, _ Pixels) error {
		if first != len(all)/2 {
			t.Errorf("images from %d on are written when %d were", first, len(all)/2)
		}
		all = append(all, pixels.Bytes...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2*d.n {
		t.Fatalf("%d bytes were written", len(all))
	}
	l, err := NewLoader(d, o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 40 { // more than two passes
		got, err := r.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want, err := l.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var pixels []byte
		for i, source := range got.Sources {
			p := slices.Clone(all[2*source : 2*source+2])
			if got.Flips[i] {
				slices.Reverse(p)
			}
			pixels = append(pixels, p...)
		}
		if !bytes.Equal(pixels, want.Pixels.Bytes) || !slices.Equal(got.Classes, want.Classes) || !slices.Equal(got.Indices, want.Indices) {
			t.Fatalf("batch from position %d: %v %v, a loader has %v %v", want.Indices[0], pixels, got.Classes, want.Pixels, want.Classes)
		}
		l.Release(want)
		r.Release(got)
	}
	skipped, want := r.Skipped(), l.Skipped()
	slices.Sort(skipped)
	slices.Sort(want)
	if len(skipped) == 0 || !slices.Equal(skipped, want) {
		t.Errorf("left out %v, a loader %v", skipped, want)
	}
}

// TestResidentBroken: a broken image stops the stream where it comes, not before.
func TestResidentBroken(t *testing.T) {
	d := numbered{n: 50, broken: 49} // images 0 and 49
	r, err := NewResident(context.Background(), d, LoaderOptions{Batch: 1, Seed: 1}, func(int, Pixels, Pixels) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for position := range int64(d.n) {
		index := Order(1, 0, d.n, int(position))
		_, err := r.Next(context.Background())
		if index%49 == 0 {
			if e := (*Error)(nil); !errors.As(err, &e) {
				t.Errorf("image %d: %v, want its error", index, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("image %d: %v", index, err)
		}
	}
	t.Error("no broken image came")
}

func TestResidentStops(t *testing.T) {
	failure := errors.New("no room")
	if _, err := NewResident(context.Background(), numbered{n: 50}, LoaderOptions{Batch: 1}, func(int, Pixels, Pixels) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("error %v, want that of writing", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(failure)
	if _, err := NewResident(ctx, numbered{n: 50}, LoaderOptions{Batch: 1}, func(int, Pixels, Pixels) error { return nil }); !errors.Is(err, failure) {
		t.Errorf("error %v, want the cause of stopping", err)
	}
}
