package sim_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// element is where the manual puts an element of a fragment: its row and column
// for register r, half h (0 for formats of 32 bits) and lane.
type element func(r, h, lane int) (row, column int)

var (
	// "Matrix Fragments for mma.m16n8k16 with floating point type", and m16n8k8 as its first registers.
	a16 element = func(r, h, lane int) (int, int) {
		row, column := lane/4, lane%4*2+h
		if r == 1 || r == 3 {
			row += 8
		}
		if r >= 2 {
			column += 8
		}
		return row, column
	}
	b16 element = func(r, h, lane int) (int, int) { return lane%4*2 + h + 8*r, lane / 4 }
	// "Matrix Fragments for mma.m16n8k8" with .tf32, and m16n8k4.
	a32 element = func(r, _, lane int) (int, int) { return lane/4 + 8*(r%2), lane%4 + 4*(r/2) }
	b32 element = func(r, _, lane int) (int, int) { return lane%4 + 4*r, lane / 4 }
	// Accumulators of 32 bits, and of 16.
	c32 element = func(r, _, lane int) (int, int) { return lane/4 + 8*(r/2), lane%4*2 + r%2 }
	c16 element = func(r, h, lane int) (int, int) { return lane/4 + 8*r, lane%4*2 + h }
)

// small integers are exact in every format, so the product must be exact too.
func small(r *rand.Rand, rows, columns int) [][]float32 {
	m := make([][]float32, rows)
	for i := range m {
		m[i] = make([]float32, columns)
		for j := range m[i] {
			m[i][j] = float32(r.IntN(17) - 8)
		}
	}
	return m
}

func TestMMA(t *testing.T) {
	bf16 := func(x float32) uint32 { return math.Float32bits(x) >> 16 }
	half := func(x float32) uint32 { // of a small integer
		if x == 0 {
			return 0
		}
		b := math.Float32bits(x)
		return b>>31<<15 | (b>>23&0xff-112)<<10 | b>>13&0x3ff
	}
	for _, c := range []struct {
		shape, types string
		k            int
		aRegs, bRegs int
		sums, halves int
		a, b, c      element
		in, out      func(float32) uint32
	}{
		{"m16n8k16", "f32.bf16.bf16.f32", 16, 4, 2, 4, 2, a16, b16, c32, bf16, math.Float32bits},
		{"m16n8k8", "f32.bf16.bf16.f32", 8, 2, 1, 4, 2, a16, b16, c32, bf16, math.Float32bits},
		{"m16n8k16", "f32.f16.f16.f32", 16, 4, 2, 4, 2, a16, b16, c32, half, math.Float32bits},
		{"m16n8k8", "f32.f16.f16.f32", 8, 2, 1, 4, 2, a16, b16, c32, half, math.Float32bits},
		{"m16n8k16", "f16.f16.f16.f16", 16, 4, 2, 2, 2, a16, b16, c16, half, half},
		{"m16n8k8", "f32.tf32.tf32.f32", 8, 4, 2, 4, 1, a32, b32, c32, math.Float32bits, math.Float32bits},
		{"m16n8k4", "f32.tf32.tf32.f32", 4, 2, 1, 4, 1, a32, b32, c32, math.Float32bits, math.Float32bits},
	} {
		t.Run(c.shape+"."+c.types, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			a, b, sum := small(r, 16, c.k), small(r, c.k, 8), small(r, 16, 8)
			fill := func(m [][]float32, at element, regs, halves int, f func(float32) uint32) (list [][32]uint32) {
				for r := range regs {
					var v [32]uint32
					for l := range v {
						for h := range halves {
							i, j := at(r, h, l)
							v[l] |= f(m[i][j]) << (16 * h)
						}
					}
					list = append(list, v)
				}
				return list
			}
			outHalves := 1
			if c.sums == 2 {
				outHalves = 2
			}
			in := fill(a, c.a, c.aRegs, c.halves, c.in)
			in = append(in, fill(b, c.b, c.bRegs, c.halves, c.in)...)
			in = append(in, fill(sum, c.c, c.sums, outHalves, c.out)...)
			names := func(prefix string, from, n int) string {
				s := ""
				for i := range n {
					if i > 0 {
						s += ", "
					}
					s += fmt.Sprintf("%%%s%d", prefix, from+i)
				}
				return s
			}
			code := fmt.Sprintf("mma.sync.aligned.%s.row.col.%s {%s}, {%s}, {%s}, {%s};", c.shape, c.types,
				names("d", 0, c.sums), names("a", 0, c.aRegs), names("a", c.aRegs, c.bRegs), names("a", c.aRegs+c.bRegs, c.sums))
			got := lanes(t, code, c.sums, in...)
			for r := range got {
				for l, v := range got[r] {
					for h := range outHalves {
						i, j := c.c(r, h, l)
						want := sum[i][j]
						for k := range c.k {
							want += a[i][k] * b[k][j]
						}
						bits := c.out(want)
						if outHalves == 2 && v>>(16*h)&0xffff != bits || outHalves == 1 && v != bits {
							t.Fatalf("row %d column %d: %#x, want %g = %#x", i, j, v, want, bits)
						}
					}
				}
			}
		})
	}
}

// Element [row][column] of the matrix at byte 128·m of shared memory is 1000·m + 10·row + column.
func TestLdmatrix(t *testing.T) {
	fill := `
	mov.u32 %t1, s;
	shl.b32 %t2, %t0, 4;
	add.u32 %t1, %t1, %t2;                 // the lane's row: of matrix lane/8, row lane%8
	shr.u32 %t3, %t0, 3;
	and.b32 %t4, %t0, 7;
	mul.lo.u32 %t3, %t3, 1000;
	mad.lo.u32 %t3, %t4, 10, %t3;          // its first element
	mad.lo.u32 %t3, %t3, 65537, 65536;     // elements 0 and 1
	st.shared.u32 [%t1], %t3;
	add.u32 %t3, %t3, 0x20002;
	st.shared.u32 [%t1+4], %t3;
	add.u32 %t3, %t3, 0x20002;
	st.shared.u32 [%t1+8], %t3;
	add.u32 %t3, %t3, 0x20002;
	st.shared.u32 [%t1+12], %t3;
	bar.sync 0;
`
	for _, c := range []struct {
		code       string
		matrices   int
		transposed bool
	}{
		{"ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%d0}, [%t1];", 1, false},
		{"ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%d0, %d1}, [%t1];", 2, false},
		{"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%d0, %d1, %d2, %d3}, [%t1];", 4, false},
		{"ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%d0}, [%t1];", 1, true},
		{"ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%d0, %d1}, [%t1];", 2, true},
		{"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%d0, %d1, %d2, %d3}, [%t1];", 4, true},
	} {
		for m, v := range lanes(t, fill+c.code, c.matrices) {
			for l, got := range v {
				for h := range 2 {
					row, column := l/4, l%4*2+h
					if c.transposed {
						row, column = column, row
					}
					if want := uint32(1000*m + 10*row + column); got>>(16*h)&0xffff != want {
						t.Fatalf("%s: matrix %d lane %d half %d is %d, want %d", c.code, m, l, h, got>>(16*h)&0xffff, want)
					}
				}
			}
		}
	}
}
