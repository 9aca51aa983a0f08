package data_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
	"fluxion/data/durable"
)

// cachedLatents is a folder of latents of five images in three files: means count up, deviations are
// eighths, so that every type of numbers holds them; mirrored ones are negative.
func cachedLatents(t *testing.T, number string, flipped bool) (dir string, l data.Latents) {
	t.Helper()
	dir = t.TempDir()
	l = data.Latents{
		Count: 5, Shard: 2, Height: 1, Width: 3, Channels: 2, Image: [3]int{8, 24, 3}, Type: number, Flipped: flipped, Classes: []string{"a", "b"},
		Shift: []float64{1, -1}, Scale: []float64{0.5, 2}, Autoencoder: "digest",
	}
	if err := l.Write(durable.Disk{}, dir, nameless{}); err != nil {
		t.Fatal(err)
	}
	for shard := range l.Shards() {
		from, to := l.Range(shard)
		values := make([][]float32, 4)
		var classes []int64
		for i := from; i < to; i++ {
			for k := range l.Values() {
				x := float32(i*l.Values() + k)
				for which, v := range []float32{x, x / 8, -x, x / 4} {
					values[which] = append(values[which], v)
				}
			}
			classes = append(classes, int64(i%3)-1)
		}
		if !flipped {
			values = values[:2]
		}
		if err := l.WriteShard(durable.Disk{}, dir, shard, values, nil, classes); err != nil {
			t.Fatal(err)
		}
	}
	return dir, l
}

// nameless is a set whose images have no names.
type nameless struct{ data.Dataset }

func (nameless) Len() int { return 5 }

