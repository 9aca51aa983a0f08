package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"fluxion/kernels/number"
)

func addressOf(x []uint16) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(x))) }

// bf16Vector is normal numbers in bfloat16, poison behind them.
func bf16Vector(rng *rand.Rand, n int) []uint16 {
	x := make([]uint16, n, n+guardBF16)
	for i := range x {
		x[i] = number.Narrow(float32(rng.NormFloat64()))
	}
	for i := range guardBF16 {
		x[:n+guardBF16][n+i] = poison
	}
	return x
}

const (
	poison    = 0x7fc1 // a NaN that no kernel writes
	guardBF16 = 128
)

func wide(x uint16) float64 { return float64(number.Widen(x)) }

// forBF16 runs a test for every instruction set that multiplies bfloat16.
func forBF16(t *testing.T, f func(t *testing.T, k *Kernels)) {
	forEach(t, func(t *testing.T, k *Kernels) {
		if k.BF16 != nil {
			f(t, k)
		}
	})
}

// upTo lists numbers of rows of a tile that has so many at most.
func upTo(rows int) []int {
	list := []int{1, 2, 3, 4, 5, 6, 15, 16, 17, 31, 32}
	if testing.Short() {
		list = []int{1, 6, 17, 32}
	}
	most, _ := slices.BinarySearch(list, rows)
	return list[:most+1]
}

// widths lists those of one panel and, where a tile may have more, of some.
func widths(k *Kernels) (list []int) {
	for width := k.Lanes; width <= k.BF16.Cols; width += k.Lanes {
		list = append(list, width)
	}
	for n := 2; n <= min(3, k.BF16.Panels); n++ {
		list = append(list, n*k.BF16.Cols)
	}
	return list
}

// TestTileBF16 runs the micro-kernels on bfloat16 over all their shapes.
func TestTileBF16(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(11, 12))
		for _, width := range widths(k) {
			for _, rows := range upTo(k.BF16.Rows) {
				for _, taps := range []int{0, 1, 2, 9} {
					for _, depth := range []int{1, 2, 3, 16, 37} {
						for mode := range 4 { // to float32 or not, with bias and addend or not
							testTileBF16(t, k, rng, rows, width, taps, depth, mode&1, mode>>1 == 1)
						}
					}
				}
			}
		}
	})
}

func testTileBF16(t *testing.T, k *Kernels, rng *rand.Rand, rows, width, taps, depth, single int, epilogue bool) {
	t.Helper()
	// Every row of A ends in front of poison or of another row.
	tileRows, panel := k.BF16.Rows, min(width, k.BF16.Cols)
	a := make([][]uint16, taps*tileRows)
	as, bs := make([]uintptr, taps*tileRows+1), make([]uintptr, taps+1)
	w, packed := make([][]uint16, taps), make([][]uint16, taps)
	for tap := range taps {
		for i := range tileRows {
			row := bf16Vector(rng, depth+1)[1:] // at an odd address
			row = append(row, poison)[:depth]
			if i >= rows {
				row = a[tap*tileRows]
			}
			a[tap*tileRows+i], as[tap*tileRows+i] = row, addressOf(row)
		}
		w[tap] = bf16Vector(rng, depth*width)
		packed[tap] = make([]uint16, PairRows(depth)*width*2)
		for d := range depth {
			for j := range width {
				packed[tap][((j/panel*PairRows(depth)+d/2)*panel+j%panel)*2+d%2] = w[tap][d*width+j]
			}
		}
		bs[tap] = addressOf(packed[tap])
	}
	bias, add := vector(rng, width), bf16Vector(rng, rows*(width+1))
	c, pitch := make([]float32, rows*(width+3)+64), width+3
	bf16 := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(c))), 2*len(c))
	for i := range bf16 {
		bf16[i] = poison
	}
	work := aligned(BF16Work(taps, depth))
	tile := &TileBF16{
		Work: uintptr(pointer(work)),
		A:    unsafe.SliceData(as), B: unsafe.SliceData(bs), Taps: taps, Depth: depth, BPitch: 4 * panel, BPanel: 4 * panel * PairRows(depth),
		C: uintptr(pointer(c)), CPitch: 2 * pitch, Rows: rows, Width: width, Float32: single,
	}
	if single == 1 {
		tile.CPitch = 4 * pitch
	}
	if epilogue {
		tile.Bias, tile.Add, tile.AddPitch = uintptr(pointer(bias)), addressOf(add), 2*(width+1)
	}
	k.BF16.Tile(tile)
	read := func(i int) (x float64, poisoned bool) {
		if single == 1 {
			return float64(c[i]), math.Float32bits(c[i]) == poison<<16|poison
		}
		return wide(bf16[i]), bf16[i] == poison
	}
	name := fmt.Sprintf("tile of %d×%d, %d taps of %d, float32 %d, epilogue %v", rows, width, taps, depth, single, epilogue)
	diff, norm := 0.0, 0.0
	for i := range len(c) {
		r, j := i/pitch, i%pitch
		x, poisoned := read(i)
		if r >= rows || j >= width {
			if !poisoned {
				t.Fatalf("%s: wrote behind row %d, column %d", name, r, j)
			}
			continue
		}
		sum := 0.0
		for tap := range taps {
			for d := range depth {
				sum += wide(a[tap*tileRows+r][d]) * wide(w[tap][d*width+j])
			}
		}
		if epilogue {
			sum += float64(bias[j]) + wide(add[r*(width+1)+j])
		}
		diff += (x - sum) * (x - sum)
		norm += sum * sum
	}
	most := budget
	if single == 0 {
		most = 1.0 / 256 // half of a unit in the last place of 8 bits, of every element
	}
	if e := math.Sqrt(diff / max(norm, 1e-30)); !(e <= most) {
		t.Errorf("%s: relative error %.3g", name, e)
	}
	runtime.KeepAlive([]any{a, as, bs, packed, bias, add, c, work})
}

