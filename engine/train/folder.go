package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fluxion/engine/model"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A run folder holds, besides its checkpoints:
const (
	configFile = "config.json" // the settings, resolved
	statsFile  = "stats.jsonl" // one status a line
	logFile    = "log.txt"     // what happened, with times
	samplesDir = "samples"     // grids, named by images seen
	lockFile   = ".lock"       // held while a process trains here
)

// folder is an open run folder.
type folder struct {
	dir   string
	lock  *os.File
	stats appended
	log   appended
}

// InUseError is a run folder that another process trains in.
type InUseError struct{ Dir string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("%s is in use by another process; stop that one or give another --out", e.Dir)
}

// ChangedError refuses to go on with a run under other settings.
type ChangedError struct {
	Dir     string
	Changes []Change
}

func (e *ChangedError) Error() string {
	var parts []string
	for _, c := range e.Changes {
		if c.Breaks {
			parts = append(parts, fmt.Sprintf("%s was %v, now %v", c.Key, c.Old, c.New))
		}
	}
	return fmt.Sprintf("%s holds a run with other settings: %s; give another --out, or --fresh to start it anew", e.Dir, strings.Join(parts, "; "))
}

// openFolder makes or opens a run folder, locks it, and compares its settings
// with the new ones.
func openFolder(dir string, s Settings, fresh bool) (*folder, []Change, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, nil, err
	}
	f := &folder{dir: dir}
	var err error
	if f.lock, err = lock(filepath.Join(dir, lockFile)); err != nil {
		if errors.Is(err, errLocked) {
			err = &InUseError{dir}
		}
		return nil, nil, err
	}
	changes, err := f.settle(s, fresh)
	if err != nil {
		f.close()
		return nil, nil, err
	}
	return f, changes, nil
}

func (f *folder) settle(s Settings, fresh bool) ([]Change, error) {
	if err := sweep(f.dir); err != nil {
		return nil, err
	}
	if fresh {
		for _, name := range []string{model.CheckpointsDir, samplesDir, statsFile, logFile, configFile} {
			if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
				return nil, err
			}
		}
	}
	changes, err := f.compare(s)
	if err != nil {
		return nil, err
	}
	f.log.file, err = os.OpenFile(filepath.Join(f.dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	return changes, err
}

// compare lists what differs from the settings of the run that is here.
func (f *folder) compare(s Settings) ([]Change, error) {
	path := filepath.Join(f.dir, configFile)
	old, err := ReadSettings(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := model.Checkpoints(f.dir)
	if err != nil || len(all) == 0 {
		return nil, err // nothing to break yet
	}
	changes := old.Changes(s)
	for _, c := range changes {
		if c.Breaks {
			return nil, &ChangedError{f.dir, changes}
		}
	}
	return changes, nil
}

// ReadSettings reads the configuration of a run.
func ReadSettings(path string) (Settings, error) {
	d := Default()
	s := Settings{Shift: d.Shift, Weighting: d.Weighting, Recompute: d.Recompute, Blockings: d.Blockings} // files of before these could be set
	data, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// WriteFile writes a file whole or not at all.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), temporary+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o666&^umask()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}

// begin writes the settings down, opens the statistics, and drops those of steps
// that will be run again.
func (f *folder) begin(s Settings, images int64) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := WriteFile(filepath.Join(f.dir, configFile), append(data, '\n')); err != nil {
		return err
	}
	path := filepath.Join(f.dir, statsFile)
	kept, err := keepStats(path, images)
	if err != nil {
		return err
	}
	if err := WriteFile(path, kept); err != nil {
		return err
	}
	if f.stats.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o666); err != nil {
		return err
	}
	f.note("training from image %d on", images)
	return nil
}

func keepStats(path string, images int64) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept bytes.Buffer
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var s struct{ Images int64 }
		if json.Unmarshal(lines.Bytes(), &s) == nil && s.Images > 0 && s.Images <= images {
			kept.Write(lines.Bytes())
			kept.WriteByte('\n')
		}
	}
	return kept.Bytes(), nil
}

// status appends a line of statistics.
func (f *folder) status(s Status) error {
	line, err := json.Marshal(map[string]any{
		"time": s.Time.Format(time.RFC3339), "images": s.Images, "steps": s.Steps, "loss": s.Loss, "lr": s.LR, "grad_norm": s.GradNorm,
		"images_per_second": s.ImagesPerSecond, "elapsed_seconds": s.Elapsed.Seconds(), "skipped": s.Skipped, "baseline": s.Baseline,
	})
	if err != nil {
		return err
	}
	_, err = f.stats.Write(append(line, '\n'))
	return err
}

// note adds a line to the log.
func (f *folder) note(format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	fmt.Fprintf(&f.log, "%s %s\n", time.Now().Format(time.RFC3339), text)
}

// appended is a file that grows by lines. What the disk does not take, as while it
// is full, is kept and written before the next: it ends no run.
type appended struct {
	file *os.File
	left []byte
}

func (a *appended) Write(line []byte) (int, error) {
	a.left = append(a.left, line...)
	n, _ := a.file.Write(a.left)
	a.left = append(a.left[:0], a.left[n:]...)
	return len(line), nil
}

func (f *folder) close() {
	for _, file := range []*os.File{f.stats.file, f.log.file, f.lock} {
		if file != nil {
			file.Close()
		}
	}
}
