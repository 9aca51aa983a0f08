package rundir

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// State of a run.
const (
	Training = "training" // in another process
	Done     = "done"
	Ended    = "ended"  // before its end, as its log says
	Killed   = "killed" // without a word
)

// Look is what a run folder shows to who does not train in it.
type Look struct {
	Settings []byte
	State    string
	Why      string // it ended before its end
	Grid     string // path of the newest; "": none
}

// Is says whether a folder is that of a run.
func Is(dir string) bool {
	for _, name := range []string{ConfigFile, StatsFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// LookAt reads a run folder, and changes nothing there.
func LookAt(dir string) (l Look, err error) {
	if l.Settings, err = readFile(filepath.Join(dir, ConfigFile)); err != nil {
		return l, err
	}
	last, err := lastWords(filepath.Join(dir, LogFile))
	if err != nil {
		return l, err
	}
	done := strings.HasPrefix(last, "done:")
	switch _, why, ended := strings.Cut(last, ": "); {
	case locked(filepath.Join(dir, LockFile)):
		l.State = Training
	case done:
		l.State = Done
	case ended && (strings.HasPrefix(last, "ended ") || strings.HasPrefix(last, "ended:")):
		l.State, l.Why = Ended, why
	default:
		l.State = Killed
	}
	grids, err := os.ReadDir(filepath.Join(dir, SamplesDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	for _, e := range slices.Backward(grids) { // in the order of their names
		if _, ours := written(SamplesDir, e.Name(), e); ours {
			l.Grid = filepath.Join(dir, SamplesDir, e.Name())
			break
		}
	}
	return l, nil
}

// logTail is more than the last lines of a log take.
const logTail = 64 << 10

// about is a line of a log that says how a run began or ended.
var about = regexp.MustCompile(`^\S+ (training from image |done: |ended )`)

// lastWords is the last line of a log that says how the run began or ended, without its
// time.
func lastWords(path string) (last string, err error) {
	if err := regular(path); err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err != nil {
		return "", err
	} else if _, err = f.Seek(max(0, size-logTail), io.SeekStart); err != nil {
		return "", err
	}
	tail, err := io.ReadAll(bufio.NewReader(f))
	for line := range bytes.Lines(tail) {
		if about.Match(line) {
			_, last, _ = strings.Cut(strings.TrimSpace(string(line)), " ")
		}
	}
	return last, err
}
