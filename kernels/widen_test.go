package kernels

import (
	"slices"
	"testing"

	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
)

// TestOperands: parts of operands of either type are copied, loaded and stored, with
// and without gaps between rows, and nothing beside them is touched.
func TestOperands(t *testing.T) {
	for _, name := range cpu.Names() {
		k, err := cpu.Select(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range []number.Type{number.Float32, number.BFloat16} {
			for _, gap := range []int{0, 3} {
				const rows, cols, row, col = 5, 7, 1, 2
				whole := numbered(of, rows+2, cols+gap+col)
				part := whole.Part(row, rows, col, cols)
				if gap == 0 {
					whole = numbered(of, rows+2, cols)
					part = whole.Part(row, rows, 0, cols)
				}
				first := int(value(part, 0, 0))
				empty := numbered(of, rows+2, whole.Pitch)
				clear(empty.Data)
				clear(empty.BF16)
				to := empty.Part(1, rows, whole.Pitch-cols, cols)
				want := func(r, c int) float32 { return float32(first + r*whole.Pitch + c) }
				check := func(what string, got func(r, c int) float32) {
					t.Helper()
					for r := range rows {
						for c := range cols {
							if got(r, c) != want(r, c) {
								t.Fatalf("%s, %v, gap %d: %s gives %g at (%d,%d), want %g", name, of, gap, what, got(r, c), r, c, want(r, c))
							}
						}
					}
				}
				beside := func() (n int) {
					for r := range rows + 2 {
						for c := range whole.Pitch {
							if inside := r >= 1 && r <= rows && c >= whole.Pitch-cols; !inside && value(empty, r, c) != 0 {
								n++
							}
						}
					}
					return n
				}
				Copy(to, part)
				check("Copy", func(r, c int) float32 { return value(to, r, c) })
				memory := make([]float32, rows*cols)
				m := Loaded(k, memory, part)
				check("Loaded", func(r, c int) float32 { return m.Row(r)[c] })
				for _, pitch := range []int{cols, cols + 2} {
					wide := cpu.Matrix{Data: make([]float32, rows*pitch), Rows: rows, Cols: cols, Pitch: pitch}
					Load(k, wide, part)
					check("Load", func(r, c int) float32 { return wide.Row(r)[c] })
					clear(empty.Data)
					clear(empty.BF16)
					Store(k, to, wide)
					check("Store", func(r, c int) float32 { return value(to, r, c) })
				}
				if n := beside(); n > 0 {
					t.Errorf("%s, %v, gap %d: %d elements beside the part were written", name, of, gap, n)
				}
				if last := whole.Part(rows, 9, 0, cols); last.Rows != 2 {
					t.Errorf("a part from row %d of %d on has %d rows", rows, rows+2, last.Rows)
				}
			}
		}
	}
}

// numbered is an operand of small whole numbers in order.
func numbered(of number.Type, rows, pitch int) Operand {
	o := Operand{Type: of, Matrix: cpu.Matrix{Rows: rows, Cols: pitch, Pitch: pitch}}
	for i := range rows * pitch {
		if of == number.BFloat16 {
			o.BF16 = append(o.BF16, number.Narrow(float32(i)))
		} else {
			o.Data = append(o.Data, float32(i))
		}
	}
	o.Data, o.BF16 = slices.Clip(o.Data), slices.Clip(o.BF16)
	return o
}

func value(o Operand, r, c int) float32 {
	if o.Type == number.BFloat16 {
		return number.Widen(o.BF16[r*o.Pitch+c])
	}
	return o.Data[r*o.Pitch+c]
}