// TestTileTBF16 runs interleaved rows through the kernel of weight gradients, which may
// want the right operand in turned squares, and give back such.
func TestTileTBF16(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(13, 14))
		for _, width := range widths(k) {
			for _, rows := range upTo(k.BF16.Rows) {
				for _, depth := range []int{16, 48, 128} {
					for accumulate := range 2 {
						testTileTBF16(t, k, rng, rows, width, depth, accumulate)
					}
				}
			}
		}
	})
}

func testTileTBF16(t *testing.T, k *Kernels, rng *rand.Rand, rows, width, depth, accumulate int) {
	t.Helper()
	turn := k.BF16.Turn
	if turn != nil {
		rows = (rows + 15) / 16 * 16
	}
	cols, panel := k.BF16.Rows+2, min(width, k.BF16.Cols)
	a, b := bf16Vector(rng, depth*cols*2), bf16Vector(rng, depth*width/panel*(panel+5)*2)
	pitch := 4 * (panel + 5)
	c := guarded(rng, rows, width, width+2)
	before, address := c.clone(), uintptr(pointer(c.Data))
	at := func(d, j int) float64 { return wide(b[((j/panel*depth+d/2)*(panel+5)+j%panel)*2+d%2]) }
	var factors []float64
	for d := range 2 * depth {
		for j := range width {
			factors = append(factors, at(d, j))
		}
	}
	if turn != nil {
		turn(address, 4*c.Pitch, rows, width)
		for p := range width / panel {
			turn(addressOf(b[p*depth*(panel+5)*2:]), pitch, depth, panel)
		}
	}
	k.BF16.TileT(&TileTBF16{
		A: addressOf(a[4:]), APitch: 4 * cols, B: addressOf(b), BPitch: pitch, BPanel: depth * pitch, Depth: depth,
		C: address, CPitch: 4 * c.Pitch, Rows: rows, Width: width, Accumulate: accumulate,
	})
	if turn != nil {
		turn(address, 4*c.Pitch, rows, width)
	}
	compare(t, fmt.Sprintf("transposed tile of %d×%d over %d", rows, width, depth), c, func(i, j int) float64 {
		sum := float64(accumulate) * float64(before.Row(i)[j])
		for d := range 2 * depth {
			sum += wide(a[(d/2*cols+2+i)*2+d%2]) * factors[d*width+j]
		}
		return sum
	})
	runtime.KeepAlive([]any{a, b})
}

// TestTurn: squares are transposed in place, each by itself.
func TestTurn(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		if k.BF16.Turn == nil {
			return
		}
		rng := rand.New(rand.NewPCG(19, 20))
		for _, size := range [][2]int{{16, 16}, {32, 16}, {16, 48}, {48, 32}} {
			m := guarded(rng, size[0], size[1], size[1]+3)
			before := m.clone()
			k.BF16.Turn(uintptr(pointer(m.Data)), 4*m.Pitch, m.Rows, m.Cols)
			compare(t, fmt.Sprintf("squares of %v", size), m, func(r, c int) float64 {
				return float64(before.Row(r/16*16 + c%16)[c/16*16+r%16])
			})
		}
	})
}

