package data

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"image/color"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// bombSize is what the bombs of these tests become.
const bombSize = 1 << 30

// deflated is a Deflate stream of head and then zeros, a GiB in a MB.
func deflated(t *testing.T, head []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	const block = 1 << 20
	blocks := [3]int{} // where they end: the second may be repeated, it refers to zeros only
	for i := range blocks {
		if i == 0 {
			_, err = w.Write(head)
		}
		if _, err2 := w.Write(make([]byte, block)); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		blocks[i] = b.Len()
	}
	out := bytes.Clone(b.Bytes()[:blocks[1]])
	again := bytes.Clone(b.Bytes()[blocks[1]:blocks[2]])
	for range bombSize/block - 2 {
		out = append(out, again...)
	}
	return append(out, 1, 0, 0, 0xff, 0xff) // an empty last block
}

// bomb is a zip with a member of head and then zeros.
func bomb(t *testing.T, name string, head []byte) []byte {
	t.Helper()
	packed := deflated(t, head)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, UncompressedSize64: uint64(len(head)) + bombSize, CompressedSize64: uint64(len(packed))})
	if err == nil {
		_, err = w.Write(packed)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// allocates fails the test if do allocates more than so many MiB, freed or not.
func allocates(t *testing.T, most uint64, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > most {
		t.Errorf("%d MiB were allocated, want at most %d", mib, most)
	}
}

// TestBombsInZips: a small zip whose member becomes a GiB is refused with little
// read and kept, whatever picture it begins as.
func TestBombsInZips(t *testing.T) {
	// Up to 32 MiB are read, once or twice, into a buffer that grows by copies of itself:
	// all of them together, while the bomb is 1024 MiB.
	const buffers = 400
	header := appendChunk([]byte(signature), "IHDR", []byte{0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0})
	gif := append([]byte("GIF89a"), 8, 0, 8, 0, 0, 0, 0, 0x21, 0xfe)
	bmp := make([]byte, 54)
	copy(bmp, "BM")
	bmp[10], bmp[14], bmp[18], bmp[22], bmp[26], bmp[28] = 255, 40, 8, 8, 1, 24
	for name, c := range map[string]struct {
		head []byte
		want string
		most uint64
	}{
		"nothing": {nil, "is not a picture", 2},
		"PNG":     {append(header, 0x7f, 0xff, 0xff, 0xff, 'x', 'x', 'x', 'x'), "is a damaged picture (png)", buffers},
		"GIF":     {gif, "is a damaged picture (gif)", buffers},
		"BMP":     {bmp, "", buffers}, // a black picture with a long tail
		"WebP":    {[]byte("RIFF\xff\xff\xff\x7fWEBPjunk\xff\xff\xff\x7f"), "is a damaged picture (webp)", buffers},
		"TIFF":    {[]byte("II*\x00\xff\xff\xff\x7f"), "is a damaged picture (tiff)", 1200},
		"JPEG":    {[]byte("\xff\xd8\xff\xe1\x00\x02"), "is a damaged picture (jpeg)", buffers},
	} {
		if testing.Short() && c.most > 100 && name != "PNG" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.zip")
			write(t, path, bomb(t, "a.png", c.head))
			var err error
			allocates(t, c.most, func() { _, err = Open(path, Options{}) })
			if c.want == "" && err == nil {
				return
			}
			if bad := (*Error)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestBombsInGzip: no more is unpacked than the header announces, and no more is
// announced than the limit.
func TestBombsInGzip(t *testing.T) {
	for want, dims := range map[string][]uint32{
		"want at most 1 GiB in a gzip file; unpack it": {3 << 20, 28, 28},
		"want at most 1 GiB":                           {1 << 31, 1 << 31, 1 << 31},
		"holds more than 64 bytes":                     {1, 8, 8},
	} {
		dir := t.TempDir()
		var b bytes.Buffer
		b.Write([]byte{31, 139, 8, 0, 0, 0, 0, 0, 0, 255})
		b.Write(deflated(t, idxBytes(idxImages, dims, nil)))
		write(t, filepath.Join(dir, "train-images-idx3-ubyte.gz"), b.Bytes())
		write(t, filepath.Join(dir, "train-labels-idx1-ubyte"), nil)
		var err error
		allocates(t, 2, func() { _, err = Open("mnist:"+dir, Options{}) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	dir := t.TempDir() // announces a lot, and ends
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(idxBytes(idxImages, []uint32{1 << 20, 28, 28}, make([]byte, 100))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "train-images-idx3-ubyte.gz"), b.Bytes())
	write(t, filepath.Join(dir, "train-labels-idx1-ubyte"), nil)
	allocates(t, 2, func() {
		if _, err := Open("mnist:"+dir, Options{}); err == nil || !strings.Contains(err.Error(), "holds 100 bytes") {
			t.Errorf("error %v", err)
		}
	})
}

// TestBombOfExtraPixels: a PNG whose pixels go on for a GiB is read as far as they are needed.
func TestBombOfExtraPixels(t *testing.T) {
	header := appendChunk([]byte(signature), "IHDR", []byte{0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0})
	bomb := appendChunk(header, "IDAT", []byte{0x78, 0xda}, deflated(t, nil))
	bomb = appendChunk(bomb, "IEND")
	allocates(t, 20, func() {
		if p, err := decode("a.png", bytes.NewReader(bomb)); err != nil || p.Bounds().Dx() != 8 {
			t.Errorf("error %v", err)
		}
	})
}

// TestHeaders: absurd sizes are refused before memory is taken for them.
func TestHeaders(t *testing.T) {
	be, le := binary.BigEndian, binary.LittleEndian
	png := appendChunk([]byte(signature), "IHDR", be.AppendUint32(be.AppendUint32(nil, 1<<30), 1<<30), []byte{8, 2, 0, 0, 0})
	jpg := encoded(t, "jpg", 8, 8, color.White)
	frame := bytes.Index(jpg, []byte{0xff, 0xc0})
	copy(jpg[frame+5:], []byte{0xff, 0xff, 0xff, 0xff})
	bmp := func(height uint32) []byte {
		b := make([]byte, 54)
		copy(b, "BM")
		b[10], b[14], b[26], b[28] = 54, 40, 1, 24
		le.PutUint32(b[18:], 1<<30)
		le.PutUint32(b[22:], height)
		return b
	}
	tall := bmp(1 << 30)
	tall[28] = 16 // for our own reader
	for name, file := range map[string][]byte{
		"PNG": png, "JPEG": jpg, "GIF": []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), "BMP": bmp(1 << 30), "BMP of 16 bits": tall, "BMP of negative height": bmp(1 << 31),
		"WebP": []byte("RIFF\x20\x00\x00\x00WEBPVP8L\x05\x00\x00\x00\x2f\xff\xff\xff\x0f\x00"),
		"animation": slices.Concat([]byte("RIFF\x40\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\xff\xff\xff\xff\xff\xffANMF\x20\x00\x00\x00"),
			make([]byte, 16), []byte("VP8L\x05\x00\x00\x00\x2f\x00\x00\x00\x00\x00")),
		"TIFF": slices.Concat([]byte("II*\x00\x08\x00\x00\x00\x02\x00\x00\x01\x04\x00\x01\x00\x00\x00\x00\x00\x00\x40\x01\x01\x04\x00\x01\x00\x00\x00\x00\x00\x00\x40"), make([]byte, 8)),
	} {
		allocates(t, 4, func() {
			_, err := decode(name, bytes.NewReader(file))
			if bad := (*Error)(nil); !errors.As(err, &bad) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	if _, err := Open("glyphs", Options{Size: Square(1 << 30)}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(MaxSide)) {
		t.Errorf("a size of 2³⁰: %v", err)
	}
}
