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

// pixelVariance is the variance of all pixels, scaled to [-1, 1] as the network
// sees them. Images that cannot be read are left out; reading them for training
// says so.
func pixelVariance(d data.Dataset) float64 {
	n := min(d.Len(), baselineImages)
	height, width, channels := d.Shape()
	counts := make([][256]int64, min(n, runtime.GOMAXPROCS(0)))
	var all sync.WaitGroup
	for w := range counts {
		all.Go(func() {
			pixels := make([]byte, height*width*channels)
			for i := w; i < n; i += len(counts) {
				if _, err := d.Read(int(int64(i)*int64(d.Len())/int64(n)), pixels); err != nil {
					continue
				}
				for _, p := range pixels {
					counts[w][p]++
				}
			}
		})
	}
	all.Wait()
	var sum, squares, total float64
	for _, c := range counts {
		for p, n := range c {
			x := float64(2*p-255) / 255
			sum, squares, total = sum+float64(n)*x, squares+float64(n)*x*x, total+float64(n)
		}
	}
	if total == 0 {
		return 0
	}
	mean := sum / total
	return max(0, squares/total-mean*mean)
}

// A run is looked at when it has seen all of these, and lossMemory images after
// its warm-up, which the mean loss has left behind then. Every preset by its
// recipe is below its baseline at 2,000 images: see engine/BENCHMARKS.md.
const (
	stuckShare  = 0.1 // of its length
	stuckImages = 2_000
	stuckSteps  = 100
)

// Stuck is a run that has not learned what a network without knowledge knows.
type Stuck struct {
	Images         int64
	Loss, Baseline float64
	LR             float64 // the largest of the run
}

func (s Stuck) String() string {
	return fmt.Sprintf("after %d images the loss is %.4f, not below the %.4f of a network that knows no more than the mean and the variance of the pixels: "+
		"it does not learn; stop it and try --fresh with --lr %.2g, a third of what it has; then a longer --warmup, a larger --batch, --precision fp32",
		s.Images, s.Loss, s.Baseline, s.LR/3)
}

// stuck says whether the run has had its time and is not below the baseline. Of
// data without contrast, whose baseline is 0, it says nothing.
func (r *run) stuck(state State) (Stuck, bool) {
	s := r.settings
	least := max(int64(stuckShare*float64(s.Images)), stuckImages, s.Warmup+lossMemory, stuckSteps*int64(s.Batch))
	if r.baseline <= 0 || state.Images < least || state.Loss < r.baseline {
		return Stuck{}, false
	}
	return Stuck{state.Images, state.Loss, r.baseline, s.LR}, true
}
