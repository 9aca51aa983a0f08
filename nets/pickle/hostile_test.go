package pickle

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// text is a string as a pickle has it.
func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// dictionary has n entries of one value.
func dictionary(n int, key, value string) string {
	var b strings.Builder
	b.WriteString("}(")
	for i := range n {
		b.WriteString(text(fmt.Sprint(key, i)) + value)
	}
	return b.String() + "u"
}

// deflated is a file of PyTorch's whose pickle is compressed.
func deflated(t testing.TB, pickled string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("archive/data.pkl")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(pickled)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hostile files name the same things again and again. A long string has so many bytes.
func hostile(t testing.TB, long int) map[string]string {
	const encode = "c_codecs\nencode\nq\x00"
	again := func(n int, part string) string { return strings.Repeat(part, n) + "." }
	name := strings.Repeat("a", long)
	deep := dictionary(1, name[:min(long, longest)-20], "h\x01")
	return map[string]string{
		"strings made of one":     "\x80\x02" + encode + text(name) + text("latin1") + "\x86q\x01" + again(min(long, 1000), "h\x00h\x01R"),
		"objects of a long name":  "\x80\x04" + text("__torch__."+name) + text("b") + "\x93q\x00" + again(min(long, 1000), "h\x00)\x81"),
		"names of a long name":    "\x80\x02" + dictionary(min(long, 256), "", "K\x00") + "q\x00" + dictionary(min(long, 256), "", "h\x00") + "q\x01" + deep + ".",
		"a name that is long":     "\x80\x02" + dictionary(1, name, "K\x00") + ".",
		"a name of two lines":     "\x80\x04" + text("__torch__.a\nb") + text("b") + "\x93.",
		"many dictionaries":       "\x80\x02" + again(2*long, "}"),
		"a pickle that is packed": deflated(t, "\x80\x02"+text(name)+"."),
	}
}

// TestHostile: a small file is refused before it takes much memory, freed or not.
func TestHostile(t *testing.T) {
	files := hostile(t, 1<<20)
	for name, want := range map[string]string{
		"strings made of one":     "are made of",
		"objects of a long name":  "a name of",
		"names of a long name":    "holds itself, or more",
		"a name that is long":     "want at most 4096",
		"a name of two lines":     "a name of",
		"many dictionaries":       "instructions",
		"a pickle that is packed": "compressed",
	} {
		file := files[name]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewFile(strings.NewReader(file), int64(len(file)), name)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 300 {
			t.Errorf("%s: %d MiB were allocated for a file of %d KiB", name, mib, len(file)>>10)
		}
	}
}

// TestGuards: what numpy and PyTorch say of their numbers must be so.
func TestGuards(t *testing.T) {
	float := &elementType{of: "F32"}
	call := func(module, name string, args ...any) func() error {
		return func() error {
			_, err := construct(global{module, name}, tuple(args))
			return err
		}
	}
	build := func(of any, given ...any) func() error { return func() error { return state(of, tuple(given)) } }
	filled := func(shape tuple, of, fortran, data any) func() error {
		return build(&array{}, int64(1), shape, of, fortran, data)
	}
	big, err := construct(global{"numpy", "dtype"}, tuple{">f4", false, true})
	if err != nil {
		t.Fatal(err)
	}
	swapped := &elementType{of: "F32"}
	if err := build(swapped, int64(3), ">", nil)(); err != nil {
		t.Fatal(err)
	}
	four, ten := make([]byte, 4), &storage{dtype: "F32", count: 10}
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
		{"an array", "", filled(tuple{int64(1), int64(1)}, float, false, four)},
		{"an array without numbers", "", filled(tuple{int64(0), int64(3)}, float, false, four[:0])},
		{"an array in big-endian order", "little-endian", filled(tuple{int64(1)}, big, false, four)},
		{"an array of a swapped type", "little-endian", filled(tuple{int64(1)}, swapped, false, four)},
		{"an array that is short", "in 4 bytes", filled(tuple{int64(2)}, float, false, four)},
		{"an array that is long", "in 4 bytes", filled(tuple{int64(0)}, float, false, four)},
		{"an array of a negative side", "in 4 bytes", filled(tuple{int64(-1)}, float, false, four)},
		{"an array whose size overflows", "in 4 bytes", filled(tuple{int64(1) << 62, int64(4)}, float, false, four)},
		{"an array of nine axes", "is no shape", filled(make(tuple, 9), float, false, four)},
		{"an array of a side that is text", "is no shape", filled(tuple{"1"}, float, false, four)},
		{"an array of text", "an array of type", filled(tuple{int64(1)}, float, false, "four")},
		{"an array of few words", "an array of", build(&array{}, int64(1))},
		{"a state of a tensor", "a state", build(&strided{}, int64(1))},
		{"bytes", "", call("_codecs", "encode", "aÿ", "latin1")},
		{"bytes of more than a byte", "a byte of 256", call("_codecs", "encode", "aĀ", "latin1")},
		{"bytes of a number", "bytes of 1", call("_codecs", "encode", int64(1), "latin1")},
		{"a tensor", "", call("torch._utils", "_rebuild_tensor", ten, int64(0), tuple{int64(10)}, tuple{int64(1)})},
		{"a tensor of no storage", "arguments", call("torch._utils", "_rebuild_tensor", nil, int64(0), tuple{}, tuple{})},
		{"a tensor of no shape", "is no shape", call("torch._utils", "_rebuild_tensor", ten, int64(0), nil, tuple{})},
		{"a tensor of nine axes", "is no shape", call("torch._utils", "_rebuild_tensor", ten, int64(0), make(tuple, 9), tuple{})},
		{"a parameter of no tensor", "arguments", call("torch._utils", "_rebuild_parameter", int64(1))},
	} {
		err := c.do()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