// TestLatents: the suite that every reader passes, in each type of numbers.
func TestLatents(t *testing.T) {
	for _, number := range data.LatentTypes {
		whole, _ := cachedLatents(t, number, true)
		lacking, l := cachedLatents(t, number, true)
		cut, _ := cachedLatents(t, number, true)
		if err := os.Remove(data.LatentsShard(lacking, 1)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(data.LatentsShard(cut, 2), 300); err != nil {
			t.Fatal(err)
		}
		other, _ := cachedLatents(t, number, true)
		l.Channels, l.Shift, l.Scale = 3, []float64{0, 0, 0}, []float64{1, 1, 1}
		if err := l.Write(durable.Disk{}, other, nameless{}); err != nil {
			t.Fatal(err)
		}
		huge, _ := cachedLatents(t, number, true)
		l.Height = 1 << 40
		if err := l.Write(durable.Disk{}, huge, nameless{}); err != nil {
			t.Fatal(err)
		}
		datatest.Run(t, datatest.Set{Spec: "latents:" + whole, Refused: map[string]string{
			"not there": "latents:" + t.TempDir(), "no folder": "latents:", "lacks 1 of 3": "latents:" + lacking, "not whole": "latents:" + cut, "other channels": "latents:" + other, "more than can be": "latents:" + huge,
		}})
	}
}

// TestLatentsDrawn: a latent is (mean + deviation·ξ − shift)·scale, with ξ of its position; the
// mirrored one is that of the mirrored image; the mean where nothing is drawn.
func TestLatentsDrawn(t *testing.T) {
	dir, l := cachedLatents(t, "fp32", true)
	d, err := data.Open("latents:"+dir, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	draw := func(at int64, to []float32) {
		for k := range to {
			to[k] = float32(at) + float32(k)
		}
	}
	o := data.LoaderOptions{Batch: 1, Seed: 3, Flip: true, Draw: draw}
	mirrored := 0
	for _, o.Draw = range []func(int64, []float32){draw, nil} {
		stream, err := data.NewLoader(d, o)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		for position := range 20 {
			b, err := stream.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			i := data.Order(3, int64(position/5), 5, position%5)
			want := func(sign, share float32) []float32 {
				out := make([]float32, l.Values())
				for k := range out {
					x := float32(i*l.Values() + k)
					z := sign * x
					if o.Draw != nil {
						z += x * share * (float32(position) + float32(k))
					}
					out[k] = (z - []float32{1, -1}[k%2]) * []float32{0.5, 2}[k%2]
				}
				return out
			}
			switch {
			case slices.Equal(b.Pixels.Floats, want(1, 1./8)):
			case slices.Equal(b.Pixels.Floats, want(-1, 1./4)):
				mirrored++
			default:
				t.Fatalf("position %d, image %d: %v, want %v or %v", position, i, b.Pixels.Floats, want(1, 1./8), want(-1, 1./4))
			}
			if int(b.Classes[0]) != i%3-1 {
				t.Errorf("image %d has class %d", i, b.Classes[0])
			}
			stream.Release(b)
		}
	}
	if mirrored < 10 || mirrored > 30 {
		t.Errorf("%d of 40 are mirrored", mirrored)
	}
}

// TestLatentsRelabelled: what is drawn is not kept for the next time, whatever the labels.
func TestLatentsRelabelled(t *testing.T) {
	dir, _ := cachedLatents(t, "fp32", true)
	table := filepath.Join(t.TempDir(), "ages.csv")
	if err := os.WriteFile(table, []byte("0,3\n1,4\n2,5\n3,6\n4,7\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, labels := range []string{data.AutoLabels, data.NoLabels, table, "numbers:" + table} {
		d, err := data.Open("latents:"+dir, data.Options{Labels: labels})
		if err != nil {
			t.Fatal(labels, err)
		}
		defer d.Close()
		e := data.NewExample(d)
		e.Draw = func(at int64, to []float32) { to[0] = float32(at) }
		var seen []float32
		for e.At = range int64(3) {
			if err := d.Read(4, e); err != nil {
				t.Fatal(labels, err)
			}
			seen = append(seen, e.Floats[0])
		}
		if seen[0] == seen[1] || seen[1] == seen[2] || data.CacheBytes(d) != 0 {
			t.Errorf("labels %s: the first value is %v in turn", labels, seen)
		}
	}
}

// TestLatentsUnmirrored: mirrored latents are not made of others, nor are latents transformed.
func TestLatentsUnmirrored(t *testing.T) {
	dir, _ := cachedLatents(t, "bf16", false)
	d, err := data.Open("latents:"+dir, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := data.NewLoader(d, data.LoaderOptions{Batch: 1, Flip: true}); err == nil || !strings.Contains(err.Error(), "fluxion latents --flip") {
		t.Errorf("mirrored: %v", err)
	}
	if notes := data.Notes(d); !strings.Contains(fmt.Sprint(notes), "images of 24×8×3; without those of mirrored") {
		t.Errorf("notes %v", notes)
	}
}

// TestLatentsRounded: bf16 keeps eight bits, to nearest, and what is no number is an error.
func TestLatentsRounded(t *testing.T) {
	dir := t.TempDir()
	l := data.Latents{Count: 1, Shard: 1, Height: 1, Width: 1, Channels: 4, Type: "bf16", Shift: make([]float64, 4), Scale: []float64{1, 1, 1, 1}}
	write := func(x ...float32) data.Dataset {
		t.Helper()
		if err := l.WriteShard(durable.Disk{}, dir, 0, [][]float32{x, x}, nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := l.Write(durable.Disk{}, dir, nameless{}); err != nil {
			t.Fatal(err)
		}
		d, err := data.Open("latents:"+filepath.Clean(dir), data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := write(1+0x1p-8, 1+0x1.8p-7, -1-0x1.01p-8, 3)
	e := data.NewExample(d)
	if err := d.Read(0, e); err != nil || !slices.Equal(e.Floats, []float32{1, 1 + 0x1p-6, -1 - 0x1p-7, 3}) {
		t.Errorf("%v, %v", e.Floats, err)
	}
	d.Close()
	d = write(1, 2, float32(math.Inf(1)), 4)
	defer d.Close()
	if err := d.Read(0, e); err == nil || !strings.Contains(err.Error(), "value 2 is not a finite float32") {
		t.Errorf("infinite: %v", err)
	}
}

// TestLatentsOfShapes: latents of several shapes lie in arrays of their own, in the order of the set,
// and a stream has batches of one shape; files that do not agree with it are refused.
func TestLatentsOfShapes(t *testing.T) {
	sizes := []data.Size{{Height: 1, Width: 3}, {Height: 2, Width: 2}, {Height: 1, Width: 3}, {Height: 3, Width: 1}, {Height: 2, Width: 2}}
	l := data.Latents{
		Count: 5, Shard: 3, Height: 2, Width: 2, Channels: 2, Image: [3]int{16, 16, 3}, Type: "fp16", Shift: []float64{0, 0}, Scale: []float64{1, 1}, Autoencoder: "digest",
		Buckets: []data.Size{{Height: 1, Width: 3}, {Height: 2, Width: 2}, {Height: 3, Width: 1}},
	}
	written := func(change func(shard int, sizes []data.Size)) string {
		t.Helper()
		dir := t.TempDir()
		if err := l.Write(durable.Disk{}, dir, nameless{}); err != nil {
			t.Fatal(err)
		}
		for shard := range l.Shards() {
			from, to := l.Range(shard)
			own := slices.Clone(sizes[from:to])
			var mean, deviation []float32
			for i, s := range own {
				for range s.Height * s.Width * l.Channels {
					mean, deviation = append(mean, float32(from+i)), append(deviation, 0.5)
				}
			}
			change(shard, own)
			if err := l.WriteShard(durable.Disk{}, dir, shard, [][]float32{mean, deviation}, own, nil); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	d, err := data.Open("latents:"+written(func(int, []data.Size) {}), data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if notes := strings.Join(data.Notes(d), "; "); !strings.Contains(notes, "3 buckets, height×width (images): 1×3 (2), 2×2 (2), 3×1 (1)") {
		t.Error(notes)
	}
	for i, want := range sizes {
		e := data.NewExample(d)
		if s, err := e.ReadShaped(d, i); err != nil || s != want || e.Len() != 2*s.Height*s.Width || e.Floats[0] != float32(i) || e.Floats[e.Len()-1] != float32(i) {
			t.Errorf("latent %d of %v: %v, %v", i, s, e.Floats, err)
		}
	}
	if err := d.Read(0, data.NewExample(d)); err == nil || !strings.Contains(err.Error(), "latent 0 is of 1x3") {
		t.Errorf("as a square: %v", err)
	}
	stream, err := data.NewLoader(d, data.LoaderOptions{Batch: 2, Draw: func(at int64, to []float32) {
		for k := range to {
			to[k] = float32(at) / 1024
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for range 20 {
		b, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := b.Pixels.Len() / 2
		for i, at := range b.Indices {
			x := b.Pixels.Floats[i*n]
			number := int(x)
			if sizes[number] != b.Size || n != 2*b.Size.Height*b.Size.Width || x != float32(number)+0.5*float32(at)/1024 {
				t.Errorf("latent %v at %d in a batch of %v", x, at, b.Size)
			}
		}
		stream.Release(b)
	}
	for want, change := range map[string]func(shard int, sizes []data.Size){
		"says that latent 1 is of 4x1": func(shard int, sizes []data.Size) {
			if shard == 0 {
				sizes[1] = data.Size{Height: 4, Width: 1}
			}
		},
	} {
		if _, err := data.Open("latents:"+written(change), data.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	l.Buckets[0].Width = 9 // more than a square has
	if _, err := data.Open("latents:"+written(func(int, []data.Size) {}), data.Options{}); err == nil || !strings.Contains(err.Error(), "is not that of latents") {
		t.Errorf("a shape that is larger than the square: %v", err)
	}
}
