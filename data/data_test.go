package data

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// mustOpen opens a set without a size.
func mustOpen(t *testing.T, spec string) Dataset {
	t.Helper()
	d, err := Open(spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// readBytes reads an image of a set of bytes.
func readBytes(d Dataset, i int, dst []byte) (class int, err error) {
	e := Example{Pixels: Pixels{Bytes: dst}, Class: -1, Noise: Own}
	err = d.Read(i, &e)
	return e.Class, err
}

// encoded is a w×h picture of one colour in a format.
func encoded(t *testing.T, format string, w, h int, c color.Color) []byte {
	t.Helper()
	var b bytes.Buffer
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, c)
	}
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, img)
	case "jpg":
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 100})
	case "gif":
		p := image.NewPaletted(img.Rect, palette.Plan9)
		for i := range w * h {
			p.Set(i%w, i/w, c)
		}
		err = gif.Encode(&b, p, nil)
	case "grey":
		g := image.NewGray(img.Rect)
		for i := range w * h {
			g.Set(i%w, i/w, c)
		}
		err = png.Encode(&b, g)
	case "grey16":
		g := image.NewGray16(img.Rect)
		for i := range w * h {
			g.Set(i%w, i/w, c)
		}
		err = png.Encode(&b, g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	b, err := zipBytes(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func zipBytes(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

func idxBytes(magic uint32, dims []uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, body...)
}

// TestFolderAndZip: the same pictures in a folder and a zip, of all kinds.
func TestFolderAndZip(t *testing.T) {
	red, grey := color.RGBA{255, 0, 0, 255}, color.Gray{100}
	pictures := map[string][]byte{
		"set/cat/a.png":      encoded(t, "png", 8, 6, red),
		"set/cat/b.JPG":      encoded(t, "jpg", 20, 10, red),
		"set/dog/c.gif":      encoded(t, "gif", 4, 4, red),
		"set/dog/d.png":      encoded(t, "grey", 9, 9, grey),
		"set/dog/e.png":      encoded(t, "grey16", 5, 7, grey),
		"set/eel/f.png":      encoded(t, "png", 3, 3, color.NRGBA{255, 0, 0, 0}), // transparent: white
		"set/.hidden/x.png":  []byte("nothing"),
		"__MACOSX/set/y.png": []byte("nothing"),
		"set/notes.txt":      []byte("not a picture"),
	}
	dir := t.TempDir()
	for name, content := range pictures {
		write(t, filepath.Join(dir, "tree", name), content)
	}
	write(t, filepath.Join(dir, "pack.zip"), zipped(t, pictures))
	for _, spec := range []string{filepath.Join(dir, "tree"), filepath.Join(dir, "pack.zip")} {
		for _, channels := range []int{0, 1, 3} {
			d, err := Open(spec, Options{Size: Square(4), Channels: channels})
			if err != nil {
				t.Fatal(err)
			}
			h, w, c := d.Shape()
			if want := max(channels, 1); h != 4 || w != 4 || channels != 0 && c != want || channels == 0 && c != 3 {
				t.Errorf("%s: shape %d×%d×%d", spec, h, w, c)
			}
			if !slices.Equal(d.Classes(), []string{"cat", "dog", "eel"}) || d.Len() != 6 {
				t.Fatalf("%s: %d images of classes %v", spec, d.Len(), d.Classes())
			}
			for i, want := range []struct {
				label int
				rgb   [3]byte
			}{{0, [3]byte{255, 0, 0}}, {0, [3]byte{255, 0, 0}}, {1, [3]byte{255, 0, 0}}, {1, [3]byte{100, 100, 100}}, {1, [3]byte{100, 100, 100}}, {2, [3]byte{255, 255, 255}}} {
				for range 2 { // the second comes from memory
					dst := make([]byte, h*w*c)
					label, err := readBytes(d, i, dst)
					if err != nil || label != want.label {
						t.Fatalf("%s, image %d: class %d, %v", spec, i, label, err)
					}
					expect := want.rgb[:]
					if c == 1 {
						expect = []byte{grey8(want.rgb)}
					}
					for j, x := range dst {
						if e := expect[j%c]; int(x)-int(e) > 3 || int(e)-int(x) > 3 {
							t.Fatalf("%s, image %d of %d channels: byte %d is %d, want %d", spec, i, c, j, x, e)
						}
					}
				}
			}
			d.Close()
		}
	}
}

func grey8(c [3]byte) byte {
	g := color.GrayModel.Convert(color.RGBA{c[0], c[1], c[2], 255}).(color.Gray)
	return g.Y
}

func TestIDX(t *testing.T) {
	dir := t.TempDir()
	pixels := []byte{0, 50, 100, 150, 200, 250, 1, 2}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(idxBytes(idxLabels, []uint32{2}, []byte{3, 9}))
	z.Close()
	write(t, filepath.Join(dir, "t10k-images-idx3-ubyte"), idxBytes(idxImages, []uint32{2, 2, 2}, pixels))
	write(t, filepath.Join(dir, "t10k-labels-idx1-ubyte.gz"), packed.Bytes())
	d, err := Open("mnist:"+dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 4)
	if label, err := readBytes(d, 1, dst); err != nil || label != 9 || !bytes.Equal(dst, pixels[4:]) {
		t.Errorf("class %d, pixels %v, %v", label, dst, err)
	}
}

// TestBadInput: one line that names the file and says what would be right.
func TestBadInput(t *testing.T) {
	good := encoded(t, "png", 6, 6, color.White)
	jpg := encoded(t, "jpg", 64, 64, color.RGBA{200, 30, 40, 255})
	images, labels := "mnist/train-images-idx3-ubyte", "mnist/train-labels-idx1-ubyte"
	goodImages := idxBytes(idxImages, []uint32{2, 1, 1}, []byte{1, 2})
	for name, c := range map[string]struct {
		files map[string][]byte
		spec  string
		o     Options
		want  []string
	}{
		"missing":            {nil, "nowhere", Options{}, []string{"nowhere", "neither a file nor a folder"}},
		"missing zip":        {nil, "nowhere.zip", Options{}, []string{"nowhere.zip"}},
		"empty folder":       {map[string][]byte{"d/readme.txt": nil}, "d", Options{}, []string{"/d", "no pictures", ".png"}},
		"empty zip":          {map[string][]byte{"a.zip": zipped(t, nil)}, "a.zip", Options{}, []string{"a.zip", "no pictures"}},
		"truncated zip":      {map[string][]byte{"a.zip": zipped(t, map[string][]byte{"a.png": good})[:40]}, "a.zip", Options{}, []string{"a.zip", "zip"}},
		"truncated png":      {map[string][]byte{"d/a.png": good[:len(good)/2]}, "d", Options{}, []string{"d/a.png", "damaged"}},
		"truncated jpeg":     {map[string][]byte{"d/a.jpg": jpg[:len(jpg)/2]}, "d", Options{}, []string{"d/a.jpg", "damaged"}},
		"truncated in zip":   {map[string][]byte{"a.zip": zipped(t, map[string][]byte{"x/b.png": good[:50]})}, "a.zip", Options{}, []string{"a.zip!x/b.png"}},
		"no picture":         {map[string][]byte{"d/a.png": []byte("hello")}, "d", Options{}, []string{"d/a.png", "want PNG"}},
		"sizes":              {map[string][]byte{"d/a.png": good, "d/b.png": encoded(t, "png", 5, 6, color.White)}, "d", Options{}, []string{"d/b.png", "5×6", "--size"}},
		"channels":           {map[string][]byte{"d/a.png": good}, "d", Options{Channels: 2}, []string{"1 or 3"}},
		"file":               {map[string][]byte{"a.txt": nil}, "a.txt", Options{}, []string{"a.txt", "folder"}},
		"other form":         {map[string][]byte{"d/a.txt": nil, "d/deep/data_batch_1.bin": nil}, "d", Options{}, []string{"deep/data_batch_1.bin is read as cifar:", "d/deep"}},
		"other array":        {map[string][]byte{"d/a.npz": nil}, "d", Options{}, []string{"a.npz is read as ", "d/a.npz"}},
		"other file":         {map[string][]byte{"t10k-images-idx3-ubyte.gz": nil}, "t10k-images-idx3-ubyte.gz", Options{}, []string{"is a file; want mnist:"}},
		"idx none":           {map[string][]byte{"mnist/x": nil}, "mnist:mnist", Options{}, []string{"train-images-idx3-ubyte"}},
		"idx magic":          {map[string][]byte{images: idxBytes(7, []uint32{0, 0, 0}, nil), labels: nil}, "mnist:mnist", Options{}, []string{images, "0x00000803"}},
		"idx header":         {map[string][]byte{images: {0, 0}, labels: nil}, "mnist:mnist", Options{}, []string{images, "header"}},
		"idx truncated":      {map[string][]byte{images: goodImages[:17], labels: nil}, "mnist:mnist", Options{}, []string{images, "want 2"}},
		"idx huge":           {map[string][]byte{images: idxBytes(idxImages, []uint32{1 << 31, 1 << 31, 1 << 31}, nil), labels: nil}, "mnist:mnist", Options{}, []string{images}},
		"idx no labels":      {map[string][]byte{images: goodImages}, "mnist:mnist", Options{}, []string{"train-labels"}},
		"idx counts":         {map[string][]byte{images: goodImages, labels: idxBytes(idxLabels, []uint32{1}, []byte{1})}, "mnist:mnist", Options{}, []string{labels, "1 labels for the 2 images"}},
		"idx label":          {map[string][]byte{images: goodImages, labels: idxBytes(idxLabels, []uint32{2}, []byte{1, 10})}, "mnist:mnist", Options{}, []string{labels, "label 10", "0 to 9"}},
		"idx gzip truncated": {map[string][]byte{images + ".gz": {31, 139, 8, 0}, labels: nil}, "mnist:mnist", Options{}, []string{images + ".gz", "gzip"}},
		"glyphs":             {nil, "glyphs:runes", Options{}, []string{"glyphs:letters"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range c.files {
				write(t, filepath.Join(dir, file), content)
			}
			spec := c.spec
			if prefix, rest, ok := strings.Cut(spec, ":"); !ok {
				spec = filepath.Join(dir, spec)
			} else if prefix == "mnist" {
				spec = prefix + ":" + filepath.Join(dir, rest)
			}
			d, err := Open(spec, c.o)
			if err == nil {
				h, w, ch := d.Shape()
				for i := 0; i < d.Len() && err == nil; i++ {
					_, err = readBytes(d, i, make([]byte, h*w*ch))
				}
			}
			if e := (*Error)(nil); !errors.As(err, &e) {
				t.Fatalf("error %v (%T), want a *data.Error", err, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than a line", err)
			}
		})
	}
}

// TestTruncated: a picture cut anywhere is an error, never a panic or half an image.
func TestTruncated(t *testing.T) {
	for _, format := range []string{"png", "gif"} {
		whole := encoded(t, format, 5, 5, color.RGBA{9, 99, 199, 255})
		for n := range len(whole) - 12 { // the rest says nothing about pixels
			if _, err := decode("x", bytes.NewReader(whole[:n])); err == nil && n < len(whole)-20 {
				t.Errorf("%s cut to %d of %d bytes was decoded", format, n, len(whole))
			}
		}
	}
}

func TestOrder(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 1000, 4097} {
		passes := map[int64][]int{}
		for pass := range int64(2) {
			seen := make([]bool, n)
			for i := range n {
				at := Order(5, pass, n, i)
				if at < 0 || at >= n || seen[at] {
					t.Fatalf("n %d, pass %d: place %d gives %d again or outside", n, pass, i, at)
				}
				seen[at] = true
				passes[pass] = append(passes[pass], at)
			}
		}
		if n > 10 && slices.Equal(passes[0], passes[1]) {
			t.Errorf("n %d: two passes have one order", n)
		}
	}
}

// TestSpreadOverClasses: every class is among a few images of many, whether classes take
// turns, as in glyphs, or come one after the other, as in folders.
func TestSpreadOverClasses(t *testing.T) {
	const n, k, classes = 100_000, 500, 10 // k divides n, and classes what lies between
	var turns, blocks [classes]int
	before := -1
	for i := range k {
		at := Spread(n, k, i)
		if at <= before || at >= n {
			t.Fatalf("image %d of %d is %d, after %d", i, k, at, before)
		}
		before = at
		turns[at%classes]++
		blocks[at*classes/n]++
	}
	for c := range classes {
		if turns[c] < k/classes/2 || turns[c] > k/classes*2 || blocks[c] != k/classes {
			t.Errorf("class %d: %d images where classes take turns, %d where not, want about %d", c, turns[c], blocks[c], k/classes)
		}
	}
	for i := range 7 {
		if at := Spread(7, 7, i); at != i {
			t.Errorf("image %d of all is %d", i, at)
		}
	}
}

func writePNG(t *testing.T, path string, pixels []byte, height, width, channels int, text map[string]string) {
	t.Helper()
	file, err := EncodePNG(pixels, height, width, channels, text)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, file)
}

func TestPictures(t *testing.T) {
	dir := t.TempDir()
	for _, channels := range []int{1, 3} {
		pixels := make([]byte, 2*3*channels)
		for i := range pixels {
			pixels[i] = byte(40 * i)
		}
		path := filepath.Join(dir, "a.png")
		text := map[string]string{"seed": "17", "class": "cat"}
		writePNG(t, path, pixels, 2, 3, channels, text)
		got, h, w, c, err := ReadPNG(path)
		if err != nil || h != 2 || w != 3 || c != channels || !bytes.Equal(got, pixels) {
			t.Errorf("read back %d×%d×%d %v, %v", h, w, c, got, err)
		}
		if back, err := ReadText(path); err != nil || len(back) != 2 || back["seed"] != "17" || back["class"] != "cat" {
			t.Errorf("texts %v, %v", back, err)
		}
	}
	if err := WriteSheet(filepath.Join(dir, "g.png"), NewPixels(Bytes, 5*4*4*3), 5, 4, 4, 3, 3); err != nil {
		t.Fatal(err)
	}
	if _, h, w, _, err := ReadPNG(filepath.Join(dir, "g.png")); err != nil || h != 14*24 || w != 20*24 {
		t.Errorf("a grid of 5 in 3 columns is %d×%d, %v", h, w, err)
	}
	err := WriteSheet(filepath.Join(dir, "nowhere", "a.png"), NewPixels(Bytes, 3), 1, 1, 1, 3, 1)
	if err == nil || !strings.Contains(err.Error(), "a.png") {
		t.Errorf("writing into no folder: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