// TestPairs: the rows side by side, zeros up to whole vectors, nothing behind, and
// no infinity read from where no row is.
func TestPairs(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(15, 16))
		for _, pairs := range []int{1, 2, 5} {
			for _, cols := range []int{1, 15, 16, 17, 32, 48, 63} {
				padded := (cols + k.Lanes - 1) / k.Lanes * k.Lanes
				var rows [][]uint16
				var in []uintptr
				for range 2 * pairs {
					rows = append(rows, bf16Vector(rng, cols))
					in = append(in, addressOf(rows[len(rows)-1]))
				}
				out := make([]uint16, 2*(pairs*(padded+3)+16))
				for i := range out {
					out[i] = poison
				}
				k.BF16.Pairs(addressOf(out), 4*(padded+3), &in[0], 0, pairs, cols)
				for i, x := range out {
					p, j := i/2/(padded+3), i/2%(padded+3)
					want := uint16(poison)
					switch {
					case p < pairs && j < cols:
						want = rows[2*p+i%2][j]
					case p < pairs && j < padded:
						want = 0
					}
					if x != want {
						t.Fatalf("%d pairs of %d columns: pair %d, column %d: %#x, want %#x", pairs, cols, p, j, x, want)
					}
				}
				runtime.KeepAlive(rows)
			}
		}
	})
}

// TestPairsRounded: rows of float32 in pairs are those that Narrow makes of them, denormals included.
func TestPairsRounded(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(17, 18))
		for _, pairs := range []int{1, 2, 5} {
			for _, cols := range []int{1, 15, 16, 17, 32, 48, 63} {
				pitch := (cols+k.Lanes-1)/k.Lanes*k.Lanes + 3
				var rows [][]float32
				var in, narrowed []uintptr
				var narrow [][]uint16
				for range 2 * pairs {
					row, bf16 := vector(rng, cols), make([]uint16, cols)
					row[rng.IntN(cols)] = 1e-39
					k.BF16.Narrow(bf16, row)
					rows, in = append(rows, row), append(in, uintptr(pointer(row)))
					narrow, narrowed = append(narrow, bf16), append(narrowed, addressOf(bf16))
				}
				got, want := make([]uint16, 2*(pairs*pitch+16)), make([]uint16, 2*(pairs*pitch+16))
				for i := range got {
					got[i], want[i] = poison, poison
				}
				k.BF16.PairsRounded(addressOf(got), 4*pitch, &in[0], 0, pairs, cols)
				k.BF16.Pairs(addressOf(want), 4*pitch, &narrowed[0], 0, pairs, cols)
				if !slices.Equal(got, want) {
					t.Errorf("%d pairs of %d columns: %#x, want %#x", pairs, cols, got, want)
				}
				runtime.KeepAlive([]any{rows, narrow})
			}
		}
	})
}

// TestAddresses: addresses by sources of any number, no more of them, and whether one is inside.
func TestAddresses(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(21, 22))
		for n := range 40 {
			for _, inside := range []int{0, 1, 5} { // of 5
				source, to := make([]int32, n), make([]uintptr, n+1)
				to[n] = poison
				any := false
				for i := range source {
					if source[i] = int32(rng.IntN(1 << 20)); rng.IntN(5) >= inside {
						source[i] = -1 - source[i]
					}
					any = any || source[i] >= 0
				}
				got := k.BF16.Addresses(to, source, 1<<40, 1<<20|6, 77)
				for i, s := range source {
					want := uintptr(77)
					if s >= 0 {
						want = 1<<40 + uintptr(s)*(1<<20|6)
					}
					if to[i] != want {
						t.Fatalf("source %d of %d, %d: %#x, want %#x", i, n, s, to[i], want)
					}
				}
				if got != any || to[n] != poison {
					t.Fatalf("%v: a row inside: %v; behind them %#x", source, got, to[n])
				}
			}
		}
	})
}

// TestPeakBF16: what measures the peak ends, and counts what it does.
func TestPeakBF16(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		if k.BF16.peak(3); k.BF16.peakFLOPs < fmasPerRound*flopsPerFMA*16 {
			t.Errorf("%g operations in a round", k.BF16.peakFLOPs)
		}
	})
}

// TestTransposePairs: pairs of bfloat16 are words at odd addresses and pitches.
func TestTransposePairs(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(19, 20))
		for squares := 1; squares <= 4; squares++ {
			fromPitch, toPitch := 2*16+3, 2*16*squares+5 // elements of bfloat16
			from, to := bf16Vector(rng, 16*squares*fromPitch), make([]uint16, 16*toPitch)
			for i := range to {
				to[i] = poison
			}
			k.Transpose(addressOf(to), 2*toPitch, addressOf(from), 2*fromPitch, 16*squares, 16)
			for i, x := range to {
				row, column := i/toPitch, i%toPitch
				want := uint16(poison)
				if column < 2*16*squares {
					want = from[column/2*fromPitch+2*row+column%2]
				}
				if x != want {
					t.Fatalf("%d squares: row %d, element %d is %#x, want %#x", squares, row, column, x, want)
				}
			}
			runtime.KeepAlive(from)
		}
	})
}

