package data_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
)

// drawn puts pictures of some size and channels into a folder; seed makes their pixels.
func drawn(t *testing.T, dir string, width, height, channels, seed int, names ...string) {
	t.Helper()
	for _, name := range names {
		pixels := make([]byte, width*height*channels)
		for k := range pixels {
			pixels[k] = byte(k*7 + seed + 31*int(name[len(name)-5]))
		}
		file, err := data.EncodePNG(pixels, height, width, channels, nil)
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, name), file)
	}
}

func opened(t *testing.T, spec string, o data.Options) data.Dataset {
	t.Helper()
	d, err := data.Open(spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// readWith returns the bytes of an image and of its input.
func readWith(t *testing.T, d data.Dataset, i int) (image, input []byte, class int) {
	t.Helper()
	e := data.NewExample(d)
	if channels, kind := data.InputOf(d); channels > 0 {
		h, w, _ := d.Shape()
		e.Input = data.NewPixels(kind, h*w*channels)
	}
	if err := d.Read(i, e); err != nil {
		t.Fatal(err)
	}
	return e.Bytes, e.Input.Bytes, e.Class
}

// TestPairedByName: each image comes with the input of its name, whatever the ending and
// the order, in folders or not; classes are those of the images.
func TestPairedByName(t *testing.T) {
	dir := t.TempDir()
	a, flat, b := filepath.Join(dir, "edges"), filepath.Join(dir, "flat"), filepath.Join(dir, "photos")
	drawn(t, a, 6, 6, 1, 100, "cat/a.png", "dog/c.png", "dog/b.png", "dog/B.png")
	drawn(t, flat, 6, 6, 1, 100, "a.png", "c.png", "b.png", "B.png")
	drawn(t, b, 6, 6, 3, 1, "cat/a.PNG", "dog/B.PNG", "dog/b.png", "dog/c.png")
	for _, inputs := range []string{a, flat} {
		d := opened(t, "paired:"+inputs+","+b, data.Options{})
		if channels, kind := data.InputOf(d); channels != 1 || kind != data.Bytes || d.Len() != 4 || !slices.Equal(d.Classes(), []string{"cat", "dog"}) || d.Name() != filepath.Base(inputs)+"-to-photos" {
			t.Errorf("%d images of %q, inputs of %d channels, %v, name %s", d.Len(), d.Classes(), channels, kind, d.Name())
		}
		alone, other := opened(t, b, data.Options{}), opened(t, inputs, data.Options{})
		names := map[string]int{}
		for i := range other.Len() {
			names[strings.TrimSuffix(filepath.Base(data.NameOf(other, i)), ".png")] = i
		}
		for i := range d.Len() {
			image, input, class := readWith(t, d, i)
			want, _, wantClass := readWith(t, alone, i)
			wantInput, _, _ := readWith(t, other, names[strings.Split(filepath.Base(data.NameOf(d, i)), ".")[0]])
			if !bytes.Equal(image, want) || !bytes.Equal(input, wantInput) || class != wantClass {
				t.Errorf("%s: image %d, %s, is another, or comes with another input", inputs, i, data.NameOf(d, i))
			}
			if direct, _, _ := readWith(t, data.Inputs(d), i); !bytes.Equal(direct, input) {
				t.Errorf("%s: input %d is another alone", inputs, i)
			}
		}
	}
}

// TestPairedStreams: an image and its input are mirrored together, and those of a stream
// are the same of a loader and of a set that lies on a device, from anywhere on.
func TestPairedStreams(t *testing.T) {
	dir := t.TempDir()
	names := []string{"a.png", "b.png", "c.png", "d.png", "e.png"}
	drawn(t, filepath.Join(dir, "a"), 6, 6, 1, 100, names...)
	drawn(t, filepath.Join(dir, "b"), 6, 6, 3, 1, names...)
	d := opened(t, "paired:"+filepath.Join(dir, "a")+","+filepath.Join(dir, "b"), data.Options{})
	const batch, image, input = 4, 6 * 6 * 3, 6 * 6
	next := func(s data.Stream) data.Batch {
		b, err := s.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		all := data.Batch{Pixels: data.NewPixels(data.Bytes, b.Pixels.Len()), Inputs: data.NewPixels(data.Bytes, b.Inputs.Len()), Sources: slices.Clone(b.Sources), Flips: slices.Clone(b.Flips)}
		all.Pixels.Copy(b.Pixels)
		all.Inputs.Copy(b.Inputs)
		s.Release(b)
		return all
	}
	open := func(from int64, flip bool) *data.Loader {
		l, err := data.NewLoader(d, data.LoaderOptions{Batch: batch, Seed: 3, Flip: flip, Start: from})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		return l
	}
	mirrored := func(row []byte, channels int) []byte {
		var all []byte
		for y := range 6 {
			for x := range 6 {
				at := (y*6 + 5 - x) * channels
				all = append(all, row[at:at+channels]...)
			}
		}
		return all
	}
	plain, flipped, later := open(0, false), open(0, true), open(2*batch, true)
	images, inputs := make([]byte, d.Len()*image), make([]byte, d.Len()*input)
	there, err := data.NewResident(context.Background(), d, data.LoaderOptions{Batch: batch, Seed: 3, Flip: true}, func(first int, pixels, given data.Pixels) error {
		copy(images[first*image:], pixels.Bytes)
		copy(inputs[first*input:], given.Bytes)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	flips := 0
	for n := range 5 {
		p, f, r := next(plain), next(flipped), next(there)
		for i := range batch {
			wantImage, wantInput := p.Pixels.Bytes[i*image:][:image], p.Inputs.Bytes[i*input:][:input]
			source := int(r.Sources[i])
			if !bytes.Equal(wantImage, images[source*image:][:image]) || !bytes.Equal(wantInput, inputs[source*input:][:input]) {
				t.Errorf("batch %d: image %d is another on a device", n, i)
			}
			if r.Flips[i] {
				flips++
				wantImage, wantInput = mirrored(wantImage, 3), mirrored(wantInput, 1)
			}
			if !bytes.Equal(f.Pixels.Bytes[i*image:][:image], wantImage) || !bytes.Equal(f.Inputs.Bytes[i*input:][:input], wantInput) {
				t.Errorf("batch %d: image %d is not mirrored as its input", n, i)
			}
		}
		if n == 2 {
			if l := next(later); !bytes.Equal(l.Pixels.Bytes, f.Pixels.Bytes) || !bytes.Equal(l.Inputs.Bytes, f.Inputs.Bytes) {
				t.Error("the stream is another from its middle on")
			}
		}
	}
	if flips == 0 || flips == 5*batch {
		t.Errorf("%d of %d mirrored", flips, 5*batch)
	}
}

// TestPairedSizes: small inputs are brought to the size of the images, as --size does it.
func TestPairedSizes(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "small"), filepath.Join(dir, "large")
	drawn(t, a, 4, 4, 3, 9, "a.png", "b.png")
	drawn(t, b, 16, 16, 3, 1, "a.png", "b.png")
	for _, size := range []int{0, 16, 8} {
		d := opened(t, "paired:"+a+","+b, data.Options{Size: data.Square(size)})
		h, w, c := d.Shape()
		if want := max(size, 0); want > 0 && (h != want || w != want) || want == 0 && (h != 16 || w != 16) || c != 3 {
			t.Errorf("size %d: %d×%d×%d", size, h, w, c)
		}
		_, input, _ := readWith(t, d, 1)
		want, _, _ := readWith(t, opened(t, a, data.Options{Size: data.Square(h)}), 1)
		if !bytes.Equal(input, want) {
			t.Errorf("size %d: inputs are resized otherwise", size)
		}
		if notes := strings.Join(data.Notes(d), "\n"); !strings.Contains(notes, fmt.Sprintf("resized to %d×%d", h, h)) || !strings.Contains(notes, "4×4") {
			t.Errorf("size %d: notes %q", size, notes)
		}
	}
}

func TestPairedRefused(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	drawn(t, in("b"), 6, 6, 1, 1, "a.png", "b.png", "c.png", "d.png", "e.png")
	drawn(t, in("more"), 6, 6, 1, 1, "a.png", "b.png", "c.png", "d.png", "e.png", "f.png", "g.png")
	drawn(t, in("few"), 6, 6, 1, 1, "a.png")
	drawn(t, in("others"), 6, 6, 1, 1, "v.png", "w.png")
	drawn(t, in("twice"), 6, 6, 1, 1, "a.png", "a.dib", "b.png", "c.png", "d.png", "e.png")
	drawn(t, in("wide"), 12, 6, 1, 1, "a.png", "b.png", "c.png", "d.png", "e.png")
	drawn(t, in("one"), 12, 6, 1, 1, "c.png")
	drawn(t, in("one"), 6, 6, 1, 1, "a.png", "b.png", "d.png", "e.png")
	for name, shape := range map[string][]int{"three": {3, 6, 6, 1}, "five": {5, 6, 6, 1}, "large": {5, 7, 7, 1}} {
		var b bytes.Buffer
		if err := data.WriteNPZ(&b, data.Array{Name: "images", Shape: shape, Floats: make([]float32, shape[0]*shape[1]*shape[2])}); err != nil {
			t.Fatal(err)
		}
		put(t, in(name+".npz"), b.Bytes())
	}
	for _, c := range []struct {
		a, b string
		o    data.Options
		want []string
	}{
		{in("more"), in("b"), data.Options{}, []string{"2 images with no counterpart", "f.png, g.png", "equal names"}},
		{in("few"), in("b"), data.Options{}, []string{"nothing for 4 images", "b.png, c.png, d.png, …"}},
		{in("others"), in("b"), data.Options{}, []string{"no name in common", "v.png", "a.png"}},
		{in("twice"), in("b"), data.Options{}, []string{"two images of one name", "a.dib", "a.png"}},
		{in("wide"), in("b"), data.Options{Size: data.Square(6)}, []string{"12×6", "6×6", "proportions", "a.png"}},
		{in("one"), in("b"), data.Options{Size: data.Square(6)}, []string{"12×6", "proportions", "c.png"}},
		{in("three.npz"), in("five.npz"), data.Options{}, []string{"3 images", "5", "one for each"}},
		{in("three.npz"), in("b"), data.Options{}, []string{"3 images", "5", "one for each"}},
		{in("large.npz"), in("five.npz"), data.Options{}, []string{"7×7", "6×6", "equal sizes"}},
		{in("nowhere"), in("b"), data.Options{}, []string{"nowhere", "no such data"}},
		{in("b"), in("nowhere"), data.Options{}, []string{"nowhere", "no such data"}},
		{in("b"), "", data.Options{}, []string{"want two sets"}},
		{in("b"), in("b") + "," + in("b"), data.Options{}, []string{"want two sets", "commas"}},
		{in("b"), "pairs:" + in("b"), data.Options{}, []string{"itself of pairs"}},
		{"paired:" + in("b"), in("b"), data.Options{}, []string{"itself of pairs"}},
	} {
		_, err := data.Open("paired:"+c.a+","+c.b, c.o)
		if e := (*data.Error)(nil); !errors.As(err, &e) {
			t.Errorf("%s, %s: %v", c.a, c.b, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s, %s: %v does not say %q", c.a, c.b, err, w)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: more than a line", err)
		}
	}
}

// TestPairedFingerprint: other inputs, or the same for others, are another set.
func TestPairedFingerprint(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	drawn(t, in("b"), 6, 6, 1, 1, "a.png", "b.png")
	drawn(t, in("x"), 6, 6, 1, 5, "a.png", "b.png")
	drawn(t, in("y"), 4, 4, 3, 5, "a.png", "b.png")
	fingerprint := func(spec string) data.Fingerprint { return opened(t, spec, data.Options{}).Fingerprint() }
	want := fingerprint("paired:" + in("x") + "," + in("b"))
	if again := fingerprint("paired:" + in("x") + "," + in("b")); again.Digest != want.Digest || want.Images != 2 {
		t.Errorf("%+v, opened again %+v", want, again)
	}
	for _, other := range []string{"paired:" + in("y") + "," + in("b"), "paired:" + in("b") + "," + in("y"), in("b")} {
		if fingerprint(other).Digest == want.Digest {
			t.Errorf("%s has the same digest", other)
		}
	}
}
