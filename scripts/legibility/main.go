// Command legibility judges samples of the glyphs data set: it prints the share
// whose nearest neighbour, among glyphs that were never trained on, has the
// class they were asked for.
//
//	go run ./scripts/legibility -samples DIR
//
// The class of a sample is the text "class" of its PNG. The distance is the
// Euclidean one of RGB pixels, after the best shift of the reference by up to
// three pixels each way; pixels shifted in repeat the border.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"fluxion/data"
)

const maxShift = 3

func main() {
	samples := flag.String("samples", "", "folder of PNG files")
	references := flag.Int("references", 2000, "glyphs to compare with")
	seed := flag.Uint64("seed", 987654321, "of the references; training uses 0")
	least := flag.Float64("min", 80, "per cent that must be right")
	self := flag.Bool("self", false, "judge 200 other glyphs instead of samples: what is the best there can be")
	flag.Parse()
	share, err := judge(*samples, *references, *seed, *self)
	if err != nil {
		fmt.Fprintln(os.Stderr, "legibility:", err)
		os.Exit(2)
	}
	if share < *least {
		os.Exit(1)
	}
}

// picture is an image with its class.
type picture struct {
	pixels []byte
	class  string
}

func judge(dir string, references int, seed uint64, self bool) (float64, error) {
	known, err := glyphs(seed, references)
	if err != nil {
		return 0, err
	}
	var asked []picture
	if self {
		asked, err = glyphs(seed+1, 200)
	} else {
		asked, err = read(dir)
	}
	if err != nil {
		return 0, err
	}
	shifted := make([][][]byte, len(known))
	parallel(len(known), func(i int) { shifted[i] = shifts(known[i].pixels) })
	found := make([]string, len(asked))
	parallel(len(asked), func(i int) {
		best, class := math.MaxInt, ""
		for r, versions := range shifted {
			for _, v := range versions {
				if d := distance(asked[i].pixels, v, best); d < best {
					best, class = d, known[r].class
				}
			}
		}
		found[i] = class
	})
	right, total := map[string]int{}, map[string]int{}
	sum := 0
	for i, p := range asked {
		total[p.class]++
		if found[i] == p.class {
			right[p.class]++
			sum++
		}
	}
	var classes []string
	for c := range total {
		classes = append(classes, c)
	}
	slices.Sort(classes)
	for _, c := range classes {
		fmt.Printf("class %s: %d of %d\n", c, right[c], total[c])
	}
	share := 100 * float64(sum) / float64(len(asked))
	fmt.Printf("legible: %d of %d, %.1f %%\n", sum, len(asked), share)
	return share, nil
}

func glyphs(seed uint64, n int) ([]picture, error) {
	d, err := data.NewGlyphs("", seed)
	if err != nil {
		return nil, err
	}
	list := make([]picture, n)
	for i := range list {
		e := data.NewExample(d)
		if err := d.Read(i, e); err != nil {
			return nil, err
		}
		list[i].pixels, list[i].class = e.Bytes, d.Classes()[e.Class]
	}
	return list, nil
}

const side = 32 // of a glyph

func read(dir string) ([]picture, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s holds no PNG files", dir)
	}
	var list []picture
	for _, f := range files {
		text, err := data.ReadText(f)
		if err != nil {
			return nil, err
		}
		pixels, h, w, c, err := data.ReadPNG(f)
		if err != nil {
			return nil, err
		}
		if h != side || w != side || c != 3 || text["class"] == "" {
			return nil, fmt.Errorf("%s is %d×%d×%d of class %q, want %d×%d×3 and a class", f, h, w, c, text["class"], side, side)
		}
		list = append(list, picture{pixels, text["class"]})
	}
	return list, nil
}

// shifts returns an image moved by every offset.
func shifts(pixels []byte) [][]byte {
	var list [][]byte
	at := func(i int) int { return max(0, min(side-1, i)) }
	for dy := -maxShift; dy <= maxShift; dy++ {
		for dx := -maxShift; dx <= maxShift; dx++ {
			moved := make([]byte, 0, len(pixels))
			for y := range side {
				for x := range side {
					from := 3 * (at(y+dy)*side + at(x+dx))
					moved = append(moved, pixels[from:from+3]...)
				}
			}
			list = append(list, moved)
		}
	}
	return list
}

// distance is the squared distance, or any number from best on.
func distance(a, b []byte, best int) int {
	sum := 0
	for row := 0; row < len(a) && sum < best; row += side * 3 {
		x, y := a[row:row+side*3], b[row:row+side*3]
		for i := range x {
			d := int(x[i]) - int(y[i])
			sum += d * d
		}
	}
	return sum
}

// parallel calls f for 0 to n-1 on all processors.
func parallel(n int, f func(i int)) {
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	group.Wait()
}
