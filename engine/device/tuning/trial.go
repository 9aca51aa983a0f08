package tuning

import (
	"slices"

	"fluxion/kernels"
)

const (
	// In each of the rounds every candidate and the usual tile size run once. The best
	// candidate is then compared with the usual size alone, as often as confirmations says.
	// Only these decide: the best of many measurements is partly the luckiest.
	rounds        = 3
	confirmations = 9
	// Times as a share of the usual tile size's. A candidate below promising, in the median
	// of the rounds, is confirmed; it is taken if the median of its confirmations is below
	// worthwhile and at most mostLost of them were slower than the usual size. Two sizes that
	// are equally fast pass that last test once in 51 times, whatever the noise. A candidate
	// whose first time is hopeless or more is not run again.
	promising  = 0.99
	worthwhile = 0.97
	mostLost   = 1
	hopeless   = 1.25
	// tooShort is the time of a launch, in seconds, that tells nothing.
	tooShort = 20e-6
)

// trial tries tile sizes on launches that are alike, one in each run of their program.
type trial struct {
	key        string
	cuts       []*kernels.Cut
	usual      kernels.TileSize
	candidates []Candidate
	at         int     // candidate in use; -1: the usual tile size
	seconds    float64 // of the launches in this run
	base       float64 // of the usual tile size, in this round
}

// newTrial goes on with what was tried before, if that was the same.
func newTrial(key string, cut *kernels.Cut, before Entry) *trial {
	t := &trial{key: key, usual: cut.Usual(), at: -1}
	for _, size := range cut.Others() {
		c := Candidate{Size: size}
		i := slices.IndexFunc(before.Tried, func(c Candidate) bool { return c.Size == size })
		if before.Usual == t.usual && i >= 0 {
			c.Times = before.Tried[i].Times
		}
		t.candidates = append(t.candidates, c)
	}
	return t
}

// next takes the time of the run that is over and sets the tile size of the next
// one. It returns false once the trial is settled.
func (t *trial) next() bool {
	if t.at < 0 {
		t.base = t.seconds
		if t.base < tooShort*float64(len(t.cuts)) {
			return false
		}
	} else {
		c := &t.candidates[t.at]
		c.Times = append(c.Times, t.seconds/t.base)
	}
	t.seconds = 0
	for i := t.at + 1; i < len(t.candidates); i++ {
		if t.open(i) {
			t.use(i)
			return true
		}
	}
	for i := range t.candidates {
		if t.open(i) {
			t.use(-1)
			return true
		}
	}
	return false
}

// open tells whether a candidate is to be tried again.
func (t *trial) open(i int) bool {
	if t.exploring() {
		return t.candidates[i].hopeful() && len(t.candidates[i].Times) < rounds
	}
	return i == t.best() && len(t.candidates[i].Times) < rounds+confirmations
}

func (t *trial) exploring() bool {
	return slices.ContainsFunc(t.candidates, func(c Candidate) bool { return c.hopeful() && len(c.Times) < rounds })
}

func (c Candidate) hopeful() bool { return len(c.Times) == 0 || c.Times[0] < hopeless }

// best is the promising candidate of the rounds, -1 if there is none.
func (t *trial) best() int {
	best, least := -1, promising
	for i, c := range t.candidates {
		if len(c.Times) < rounds {
			continue
		}
		if m := median(c.Times[:rounds]); m < least {
			best, least = i, m
		}
	}
	return best
}

// use sets the tile size of the launches.
func (t *trial) use(i int) {
	t.at = i
	size := kernels.TileSize{}
	if i >= 0 {
		size = t.candidates[i].Size
	}
	for _, c := range t.cuts {
		c.TileSize = size
	}
}

// settle decides, and sets the launches to what they keep.
func (t *trial) settle() Entry {
	e := Entry{Usual: t.usual, Best: &t.usual}
	winner := -1
	if i := t.best(); i >= 0 && len(t.candidates[i].Times) == rounds+confirmations {
		times := t.candidates[i].Times[rounds:]
		if m := median(times); m < worthwhile && lost(times) <= mostLost {
			winner, e.Best, e.Gain = i, &t.candidates[i].Size, 1-m
		}
	}
	t.use(winner)
	return e
}

// unfinished is what a later program can go on with.
func (t *trial) unfinished() Entry { return Entry{Usual: t.usual, Tried: t.candidates} }

// lost counts the times in which the usual tile size was faster.
func lost(times []float64) (n int) {
	for _, x := range times {
		if x >= 1 {
			n++
		}
	}
	return n
}

func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[len(sorted)/2]
}
