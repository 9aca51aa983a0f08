package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bucketBatch is a batch of a stream in buckets.
type bucketBatch struct {
	size           Size
	pixels, inputs []byte
	classes        []int32
	at             int64
}

// bucketStream is the first batches of a stream.
func bucketStream(t *testing.T, d Dataset, l LoaderOptions, n int) (all []bucketBatch) {
	t.Helper()
	loader, err := NewLoader(d, l)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	for range n {
		b, err := loader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bucketBatch{b.Size, slices.Clone(b.Pixels.Bytes), slices.Clone(b.Inputs.Bytes), slices.Clone(b.Classes), b.Indices[0]})
		loader.Release(b)
	}
	return all
}

// sameStreams holds two streams against each other, to the bit.
func sameStreams(t *testing.T, what string, got, want []bucketBatch) {
	t.Helper()
	for i, w := range want {
		if g := got[i]; g.size != w.size || g.at != w.at || !slices.Equal(g.pixels, w.pixels) || !slices.Equal(g.inputs, w.inputs) || !slices.Equal(g.classes, w.classes) {
			t.Fatalf("%s: batch %d of %v is another one, of %v", what, i, w.size, g.size)
		}
	}
}

// TestBucketsAreKept: pictures are decoded once, each in its own shape, where all of them have room;
// the stream is the one of a set that is not kept.
func TestBucketsAreKept(t *testing.T) {
	dir := shaped(t)
	o := Options{Size: Square(16), Fit: AspectBuckets + ":4", Channels: 3}
	l := LoaderOptions{Batch: 2, Seed: 3, Flip: true}
	bytes := int64(3 * (9*16*16 + 6*12*20 + 4*20*12))
	o.CacheBytes = bytes - 1
	d := mustOpenWith(t, dir, o)
	if kept := CacheBytes(d); kept != 0 {
		t.Errorf("%d bytes are kept of %d that have no room", kept, bytes)
	}
	want := bucketStream(t, d, l, 60)
	o.CacheBytes = bytes
	d = mustOpenWith(t, dir, o)
	if kept := CacheBytes(d); kept != bytes {
		t.Errorf("%d bytes are kept, want %d", kept, bytes)
	}
	square := Example{Pixels: NewPixels(Bytes, 3*16*16)}
	if err := d.Read(10, &square); err != nil { // who does not know of shapes
		t.Fatal(err)
	}
	sameStreams(t, "kept", bucketStream(t, d, l, 60), want)
	for i := range d.Len() { // which all have come
		e := NewExample(d)
		if _, err := e.ReadShaped(d, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	sameStreams(t, "kept without files", bucketStream(t, d, l, 60), want)
}

// TestBucketsPaired: inputs come in the shape of their images, cut out alike, and are mirrored with
// them, whatever size they have; unpaired ones, too.
func TestBucketsPaired(t *testing.T) {
	images := shaped(t)
	inputs := t.TempDir()
	for i, s := range []struct{ width, height, n int }{{12, 12, 9}, {20, 12, 6}, {12, 24, 4}} {
		from := slopes(t, s.width, s.height, s.n)
		for k := range s.n {
			name := fmt.Sprintf("%02d.png", []int{0, 9, 15}[i]+k)
			if err := os.Rename(filepath.Join(from, string(rune('a'+k))+".png"), filepath.Join(inputs, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := Options{Size: Square(16), Fit: AspectBuckets + ":4", Channels: 3}
	l := LoaderOptions{Batch: 2, Seed: 3, Flip: true}
	alone := bucketStream(t, mustOpenWith(t, images, o), l, 40)
	spec := "paired:" + inputs + "," + images
	d := mustOpenWith(t, spec, o)
	if kept, of := CacheBytes(d), int64(2*3*(9*16*16+6*12*20+4*20*12)); kept != of {
		t.Errorf("%d bytes are kept of both, want %d", kept, of)
	}
	a := mustOpenWith(t, inputs, Options{Size: Square(16), Channels: 3, CacheBytes: 1})
	want := alone
	for m := range want {
		for i := range 2 {
			turn := BucketsOf(d)
			k, from := turn.batch(3, 2, int64(m))
			members := turn.members[k]
			at := from + int64(i)
			n := len(members)
			number := int(members[Order(turn.seed(3, k), at/int64(n), n, int(at%int64(n)))])
			e := Example{Pixels: NewPixels(Bytes, len(want[m].pixels)/2), Size: want[m].size}
			if err := a.Read(number, &e); err != nil {
				t.Fatal(err)
			}
			if flipped(3, want[m].at+int64(i)) {
				e.Pixels.Mirror(e.Size.Width, 3)
			}
			want[m].inputs = append(want[m].inputs, e.Bytes...)
		}
	}
	sameStreams(t, "paired", bucketStream(t, d, l, 40), want)
	for m, b := range bucketStream(t, mustOpenWith(t, "un"+spec, o), l, 40) {
		if !slices.Equal(b.pixels, alone[m].pixels) || len(b.inputs) != len(b.pixels) {
			t.Fatalf("unpaired: batch %d is another one", m)
		}
	}
	packed := packOf(t, mustOpenWith(t, images, o))
	both := mustOpenWith(t, "paired:"+packed+","+packed, Options{})
	for m, b := range bucketStream(t, both, l, 40) {
		if !slices.Equal(b.pixels, alone[m].pixels) || !slices.Equal(b.inputs, b.pixels) {
			t.Fatalf("of two arrays: batch %d is another one", m)
		}
	}
}

// packOf is the file of a packed set.
func packOf(t *testing.T, d Dataset) string {
	t.Helper()
	var b bytes.Buffer
	if err := Pack(t.Context(), &b, d, spread(d.Len(), d.Len()), func(int) {}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "packed.npz")
	write(t, path, b.Bytes())
	return path
}

// TestBucketsPacked: a packed set has an array for each shape, keeps the order and the classes of the
// images, and gives the same bits.
func TestBucketsPacked(t *testing.T) {
	dir := shaped(t)
	for _, class := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 19 {
		name := fmt.Sprintf("%02d.png", i)
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, string("ab"[i%2]), name)); err != nil {
			t.Fatal(err)
		}
	}
	d := mustOpenWith(t, dir, Options{Size: Square(16), Fit: AspectBuckets + ":4", Channels: 3})
	path := packOf(t, d)
	l := LoaderOptions{Batch: 2, Seed: 3, Flip: true}
	packed := mustOpenWith(t, path, Options{})
	if h, w, c := packed.Shape(); h != 16 || w != 16 || c != 3 || packed.Len() != 19 || !slices.Equal(packed.Classes(), d.Classes()) {
		t.Errorf("packed: %d of %d×%d×%d, %v", packed.Len(), h, w, c, packed.Classes())
	}
	if got, want := BucketsOf(packed).String(), BucketsOf(d).String(); got != want || !strings.Contains(strings.Join(Notes(packed), "; "), want) {
		t.Errorf("packed in %s, want %s", got, want)
	}
	sameStreams(t, "packed", bucketStream(t, packed, l, 40), bucketStream(t, d, l, 40))
	square := NewExample(packed)
	if err := packed.Read(BucketsOf(packed).indexOf(Size{12, 20}), square); err == nil || !strings.Contains(err.Error(), "is of 12x20") {
		t.Errorf("read as a square: %v", err)
	}
}

// TestBucketFileIsBroughtToASize: a file of several shapes is read at a size, in buckets or in other
// channels as a folder of its images is, which are pictures of these shapes; without a size it stays as it
// is. A fit that nothing would heed is refused, and so is what would change floats.
func TestBucketFileIsBroughtToASize(t *testing.T) {
	d := mustOpenWith(t, shaped(t), Options{Size: Square(16), Fit: AspectBuckets + ":4", Channels: 3})
	path, folder := packOf(t, d), t.TempDir()
	for i := range d.Len() {
		e := NewExample(d)
		size, err := e.ReadShaped(d, i)
		if err != nil {
			t.Fatal(err)
		}
		file, err := EncodePNG(e.Bytes, size.Height, size.Width, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, fmt.Sprintf("%02d.png", i)), file)
	}
	for _, o := range []Options{
		{Size: Square(16)}, {Size: Square(8), Fit: Pad}, {Size: Size{8, 12}, Fit: Stretch, Channels: 1}, {Size: Square(8), Fit: Crop, FitSaid: true}, {Size: Square(12), Fit: RandomCrop + ":0.5"},
		{Size: Square(16), Fit: AspectBuckets + ":4"}, {Size: Square(16), Fit: AspectBuckets + ":8"}, {Size: Square(12), Fit: AspectBuckets + ":3", Channels: 1},
	} {
		l := LoaderOptions{Batch: 2, Seed: 3}
		file, pictures := mustOpenWith(t, path, o), mustOpenWith(t, folder, o)
		sameStreams(t, fmt.Sprint(o), bucketStream(t, file, l, 40), bucketStream(t, pictures, l, 40))
		if a, b := BucketsOf(file), BucketsOf(pictures); (a == nil) != (b == nil) || a != nil && a.String() != b.String() {
			t.Errorf("%+v: %v, want %v", o, a, b)
		}
	}
	stored := mustOpenWith(t, path, Options{})
	if kept := mustOpenWith(t, path, Options{Size: Square(8), Fit: Pad, FitSaid: true, AsStored: true}); BucketsOf(kept).String() != BucketsOf(stored).String() {
		t.Errorf("as stored: %v", BucketsOf(kept))
	}
	grey := mustOpenWith(t, path, Options{Channels: 1})
	if _, _, c := grey.Shape(); c != 1 || BucketsOf(grey).String() != BucketsOf(stored).String() {
		t.Errorf("grey: %d channels, %v", c, BucketsOf(grey))
	}
	square := mustOpenWith(t, path, Options{Size: Square(16)}) // which is the largest of its shapes
	if a, b := square.Fingerprint().Digest, stored.Fingerprint().Digest; a == b || stored.Fingerprint().Digest != grey.Fingerprint().Digest {
		t.Error("a set that is brought to one shape has the fingerprint of several")
	}
	if got := strings.Join(Notes(square), "; "); got != "images of 3 shapes are brought to 16 (crop); without --size they stay as they are" {
		t.Error(got)
	}
	floats := filepath.Join(t.TempDir(), "floats.npz")
	write(t, floats, storedZip(t, map[string][]byte{"images_2x4.npy": npy("<f4", "(2, 2, 4, 1)", make([]byte, 64)), "images_4x2.npy": npy("<f4", "(1, 4, 2, 1)", make([]byte, 32))}))
	for _, c := range []struct {
		spec string
		o    Options
		want string
	}{
		{path, Options{Fit: Crop, FitSaid: true}, "keeps 3 shapes, which images have as long as no size is given, and fit crop is how they are brought to one; want --size, or no --fit"},
		{path, Options{Fit: Stretch, FitSaid: true}, "fit stretch is how they are brought to one"},
		{path, Options{Fit: AspectBuckets}, "want --size"},
		{floats, Options{Size: Square(4)}, "keeps 2 shapes in float32 of 1 channels, which are taken as they are; want no --size and --channels"},
		{floats, Options{Channels: 3}, "want no --size and --channels"},
		{folder, Options{Fit: Pad, FitSaid: true}, ""}, {path, Options{Fit: Pad}, ""}, {floats, Options{Size: Square(4), AsStored: true}, ""},
	} {
		d, err := Open(c.spec, c.o)
		if err == nil {
			d.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}

// TestPairedWithABucketFile: inputs of a file of several shapes are cut out of pictures in these shapes, as
// those are that the file was packed of; what does not go together is named with its shape.
func TestPairedWithABucketFile(t *testing.T) {
	dir := shaped(t)
	o := Options{Size: Square(16), Fit: AspectBuckets + ":4", Channels: 3}
	file := packOf(t, mustOpenWith(t, dir, o))
	l := LoaderOptions{Batch: 2, Seed: 3, Flip: true}
	want := bucketStream(t, mustOpenWith(t, "paired:"+dir+","+dir, o), l, 40)
	for _, spec := range []string{dir + "," + file, file + "," + file} {
		sameStreams(t, spec, bucketStream(t, mustOpenWith(t, "paired:"+spec, Options{Channels: 3}), l, 40), want)
	}
	sameStreams(t, "inputs of a file", bucketStream(t, mustOpenWith(t, "paired:"+file+","+dir, o), l, 40), want)

	other, one := shaped(t), filepath.Join(t.TempDir(), "one.npy")
	if err := errors.Join(os.Rename(filepath.Join(other, "00.png"), filepath.Join(other, "x.png")), os.Rename(filepath.Join(other, "10.png"), filepath.Join(other, "00.png")), os.Rename(filepath.Join(other, "x.png"), filepath.Join(other, "10.png"))); err != nil {
		t.Fatal(err)
	}
	packed := packOf(t, mustOpenWith(t, other, o))
	write(t, one, npy("|u1", "(19, 8, 8, 3)", make([]byte, 19*8*8*3)))
	name, base := filepath.Base(other), strings.TrimSuffix(filepath.Base(file), ".npz")
	for _, c := range []struct{ spec, want string }{
		{"paired:" + other + "," + file, name + " 00.png: has 40×24 pixels (width×height), to which the shape 20×12 is nearest, and its counterpart " + base + " #0 is of 16×16; want pictures of the proportions of those that were packed, in their order"},
		{"paired:" + packed + "," + file, packed + ": has #0 in 20×12, and its counterpart #0 of " + file + " is of 16×16 (width×height); want the same shape of both"},
		{"paired:" + one + "," + file, one + ": has images of 8×8 alone, and " + file + " keeps 3 shapes; want pictures, which are brought to these"},
		{"unpaired:" + file + "," + file, file + ": keeps 3 shapes, and an image of " + file + ", of 3 shapes, may be given any of its images; want pictures"},
	} {
		d, err := Open(c.spec, Options{Channels: 3})
		if err == nil {
			d.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.spec, err, c.want)
		}
	}
	squares := mustOpenWith(t, "paired:"+file+","+dir, Options{Size: Square(16), Channels: 3})
	e := NewExample(squares)
	e.Input = NewPixels(Bytes, 3*16*16)
	if err := squares.Read(10, e); err != nil || BucketsOf(squares) != nil {
		t.Errorf("inputs of a file, of squares: %v", err)
	}
}

// TestBucketsOfSome: some images of a set have the shapes that they have in it, and its numbers, which
// a packed file keeps.
func TestBucketsOfSome(t *testing.T) {
	dir, text := shaped(t), "file_name,age\n"
	for i := range 19 {
		text += fmt.Sprintf("%02d.png,%d\n", i, i*i)
	}
	table := filepath.Join(t.TempDir(), "ages.csv")
	write(t, table, []byte(text))
	d := mustOpenWith(t, dir, Options{Size: Square(16), Fit: AspectBuckets + ":4", Channels: 3, Labels: "numbers:" + table})
	some := Subset(d, []int{16, 2, 11, 3})
	if got := BucketsOf(some).String(); got != "3 buckets, height×width (images): 12×20 (1), 16×16 (2), 20×12 (1)" {
		t.Error(got)
	}
	var b bytes.Buffer
	if err := Pack(t.Context(), &b, d, []int{16, 2, 11, 3}, func(int) {}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "some.npz")
	write(t, path, b.Bytes())
	packed := mustOpenWith(t, path, Options{Labels: "numbers"})
	for i, number := range []int{16, 2, 11, 3} {
		a, e := NewExample(d), NewExample(packed)
		want, err1 := a.ReadShaped(d, number)
		got, err2 := e.ReadShaped(packed, i)
		if err1 != nil || err2 != nil || got != want || SizeOf(some, i) != want || !slices.Equal(a.Bytes, e.Bytes) || NumbersOf(packed).Of(i)[0] != float32(number*number) || NumbersOf(some).Of(i)[0] != float32(number*number) {
			t.Errorf("image %d, of number %d: %v of %v, %v, %v, %v", i, number, got, want, NumbersOf(packed).Of(i), err1, err2)
		}
	}
}

// indexOf is an image of a size.
func (b *Buckets) indexOf(s Size) int { return int(b.members[slices.Index(b.Sizes, s)][0]) }

// TestShapedArrays: what numpy.savez makes of arrays by shape is such a set, with or without sizes;
// what does not fit together is refused.
func TestShapedArrays(t *testing.T) {
	wide := npy("|u1", "(2, 2, 4, 1)", make([]byte, 16))
	high := npy("|u1", "(1, 4, 2, 1)", bytes.Repeat([]byte{9}, 8))
	sizes := func(numbers ...byte) []byte { return npy("|u1", fmt.Sprintf("(%d, 2)", len(numbers)/2), numbers) }
	for _, c := range []struct {
		files map[string][]byte
		order []Size // of images
		want  string
	}{
		{map[string][]byte{"images_2x4": wide, "images_4x2": high}, []Size{{2, 4}, {2, 4}, {4, 2}}, ""},
		{map[string][]byte{"images_2x4": wide, "images_4x2": high, "sizes": sizes(2, 4, 4, 2, 2, 4)}, []Size{{2, 4}, {4, 2}, {2, 4}}, ""},
		{map[string][]byte{"images_2x4": wide, "images_4x2": high, "labels": npy("|u1", "(3,)", []byte{0, 1, 1})}, []Size{{2, 4}, {2, 4}, {4, 2}}, ""},
		{map[string][]byte{"images_2x4": wide, "images_4x2": high, "sizes": sizes(2, 4, 4, 2)}, nil, "is of 1 images of 2x4, and images_2x4 holds 2"},
		{map[string][]byte{"images_2x4": wide, "sizes": sizes(2, 4, 4, 2)}, nil, "there is no array images_4x2"},
		{map[string][]byte{"images_2x4": wide, "images_4x2": npy("<f4", "(1, 4, 2, 1)", make([]byte, 32))}, nil, "want uint8"},
		{map[string][]byte{"images_2x4": wide, "images_4x4": high}, nil, "want uint8 of images of 4×4×1"},
		{map[string][]byte{"images_2x4": wide, "images_4x2": high, "labels": npy("|u1", "(2,)", []byte{0, 1})}, nil, "one number for each image"},
	} {
		path := filepath.Join(t.TempDir(), "set.npz")
		files := map[string][]byte{}
		for name, f := range c.files {
			files[name+".npy"] = f
		}
		write(t, path, storedZip(t, files))
		d, err := Open(path, Options{})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: %v, want %q", slices.Sorted(maps.Keys(c.files)), err, c.want)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		for i, s := range c.order {
			e := NewExample(d)
			if got, err := e.ReadShaped(d, i); err != nil || got != s || e.Len() != s.Height*s.Width || (e.Bytes[0] == 9) != (s == Size{4, 2}) {
				t.Errorf("image %d is of %v: %v, %v", i, got, e.Pixels, err)
			}
		}
		d.Close()
	}
}

// TestBucketsOfList: parts have buckets of their own, and a batch is of one of a part; arrays of one
// shape each are such parts.
func TestBucketsOfList(t *testing.T) {
	dir := t.TempDir()
	array := func(name string, n, height, width int) string {
		path := filepath.Join(dir, name)
		body := make([]byte, n*height*width*3)
		for i := range body {
			body[i] = byte(i / (height * width * 3) * 7)
		}
		write(t, path, npy("|u1", fmt.Sprintf("(%d, %d, %d, 3)", n, height, width), body))
		return path
	}
	parts := []string{array("wide.npy", 6, 24, 40), shaped(t), array("square.npy", 5, 16, 16)}
	text := ""
	for _, spec := range parts {
		of := mustOpenWith(t, spec, Options{Size: Square(16), Channels: 3})
		line, err := json.Marshal(map[string]any{"data": spec, "images": of.Len(), "classes": []string{}, "shape": []int{16, 16, 3}, "values": "uint8", "digest": of.Fingerprint().Digest})
		if err != nil {
			t.Fatal(err)
		}
		text += string(line) + "\n"
	}
	list := filepath.Join(dir, "set.jsonl")
	write(t, list, []byte(text))
	o := Options{Size: Square(16), Fit: AspectBuckets + ":4", Channels: 3}
	d := mustOpenWith(t, "list:"+list, o)
	if b := BucketsOf(d); b == nil || b.String() != "3 buckets, height×width (images): 12×20 (12), 16×16 (14), 20×12 (4)" {
		t.Fatalf("%v", b)
	}
	got := bucketStream(t, d, LoaderOptions{Batch: 2, Seed: 3, Step: 3, First: 0, End: 3}, 60)
	for part, spec := range parts { // each part streams as it does alone, by another seed
		alone := bucketStream(t, mustOpenWith(t, spec, o), LoaderOptions{Batch: 2, Seed: 3 + uint64(part)}, 20)
		for m := range alone {
			alone[m].at = got[3*m+part].at
		}
		var own []bucketBatch
		for m := part; m < len(got); m += 3 {
			own = append(own, got[m])
		}
		sameStreams(t, spec, own, alone)
	}
	if err := os.Remove(parts[0]); err != nil {
		t.Fatal(err)
	}
	d = mustOpenWith(t, "list:"+list, o)
	if b := BucketsOf(d); b.String() != "3 buckets, height×width (images): 12×20 (6), 16×16 (14), 20×12 (4)" {
		t.Errorf("without the first part: %v", b)
	}
	second := bucketStream(t, d, LoaderOptions{Batch: 2, Seed: 3, Step: 3, First: 1, End: 2}, 20)
	for m := range second {
		sameStreams(t, "a process of its own", second[m:m+1], got[3*m+1:3*m+2])
	}
}
