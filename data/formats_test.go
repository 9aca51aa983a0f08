package data_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
)

// The images of testdata/formats: scripts/datasets.py.
const formatImages, formatSide = 5, 32

var (
	formatLabels = []int{3, 0, 1, 3, 9}
	formatNames  = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
)

func formatPixel(i, x, y, c int) byte { return byte(x*(c+1) + 3*y + 40*i) }

// foreign are the sets that others wrote, and what is where in them.
var foreign = map[string]struct {
	spec    string
	names   bool  // classes have names, not numbers
	classes int   // 0: there are none
	order   []int // of the images, where it is another
	grey    bool  // the first channel alone
}{
	"CIFAR-10, pickles":     {spec: "cifar:cifar-10-batches-py", names: true, classes: 10},
	"CIFAR-10, above":       {spec: "cifar:.", names: true, classes: 10},
	"CIFAR-10, bytes":       {spec: "cifar:cifar-10-batches-bin", names: true, classes: 10},
	"CIFAR-10, test":        {spec: "cifar:cifar-10-batches-bin#test", names: true, classes: 10, order: []int{0, 1}},
	"CIFAR-100, pickles":    {spec: "cifar:cifar-100-python", names: true, classes: 10},
	"CIFAR-100, bytes":      {spec: "cifar:cifar-100-binary", names: true, classes: 10},
	"EDM":                   {spec: "edm.zip", classes: 10},
	"WebDataset":            {spec: "wds-{000000..000001}.tar", classes: 10},
	"WebDataset, one shard": {spec: "wds-000001.tar", classes: 10, order: []int{2, 3, 4}},
	"WebDataset, JSON":      {spec: "json.tar", classes: 10},
	"parquet":               {spec: "parquet:hub", names: true, classes: 10},
	"parquet, test":         {spec: "parquet:hub#test", names: true, classes: 10, order: []int{0, 1}},
	"parquet, a file":       {spec: "hub/data/train-00001-of-00002.parquet", names: true, classes: 10, order: []int{2, 3, 4}},
	"parquet, names":        {spec: "plain.parquet", names: true, classes: 4},
	"TIFF":                  {spec: "tiff", names: true, classes: 4, order: []int{1, 2, 0, 3, 4}},
	"TIFF, grey":            {spec: "grey8", grey: true},
	"TIFF, 16 bit":          {spec: "tiff16"},
	"TIFF, 16 bit, grey":    {spec: "grey16", grey: true},
	"arrays":                {spec: "images.npz", classes: 10},
}

// inFormats is a spec within testdata/formats.
func inFormats(spec string) string {
	dir := filepath.Join("testdata", "formats")
	if kind, at, ok := strings.Cut(spec, ":"); ok {
		return kind + ":" + filepath.Join(dir, at)
	}
	return filepath.Join(dir, spec)
}

// TestFormats: the same images, as others store them, are the same to a network.
func TestFormats(t *testing.T) {
	for name, f := range foreign {
		t.Run(name, func(t *testing.T) {
			d, err := data.Open(inFormats(f.spec), data.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			order, channels := f.order, 3
			if order == nil {
				order = []int{0, 1, 2, 3, 4}
			}
			if f.grey {
				channels = 1
			}
			h, w, c := d.Shape()
			if d.Len() != len(order) || h != formatSide || w != formatSide || c != channels || len(d.Classes()) != f.classes {
				t.Fatalf("%d images of %d×%d×%d in %d classes", d.Len(), h, w, c, len(d.Classes()))
			}
			e := data.NewExample(d)
			for at, i := range order {
				e.Class = -1
				if err := d.Read(at, e); err != nil {
					t.Fatal(err)
				}
				for k, got := range e.Bytes {
					if want := formatPixel(i, k/c%w, k/c/w, k%c); got != want {
						t.Fatalf("image %d: value %d is %d, want %d", at, k, got, want)
					}
				}
				class := ""
				if e.Class >= 0 {
					class = d.Classes()[e.Class]
				}
				want := fmt.Sprint(formatLabels[i])
				if f.names {
					want = formatNames[formatLabels[i]]
				}
				if f.classes > 0 && class != want || f.classes == 0 && class != "" {
					t.Errorf("image %d is of class %q, want %q", at, class, want)
				}
			}
		})
	}
}

// TestForeignReaders: readers of what others write do what datatest asks of all.
func TestForeignReaders(t *testing.T) {
	dir := t.TempDir()
	read := func(spec string) []byte {
		whole, err := os.ReadFile(inFormats(spec))
		if err != nil {
			t.Fatal(err)
		}
		return whole
	}
	tarred, table := read("wds-000001.tar"), read("plain.parquet")
	put(t, filepath.Join(dir, "cut.tar"), tarred[:2000])
	put(t, filepath.Join(dir, "none.tar"), nil)
	put(t, filepath.Join(dir, "packed.tar.gz"), tarred)
	put(t, filepath.Join(dir, "cut.parquet"), table[:len(table)-9])
	put(t, filepath.Join(dir, "footer.parquet"), []byte("PAR1PAR1\xff\xff\xff\x7fPAR1"))
	put(t, filepath.Join(dir, "py", "train"), []byte("\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."))
	put(t, filepath.Join(dir, "bin", "train.bin"), make([]byte, 3075))
	put(t, filepath.Join(dir, "far", "train.bin"), slices.Concat([]byte{0, 200}, make([]byte, 3072)))
	for name, set := range map[string]datatest.Set{
		"cifar": {Spec: inFormats("cifar:cifar-10-batches-py"), Refused: map[string]string{
			"runs a program": "cifar:" + filepath.Join(dir, "py"), "cut short": "cifar:" + filepath.Join(dir, "bin"), "label 200": "cifar:" + filepath.Join(dir, "far"),
			"not there": "cifar:" + filepath.Join(dir, "nowhere"), "no such part": inFormats("cifar:cifar-10-batches-py") + "#valid",
		}},
		"tar": {Spec: inFormats("wds-{000000..000001}.tar"), Refused: map[string]string{
			"cut short": filepath.Join(dir, "cut.tar"), "empty": filepath.Join(dir, "none.tar"), "compressed": filepath.Join(dir, "packed.tar.gz"), "not there": filepath.Join(dir, "no-{0..9}.tar"),
			"no range": filepath.Join(dir, "no-{9..0}.tar"), "no tars": "tar:" + filepath.Join(dir, "py"),
		}},
		"parquet": {Spec: inFormats("parquet:hub"), Options: data.Options{CacheBytes: 1}, Refused: map[string]string{
			"cut short": filepath.Join(dir, "cut.parquet"), "a long footer": filepath.Join(dir, "footer.parquet"), "no such split": inFormats("parquet:hub") + "#valid", "no files": "parquet:" + filepath.Join(dir, "py"),
		}},
		"parquet with gaps": {Spec: inFormats("gaps.parquet"), Broken: []int{1}},
		"labels of a file":  {Spec: inFormats("images.npz"), Options: data.Options{Labels: data.NoLabels}},
	} {
		t.Run(name, func(t *testing.T) { datatest.Run(t, set) })
	}
}
