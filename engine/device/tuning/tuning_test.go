package tuning

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fluxion/kernels"
)

// program is made-up launches whose times are a function of their tile sizes.
type program struct {
	*Tuner
	cuts  []*kernels.Cut
	runs  int
	clock time.Time
	cost  func(launch int, b kernels.TileSize) float64 // seconds
}

// usual is what the launches take by themselves: there are four other numbers of rows
// and one of columns.
var usual, most = kernels.TileSize{Rows: 16, Columns: 2}, kernels.TileSize{Rows: 1000, Columns: 2}

func newProgram(table *Table, launches int, cost func(launch int, b kernels.TileSize) float64) *program {
	p := &program{cost: cost}
	for range launches {
		p.cuts = append(p.cuts, &kernels.Cut{})
	}
	p.Tuner = NewTuner(table, append(p.cuts, nil), func(i int) string { return fmt.Sprint("launch ", i) })
	p.now = func() time.Time { return p.clock }
	return p
}

func (p *program) run() {
	p.runs++
	p.Run(func(i int) {
		if i < len(p.cuts) { // the last launch cannot be cut
			p.clock = p.clock.Add(time.Duration(p.cost(i, p.cuts[i].Of(usual, most)) * 1e9))
		}
	}, func(int) { p.clock = p.clock.Add(time.Duration(p.runs%3) * time.Second) }) // which counts for nothing
}

func (p *program) settle(t *testing.T) {
	t.Helper()
	for !p.Settled() {
		if p.run(); p.runs > 1000 {
			t.Fatal("it does not settle")
		}
	}
}

// notes collects what is wrong.
type notes []string

func (n *notes) add(note string) { *n = append(*n, note) }

func (n *notes) options(dir string) Options { return Options{Dir: dir, Learns: true, Note: n.add} }

// better is times of launches of which the first gain most with 64 rows, a third, the
// second 2 % with one column, and the third nothing. All are up to a tenth longer at random.
func better() func(int, kernels.TileSize) float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	return func(launch int, b kernels.TileSize) float64 {
		noise := 1 + 0.01*rng.Float64()
		if rng.IntN(8) == 0 {
			noise *= 1.1
		}
		switch {
		case launch == 0 && b.Rows == 64:
			return 0.0067 * noise
		case launch == 0 && b.Rows == 32:
			return 0.009 * noise
		case launch == 1 && b.Columns == 1:
			return 0.0098 * noise
		}
		return 0.01 * noise
	}
}

var chosen = []kernels.TileSize{{Rows: 64, Columns: 2}, usual, usual}

func TestChoices(t *testing.T) {
	var said notes
	dir := t.TempDir()
	table := New(said.options(dir))
	p := newProgram(table, 3, better())
	p.run()
	if n := table.Trying(); n != 3 {
		t.Errorf("%d launches are tried, want 3", n)
	}
	p.settle(t)
	if p.runs > 40 {
		t.Errorf("settled after %d runs, want a few dozen", p.runs)
	}
	checkCuts(t, p)
	if e, ok := table.Lookup("launch 0"); !ok || e.Gain < 0.28 || e.Gain > 0.38 {
		t.Errorf("the first launch gains %v, want about a third", e.Gain)
	}
	if table.Trying() != 0 || len(said) > 0 {
		t.Errorf("%d launches are tried after all, notes %v", table.Trying(), said)
	}
	if s := Inspect(dir); s != (Summary{Settled: 3, Otherwise: 1}) {
		t.Errorf("the file holds %+v", s)
	}
	// Later programs begin with that, whether they may learn or not, and try nothing.
	for _, learns := range []bool{true, false} {
		later := newProgram(New(Options{Dir: dir, Learns: learns}), 3, func(int, kernels.TileSize) float64 { return 0.01 })
		if later.run(); !later.Settled() {
			t.Error("a later program tries again")
		}
		checkCuts(t, later)
	}
	// Where kernels have come to take something else by themselves, it is measured anew.
	before := usual
	defer func() { usual = before }()
	usual = kernels.TileSize{Rows: 24, Columns: 2}
	changed := newProgram(New(said.options(dir)), 3, better())
	if changed.run(); changed.Settled() {
		t.Error("tile sizes of another kernel are taken over")
	}
}

func checkCuts(t *testing.T, p *program) {
	t.Helper()
	for i, want := range chosen {
		if got := p.cuts[i].Of(usual, most); got != want {
			t.Errorf("launch %d is cut to %+v, want %+v", i, got, want)
		}
	}
}

// TestNoise tunes launches that take a third more or less of their time at random, the
// same in every tile size: hardly any is cut otherwise.
func TestNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const launches = 400
	p := newProgram(New(Options{Learns: true}), launches, func(int, kernels.TileSize) float64 {
		return 0.01 * math.Exp(rng.NormFloat64()/3)
	})
	p.settle(t)
	otherwise := 0
	for _, c := range p.cuts {
		if c.Of(usual, most) != usual {
			otherwise++
		}
	}
	t.Logf("%d of %d", otherwise, launches)
	if otherwise > launches/25 {
		t.Errorf("%d of %d launches are cut otherwise for nothing", otherwise, launches)
	}
}

func TestNotLearning(t *testing.T) {
	dir := t.TempDir()
	p := newProgram(New(Options{Dir: dir}), 2, better())
	if p.run(); !p.Settled() {
		t.Error("it tries")
	}
	p.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it wrote %v, %v", left, err)
	}
}

