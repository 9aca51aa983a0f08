package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// raw puts a file together by hand.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func open(b []byte) (*File, error) { return NewFile(bytes.NewReader(b), int64(len(b)), "file") }

func TestMalformed(t *testing.T) {
	good := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[],"data_offsets":[8,10]}}`
	if _, err := open(raw(good, 10)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		file   []byte
		tensor string
		want   string
	}{
		{"empty", nil, "", "has 0 bytes"},
		{"no header", []byte{1, 2, 3}, "", "want at least the 8"},
		{"header longer than file", raw(good, 10)[:50], "", "announces a header of 107 bytes, but has only 42"},
		{"no safetensors at all", []byte("PK\x03\x04 a zip file"), "", "is it a safetensors file?"},
		{"header over 16 MiB", binary.LittleEndian.AppendUint64(nil, 100_000_001), "", "want at most 16777216"},
		{"length that overflows", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "", "want at most"},
		{"no header bytes", raw("", 0), "", "does not begin with {"},
		{"space before header", raw(" {}", 0), "", "does not begin with {"},
		{"not JSON", raw(`{"a":`, 0), "a", "cannot be read"},
		{"unclosed", raw(`{`, 0), "", "not JSON"},
		{"bad key", raw(`{a:1}`, 0), "", "not JSON"},
		{"something behind", raw(`{} {}`, 0), "", "want spaces only"},
		{"bad metadata", raw(`{"__metadata__":{"a":1}}`, 0), "", "__metadata__"},
		{"no dtype", raw(`{"a":{"shape":[],"data_offsets":[0,4]}}`, 4), "a", "lacks dtype"},
		{"no shape", raw(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "a", "lacks dtype, shape"},
		{"one offset", raw(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0]}}`, 4), "a", "two data_offsets"},
		{"fraction", raw(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4), "a", "cannot be read"},
		{"unknown dtype", raw(`{"a":{"dtype":"F31","shape":[],"data_offsets":[0,4]}}`, 4), "a", `unknown dtype "F31"`},
		{"negative shape", raw(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), "a", "impossible shape"},
		{"shape that overflows", raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "a", "impossible shape"},
		{"negative offset", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, 4), "a", "want 4 bytes"},
		{"wrong size", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), "a", "want 8 bytes for F32[2]"},
		{"twice", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "a", "twice"},
		{"overlap", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), "b", "inside the tensor before it"},
		{"hole", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3), "b", "leaves a hole after 1"},
		{"hole at the start", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "a", "leaves a hole after 0"},
		{"cut short", raw(good, 9), "b", "has only 9: it was cut short"},
		{"bytes left over", raw(good, 11), "", "has 11 bytes of data, but its tensors end at 10"},
	} {
		_, err := open(c.file)
		var fault *FormatError
		if !errors.As(err, &fault) {
			t.Errorf("%s: error %v, want a FormatError", c.name, err)
			continue
		}
		if fault.File != "file" || fault.Tensor != c.tensor || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %q about tensor %q, want %q about %q", c.name, err, fault.Tensor, c.want, c.tensor)
		}
	}
}

