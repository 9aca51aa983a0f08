// Package tuning is the autotuner of the CPU: it measures which tile size (kernels.TileSize)
// is fastest for each launch of a program, while the program does its ordinary work. Tile
// sizes change no bit of a result. What was measured is kept in a file for the machine,
// from which later programs start.
package tuning

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"

	"fluxion/data/durable"
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/nets/pyjson"
)

// version of the file, and of the kernels: a table of another one is not used. It must
// go up when kernels change so much that what was measured holds no more. A kernel's
// usual tile size may change without: entries say what it was.
const version = 1

// Entry is what is known of one kind of launch.
type Entry struct {
	Usual kernels.TileSize  `json:"usual"`          // when it was measured; what the kernel takes by itself
	Best  *kernels.TileSize `json:"best,omitempty"` // the usual one, if nothing is faster; nil: not known yet
	Gain  float64           `json:"gain,omitempty"` // the share of time that the best one saves
	Tried []Candidate       `json:"tried,omitempty"`
}

// Candidate is a tile size with its times, each by that of the usual one beside it.
type Candidate struct {
	Size  kernels.TileSize `json:"blocking"` // the name in files of before
	Times []float64        `json:"times"`
}

// file is a Table on disk.
type file struct {
	Version  int              `json:"version"`
	Machine  string           `json:"machine"`
	Launches map[string]Entry `json:"launches"`
}

// Table is the entries of one machine, for all programs of a process. A nil Table
// knows nothing.
type Table struct {
	path    string // empty: not kept
	machine string
	learns  bool
	note    func(string)

	mutex   sync.Mutex
	read    bool
	noted   bool // that it cannot be kept
	entries map[string]Entry
	ours    map[string]bool // entries that this process made
	trying  int             // launches whose trials go on
}

// Options of a Table.
type Options struct {
	Dir    string       // folder of the file; made if need be. Empty: the table ends with the process
	Learns bool         // tile sizes are tried, not only looked up
	Note   func(string) // is told what is wrong with the file, in one line, once; nothing else comes of it
}

// New returns the table of this machine. Its file is not read before the first program
// has run once, so that no start is later for it.
func New(o Options) *Table {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	t := &Table{machine: cpu.Model(), learns: o.Learns, note: o.Note, entries: map[string]Entry{}, ours: map[string]bool{}}
	if o.Dir != "" {
		t.path = Path(o.Dir)
	}
	return t
}

// Dir is where tables are kept if nothing else is said: in the user's cache folder.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "fluxion"), nil
}

// Path is the file of this machine in a folder, which several machines may share.
func Path(dir string) string {
	h := fnv.New32a()
	h.Write([]byte(cpu.Model()))
	return filepath.Join(dir, fmt.Sprintf("blockings-%08x.json", h.Sum32()))
}

// Trying is how many launches have tile sizes to be tried still.
func (t *Table) Trying() int {
	if t == nil {
		return 0
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.trying
}

// Lookup returns what is known of a launch.
func (t *Table) Lookup(key string) (Entry, bool) {
	if t == nil {
		return Entry{}, false
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if !t.read {
		t.read = true
		entries, err := readFile(t.path, t.machine)
		if err != nil {
			t.note(fmt.Sprintf("%s: %v; it is left out and written anew", t.path, err))
		}
		for key, e := range entries {
			t.entries[key] = e
		}
	}
	e, ok := t.entries[key]
	return e, ok
}

// put keeps an entry.
func (t *Table) put(key string, e Entry) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.entries[key], t.ours[key] = e, true
}

// save writes the file. What other processes wrote meanwhile stays, unless they
// wrote at the very same time: then it is measured again some day.
func (t *Table) save() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.path == "" || len(t.ours) == 0 {
		return
	}
	if theirs, err := readFile(t.path, t.machine); err == nil {
		for key, e := range theirs {
			if own, ok := t.entries[key]; !ok || !t.ours[key] || own.Best == nil && e.Best != nil {
				t.entries[key] = e
			}
		}
	}
	if err := writeFile(t.path, file{version, t.machine, t.entries}); err != nil && !t.noted {
		t.noted = true
		t.note(fmt.Sprintf("measured tile sizes are not kept: %v", err))
	}
}

// readFile returns the entries of a file; none if it is not there.
func readFile(path, machine string) (map[string]Entry, error) {
	text, err := pyjson.ReadFile(path)
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("not a table of tile sizes: %w", err)
	}
	if f.Version != version {
		return nil, fmt.Errorf("a table of version %d, not %d", f.Version, version)
	}
	if f.Machine != machine {
		return nil, fmt.Errorf("a table of another machine, %q, not %q", f.Machine, machine)
	}
	for key, e := range f.Launches {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return f.Launches, nil
}

// check says what no program of ours would have written.
func (e Entry) check() error {
	sizes := []kernels.TileSize{e.Usual}
	if e.Best != nil {
		sizes = append(sizes, *e.Best)
	}
	for _, c := range e.Tried {
		sizes = append(sizes, c.Size)
		for _, x := range c.Times {
			if !(x > 0) || math.IsInf(x, 0) {
				return fmt.Errorf("a time of %v", x)
			}
		}
	}
	for _, size := range sizes {
		if size.Rows < 0 || size.Columns < 0 {
			return fmt.Errorf("a tile size of %d rows and %d columns", size.Rows, size.Columns)
		}
	}
	return nil
}

// writeFile writes the file whole, and removes what killed processes left beside it.
func writeFile(path string, f file) (err error) {
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	dir, disk := filepath.Dir(path), durable.Disk{}
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	leave, err := durable.Share(dir)
	if err != nil {
		return err
	}
	return errors.Join(disk.WriteFile(path, append(text, '\n')), leave())
}

// Summary is what a file holds.
type Summary struct {
	Settled   int    // launches whose best tile size is known
	Otherwise int    // of these, those that are not cut as usual
	Begun     int    // launches whose trials are not over
	Problem   string // why the file is not used
}

// Inspect reads the file of this machine in a folder.
func Inspect(dir string) Summary {
	entries, err := readFile(Path(dir), cpu.Model())
	if err != nil {
		return Summary{Problem: err.Error()}
	}
	var s Summary
	for _, e := range entries {
		switch {
		case e.Best == nil:
			s.Begun++
		case *e.Best != e.Usual:
			s.Otherwise++
			fallthrough
		default:
			s.Settled++
		}
	}
	return s
}
