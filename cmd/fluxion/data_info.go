package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/setting"
	"fluxion/data/stable"
	"fluxion/data/survey"
	"fluxion/engine/figures"

	"github.com/spf13/cobra"
)

type infoOptions struct {
	setOptions
	count, headers int
	sheet          string
}

func newDataInfo() *cobra.Command {
	o := &infoOptions{count: 4096, headers: 20_000}
	c := &cobra.Command{
		Use:   "info DATA",
		Short: "Tell what a set holds, before anything is trained on it",
		Long: `Tell what a set holds, as train takes it: images, classes, formats and sizes of the
files, what is left out and why; mean and deviation of the values that a network sees;
how the power of its spectrum falls with frequency (natural pictures: about as 1/f²).
Files are looked at by their headers, evenly spread where they are many, and the values
are those of --count images. Images that cannot be read are named; data check looks at
all of them.`,
		Example: "  fluxion data info cifar10/train.zip --sheet cifar.png\n  fluxion data info ~/pictures --size 64 --json",
		Args:    oneSet("info"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args[0])
		},
	}
	o.bind(c,
		setting.Setting{Key: "count", Value: setting.Of(&o.count), Own: true, Help: "images whose values are looked at, evenly spread", Range: setting.Within(1, 10_000_000, "")},
		setting.Setting{Key: "headers", Value: setting.Of(&o.headers), Own: true, Help: "files whose headers are looked at, evenly spread", Range: setting.Within(1, 10_000_000, "")},
		sheetSetting(&o.sheet, "images, evenly spread"),
	)
	return c
}

// shownInfo is the result in JSON.
type shownInfo struct {
	Event     string       `json:"event"`
	Data      string       `json:"data"`
	Name      string       `json:"name"`
	Images    int          `json:"images"`
	Classes   []shownClass `json:"classes"`
	Unlabeled int          `json:"unlabelled"`
	shownFiles
	Shape     []int         `json:"shape"`             // height, width, channels, as trained
	Buckets   []shownBucket `json:"buckets,omitempty"` // their shapes, where they are trained in several
	Values    string        `json:"values"`
	Looked    int           `json:"looked_at"` // images whose values follow
	Mean      []float64     `json:"mean"`      // of each channel, as a network sees it
	Deviation []float64     `json:"deviation"`
	Least     float64       `json:"min"`
	Most      float64       `json:"max"`
	Spectrum  []float64     `json:"spectrum,omitempty"` // mean power by cycles an image, from 0
	Slope     float64       `json:"spectrum_slope,omitempty"`
	Broken    []string      `json:"broken"`
	Notes     []string      `json:"notes"`
	Sheet     string        `json:"sheet,omitempty"`
	Digest    string        `json:"digest"`
	Seconds   float64       `json:"seconds"`
}

type shownClass struct {
	Name   string `json:"name"`
	Images int    `json:"images"`
}

// shownBucket is a shape that images are trained in.
type shownBucket struct {
	Height int `json:"height"`
	Width  int `json:"width"`
	Images int `json:"images"`
}

func (o *infoOptions) run(ctx context.Context, face console.Face, spec string) error {
	if err := checkSheet(o.sheet); err != nil {
		return err
	}
	begin := time.Now()
	set, files, notes, err := o.openInOneSize(ctx, spec, o.headers)
	if err != nil {
		return err
	}
	defer set.Close()
	if err := roomForSheet("--sheet", o.sheet, infoText); err != nil {
		return err
	}
	r := &shownInfo{Event: "done", Data: spec, Name: set.Name(), Images: set.Len(), Classes: []shownClass{}, shownFiles: files, Broken: []string{}, Notes: notes}
	r.ofClasses(set)
	if err := o.ofValues(ctx, face, set, r); err != nil {
		return err
	}
	if o.sheet != "" {
		if err := o.draw(set, r); err != nil {
			return err
		}
	}
	r.Seconds = time.Since(begin).Seconds()
	return face.Result(r, r.text)
}

// ofClasses counts images of classes.
func (r *shownInfo) ofClasses(set data.Dataset) {
	p := set.Fingerprint()
	r.Digest, r.Unlabeled = p.Digest, p.Images
	for i, c := range p.Classes {
		r.Classes = append(r.Classes, shownClass{c, p.Counts[i]})
		r.Unlabeled -= p.Counts[i]
	}
}

// spectrumImages is how many images a spectrum is taken of, spectrumSide their largest side.
const spectrumImages, spectrumSide = 256, 512