// TestDenormals: the products take denormals for zero, and write none.
func TestDenormals(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(17, 18))
		as, bs := make([]uintptr, k.BF16.Rows), make([]uintptr, 1)
		row, panel, c := bf16Vector(rng, 2), bf16Vector(rng, 2*PairsMultiple*k.Lanes), bf16Vector(rng, k.Lanes)
		work := aligned(BF16Work(1, 2))
		run := func(a, b uint16) uint16 {
			clear(panel)
			row[0], row[1], panel[0] = a, 0, b
			for i := range as {
				as[i] = addressOf(row)
			}
			bs[0] = addressOf(panel)
			k.BF16.Tile(&TileBF16{A: &as[0], B: &bs[0], Taps: 1, Depth: 2, BPitch: 4 * k.Lanes, C: addressOf(c), CPitch: 2 * k.Lanes, Rows: 1, Width: k.Lanes, Work: uintptr(pointer(work))})
			runtime.KeepAlive([]any{row, panel, as, bs, work})
			return c[0]
		}
		one, large, small, least := number.Narrow(1), number.Narrow(0x1p100), number.Narrow(0x1p-100), uint16(0x0040)
		for _, c := range []struct{ a, b, want uint16 }{
			{one, one, one}, {least, large, 0}, {large, least, 0}, {small, number.Narrow(0x1p-30), 0}, {large, large, number.Narrow(float32(math.Inf(1)))},
		} {
			if got := run(c.a, c.b); got != c.want {
				t.Errorf("%g·%g = %g, want %g", wide(c.a), wide(c.b), wide(got), wide(c.want))
			}
		}
		if got := wide(run(poison, one)); !math.IsNaN(got) {
			t.Errorf("NaN·1 = %g", got)
		}
	})
}

// TestNarrow: BF16.Narrow is Narrow but for denormals, which are zero, at odd lengths.
func TestNarrow(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(23, 24))
		for n := range 40 {
			from, to := vector(rng, n+1), make([]uint16, n+1)
			to[n] = poison
			for i := range n {
				from[i] *= float32(math.Ldexp(1, rng.IntN(240)-120))
			}
			if n > 2 {
				from[0], from[1], from[2] = float32(math.Inf(-1)), float32(math.NaN()), 0x1p-130
			}
			k.BF16.Narrow(to[:n], from)
			for i, x := range from[:n] {
				if math.Abs(float64(x)) < 0x1p-126 {
					x = 0
				}
				if to[i] != number.Narrow(x) {
					t.Fatalf("%g is rounded to %#x, want %#x", x, to[i], number.Narrow(x))
				}
			}
			if to[n] != poison {
				t.Fatalf("wrote behind %d elements", n)
			}
		}
	})
}

// TestCasts: every bfloat16 there and back, and numbers between them rounded as
// package number does, at odd lengths.
func TestCasts(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		single, back := make([]float32, len(all)), make([]uint16, len(all))
		k.Widen(single, all)
		k.Narrow(back, single)
		for i, x := range single {
			if math.Float32bits(x) != uint32(i)<<16 || back[i] != number.Narrow(x) {
				t.Fatalf("%#x is widened to %#x and back to %#x", i, math.Float32bits(x), back[i])
			}
		}
		for _, low := range []uint32{1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			for i := range single {
				single[i] = math.Float32frombits(uint32(i)<<16 | low)
			}
			k.Narrow(back, single)
			for i, x := range single {
				if back[i] != number.Narrow(x) {
					t.Fatalf("%#x is rounded to %#x", math.Float32bits(x), back[i])
				}
			}
		}
		for n := range 40 {
			bf16, wide := bf16Vector(rand.New(rand.NewPCG(1, 1)), n), make([]float32, n+1)
			wide[n] = 5
			k.Widen(wide[:n], bf16)
			rounded := make([]uint16, n+1)
			rounded[n] = poison
			k.Narrow(rounded[:n], wide)
			for i, x := range bf16 {
				if rounded[i] != x {
					t.Fatalf("element %d of %d is %#x, want %#x", i, n, rounded[i], x)
				}
			}
			if wide[n] != 5 || rounded[n] != poison {
				t.Fatalf("wrote behind %d elements", n)
			}
		}
	})
}
