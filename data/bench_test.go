package data_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"path/filepath"
	"testing"

	"fluxion/data"
)

// BenchmarkLoader is how many images a second a loader alone makes ready, by format, kept
// in memory or not: images of 32 × 32, and pictures of 256 × 256 brought to 64.
func BenchmarkLoader(b *testing.B) {
	dir := b.TempDir()
	packed := filepath.Join(dir, "packed.npz")
	var file bytes.Buffer
	d, err := data.Open(inFormats("parquet:hub"), data.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := data.Pack(b.Context(), &file, d, []int{0, 1, 2, 3, 4}, func(int) {}); err != nil {
		b.Fatal(err)
	}
	d.Close()
	put(b, packed, file.Bytes())
	large := make([]byte, 256*256*3)
	for k := range large {
		large[k] = byte(k>>5 ^ k>>11)
	}
	png, err := data.EncodePNG(large, 256, 256, 3, nil)
	if err != nil {
		b.Fatal(err)
	}
	put(b, filepath.Join(dir, "large", "a.png"), png)
	for name, side := range map[string]int{"small-jpeg": 32, "large-jpeg": 256} {
		var encoded bytes.Buffer
		img := image.NewYCbCr(image.Rect(0, 0, side, side), image.YCbCrSubsampleRatio420)
		for k := range img.Y {
			img.Y[k] = byte(k*7 ^ k>>6)
		}
		for k := range img.Cb {
			img.Cb[k], img.Cr[k] = byte(k), byte(k>>4)
		}
		if err := jpeg.Encode(&encoded, img, nil); err != nil {
			b.Fatal(err)
		}
		put(b, filepath.Join(dir, name, "a.jpg"), encoded.Bytes())
	}
	for _, c := range []struct {
		name, spec string
		o          data.Options
	}{
		{"zip", inFormats("edm.zip"), data.Options{CacheBytes: 1}},
		{"zip-kept", inFormats("edm.zip"), data.Options{}},
		{"tar", inFormats("wds-{000000..000001}.tar"), data.Options{CacheBytes: 1}},
		{"parquet", inFormats("parquet:hub"), data.Options{CacheBytes: 1}},
		{"tiff16", inFormats("tiff16"), data.Options{CacheBytes: 1, Range: data.Range{High: 65535}}},
		{"large-jpeg-buckets", filepath.Join(dir, "large-jpeg"), data.Options{CacheBytes: 1, Size: data.Square(64), Fit: data.AspectBuckets}},
		{"large-jpeg-buckets-kept", filepath.Join(dir, "large-jpeg"), data.Options{Size: data.Square(64), Fit: data.AspectBuckets}},
		{"cifar", inFormats("cifar:cifar-10-batches-bin"), data.Options{}},
		{"packed", packed, data.Options{CacheBytes: 1}},
		{"jpeg-32", filepath.Join(dir, "small-jpeg"), data.Options{CacheBytes: 1}},
		{"jpeg-256-to-64", filepath.Join(dir, "large-jpeg"), data.Options{CacheBytes: 1, Size: data.Square(64)}},
		{"png-256-random-crop-to-64", filepath.Join(dir, "large"), data.Options{CacheBytes: 1, Size: data.Square(64), Fit: "random-crop:0.8"}},
		{"png-256-to-64", filepath.Join(dir, "large"), data.Options{CacheBytes: 1, Size: data.Square(64)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			d, err := data.Open(c.spec, c.o)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			const batch = 64
			l, err := data.NewLoader(d, data.LoaderOptions{Batch: batch, Flip: true})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			images := 0
			for b.Loop() {
				next, err := l.Next(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				images += batch
				l.Release(next)
			}
			b.ReportMetric(float64(images)/b.Elapsed().Seconds(), "img/s")
		})
	}
}