func TestHopelessAndShort(t *testing.T) {
	slow := map[kernels.TileSize]int{}
	p := newProgram(New(Options{Learns: true}), 2, func(launch int, b kernels.TileSize) float64 {
		if launch == 1 {
			return 1e-6
		}
		if slow[b]++; b.Rows > usual.Rows {
			return 0.02
		}
		return 0.01
	})
	p.settle(t)
	for _, rows := range []int{32, 64} {
		if n := slow[kernels.TileSize{Rows: rows, Columns: 2}]; n != 1 {
			t.Errorf("%d rows, twice as slow, were tried %d times", rows, n)
		}
	}
	if got := p.cuts[1].TileSize; got != (kernels.TileSize{}) {
		t.Errorf("a launch of a microsecond is cut to %+v", got)
	}
}

// TestInterrupted closes programs long before they are settled: the next goes on.
func TestInterrupted(t *testing.T) {
	var said notes
	dir, cost := t.TempDir(), better()
	total := 0
	for {
		p := newProgram(New(said.options(dir)), 3, cost)
		for range 9 {
			if p.run(); p.Settled() {
				break
			}
		}
		p.Close()
		if total += p.runs; p.Settled() && p.runs == 1 {
			checkCuts(t, p)
			break
		}
		if total > 200 {
			t.Fatal("it never settles")
		}
	}
	if total > 60 {
		t.Errorf("it took %d runs in all", total)
	}
	if len(said) > 0 {
		t.Errorf("notes %v", said)
	}
}

func TestUnusableFiles(t *testing.T) {
	good := t.TempDir()
	p := newProgram(New(Options{Dir: good, Learns: true}), 3, better())
	p.settle(t)
	text, err := os.ReadFile(Path(good))
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(old, new string) string {
		if !strings.Contains(string(text), old) {
			t.Fatalf("no %q in %s", old, text)
		}
		return strings.Replace(string(text), old, new, 1)
	}
	for name, content := range map[string]string{
		"empty":    "",
		"cut off":  string(text[:len(text)/2]),
		"garbage":  "\x00\x01\x02",
		"a list":   "[]",
		"old":      replaced(`"version": 1`, `"version": 0`),
		"foreign":  replaced(`"machine": "`, `"machine": "another `),
		"negative": replaced(`"rows": 64`, `"rows": -64`),
		"huge":     replaced(`"rows": 64`, `"rows": 1e99`),
	} {
		t.Run(name, func(t *testing.T) {
			var said notes
			dir := t.TempDir()
			if err := os.WriteFile(Path(dir), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
			if s := Inspect(dir); s.Problem == "" {
				t.Errorf("found nothing wrong: %+v", s)
			}
			p := newProgram(New(said.options(dir)), 3, better())
			p.settle(t)
			checkCuts(t, p)
			if len(said) != 1 || !strings.Contains(said[0], Path(dir)) || strings.Contains(said[0], "\n") {
				t.Errorf("notes %q, want one line that names the file", []string(said))
			}
			if s := Inspect(dir); s != (Summary{Settled: 3, Otherwise: 1}) {
				t.Errorf("written anew, the file holds %+v", s)
			}
		})
	}
	// A tile size beyond what there is does no harm.
	dir := t.TempDir()
	if err := os.WriteFile(Path(dir), []byte(replaced(`"rows": 64`, `"rows": 999999999`)), 0o666); err != nil {
		t.Fatal(err)
	}
	beyond := newProgram(New(Options{Dir: dir}), 1, better())
	beyond.run()
	if got := beyond.cuts[0].Of(usual, most); got != (kernels.TileSize{Rows: most.Rows, Columns: 2}) {
		t.Errorf("999999999 rows become %+v", got)
	}
}

func TestUnwritableFolder(t *testing.T) {
	var said notes
	occupied := filepath.Join(t.TempDir(), "occupied")
	if err := os.WriteFile(occupied, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	p := newProgram(New(said.options(filepath.Join(occupied, "cache"))), 3, better())
	p.settle(t)
	checkCuts(t, p)
	// One note that it cannot be read, one that it cannot be written, whatever happens after.
	newProgram(p.table, 3, better()).run()
	p.table.save()
	if len(said) != 2 {
		t.Errorf("notes %q", []string(said))
	}
}

func TestDeleted(t *testing.T) {
	var said notes
	dir := filepath.Join(t.TempDir(), "made", "anew")
	p := newProgram(New(said.options(dir)), 3, better())
	for !p.Settled() {
		p.run()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	p.table.save()
	if s := Inspect(dir); s.Settled != 3 || len(said) > 0 {
		t.Errorf("the file holds %+v, notes %v", s, said)
	}
}

// TestConcurrentWriters lets tables of several processes write and read one file.
func TestConcurrentWriters(t *testing.T) {
	dir := t.TempDir()
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 20 {
				table := New(Options{Dir: dir, Learns: true, Note: func(note string) { t.Error(note) }})
				table.Lookup("")
				table.put(fmt.Sprintf("launch %d of %d", i, w), Entry{Usual: usual, Best: &usual})
				table.save()
			}
		})
	}
	writers.Wait()
	if s := Inspect(dir); s.Problem != "" || s.Settled < 20 {
		t.Errorf("the file holds %+v", s)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	// One after the other, nothing is lost.
	for w := range 3 {
		table := New(Options{Dir: dir})
		table.put(fmt.Sprint("later ", w), Entry{Usual: usual, Best: &usual})
		table.save()
	}
	last := New(Options{Dir: dir})
	for w := range 3 {
		if _, ok := last.Lookup(fmt.Sprint("later ", w)); !ok {
			t.Errorf("what process %d wrote is lost", w)
		}
	}
}
