package tuning

import (
	"time"

	"fluxion/kernels"
)

// Tuner sets the tile sizes of one program's launches from a table. For launches that the
// table does not know, it tries tile sizes while the program runs.
type Tuner struct {
	table  *Table
	cuts   []*kernels.Cut // of each launch
	key    func(i int) string
	of     []*trial // of each launch; nil: nothing is tried
	trials []*trial
	begun  bool
	now    func() time.Time
}

// NewTuner returns the tuner of a program with these cuts of its launches, nil for those
// without a tile size. Launches with the same key are alike.
func NewTuner(table *Table, cuts []*kernels.Cut, key func(i int) string) *Tuner {
	return &Tuner{table: table, cuts: cuts, key: key, now: time.Now}
}

// Settled tells that nothing is left to be tried: the program may run without Run.
func (t *Tuner) Settled() bool { return t == nil || t.begun && len(t.trials) == 0 }

// Run runs the program once. The first run uses the usual tile sizes; in it kernels tell
// which others they can have. The table is used from the second run on. The time of behind, which
// is called after each launch, is not the launch's.
func (t *Tuner) Run(launch, behind func(i int)) {
	if !t.begun {
		for i := range t.cuts {
			launch(i)
			behind(i)
		}
		t.begin()
		return
	}
	for i, trial := range t.of {
		start := t.now()
		launch(i)
		if trial != nil {
			trial.seconds += t.now().Sub(start).Seconds()
		}
		behind(i)
	}
	t.advance()
}

// begin looks the launches up.
func (t *Tuner) begin() {
	t.begun = true
	t.of = make([]*trial, len(t.cuts))
	known := map[string]*trial{}
	for i, cut := range t.cuts {
		if cut == nil || len(cut.Others()) == 0 {
			continue
		}
		key := t.key(i)
		e, ok := t.table.Lookup(key)
		if ok && e.Best != nil && e.Usual == cut.Usual() {
			cut.TileSize = *e.Best
			continue
		}
		if !t.table.learns {
			continue
		}
		if known[key] == nil {
			known[key] = newTrial(key, cut, e)
			t.trials = append(t.trials, known[key])
		}
		known[key].cuts = append(known[key].cuts, cut)
		t.of[i] = known[key]
	}
	t.table.count(len(t.trials))
}

// advance goes on with every trial, and writes down those that are settled.
func (t *Tuner) advance() {
	kept := t.trials[:0]
	for _, trial := range t.trials {
		if trial.next() {
			kept = append(kept, trial)
			continue
		}
		t.table.put(trial.key, trial.settle())
		for i := range t.of {
			if t.of[i] == trial {
				t.of[i] = nil
			}
		}
	}
	if n := len(t.trials) - len(kept); n > 0 {
		t.table.count(-n)
		t.trials = kept
		t.table.save()
	}
}

// Close writes down what was tried so far.
func (t *Tuner) Close() {
	if t == nil || len(t.trials) == 0 {
		return
	}
	for _, trial := range t.trials {
		t.table.put(trial.key, trial.unfinished())
	}
	t.table.count(-len(t.trials))
	t.trials = nil
	t.table.save()
}

// count adds to the trials that go on.
func (t *Table) count(n int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.trying += n
}
