package train

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/couple"
	"fluxion/kernels/philox"
)

// TestCoupling: a run whose images are paired with noise goes on to the bit; names and
// numbers that are none are refused.
func TestCoupling(t *testing.T) {
	s := points()
	s.Coupling, s.SampleCount = "ot", 0
	whole, cut := t.TempDir(), t.TempDir()
	o, rec := options(t, s, whole)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if about := rec.start.About; about[len(about)-1] != [2]string{"coupling", "ot"} {
		t.Errorf("the start says %v", about)
	}
	for _, s.Images = range []int64{128, 256} {
		o, _ := options(t, s, cut)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}
	same(t, files(t, cut), files(t, whole))
	s.Batch, s.Images = 2048, 2048
	o, _ = options(t, s, t.TempDir())
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "at most 1024") {
		t.Errorf("a large step: %v", err)
	}
	for text, want := range map[string]string{"oat": `did you mean "ot"`, "nearest:1": "2 to 64"} {
		s.Coupling = text
		o, _ := options(t, s, t.TempDir())
		if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// batches is a stream of some, without end.
type batches struct {
	n, size int
	at      int64
	held    int
}

func (b *batches) Next(context.Context) (*data.Batch, error) {
	if b.held++; b.held > 8 {
		return nil, fmt.Errorf("%d batches are held", b.held)
	}
	all := &data.Batch{Pixels: data.NewPixels(data.Bytes, b.n*b.size)}
	for range b.n {
		x := all.Pixels.Bytes[len(all.Indices)*b.size:][:b.size]
		for k := range x {
			x[k] = byte(int(b.at)*37 + k*101)
		}
		all.Indices, all.Noise, all.Classes = append(all.Indices, b.at), append(all.Noise, b.at), append(all.Classes, -1)
		b.at++
	}
	return all, nil
}
func (b *batches) Release(*data.Batch) { b.held-- }
func (*batches) Skipped() []string     { return nil }
func (*batches) Close()                {}

// TestCoupledStream: the pairs of a step are the same in however many batches it comes.
func TestCoupledStream(t *testing.T) {
	c, err := couple.Get("ot")
	if err != nil {
		t.Fatal(err)
	}
	draw := func(address int64, to []float32) { philox.NormalAt(to, 0, 7, philox.Noise, uint64(address), 0) }
	var want []int64
	for _, n := range []int{24, 12, 3} {
		s := &coupled{Stream: &batches{n: n, size: 6}, coupling: c, draw: draw, batches: 24 / n, size: 6}
		var got []int64
		for range 3 * 24 / n {
			b, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b.Noise...)
			s.Release(b)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) || slices.Max(got[:24]) != 23 {
			t.Errorf("batches of %d: %v, want %v", n, got, want)
		}
	}
}
