package pickle

import (
	"math"
	"strings"
	"testing"
)

// TestGuards: what numpy and PyTorch say of their numbers must be so.
func TestGuards(t *testing.T) {
	float := &elementType{of: "F32"}
	call := func(module, name string, args ...any) func() error {
		return func() error {
			_, err := construct(Global{module, name}, Tuple(args))
			return err
		}
	}
	build := func(of any, given ...any) func() error { return func() error { return state(of, Tuple(given)) } }
	filled := func(shape Tuple, of, fortran, data any) func() error {
		return build(&Array{}, int64(1), shape, of, fortran, data)
	}
	big, err := construct(Global{"numpy", "dtype"}, Tuple{">f4", false, true})
	if err != nil {
		t.Fatal(err)
	}
	swapped := &elementType{of: "F32"}
	if err := build(swapped, int64(3), ">", nil)(); err != nil {
		t.Fatal(err)
	}
	four, ten := make([]byte, 4), &Storage{Dtype: "F32", Count: 10}
	for _, c := range []struct {
		name, want string // "": taken
		do         func() error
	}{
		{"a number", "", call("numpy", "scalar", float, four)},
		{"a number of three bytes", "in 3 bytes", call("numpy", "scalar", float, four[:3])},
		{"a number in big-endian order", "little-endian", call("numpy", "scalar", big, four)},
		{"a number of no type", "little-endian", call("numpy", "scalar", nil, four)},
		{"a type of text", "element type", call("numpy", "dtype", "U8", false, true)},
		{"a type of a number", "element type", call("numpy", "dtype", int64(4))},
		{"an array", "", filled(Tuple{int64(1), int64(1)}, float, false, four)},
		{"an array without numbers", "", filled(Tuple{int64(0), int64(3)}, float, false, four[:0])},
		{"an array in big-endian order", "little-endian", filled(Tuple{int64(1)}, big, false, four)},
		{"an array of a swapped type", "little-endian", filled(Tuple{int64(1)}, swapped, false, four)},
		{"an array that is short", "in 4 bytes", filled(Tuple{int64(2)}, float, false, four)},
		{"an array that is long", "in 4 bytes", filled(Tuple{int64(0)}, float, false, four)},
		{"an array of a negative side", "in 4 bytes", filled(Tuple{int64(-1)}, float, false, four)},
		{"an array whose size overflows", "in 4 bytes", filled(Tuple{int64(1) << 62, int64(4)}, float, false, four)},
		{"an array of nine axes", "is no shape", filled(make(Tuple, 9), float, false, four)},
		{"an array of a side that is text", "is no shape", filled(Tuple{"1"}, float, false, four)},
		{"an array of text", "an array of type", filled(Tuple{int64(1)}, float, false, "four")},
		{"an array of few words", "an array of", build(&Array{}, int64(1))},
		{"a state of a tensor", "a state", build(&Strided{}, int64(1))},
		{"bytes", "", call("_codecs", "encode", "aÿ", "latin1")},
		{"bytes of more than a byte", "a byte of 256", call("_codecs", "encode", "aĀ", "latin1")},
		{"bytes of a number", "bytes of 1", call("_codecs", "encode", int64(1), "latin1")},
		{"a tensor", "", call("torch._utils", "_rebuild_tensor", ten, int64(0), Tuple{int64(10)}, Tuple{int64(1)})},
		{"a tensor of no storage", "arguments", call("torch._utils", "_rebuild_tensor", nil, int64(0), Tuple{}, Tuple{})},
		{"a tensor of no shape", "is no shape", call("torch._utils", "_rebuild_tensor", ten, int64(0), nil, Tuple{})},
		{"a tensor of nine axes", "is no shape", call("torch._utils", "_rebuild_tensor", ten, int64(0), make(Tuple, 9), Tuple{})},
		{"a parameter of no tensor", "arguments", call("torch._utils", "_rebuild_parameter", int64(1))},
	} {
		err := c.do()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestViews: a tensor cannot reach out of its storage.
func TestViews(t *testing.T) {
	for _, c := range []struct {
		offset         int64
		shape, strides []int64
		good           bool
	}{
		{0, []int64{2, 5}, []int64{5, 1}, true},
		{0, []int64{5, 2}, []int64{1, 5}, true},
		{9, nil, nil, true},
		{10, nil, nil, false},
		{10, []int64{0}, []int64{1}, true},
		{11, []int64{0}, []int64{1}, false},
		{1, []int64{2, 5}, []int64{5, 1}, false},
		{0, []int64{2, 6}, []int64{5, 1}, false},
		{0, []int64{100}, []int64{0}, false},
		{0, []int64{2}, []int64{math.MaxInt64}, false},
		{0, []int64{math.MaxInt64, 2}, []int64{0, 1}, false},
		{0, []int64{-1}, []int64{1}, false},
		{0, []int64{2}, []int64{-1}, false},
		{-1, []int64{2}, []int64{1}, false},
		{0, []int64{2}, nil, false},
	} {
		v := Strided{&Storage{Dtype: "F32", Count: 10}, c.offset, c.shape, c.strides}
		if err := v.check(); (err == nil) != c.good {
			t.Errorf("%d, %v, %v: %v", c.offset, c.shape, c.strides, err)
		}
	}
}
