package tuning

import (
	"slices"

	"fluxion/kernels"
)

const (
	// rounds is how often all blockings take turns with the usual one, duels how often
	// the best of them then does alone: only these decide, since the best of many is
	// partly the luckiest.
	rounds = 3
	duels  = 9
	// promising is what a blocking must take of the usual one's time for a duel,
	// worthwhile what it must take there in the median. Without a difference, whatever
	// the noise, as few lost duels as mostLost come about once in 51 times. hopeless is
	// what a blocking is not tried again from.
	promising  = 0.99
	worthwhile = 0.97
	mostLost   = 1
	hopeless   = 1.25
	// tooShort is the time of a launch, in seconds, that tells nothing.
	tooShort = 20e-6
)

// trial tries blockings on launches that are alike, one in each run of their program.
type trial struct {
	key     string
	cuts    []*kernels.Cut
	usual   kernels.Blocking
	rivals  []Rival
	at      int     // rival in use; -1: the usual blocking
	seconds float64 // of the launches in this run
	base    float64 // of the usual blocking, in this round
}

// newTrial goes on with what was tried before, if that was the same.
func newTrial(key string, cut *kernels.Cut, before Entry) *trial {
	t := &trial{key: key, usual: cut.Usual(), at: -1}
	for _, b := range cut.Others() {
		r := Rival{Blocking: b}
		i := slices.IndexFunc(before.Tried, func(r Rival) bool { return r.Blocking == b })
		if before.Usual == t.usual && i >= 0 {
			r.Times = before.Tried[i].Times
		}
		t.rivals = append(t.rivals, r)
	}
	return t
}

// next takes the time of the run that is over and sets the blocking of the next
// one. It returns false once the trial is settled.
func (t *trial) next() bool {
	if t.at < 0 {
		t.base = t.seconds
		if t.base < tooShort*float64(len(t.cuts)) {
			return false
		}
	} else {
		r := &t.rivals[t.at]
		r.Times = append(r.Times, t.seconds/t.base)
	}
	t.seconds = 0
	for i := t.at + 1; i < len(t.rivals); i++ {
		if t.open(i) {
			t.use(i)
			return true
		}
	}
	for i := range t.rivals {
		if t.open(i) {
			t.use(-1)
			return true
		}
	}
	return false
}

// open tells whether a rival is to be tried again.
func (t *trial) open(i int) bool {
	if t.exploring() {
		return t.rivals[i].hopeful() && len(t.rivals[i].Times) < rounds
	}
	return i == t.best() && len(t.rivals[i].Times) < rounds+duels
}

func (t *trial) exploring() bool {
	return slices.ContainsFunc(t.rivals, func(r Rival) bool { return r.hopeful() && len(r.Times) < rounds })
}

func (r Rival) hopeful() bool { return len(r.Times) == 0 || r.Times[0] < hopeless }

// best is the promising rival of the rounds, -1 if there is none.
func (t *trial) best() int {
	best, least := -1, promising
	for i, r := range t.rivals {
		if len(r.Times) < rounds {
			continue
		}
		if m := median(r.Times[:rounds]); m < least {
			best, least = i, m
		}
	}
	return best
}

// use sets the blocking of the launches.
func (t *trial) use(i int) {
	t.at = i
	b := kernels.Blocking{}
	if i >= 0 {
		b = t.rivals[i].Blocking
	}
	for _, c := range t.cuts {
		c.Blocking = b
	}
}

// settle decides, and sets the launches to what they keep.
func (t *trial) settle() Entry {
	e := Entry{Usual: t.usual, Best: &t.usual}
	winner := -1
	if i := t.best(); i >= 0 && len(t.rivals[i].Times) == rounds+duels {
		times := t.rivals[i].Times[rounds:]
		if m := median(times); m < worthwhile && lost(times) <= mostLost {
			winner, e.Best, e.Gain = i, &t.rivals[i].Blocking, 1-m
		}
	}
	t.use(winner)
	return e
}

// unfinished is what a later program can go on with.
func (t *trial) unfinished() Entry { return Entry{Usual: t.usual, Tried: t.rivals} }

// lost is how many duels the usual blocking won.
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
