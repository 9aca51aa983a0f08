package runpage

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"fluxion/engine/record"
	"fluxion/engine/rundir"
)

// What a page holds at most.
const (
	maxPoints  = 2000 // of a curve: where there are more, every other one goes
	maxNotes   = 200
	maxGrids   = 1000
	maxViewers = 32
	maxNews    = 64 // that wait for a viewer: who does not read them goes
)

// State is all that a page shows.
type State struct {
	Run         string       `json:"run"`
	About       [][2]string  `json:"about"` // of the start
	Now         Now          `json:"now"`
	Loss        []Point      `json:"loss"`
	Evaluations []Evaluation `json:"evaluations"`
	Grids       []string     `json:"grids"`
	Notes       []Note       `json:"notes"`
	Ended       bool         `json:"ended"`
}

// Now is the newest status. What is no number is nil.
type Now struct {
	Images   int64    `json:"images"`
	Of       int64    `json:"of"`
	Loss     *float64 `json:"loss"`
	LR       float64  `json:"lr"`
	GradNorm *float64 `json:"grad_norm"`
	Rate     *float64 `json:"rate"`
	Elapsed  float64  `json:"elapsed"`
	Left     float64  `json:"left"`
}

// Point of the curve of the loss.
type Point struct {
	Images int64   `json:"x"`
	Loss   float64 `json:"y"`
}

// Evaluation is the values of one.
type Evaluation struct {
	Images int64               `json:"images"`
	Values map[string]*float64 `json:"values"`
}

// Note is a line of the log.
type Note struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// news is a part of the state that changed.
type news struct {
	name  string
	value any
}

// board is the state of a run and those who look at it.
type board struct {
	mutex   sync.Mutex
	dir     string
	state   State
	every   int // of how many statuses the curve of the loss takes one
	skipped int
	viewers map[chan news]bool
}

func newBoard(dir string) *board {
	return &board{dir: dir, every: 1, state: State{Run: filepath.Base(dir)}, viewers: map[chan news]bool{}}
}

// join adds a viewer: what is, and what comes.
func (b *board) join() (s State, c chan news, leave func(), ok bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.viewers) >= maxViewers {
		return s, nil, nil, false
	}
	c = make(chan news, maxNews)
	s = b.copy()
	if s.Ended {
		close(c)
		return s, c, func() {}, true
	}
	b.viewers[c] = true
	return s, c, func() {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		b.drop(c)
	}, true
}

// copy of the state, which others read while it changes.
func (b *board) copy() State {
	s := b.state
	s.Loss, s.Evaluations, s.Grids, s.Notes = slices.Clone(s.Loss), slices.Clone(s.Evaluations), slices.Clone(s.Grids), slices.Clone(s.Notes)
	return s
}

func (b *board) drop(c chan news) {
	if b.viewers[c] {
		delete(b.viewers, c)
		close(c)
	}
}

// tell all viewers; the mutex is held.
func (b *board) tell(name string, v any) {
	for c := range b.viewers {
		select {
		case c <- news{name, v}:
		default:
			b.drop(c)
		}
	}
}

// About is what a user is told at the start, in rows of a name and a text.
func (b *board) About(rows [][2]string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.state.About = rows
	b.tell("about", rows)
}

// Note adds a line.
func (b *board) Note(text string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	n := Note{time.Now(), text}
	b.state.Notes = append(b.state.Notes, n)
	b.state.Notes = b.state.Notes[max(0, len(b.state.Notes)-maxNotes):]
	b.tell("note", n)
}

// begin reads what is in the run folder, up to so many images.
func (b *board) begin(images int64) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.state.Loss, b.state.Evaluations, b.state.Grids, b.every, b.skipped = nil, nil, nil, 1, 0
	stats, _ := rundir.Stats(b.dir) // what cannot be read is not shown
	for _, l := range record.Losses(stats) {
		if l.Images <= images {
			b.point(Point{l.Images, l.Loss})
		}
	}
	for _, e := range record.Evaluations(stats, images) {
		b.state.Evaluations = append(b.state.Evaluations, shown(e))
	}
	entries, _ := os.ReadDir(filepath.Join(b.dir, rundir.SamplesDir))
	for _, e := range entries {
		if gridName.MatchString(e.Name()) && e.Name() <= rundir.GridName(images) {
			b.state.Grids = append(b.state.Grids, e.Name())
		}
	}
	slices.SortFunc(b.state.Grids, func(x, y string) int { return cmp.Or(len(x)-len(y), cmp.Compare(x, y)) })
	b.state.Evaluations = b.state.Evaluations[max(0, len(b.state.Evaluations)-maxPoints):]
	b.state.Grids = b.state.Grids[max(0, len(b.state.Grids)-maxGrids):]
	b.state.Now.Images = images
	b.tell("state", b.copy())
}

// point adds one to the curve of the loss, or passes it over.
func (b *board) point(p Point) bool {
	if b.skipped++; b.skipped < b.every {
		return false
	}
	b.skipped = 0
	if math.IsNaN(p.Loss) || math.IsInf(p.Loss, 0) {
		return false
	}
	if b.state.Loss = append(b.state.Loss, p); len(b.state.Loss) > maxPoints {
		b.every *= 2
		thin := b.state.Loss[:0]
		for i, p := range b.state.Loss {
			if i%2 == 0 {
				thin = append(thin, p)
			}
		}
		b.state.Loss = thin
	}
	return true
}

// number is v, or nil where JSON has none such.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func (b *board) status(s record.Status) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.state.Now = Now{s.Images, s.Of, number(s.Loss), s.LR, number(s.GradNorm), number(s.ImagesPerSecond), s.Elapsed.Seconds(), s.Left.Seconds()}
	b.tell("now", b.state.Now)
	if p := (Point{s.Images, s.Loss}); b.point(p) {
		b.tell("loss", p)
	}
}

func shown(e record.Evaluation) Evaluation {
	v := Evaluation{Images: e.Images, Values: map[string]*float64{}}
	for _, value := range e.Values {
		v.Values[value.Name] = number(value.Value)
	}
	return v
}

func (b *board) evaluation(e record.Evaluation) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	v := shown(e)
	b.state.Evaluations = append(b.state.Evaluations, v)
	b.state.Evaluations = b.state.Evaluations[max(0, len(b.state.Evaluations)-maxPoints):]
	b.tell("evaluation", v)
}

func (b *board) grid(name string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if k := len(b.state.Grids); k == 0 || b.state.Grids[k-1] != name {
		b.state.Grids = append(b.state.Grids, name)
		b.state.Grids = b.state.Grids[max(0, len(b.state.Grids)-maxGrids):]
		b.tell("grid", name)
	}
}

// end sends every viewer away.
func (b *board) end() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.state.Ended = true
	b.tell("ended", true)
	for c := range b.viewers {
		b.drop(c)
	}
}
