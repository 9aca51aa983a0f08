// Package sweeps is the table of a sweep: one cell for each way in which a model was
// sampled, and what the samples were worth, in a folder that the same command goes on
// with.
package sweeps

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/durable"
	"fluxion/data/stable"
)

// Way is how a cell is sampled.
type Way struct {
	Sampler  string  `json:"sampler"`
	Steps    int     `json:"steps"` // intervals of the grid
	Guidance float64 `json:"guidance"`
	Weights  string  `json:"weights"` // of the model
}

func (w Way) String() string {
	return fmt.Sprintf("%s, %d steps, guidance %g, %s", w.Sampler, w.Steps, w.Guidance, w.Weights)
}

// Cell is a way and what came of it: values, or a problem.
type Cell struct {
	Way
	NFE     float64            `json:"nfe,omitempty"` // calls of the network for an image, those with and without the class as one
	Images  int64              `json:"images,omitempty"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Errors  map[string]float64 `json:"errors,omitempty"` // of metrics that have one
	Seconds float64            `json:"seconds,omitempty"`
	Problem string             `json:"problem,omitempty"` // why there are no values
	Tried   bool               `json:"tried,omitempty"`   // it was sampled, and the problem is what came of it
}

// Table is the cells of a sweep, in the order in which they were asked for.
type Table struct {
	// Settings are what all cells have in common, and what decides their values.
	Settings map[string]string `json:"settings"`
	About    map[string]string `json:"about"`  // for whoever reads the file; decides nothing
	Values   []string          `json:"values"` // the names of Metrics, in their order
	Cells    []Cell            `json:"cells"`
}

// Find returns the cell of a way.
func (t *Table) Find(w Way) (c Cell, ok bool) {
	i := slices.IndexFunc(t.Cells, func(c Cell) bool { return c.Way == w })
	if i < 0 {
		return c, false
	}
	return t.Cells[i], true
}

// Lacks says whether a way has no values, and may have some: a problem that no sampling
// has come to may be one no more.
func (t *Table) Lacks(w Way) bool {
	c, ok := t.Find(w)
	return !ok || c.Problem != "" && !c.Tried
}

// Put adds cells to the table, in the place of those of their ways.
func (t *Table) Put(cells ...Cell) {
	for _, c := range cells {
		if i := slices.IndexFunc(t.Cells, func(old Cell) bool { return old.Way == c.Way }); i >= 0 {
			t.Cells[i] = c
		} else {
			t.Cells = append(t.Cells, c)
		}
	}
}

// Name says in which order values are shown.
func (t *Table) Name(values ...string) {
	for _, v := range values {
		if !slices.Contains(t.Values, v) {
			t.Values = append(t.Values, v)
		}
	}
}

// Order brings the cells into the order of some ways; others stay behind them.
func (t *Table) Order(ways []Way) {
	place := map[Way]int{}
	for i, w := range ways {
		place[w] = i
	}
	at := func(c Cell) int {
		if i, ok := place[c.Way]; ok {
			return i
		}
		return len(ways)
	}
	stable.Sort(t.Cells, func(a, b Cell) int { return at(a) - at(b) })
}

// Error is a folder that holds a sweep of other settings.
type Error struct{ dir, problem string }

func (e *Error) Error() string { return e.dir + " " + e.problem }

// File is the file of a folder that holds its table.
const File = "sweep.json"

// Folder is where a table lies.
type Folder struct {
	Path string
	Disk durable.Disk
}

// Open makes the folder, keeps others out until leave is called, and reads the table
// that is there. One with other settings is an *Error. A folder that was made for
// nothing is taken away again.
func (f Folder) Open(settings map[string]string) (t *Table, leave func() error, err error) {
	_, err = os.Stat(f.Path)
	before := err == nil
	if err := f.Disk.MkdirAll(f.Path); err != nil {
		return nil, nil, fault.Output(err)
	}
	left, err := durable.Alone(f.Path)
	leave = func() error {
		if !before {
			os.Remove(f.Path) // which fails where there is something in it
		}
		return left()
	}
	if errors.Is(err, durable.ErrBusy) {
		return nil, nil, &Error{f.Path, "is in use: another sweep writes into it"}
	}
	if err != nil {
		return nil, nil, fault.Output(err)
	}
	t, err = f.read(settings)
	if err != nil {
		return nil, nil, errors.Join(err, leave())
	}
	return t, leave, nil
}

func (f Folder) read(settings map[string]string) (*Table, error) {
	text, err := os.ReadFile(filepath.Join(f.Path, File))
	if errors.Is(err, fs.ErrNotExist) {
		return &Table{Settings: settings, Values: []string{}, Cells: []Cell{}}, nil
	}
	if err != nil {
		return nil, err
	}
	t := &Table{}
	if err := json.Unmarshal(text, t); err != nil || t.Settings == nil {
		return nil, &Error{f.Path, "holds a " + File + " that is no table of a sweep; give another --out"}
	}
	if changes := differences(t.Settings, settings); len(changes) > 0 {
		return nil, &Error{f.Path, fmt.Sprintf("holds a sweep with other settings: %s; give another --out", strings.Join(changes, "; "))}
	}
	maps.Copy(t.Settings, settings)
	return t, nil
}

// differences between settings that were and are. Weights of which only one table knows
// make none: they are other cells.
func differences(was, now map[string]string) (list []string) {
	keys := slices.Sorted(maps.Keys(now))
	for key := range was {
		if _, ok := now[key]; !ok {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		a, old := was[key]
		b, known := now[key]
		some := strings.HasPrefix(key, Model) || strings.HasPrefix(key, Guide)
		if a == b || some && (!old || !known) {
			continue
		}
		list = append(list, fmt.Sprintf("%s was %s, now %s", key, orNone(a), orNone(b)))
	}
	return list
}

func orNone(text string) string {
	if text == "" {
		return "not given"
	}
	return text
}

// What begins the settings that cells of some weights have in common: Model those that
// name weights, such as "model ema"; Guide those that name what is guided away from.
const (
	Model = "model "
	Guide = "guide "
)
