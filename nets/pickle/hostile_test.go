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
