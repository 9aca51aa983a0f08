package train

import (
	"fmt"
	"runtime"
	"sync"

	"fluxion/data"
)

// baselineImages is how many images, equally spaced in the data set, the
// variance of the pixels is taken from. Of 256 photographs it is known to a few
// per cent, which moves the baseline by half as much.
const baselineImages = 256

// pixelMoments are the mean and the variance of all pixels, as the network sees them.
// Images that cannot be read are left out; reading them for training says so.
func pixelMoments(d data.Dataset) (mean, variance float64) {
	n := min(d.Len(), baselineImages)
	workers := min(n, runtime.GOMAXPROCS(0))
	// What is counted may be added in any order; sums are by image, so that the order
	// is the same whatever the number of processors.
	counts, images := make([][256]int64, workers), make([]moments, n)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			e := data.NewExample(d)
			for i := w; i < n; i += workers {
				if _, err := e.ReadShaped(d, int(int64(i)*int64(d.Len())/int64(n))); err != nil {
					continue
				}
				for _, p := range e.Bytes {
					counts[w][p]++
				}
				for _, x := range e.Floats {
					images[i].add(1, float64(x))
				}
			}
		})
	}
	all.Wait()
	var m moments
	for _, c := range counts {
		for p, n := range c {
			m.add(float64(n), float64(2*p-255)/255)
		}
	}
	for _, of := range images {
		m.count, m.sum, m.squares = m.count+of.count, m.sum+of.sum, m.squares+of.squares
	}
	if m.count == 0 {
		return 0, 0
	}
	mean = m.sum / m.count
	return mean, max(0, m.squares/m.count-mean*mean)
}

// moments of values: how many there are, their sum, and that of their squares.
type moments struct{ count, sum, squares float64 }

// add n times the value x.
func (m *moments) add(n, x float64) {
	m.count, m.sum, m.squares = m.count+n, m.sum+n*x, m.squares+n*x*x
}

// A run is looked at when it has seen all of these, and lossMemory images after
// its warm-up, which the mean loss has left behind then. Every preset by its
// recipe is below its baseline at 2,000 images: see engine/BENCHMARKS.md.
//
// Where little contrast, or much noise, makes the linear guess a very good one, a
// network needs longer to find it. So it has learned something, too, when its
// loss is below half of what the answer 0 costs.
const (
	stuckShare  = 0.01 // of its length
	stuckImages = 2_000
	stuckSteps  = 100
	stuckLevel  = 0.5 // of the loss of the answer 0
)

// Stuck is a run that has not learned what a network without knowledge knows.
type Stuck struct {
	Images         int64
	Loss, Baseline float64
	LR             float64 // the largest of the run
	TryLR          float64 // the recipe's, or a third of LR where that is the recipe's
}

func (s Stuck) String() string {
	return fmt.Sprintf("after %d images the loss is %.4f and not below %.4f, that of a network that knows only the variance of the pixels: "+
		"it does not learn; try --fresh --lr %.2g first (it is %.2g), then a longer --warmup, a larger --batch or --precision fp32",
		s.Images, s.Loss, s.Baseline, s.TryLR, s.LR)
}

// stuck says whether the run has had its time and has not learned.
func (r *run) stuck(state State) (Stuck, bool) {
	s := r.settings
	least := max(int64(stuckShare*float64(s.Images)), stuckImages, s.Warmup+lossMemory, stuckSteps*int64(s.Batch))
	if state.Images < least || r.learned(state) {
		return Stuck{}, false
	}
	try := r.recipe.LR
	if s.LR == try {
		try /= 3
	}
	return Stuck{state.Images, state.Loss, r.baseline, s.LR, try}, true
}

// learned says whether the loss is below that of a network without knowledge. Of
// data without contrast, whose baseline is 0, it is said to be.
func (r *run) learned(state State) bool {
	return r.baseline <= 0 || state.Loss < max(r.baseline, stuckLevel*r.atZero)
}

// unlearned says at the end of a run that it has not learned; "" where it has, or
// where that was told before.
func (r *run) unlearned() string {
	if r.told || r.learned(r.state) {
		return ""
	}
	return fmt.Sprintf("%d images are few: the mean loss, %.4f, is not below the baseline, %.4f, yet, and samples may be little but noise; more --images go on with the run",
		r.state.Images, r.state.Loss, r.baseline)
}
