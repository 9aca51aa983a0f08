package process

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
)

// Adaptive is the state of VDM++'s adaptive noise schedule (Kingma and Gao,
// "Understanding Diffusion Objectives as the ELBO…" (2023), appendix F): a
// running mean of w(λ)‖ε̂−ε‖² in bins of λ, in proportion to which λ is drawn.
// The loss is then about constant in λ; the objective does not move, for what is
// drawn more often is weighted less.
type Adaptive struct {
	Low   float64   `json:"low"` // λ of the first bin's edge, and of the last's
	High  float64   `json:"high"`
	Decay float64   `json:"decay"`
	Means []float64 `json:"means"`
	Seen  []int64   `json:"seen"` // observations in each bin

	stale   bool      // behind what was seen are
	average float64   // mean of the bins that have seen something
	upTo    []float64 // sums of the levels of the bins up to each, with it
}

const (
	mostBins = 100_000 // far more than a run fills
	mostSeen = 1 << 53 // counts beyond are no longer exact in a float
)

// floor is the least share of the mean density that a bin keeps, so that every
// λ is seen from time to time.
const floor = 0.05

func adaptiveTime(s Schedule, p Parameters) (TimeSampler, error) {
	if err := p.positive("bins", "max"); err != nil {
		return TimeSampler{}, err
	}
	if b := p["bins"]; b != math.Trunc(b) || b > mostBins {
		return TimeSampler{}, fmt.Errorf("bins = %g, want a whole number up to %d", b, mostBins)
	}
	if !(p["decay"] >= 0 && p["decay"] < 1) {
		return TimeSampler{}, fmt.Errorf("decay = %g, want a number in [0, 1)", p["decay"])
	}
	a := &Adaptive{
		Low: math.Max(s.LogSNR(1), -p["max"]), High: math.Min(s.LogSNR(0), p["max"]), Decay: p["decay"],
		Means: make([]float64, int(p["bins"])), Seen: make([]int64, int(p["bins"])), stale: true,
	}
	t, err := byLogSNR(s, a.Low, a.High, a.quantile, a.density)
	t.Adaptive = a
	return t, err
}

// mean is that of the bins that have seen something.
func (a *Adaptive) mean() float64 {
	mean, seen := 0.0, 0
	for i, m := range a.Means {
		if a.Seen[i] > 0 {
			mean, seen = mean+m, seen+1
		}
	}
	if mean = mean / math.Max(1, float64(seen)); mean == 0 {
		return 1
	}
	return mean
}

// level is the height of a bin's density, not normalised. A bin that has seen nothing
// yet is as high as the mean of those that have.
func (a *Adaptive) level(i int, mean float64) float64 {
	if a.Seen[i] == 0 {
		return mean
	}
	return math.Max(a.Means[i], floor*mean)
}

// settle brings up to date what each image asks for several times.
func (a *Adaptive) settle() {
	if !a.stale {
		return
	}
	a.stale, a.average, a.upTo = false, a.mean(), append(a.upTo[:0], make([]float64, len(a.Means))...)
	sum := 0.0
	for i := range a.Means {
		sum += a.level(i, a.average)
		a.upTo[i] = sum
	}
}

func (a *Adaptive) width() float64 { return (a.High - a.Low) / float64(len(a.Means)) }

func (a *Adaptive) bin(lambda float64) int {
	return min(max(int((lambda-a.Low)/a.width()), 0), len(a.Means)-1)
}

func (a *Adaptive) density(lambda float64) float64 {
	a.settle()
	return a.level(a.bin(lambda), a.average) / (a.upTo[len(a.upTo)-1] * a.width())
}

func (a *Adaptive) quantile(u float64) float64 {
	a.settle()
	target := u * a.upTo[len(a.upTo)-1]
	i := min(sort.SearchFloat64s(a.upTo, target), len(a.upTo)-1)
	below := 0.0
	if i > 0 {
		below = a.upTo[i-1]
	}
	return a.Low + a.width()*(float64(i)+(target-below)/(a.upTo[i]-below))
}

// Observe adds w(λ)‖ε̂−ε‖² of one training image, mean over its values. Values
// that are not finite are left out.
func (a *Adaptive) Observe(lambda, weighted float64) {
	if math.IsNaN(weighted) || math.IsInf(weighted, 0) || math.IsNaN(lambda) {
		return
	}
	i := a.bin(lambda)
	// Unbiased from the first observation on: a plain mean until it is longer
	// than the decay's memory.
	keep := math.Min(a.Decay, float64(a.Seen[i])/float64(a.Seen[i]+1))
	a.Means[i] = keep*a.Means[i] + (1-keep)*weighted
	a.Seen[i]++
	a.stale = true
}

// MarshalState returns the state for a checkpoint.
func (a *Adaptive) MarshalState() ([]byte, error) { return json.Marshal(a) }

// Restore goes on from what MarshalState wrote, in a run with the same bins.
func (a *Adaptive) Restore(b Adaptive) error {
	if len(b.Means) != len(a.Means) || len(b.Seen) != len(a.Seen) || b.Low != a.Low || b.High != a.High {
		return fmt.Errorf("adaptive times: %d bins of λ from %g to %g, want %d from %g to %g", len(b.Means), b.Low, b.High, len(a.Means), a.Low, a.High)
	}
	if !(b.Decay >= 0 && b.Decay < 1) {
		return fmt.Errorf("adaptive times: decay is %g, want a number in [0, 1)", b.Decay)
	}
	for i, m := range b.Means {
		if m < 0 || b.Seen[i] < 0 || b.Seen[i] > mostSeen {
			return fmt.Errorf("adaptive times: bin %d has mean %g of %d observations, want neither below 0 nor more than %d", i, m, b.Seen[i], int64(mostSeen))
		}
	}
	*a = b
	a.stale = true
	return nil
}
