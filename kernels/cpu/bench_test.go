package cpu

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"
)

// BenchmarkTile is a chunk of a 3×3 convolution: nine taps of 64 channels.
func BenchmarkTile(b *testing.B) {
	for _, k := range available() {
		b.Run(k.Name, func(b *testing.B) {
			const taps, depth = 9, 64
			width := k.TileCols
			rng := rand.New(rand.NewPCG(1, 1))
			x, w, c := vector(rng, 3*40*256), vector(rng, taps*depth*width), make([]float32, TileRows*width)
			as, bs := make([]uintptr, taps*TileRows), make([]uintptr, taps)
			for tap := range taps {
				bs[tap] = uintptr(pointer(w[tap*depth*width:]))
				for i := range TileRows {
					as[tap*TileRows+i] = uintptr(pointer(x[(tap/3*40+i+tap%3)*256:]))
				}
			}
			t := &Tile{
				A: unsafe.SliceData(as), B: unsafe.SliceData(bs), Taps: taps, Depth: depth, BPitch: 4 * width,
				C: uintptr(pointer(c)), CPitch: 4 * width, Rows: TileRows, Width: width, Accumulate: 1,
			}
			for range b.N {
				k.Tile(t)
			}
			reportFLOPs(b, k, 2*TileRows*float64(width)*taps*depth)
			runtime.KeepAlive([]any{x, w, c, as, bs})
		})
	}
}

// BenchmarkTileT is a chunk of a weight gradient: 256 pixels.
func BenchmarkTileT(b *testing.B) {
	for _, k := range available() {
		b.Run(k.Name, func(b *testing.B) {
			const depth, channels = 256, 64
			width := k.TileCols
			rng := rand.New(rand.NewPCG(1, 1))
			x, dy, c := vector(rng, depth*channels), vector(rng, depth*width), make([]float32, TileRows*width)
			as := make([]uintptr, depth)
			for i := range as {
				as[i] = uintptr(pointer(x[i*channels:]))
			}
			t := &TileT{
				A: unsafe.SliceData(as), B: uintptr(pointer(dy)), BPitch: 4 * width, Depth: depth,
				C: uintptr(pointer(c)), CPitch: 4 * width, Rows: TileRows, Width: width, Accumulate: 1,
			}
			for range b.N {
				k.TileT(t)
			}
			reportFLOPs(b, k, 2*TileRows*float64(width)*depth)
			runtime.KeepAlive([]any{x, dy, c, as})
		})
	}
}

// reportFLOPs reports the rate of operations and its share of a thread's peak.
func reportFLOPs(b *testing.B, k *Kernels, each float64) {
	rate := each * float64(b.N) / b.Elapsed().Seconds()
	b.StopTimer()
	b.ReportMetric(rate/1e9, "GFLOP/s")
	b.ReportMetric(100*rate/Peak(NewPool(1, k)), "%peak")
}

// BenchmarkVectors are passes over 256 rows of 128 channels.
func BenchmarkVectors(b *testing.B) {
	const rows, cols = 256, 128
	rng := rand.New(rand.NewPCG(1, 1))
	m := func() Matrix { return Matrix{vector(rng, rows*cols), rows, cols, cols} }
	x, y, out := m(), m(), m()
	hx, _ := bf16Of(x)
	hy, _ := bf16Of(y)
	v := func() []float32 { return vector(rng, cols) }
	a, c, p, q, r, s1, s2 := v(), v(), v(), v(), v(), v(), v()
	n := rows * cols
	h := &AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, C1: 1, C2: 1, GradScale: 1}
	positive := make([]float32, n)
	for _, k := range available() {
		for name, f := range map[string]func(){
			"Add":               func() { k.Add(out, x, y) },
			"ColSum":            func() { k.ColSum(s1, x) },
			"AffineSiLU":        func() { k.AffineSiLU(out, x, a, c) },
			"SiLUGradSums":      func() { k.SiLUGradSums(Matrix{}, s1, s2, x, y, a, c) },
			"SiLUGradAffine":    func() { k.SiLUGradAffine(out, x, y, a, c, p, q, r, Matrix{}) },
			"DuAffine":          func() { k.DuAffine(out, x, y, p, q, r, Matrix{}) },
			"bf16/ColSum":       func() { k.BF16Norms.ColSum(s1, hx) },
			"bf16/AffineSiLU":   func() { k.BF16Norms.AffineSiLU(hy, hx, a, c) },
			"bf16/SiLUGradSums": func() { k.BF16Norms.SiLUGradSums(out, s1, s2, hx, hy, a, c) },
			"bf16/DuAffine":     func() { k.BF16Norms.DuAffine(hy, hx, y, p, q, r, MatrixOf[uint16]{}) },
			"AdamW":             func() { k.AdamW(h, out.Data[:n], x.Data[:n], y.Data[:n], positive, nil) },
		} {
			b.Run(k.Name+"/"+name, func(b *testing.B) {
				for range b.N {
					f()
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(n), "ns/element")
			})
		}
	}
}

// BenchmarkBF16Squares are the steps of Winograd's convolution on 33 squares of 64 channels, an odd number so that
// places do not meet in a set of the cache.
func BenchmarkBF16Squares(b *testing.B) {
	const count, columns = 33, 64
	for _, k := range available() {
		if k.BF16 == nil || k.BF16.Squares == nil {
			continue
		}
		w := k.BF16.Squares
		for _, c := range []struct {
			name            string
			in, out         int // lines
			inBF16, outBF16 bool
			run             func(*BF16Lines)
		}{
			{"Input", 16, 16, true, true, w.Input},
			{"Output", 16, 4, false, true, w.Output},
			{"Weights", 9, 16, false, true, w.Weights},
		} {
			b.Run(k.Name+"/"+c.name, func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				x := newLines(rng, c.in*count, columns, columns, c.inBF16)
				y := newLines(rng, c.out*count, columns, columns, c.outBF16)
				bias := vector(rng, columns)
				in, inPitch := x.tables(c.in, count)
				out, outPitch := y.tables(c.out, count)
				l := &BF16Lines{In: &in[0], Out: &out[0], InPitch: inPitch, OutPitch: outPitch, Count: count, Columns: columns, Bias: uintptr(pointer(bias))}
				for range b.N {
					c.run(l)
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/count/columns, "ns/channel")
				runtime.KeepAlive([]any{x, y, bias, in, out})
			})
		}
	}
}
