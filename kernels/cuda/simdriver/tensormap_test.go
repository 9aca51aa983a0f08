package simdriver_test

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

// activations is a bf16 tensor of 32 images of 16×16×128, in boxes of 64 channels × 16 × 8 × 1.
func activations() cuda.TensorMap {
	return cuda.TensorMap{
		Type: 9, Address: 0x1000,
		Sizes: []uint64{128, 16, 16, 32}, Strides: []uint64{256, 4096, 65536},
		Box: []uint32{64, 16, 8, 1}, ElementStrides: []uint32{1, 1, 1, 1}, Swizzle: 3, Promotion: 2,
	}
}

func TestTensorMap(t *testing.T) {
	d := simdriver.New(simdriver.Options{Major: 9})
	image, r := d.EncodeTensorMap(activations())
	if r != cuda.Success {
		t.Fatal(r, d.Detail())
	}
	if got := decode(image); !reflect.DeepEqual(got, activations()) {
		t.Errorf("got %+v, want %+v", got, activations())
	}
	_, r = simdriver.New(simdriver.Options{}).EncodeTensorMap(activations())
	if r != cuda.NotSupported {
		t.Errorf("sm_80 encodes a tensor map: %v", r)
	}
}

func TestTensorMapRules(t *testing.T) {
	for says, spoil := range map[string]func(*cuda.TensorMap){
		"type":            func(m *cuda.TensorMap) { m.Type = 13 },
		"interleaving":    func(m *cuda.TensorMap) { m.Swizzle = 4 },
		"promotion":       func(m *cuda.TensorMap) { m.Promotion = 4 },
		"rank":            func(m *cuda.TensorMap) { m.Sizes = make([]uint64, 6) },
		"lists":           func(m *cuda.TensorMap) { m.Strides = m.Strides[:2] },
		"address":         func(m *cuda.TensorMap) { m.Address += 8 },
		"a size":          func(m *cuda.TensorMap) { m.Sizes[1] = 0 },
		"a box":           func(m *cuda.TensorMap) { m.Box[1] = 257 },
		"element stride":  func(m *cuda.TensorMap) { m.ElementStrides[3] = 9 },
		"a stride":        func(m *cuda.TensorMap) { m.Strides[0] = 264 },
		"16 bytes":        func(m *cuda.TensorMap) { m.Box[0] = 4 },
		"wider":           func(m *cuda.TensorMap) { m.Box[0] = 128 },
		"goes with":       func(m *cuda.TensorMap) { m.Interleave = 2 },
		"is not aligned":  func(m *cuda.TensorMap) { m.Interleave, m.Swizzle, m.Address = 2, 1, 0x1010 },
		"or less than 3":  func(m *cuda.TensorMap) { m.Sizes, m.Interleave = m.Sizes[:2], 1 },
		"multiple of 16 ": func(m *cuda.TensorMap) { m.Strides[2] = 1 << 40 },
	} {
		m := activations()
		spoil(&m)
		d := simdriver.New(simdriver.Options{Major: 9})
		if _, r := d.EncodeTensorMap(m); r != cuda.InvalidValue || !strings.Contains(d.Detail(), says) {
			t.Errorf("%v, %q, want %q", r, d.Detail(), says)
		}
	}
}

// decode is the description that was packed.
func decode(image [128]byte) cuda.TensorMap {
	little := binary.LittleEndian
	t := cuda.TensorMap{Address: cuda.Address(little.Uint64(image[0:]))}
	for i := range int(image[95]) {
		t.Sizes = append(t.Sizes, little.Uint64(image[8+8*i:])+1)
		t.Box = append(t.Box, uint32(little.Uint16(image[80+2*i:])))
		t.ElementStrides = append(t.ElementStrides, uint32(image[90+i]))
		if i > 0 {
			t.Strides = append(t.Strides, little.Uint64(image[40+8*i:]))
		}
	}
	t.Type, t.Interleave, t.Swizzle = int(image[96]), int(image[97]), int(image[98])
	t.Promotion, t.Fill = int(image[99]), int(image[100])
	return t
}
