package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/couple"
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gram"
	"fluxion/kernels/philox"

	"gorgonia.org/tensor"
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
	for text, want := range map[string]string{"oat": `did you mean "ot"`, "nearest:1": "2 to 64", "sinkhorn:reg=-1": "positive reg"} {
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
	broken  error // of what is read from here on
	from    int64
}

func (b *batches) Next(context.Context) (*data.Batch, error) {
	if b.broken != nil && b.at >= b.from {
		return nil, b.broken
	}
	if b.held++; b.held > 16 {
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

// multiply is the products of batches of bytes with their noise, on the host.
func multiply(draw func(int64, []float32), size int) func([]*data.Batch) (gram.Table, error) {
	return func(step []*data.Batch) (gram.Table, error) {
		var x, noise []float32
		for _, b := range step {
			values := make([]float32, b.Pixels.Len())
			b.Pixels.Values(values)
			x = append(x, values...)
			for _, address := range b.Noise {
				draw(address, values[:size])
				noise = append(noise, values[:size]...)
			}
		}
		n := len(x) / size
		operand := func(shape tensor.Shape, data []float32) kernels.Operand {
			return kernels.Operand{Shape: shape, Matrix: cpu.Matrix{Data: data, Rows: shape[0], Cols: shape[1], Pitch: shape[1]}}
		}
		shape := gram.Shape(n, n)
		table := operand(shape, make([]float32, shape.TotalSize()))
		k, err := cpu.Select("")
		if err != nil {
			return gram.Table{}, err
		}
		pool := cpu.NewPool(1, k)
		defer pool.Close()
		in := []kernels.Operand{operand(tensor.Shape{n, size}, x), operand(tensor.Shape{n, size}, noise)}
		gram.New().CPU(kernels.Launch{In: in, Out: table, Threads: 1})(pool)
		return gram.NewTable(n, n, table.Data), nil
	}
}

// TestCoupledStream: the pairs of a step are the same in however many batches it comes,
// and in whatever processes.
func TestCoupledStream(t *testing.T) {
	draw := func(address int64, to []float32) { philox.NormalAt(to, 0, 7, philox.Noise, uint64(address), 0) }
	for _, name := range []string{"ot", "sinkhorn", "nearest:4"} {
		var want []int64
		for _, n := range []int{24, 12, 3} {
			var got []int64
			for share := range 24 / n {
				c, err := couple.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				of := coupled{stream: &batches{n: n, size: 6}, coupling: c, draw: draw, batches: 24 / n, first: share, end: share + 1, size: 6, seed: 7, left: 3}
				if share == 0 {
					of.end = 24 / n // the process alone
				}
				if couple.Multiplies(c) {
					of.multiply = multiply(draw, 6)
				}
				s := newCoupled(of)
				var all []int64
				for range 3 * (of.end - of.first) {
					b, err := s.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, b.Noise...)
					s.Release(b)
				}
				s.Close()
				if share == 0 {
					got = all
					continue
				}
				for step := range 3 {
					if !slices.Equal(all[step*n:][:n], got[step*24+share*n:][:n]) {
						t.Errorf("%s, batches of %d: process %d has other pairs", name, n, share)
					}
				}
			}
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) || name == "ot" && slices.Max(got[:24]) != 23 {
				t.Errorf("%s, batches of %d: %v, want %v", name, n, got, want)
			}
		}
	}
}

// TestCoupledFailure: images that cannot be read end the step that they belong to, not
// the one before.
func TestCoupledFailure(t *testing.T) {
	c, err := couple.Get("nearest:2")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	s := newCoupled(coupled{stream: &batches{n: 4, size: 6, broken: broken, from: 8}, coupling: c, draw: func(int64, []float32) {}, batches: 2, end: 2, size: 6, left: 2})
	defer s.Close()
	for i := range 3 {
		b, err := s.Next(t.Context())
		if i < 2 && err != nil || i == 2 && !errors.Is(err, broken) {
			t.Fatalf("batch %d: %v", i, err)
		}
		if err == nil {
			s.Release(b)
		}
	}
}

// BenchmarkCoupling is a training step of 256 glyphs of 28×28 by a small network: what a
// coupling adds to one by chance.
func BenchmarkCoupling(b *testing.B) {
	for _, name := range []string{couple.Independent, "ot", "ot-across", "sinkhorn", "nearest:4"} {
		b.Run(name, func(b *testing.B) {
			s := Default()
			s.Preset, s.Size, s.Batch, s.Images, s.SampleCount, s.Coupling = "micro", data.Square(28), 256, 256_000_000, 0, name
			o, _ := options(b, s, b.TempDir())
			r, start, err := prepare(o)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := r.begin(b.Context(), start); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := r.step(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(256*float64(b.N)/b.Elapsed().Seconds(), "img/s")
			if err := r.close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
