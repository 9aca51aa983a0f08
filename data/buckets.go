package data

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"

	"fluxion/data/stable"

	"golang.org/x/sync/errgroup"
)

// Buckets are the shapes of a set's images, of about equal area, and which images have which:
// aspect buckets, as NovelAI described them (2022) and kohya's sd-scripts list them.
type Buckets struct {
	Sizes   []Size    // those that some image has, from wide to high
	members [][]int32 // the images of each, in order
	of      []int32   // the bucket of each image
}

// MostBuckets is how many shapes a set may have: a step is compiled for each.
const MostBuckets = 64

// BucketsOf are those of a set that was opened with them, or stored in them; nil: its images have
// one shape.
func BucketsOf(d Dataset) *Buckets {
	if of, ok := d.(interface{ inBuckets() *Buckets }); ok {
		return of.inBuckets()
	}
	return nil
}

func (f *files) inBuckets() *Buckets    { return f.buckets }
func (l *labelled) inBuckets() *Buckets { return BucketsOf(l.Dataset) }
func (p *paired) inBuckets() *Buckets   { return BucketsOf(p.Dataset) }
func (c *cache) inBuckets() *Buckets    { return c.buckets }

// bucketed is a set whose images have shapes that another decides, number for number.
type bucketed struct {
	Dataset
	buckets *Buckets
}

func (s *bucketed) inBuckets() *Buckets { return s.buckets }

// inBuckets is a set of some images of another, by their numbers, with the shapes that they have there.
func inBuckets(d, of Dataset, numbers []int) Dataset {
	if b := BucketsOf(of); b != nil {
		return &bucketed{d, b.ordered(numbers)}
	}
	return d
}

// SizeOf is that of image i of a set as it is trained on.
func SizeOf(d Dataset, i int) Size {
	if b := BucketsOf(d); b != nil {
		return b.SizeOf(i)
	}
	h, w, _ := d.Shape()
	return Size{h, w}
}

// SizeOf is that of image i, the first for one that is on another machine.
func (b *Buckets) SizeOf(i int) Size { return b.Sizes[max(b.of[i], 0)] }

// Images is how many have the shape Sizes[k].
func (b *Buckets) Images(k int) int { return len(b.members[k]) }

// ordered are the buckets of some of the images, in another order.
func (b *Buckets) ordered(numbers []int) *Buckets {
	all := make([]int, len(numbers))
	for i, n := range numbers {
		all[i] = int(b.of[n])
	}
	return newBuckets(b.Sizes, all)
}

// Buckets says whether images are brought to shapes of about the area of a square, each to that
// which is nearest to its own. Their sides are multiples of a step, 0 if it is not said.
func (f Fit) Buckets() (step int, yes bool) {
	name, text, given := strings.Cut(string(f), ":")
	if Fit(name) != AspectBuckets {
		return 0, false
	}
	if !given {
		return 0, true
	}
	if step, err := strconv.Atoi(text); err == nil && step > 0 {
		return step, true
	}
	return -1, true
}

// Shaped is how a set is opened for images of one shape.
func (f Fit) Shaped() Fit {
	if _, yes := f.Buckets(); yes {
		return Crop
	}
	return f
}

// bucketSizes are kohya's make_bucket_resolutions: sides from half to twice that of a square, of
// at most its area.
func bucketSizes(side, step int) []Size {
	least := (side/2 + step - 1) / step * step
	list := []Size{Square(side)}
	for width := least; width <= 2*side; width += step {
		if height := min(2*side, side*side/width) / step * step; height >= least {
			list = append(list, Size{height, width}, Size{width, height})
		}
	}
	return inOrder(list)
}

// inOrder are sizes from wide to high, each once.
func inOrder(list []Size) []Size {
	stable.Sort(list, func(a, b Size) int {
		return cmp.Or(a.Height*b.Width-b.Height*a.Width, b.Height*b.Width-a.Height*a.Width, a.Height-b.Height)
	})
	return slices.Compact(list)
}