func TestRead(t *testing.T) {
	header := `{"h":{"dtype":"F16","shape":[7],"data_offsets":[24,38]},"d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},` +
		`"i":{"dtype":"I64","shape":[1,1],"data_offsets":[8,16]},"f":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},` +
		`"b":{"dtype":"BF16","shape":[],"data_offsets":[38,40]},"none":{"dtype":"F32","shape":[0,3],"data_offsets":[16,16]}}`
	b := raw(header, 0)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(0.1))
	b = binary.LittleEndian.AppendUint64(b, ^uint64(41))
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(1.5))
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(-2))
	for _, h := range []uint16{0x3c00, 0xc000, 0x7bff, 0x0001, 0x8400, 0x7c00, 0x8000} {
		b = binary.LittleEndian.AppendUint16(b, h)
	}
	b = binary.LittleEndian.AppendUint16(b, 0xbf80)
	f, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		want []float32
	}{
		{"d", []float32{0.1}}, {"f", []float32{1.5, -2}}, {"b", []float32{-1}}, {"none", []float32{}},
		{"h", []float32{1, -2, 65504, 0x1p-24, -0x1p-14, float32(math.Inf(1)), float32(math.Copysign(0, -1))}},
	} {
		got := make([]float32, len(c.want))
		if err := f.ReadFloat32(c.name, got); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	i, d := make([]int64, 1), make([]float64, 1)
	if err := f.ReadInt64("i", i); err != nil || i[0] != -42 {
		t.Errorf("i is %d, %v", i[0], err)
	}
	if err := f.ReadFloat64("d", d); err != nil || d[0] != 0.1 {
		t.Errorf("d is %v, %v", d[0], err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{f.ReadFloat32("x", nil), `tensor "x": is not in the file`},
		{f.ReadFloat32("i", make([]float32, 1)), "has dtype I64"},
		{f.ReadFloat32("f", make([]float32, 3)), "has shape [2], want 3 elements"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want %q", c.err, c.want)
		}
	}
}

func TestWrite(t *testing.T) {
	// The file that safetensors' own documentation and tests show, sorted widest
	// type first, then by name.
	tensors := []Tensor{{Name: "b", Dtype: "U8", Shape: []int{3}}, {Name: "z", Dtype: F32, Shape: []int{1}}, {Name: "é\"\n", Dtype: F32, Shape: []int{}}}
	var out bytes.Buffer
	fill := func(t Tensor, w io.Writer) error {
		_, err := w.Write(bytes.Repeat([]byte{t.Name[0]}, int(t.Size())))
		return err
	}
	if err := Write(&out, tensors, map[string]string{"format": "pt"}, fill); err != nil {
		t.Fatal(err)
	}
	header := `{"__metadata__":{"format":"pt"},"z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},` +
		`"é\"\n":{"dtype":"F32","shape":[],"data_offsets":[4,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := append(raw(header, 0), "zzzz\xc3\xc3\xc3\xc3bbb"...)
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("wrote\n%q, want\n%q", out.Bytes(), want)
	}
	n, size, err := Sizes(tensors, map[string]string{"format": "pt"})
	if err != nil || n != int64(len(header)) || size != int64(len(want)) {
		t.Errorf("sizes are %d and %d, %v; want %d and %d", n, size, err, len(header), len(want))
	}
	short := func(Tensor, io.Writer) error { return nil }
	for _, c := range []struct {
		name    string
		tensors []Tensor
		want    string
	}{
		{"dtype", []Tensor{{Name: "a", Dtype: "X"}}, "unknown dtype"},
		{"shape", []Tensor{{Name: "a", Dtype: F32, Shape: []int{-1}}}, "impossible shape"},
		{"name", []Tensor{{Name: "a", Dtype: F32}, {Name: "a", Dtype: F32}}, "taken"},
		{"bytes", []Tensor{{Name: "a", Dtype: F32}}, "0 bytes were written, want 4"},
	} {
		if err := Write(io.Discard, c.tensors, nil, short); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// rewrite reads a file and writes it again.
func rewrite(f *File) ([]byte, error) {
	var out bytes.Buffer
	err := Write(&out, f.Tensors, f.Metadata, func(t Tensor, w io.Writer) error {
		t, _ = f.Lookup(t.Name)
		_, err := io.Copy(w, f.Bytes(t))
		return err
	})
	return out.Bytes(), err
}

// TestReferenceFiles rewrites what Python's safetensors wrote, byte for byte.
func TestReferenceFiles(t *testing.T) {
	files, _ := filepath.Glob("../unet/testdata/diffusers/*/*.safetensors")
	if len(files) == 0 {
		t.Fatal("no files under ../unet/testdata/diffusers")
	}
	for _, path := range files {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := rewrite(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: rewritten it differs", path)
		}
	}
}

// FuzzFile: no input makes the reader panic, and what it takes survives being
// written and read again.
func FuzzFile(f *testing.F) {
	f.Add(raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}  `, 9))
	f.Add(raw(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}`, 0))
	f.Add(raw(`{"a":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]},"b":{"dtype":"F6_E3M2","shape":[4],"data_offsets":[3,6]}}`, 6))
	f.Add(raw(`{"a":{"dtype":"C64","shape":[1],"data_offsets":[8,16]},"b":{"dtype":"F8_E8M0","shape":[8],"data_offsets":[0,8]}}`, 16))
	f.Add(raw(`{}`, 0))
	f.Add(raw(`{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,9]}}`, 8))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := open(b)
		if err != nil {
			return
		}
		again, err := rewrite(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := open(again)
		if err != nil {
			t.Fatalf("%v in what was written", err)
		}
		if len(second.Tensors) != len(first.Tensors) || len(second.Metadata) != len(first.Metadata) {
			t.Fatal("tensors or metadata were lost")
		}
		for _, want := range first.Tensors {
			got, ok := second.Lookup(want.Name)
			a, _ := io.ReadAll(first.Bytes(want))
			b, _ := io.ReadAll(second.Bytes(got))
			if !ok || got.Dtype != want.Dtype || !bytes.Equal(a, b) {
				t.Fatalf("tensor %q changed", want.Name)
			}
		}
	})
}

// TestWriteNumbers: a type is read again as rounded to it.
func TestWriteNumbers(t *testing.T) {
	values := []float32{0, 1, -1.0009765625, 3.1415927, 1e-5}
	for as, want := range map[Dtype][]float32{
		F32: values, F16: {0, 1, -1.0009765625, 3.140625, 1.001358e-05}, BF16: {0, 1, -1, 3.140625, 1.0013580322265625e-05},
	} {
		var b bytes.Buffer
		if err := Write(&b, []Tensor{{Name: "a", Dtype: as, Shape: []int{5}}}, nil, func(_ Tensor, w io.Writer) error { return WriteNumbers(w, as, values) }); err != nil {
			t.Fatal(err)
		}
		f, err := open(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 5)
		if err := f.ReadFloat32("a", got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v (%v)", as, got, want, err)
		}
	}
	if err := WriteNumbers(io.Discard, I64, values); err == nil {
		t.Error("numbers are written as whole ones")
	}
}

// TestCutShort: a file that is cut short while it is open is an error of its tensor, and no signal.
func TestCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	header := `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[300000],"data_offsets":[4,1200004]}}`
	if err := os.WriteFile(path, raw(header, 1200004), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 600000); err != nil {
		t.Fatal(err)
	}
	if err := f.ReadFloat32("a", make([]float32, 1)); err != nil {
		t.Errorf("what is there: %v", err)
	}
	for what, err := range map[string]error{
		"read":      f.ReadFloat32("b", make([]float32, 300000)),
		"summarise": func() error { _, err := f.Summarise("b"); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), `tensor "b"`) || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
