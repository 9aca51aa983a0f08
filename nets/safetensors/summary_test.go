package safetensors

import (
	"math"
	"strings"
	"testing"
)

// TestSmallTypes: types of less than a byte fill whole bytes, as the reference
// implementation wants it.
func TestSmallTypes(t *testing.T) {
	for header, want := range map[string]string{
		`{"a":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]}}`:        "",
		`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`:          "does not fill its last byte",
		`{"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}`:     "",
		`{"a":{"dtype":"F6_E2M3","shape":[5],"data_offsets":[0,3]}}`:     "does not fill its last byte",
		`{"a":{"dtype":"F6_E3M2","shape":[0],"data_offsets":[0,0]}}`:     "",
		`{"a":{"dtype":"C64","shape":[2],"data_offsets":[0,16]}}`:        "",
		`{"a":{"dtype":"F8_E4M3FNUZ","shape":[2],"data_offsets":[0,2]}}`: "",
		`{"a":{"dtype":"F3","shape":[8],"data_offsets":[0,3]}}`:          "unknown dtype",
	} {
		n := 3
		switch {
		case strings.Contains(header, "C64"):
			n = 16
		case strings.Contains(header, "[0,0]"):
			n = 0
		case strings.Contains(header, "[0,2]"):
			n = 2
		case strings.Contains(header, "[0,1]"):
			n = 1
		}
		if _, err := open(raw(header, n)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", header, err, want)
		}
	}
}

// TestSummary: numbers of every type that is read, as NumPy and PyTorch have them.
func TestSummary(t *testing.T) {
	for _, c := range []struct {
		dtype Dtype
		bytes []byte
		want  Summary
	}{
		{F32, []byte{0, 0, 64, 64, 0, 0, 128, 192}, Summary{Norm: 5, Mean: -0.5, Least: -4, Largest: 3}},                              // 3, −4
		{F16, []byte{0, 0x42, 0, 0x7c, 0, 0xfe}, Summary{Norm: 3, Mean: 3, Least: 3, Largest: 3, NotFinite: 2}},                       // 3, ∞, NaN
		{BF16, []byte{0x40, 0x40, 0x80, 0xc0}, Summary{Norm: 5, Mean: -0.5, Least: -4, Largest: 3}},                                   //
		{F64, []byte{0, 0, 0, 0, 0, 0, 8, 64}, Summary{Norm: 3, Mean: 3, Least: 3, Largest: 3}},                                       //
		{"F8_E5M2", []byte{0x42, 0xc4, 0x7c}, Summary{Norm: 5, Mean: -0.5, Least: -4, Largest: 3, NotFinite: 1}},                      // 3, −4, ∞
		{"F8_E4M3", []byte{0x44, 0xc8, 0x7f, 0x7e, 1}, Summary{Norm: math.Sqrt(25 + 448*448), Least: -4, Largest: 448, NotFinite: 1}}, // 3, −4, NaN, 448, 2⁻⁹
		{"I8", []byte{3, 0xfc}, Summary{Norm: 5, Mean: -0.5, Least: -4, Largest: 3}},                                                  //
		{"U8", []byte{3, 4}, Summary{Norm: 5, Mean: 3.5, Least: 3, Largest: 4}},                                                       //
		{"BOOL", []byte{0, 1}, Summary{Norm: 1, Mean: 0.5, Least: 0, Largest: 1}},                                                     //
		{"I16", []byte{0xfd, 0xff, 4, 0}, Summary{Norm: 5, Mean: 0.5, Least: -3, Largest: 4}},                                         //
		{"U16", []byte{3, 0, 4, 0}, Summary{Norm: 5, Mean: 3.5, Least: 3, Largest: 4}},                                                //
		{"I32", []byte{0xfd, 0xff, 0xff, 0xff}, Summary{Norm: 3, Mean: -3, Least: -3, Largest: -3}},                                   //
		{"U32", []byte{3, 0, 0, 0}, Summary{Norm: 3, Mean: 3, Least: 3, Largest: 3}},                                                  //
		{I64, []byte{0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Summary{Norm: 3, Mean: -3, Least: -3, Largest: -3}},             //
		{"U64", []byte{3, 0, 0, 0, 0, 0, 0, 0}, Summary{Norm: 3, Mean: 3, Least: 3, Largest: 3}},                                      //
	} {
		f := &File{Tensors: []Tensor{{Name: "a", Dtype: c.dtype, Shape: []int{len(c.bytes) / c.dtype.Width()}}}, index: map[string]int{"a": 0}, r: strings.NewReader(string(c.bytes))}
		got, err := f.Summarise("a")
		if err != nil || !got.Known {
			t.Errorf("%s: %+v, %v", c.dtype, got, err)
		}
		if c.dtype == "F8_E4M3" { // a sum of a power of 2 that is lost in the norm
			c.want.Mean = (3 - 4 + 448 + 1./512) / 4
		}
		for what, of := range map[string][2]float64{"norm": {got.Norm, c.want.Norm}, "mean": {got.Mean, c.want.Mean}, "least": {got.Least, c.want.Least}, "largest": {got.Largest, c.want.Largest}} {
			if math.Abs(of[0]-of[1]) > 1e-9*math.Abs(of[1]) {
				t.Errorf("%s: %s %v, want %v", c.dtype, what, of[0], of[1])
			}
		}
		if got.NotFinite != c.want.NotFinite {
			t.Errorf("%s: %d not finite, want %d", c.dtype, got.NotFinite, c.want.NotFinite)
		}
	}
	large := Summary{}
	for range 3 {
		large.Add(math.MaxFloat64)
	}
	if large.Norm != math.MaxFloat64 || math.Abs(large.Mean/math.MaxFloat64-1) > 1e-15 {
		t.Errorf("of the largest numbers: %+v", large)
	}
}