// largest of sizes by their area; of equal ones that which is next to a square.
func largest(sizes []Size) Size {
	return slices.MaxFunc(sizes, func(a, b Size) int {
		return cmp.Or(a.Height*a.Width-b.Height*b.Width, b.most()-a.most())
	})
}

// place of image i among those of its bucket.
func (b *Buckets) place(i int) int {
	at, _ := slices.BinarySearch(b.members[b.of[i]], int32(i))
	return at
}

// nearest is the number of the size whose proportions are those of a picture, or next to them;
// of two the larger.
func nearest(sizes []Size, width, height int) int {
	best, off := 0, math.Inf(1)
	for i, s := range sizes {
		d := math.Abs(math.Log(float64(height)*float64(s.Width)) - math.Log(float64(width)*float64(s.Height)))
		if larger := s.Height*s.Width > sizes[best].Height*sizes[best].Width; d < off-1e-12 || d < off+1e-12 && larger {
			best, off = i, d
		}
	}
	return best
}

// Check says why images of a set cannot be brought to a size in this way: parts that are cut out at
// random, and shapes of about the area of a square, want one. Latents have theirs.
func (f Fit) Check(spec string, s Size) error {
	step, buckets := f.Buckets()
	side := s.Height
	switch {
	case buckets && strings.HasPrefix(spec, latentsPrefix) && s == (Size{}):
		return nil
	case (f.Varies() || buckets) && s == (Size{}):
		return fmt.Errorf("%s cuts out parts of a size, and none is given; want --size", f)
	case buckets && side != s.Width:
		return fmt.Errorf("%s brings images to shapes of about the area of a square, and size is %v; want its side, such as --size 64", f, s)
	case buckets && step > 0 && side%step != 0:
		divides := step
		for side%divides > 0 {
			divides--
		}
		return fmt.Errorf("%s: a side of %d is no multiple of %d; want a --size that is, or another step, as in %s:%d", f, side, step, AspectBuckets, divides)
	}
	return nil
}

// bucketSizes are the shapes that images may be brought to; nil: one alone.
func (o Options) bucketSizes() []Size {
	step, yes := o.Fit.Buckets()
	if !yes {
		return nil
	}
	side := o.Size.Height
	if step == 0 {
		step = BucketStep(side, 1)
	}
	return bucketSizes(side, step)
}

// BucketStep is about an eighth of a side that divides it, as a multiple of a number; that number
// where few shapes would be left.
func BucketStep(side, multiple int) int {
	step := max(1, (side/8+multiple-1)/multiple) * multiple
	for side%step > 0 {
		if step += multiple; 4*step > side {
			return multiple
		}
	}
	return step
}

// bucket looks at the headers of all pictures. One that cannot be read is among the squares, where
// reading it tells.
func (f *files) bucket(o Options) error {
	sizes := o.bucketSizes()
	if sizes == nil {
		return nil
	}
	all := make([]int, len(f.entries))
	var group errgroup.Group
	workers := 4 * runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < len(all); i += workers {
				width, height := 1, 1
				if h, _, err := HeaderOf(f, i); err == nil {
					width, height = h.Width, h.Height
				}
				all[i] = nearest(sizes, width, height)
			}
			return nil
		})
	}
	_ = group.Wait() // headers that cannot be read are no failure
	f.buckets = newBuckets(sizes, all)
	f.notes = append(f.notes, f.buckets.notes()...)
	return f.buckets.check(f.root)
}

// check refuses more shapes than steps are compiled for.
func (b *Buckets) check(root string) error {
	if n := len(b.Sizes); n > MostBuckets {
		return &Error{Path: root, Problem: fmt.Sprintf("images are of %d shapes; want %d at most, so a larger step of --fit, as in %s:%d", n, MostBuckets, AspectBuckets, 2*b.Step())}
	}
	return nil
}

