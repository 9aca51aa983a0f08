package cuda

import (
	"testing"

	"fluxion/kernels/number"
)

func TestVectors(t *testing.T) {
	o := func(address Address, typ number.Type, rows, cols, pitch int) Operand {
		return Operand{Address: address, Type: typ, Rows: rows, Cols: cols, Pitch: pitch}
	}
	for _, c := range []struct {
		n    int
		o    Operand
		want bool
	}{
		{4, o(256, number.Float32, 3, 8, 12), true},
		{4, o(260, number.Float32, 3, 8, 12), false}, // address
		{4, o(256, number.Float32, 3, 6, 12), false}, // columns
		{4, o(256, number.Float32, 3, 8, 11), false}, // pitch
		{4, o(256, number.Float32, 1, 8, 11), true},  // of one row
		{8, o(256, number.BFloat16, 3, 8, 16), true},
		{8, o(256, number.BFloat16, 3, 8, 12), false},
		{4, o(264, number.BFloat16, 3, 8, 12), true}, // pieces of 8 bytes
		{8, o(272, number.Float32, 3, 8, 12), true},  // two pieces of 16
		{1, o(258, number.BFloat16, 3, 5, 7), true},
	} {
		if got := Vectors(c.n, c.o, Operand{}); got != c.want {
			t.Errorf("groups of %d in %+v: %v", c.n, c.o, got)
		}
	}
}

func TestFlat(t *testing.T) {
	dense := Operand{Address: 1, Rows: 3, Cols: 5, Pitch: 5}
	wide := Operand{Address: 1, Rows: 3, Cols: 5, Pitch: 6}
	if f := Flat(dense, dense)[1]; f.Rows != 1 || f.Cols != 15 {
		t.Errorf("%+v", f)
	}
	if f := Flat(dense, wide)[0]; f.Rows != 3 {
		t.Errorf("%+v", f)
	}
}