// ofValues looks at images.
func (o *infoOptions) ofValues(ctx context.Context, face console.Face, set data.Dataset, r *shownInfo) error {
	height, width, channels := set.Shape()
	r.Shape, r.Values = []int{height, width, channels}, set.Kind().String()
	if b := data.BucketsOf(set); b != nil {
		for k, s := range b.Sizes {
			r.Buckets = append(r.Buckets, shownBucket{s.Height, s.Width, b.Images(k)})
		}
		r.Notes = slices.DeleteFunc(r.Notes, func(n string) bool { return n == b.String() }) // which are told as a table
	}
	numbers := evenly(set.Len(), o.count)
	all := survey.NewMoments(channels)
	squares := figures.Images{Side: leastSide(set)}
	var mu sync.Mutex
	err := look(ctx, face, r.Data, set, numbers, func() func(int, *data.Example) {
		room := make([]float32, height*width*channels)
		return func(at int, e *data.Example) {
			values := room[:e.Len()]
			e.Values(values)
			mu.Lock()
			defer mu.Unlock()
			r.Looked++
			all.Add(values)
			if at < spectrumImages && squares.Side >= 4 && squares.Side <= spectrumSide {
				squares.Pixels = append(squares.Pixels, square(values, squares.Side, e.Size, channels))
			}
		}
	}, func(_ int, err *data.Error) error {
		if len(r.Broken) < mostNamed {
			r.Broken = append(r.Broken, err.Error())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if r.Looked == 0 {
		return &data.Error{Path: r.Data, Problem: fmt.Sprintf("has no image that can be read, of the %d that were looked at: %s", len(numbers), r.Broken[0])}
	}
	r.Mean, r.Deviation, r.Least, r.Most = all.Mean(), all.Deviation(), all.Min, all.Max
	if len(squares.Pixels) > 0 {
		r.Spectrum = figures.RadialSpectrum(squares)
	}
	for _, numbers := range [][]float64{r.Mean, r.Deviation, r.Spectrum} {
		for i, x := range numbers {
			numbers[i] = math.Round(x*1e9) / 1e9 // the order of sums is another each time
		}
	}
	r.Slope = slope(r.Spectrum)
	return nil
}

// mostNamed is how many broken images are named.
const mostNamed = 100

// leastSide is the side of the largest square that all images have in their middle.
func leastSide(set data.Dataset) int {
	height, width, _ := set.Shape()
	side := min(height, width)
	if b := data.BucketsOf(set); b != nil {
		for _, s := range b.Sizes {
			side = min(side, s.Height, s.Width)
		}
	}
	return side
}

// square is the middle of an image as grey.
func square(values []float32, side int, of data.Size, channels int) []float64 {
	grey := make([]float64, side*side)
	top, left := (of.Height-side)/2, (of.Width-side)/2
	for i := range grey {
		at := ((top+i/side)*of.Width + left + i%side) * channels
		for _, v := range values[at : at+channels] {
			grey[i] += float64(v) / float64(channels)
		}
	}
	return grey
}

// slope is that of a line through the logarithms of power and frequency, without the mean.
func slope(power []float64) float64 {
	var n, x, y, xx, xy float64
	for f := 1; f < len(power); f++ {
		if power[f] > 0 {
			a, b := math.Log(float64(f)), math.Log(power[f])
			n, x, y, xx, xy = n+1, x+a, y+b, xx+a*a, xy+a*b
		}
	}
	if d := n*xx - x*x; n > 1 && d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

// infoText is what a sheet holds as text, so that another one may take its place.
var infoText = map[string]string{"fluxion": "data"}

// sheetImages are on a sheet, sheetColumns in a row.
const sheetImages, sheetColumns = 64, 8

// draw writes a sheet of images, evenly spread.
func (o *infoOptions) draw(set data.Dataset, r *shownInfo) error {
	height, width, channels := set.Shape()
	if _, points := data.Showable(height, width, channels); points {
		r.Sheet = o.sheet
		return fault.Output(o.drawPoints(set))
	}
	file, err := gridOf(set, evenly(set.Len(), sheetImages), infoText)
	if err != nil || file == nil {
		r.Notes = append(r.Notes, fmt.Sprintf("images of %d channels cannot be seen, or none can be read: there is no sheet", channels))
		return err
	}
	r.Sheet = o.sheet
	return fault.Output(durable.Disk{}.WriteFile(o.sheet, file))
}

// gridOf is the file of a sheet of images by their numbers, those left out that cannot be
// read; nil if there is nothing to be seen.
func gridOf(set data.Dataset, numbers []int, text map[string]string) ([]byte, error) {
	height, width, channels := set.Shape()
	if images, _ := data.Showable(height, width, channels); !images {
		return nil, nil
	}
	var tiles []data.Tile
	example := data.NewExample(set)
	for _, i := range numbers {
		size, err := example.ReadShaped(set, i)
		if err != nil { // told elsewhere
			continue
		}
		picture := data.NewPixels(data.Bytes, example.Len())
		example.Picture(picture.Bytes)
		tiles = append(tiles, data.Tile{Pixels: picture, Size: size, Channels: channels})
	}
	if len(tiles) == 0 {
		return nil, nil
	}
	if data.BucketsOf(set) != nil { // those of a shape beside each other
		stable.Sort(tiles, func(a, b data.Tile) int { return a.Size.Height*b.Size.Width - b.Size.Height*a.Size.Width })
	}
	file, err := data.EncodeTiles(tiles, sheetColumns, text)
	if err != nil {
		return nil, fmt.Errorf("the sheet cannot be encoded: %w", err)
	}
	return file, nil
}

// drawPoints writes the density of points.
func (o *infoOptions) drawPoints(set data.Dataset) error {
	example := data.NewExample(set)
	var all data.Pixels
	numbers := evenly(set.Len(), o.count)
	for _, i := range numbers {
		if err := set.Read(i, example); err != nil {
			return err
		}
		all.Floats = append(all.Floats, example.Floats...)
	}
	return data.WriteSheet(o.sheet, all, len(numbers), 1, 1, 2, 1)
}

// sorted names of a count, the most frequent first.
func sorted(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
}