// Step is the largest number that all sides are multiples of.
func (b *Buckets) Step() int {
	step := 0
	for _, s := range b.Sizes {
		for _, side := range []int{s.Height, s.Width} {
			for side > 0 {
				step, side = side, step%side
			}
		}
	}
	return step
}

// noBucket is the number of that of an image which is on another machine.
const noBucket = -1

// newBuckets are the sizes that some image has; all are their numbers, of each image.
func newBuckets(sizes []Size, all []int) *Buckets {
	b := &Buckets{of: make([]int32, len(all))}
	counts, places := make([]int, len(sizes)), make([]int32, len(sizes))
	for _, k := range all {
		if k != noBucket {
			counts[k]++
		}
	}
	for k, n := range counts {
		if n > 0 {
			places[k] = int32(len(b.Sizes))
			b.Sizes, b.members = append(b.Sizes, sizes[k]), append(b.members, make([]int32, 0, n))
		}
	}
	for i, k := range all {
		if b.of[i] = noBucket; k != noBucket {
			at := places[k]
			b.of[i], b.members[at] = at, append(b.members[at], int32(i))
		}
	}
	return b
}

// MostFrequent are the shapes of most images, n at most.
func (b *Buckets) MostFrequent(n int) []Size {
	all := spread(len(b.Sizes), len(b.Sizes))
	stable.Sort(all, func(i, k int) int { return len(b.members[k]) - len(b.members[i]) })
	var sizes []Size
	for _, k := range all[:min(n, len(all))] {
		sizes = append(sizes, b.Sizes[k])
	}
	return sizes
}

// String lists them with their images.
func (b *Buckets) String() string {
	parts := make([]string, len(b.Sizes))
	for k, s := range b.Sizes {
		parts[k] = fmt.Sprintf("%d×%d (%d)", s.Height, s.Width, len(b.members[k]))
	}
	return count(len(parts), "bucket") + ", height×width (images): " + strings.Join(parts, ", ")
}

// inverse are the buckets of other images, of which number of[i] goes with image i.
func (b *Buckets) inverse(of []int) *Buckets {
	all := make([]int, len(of))
	for i, n := range of {
		all[n] = int(b.of[i])
	}
	return newBuckets(b.Sizes, all)
}

// notes says them to a user.
func (b *Buckets) notes() []string {
	if b == nil {
		return nil
	}
	return []string{b.String()}
}

// batch says of which bucket batch m of a stream is, and at which place of that bucket's own
// stream it begins. Of each pass over the set a bucket has as many batches as it has images for,
// what is left over counts in the next; their order is another in each pass.
func (b *Buckets) batch(seed uint64, size int, m int64) (bucket int, from int64) {
	n, whole := int64(len(b.of)), int64(size)
	until := func(k int, pass int64) int64 { return pass * int64(len(b.members[k])) / whole }
	begun := func(pass int64) (batches int64) {
		for k := range b.members {
			batches += until(k, pass)
		}
		return batches
	}
	// A pass has n/size batches, without up to one of each bucket.
	first := m * whole / n
	last := (m+int64(len(b.members)))*whole/n + 1
	pass := first - 1 + int64(sort.Search(int(last-first)+1, func(i int) bool { return begun(first+int64(i)) > m }))
	place := Order(seed+bucketSeed, pass, int(begun(pass+1)-begun(pass)), int(m-begun(pass)))
	for k := range b.members {
		before := until(k, pass)
		if here := int(until(k, pass+1) - before); place >= here {
			place -= here
			continue
		}
		return k, (before + int64(place)) * whole
	}
	panic("a pass has a batch that no bucket has")
}

// bucketSeed parts the order of buckets from that of images.
const bucketSeed = 0x5851f42d4c957f2d

// seed of a bucket's own stream.
func (b *Buckets) seed(seed uint64, bucket int) uint64 {
	s := b.Sizes[bucket]
	return mix(seed ^ mix(bucketSeed+uint64(s.Height)<<32+uint64(s.Width)))
}
