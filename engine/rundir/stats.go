package rundir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keepStats returns the lines of a file of statistics up to so many images. What is
// no line of statistics, as after a power loss, is dropped.
func keepStats(path string, images int64) ([]byte, error) {
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept []byte
	for line := range bytes.Lines(data) {
		var s struct{ Images int64 }
		if json.Unmarshal(line, &s) == nil && s.Images > 0 && s.Images <= images {
			kept = append(append(kept, bytes.TrimRight(line, "\r\n")...), '\n')
		}
	}
	return kept, nil
}

// regular refuses what is there and no file: a pipe would be waited for.
func regular(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return &Error{Path: path, Problem: "is a folder, pipe or device, want a file; remove it"}
	}
	return nil
}

// readFile is os.ReadFile that waits for no pipe.
func readFile(path string) ([]byte, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// Stats returns the lines of statistics that are in a run folder.
func Stats(dir string) ([]byte, error) {
	data, err := readFile(filepath.Join(dir, StatsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Status adds a line of statistics.
func (d *Dir) Status(line []byte) error {
	if err := d.Check(); err != nil {
		return err
	}
	d.stats.add(line)
	return nil
}

// Note adds a line to the log. What is noted before Begin is written then.
func (d *Dir) Note(format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	d.log.add([]byte(time.Now().Format(time.RFC3339) + " " + text))
}

// appended is a file that grows by lines. What the disk does not take, as while it
// is full, is kept and written before the next line: it ends no run.
type appended struct {
	file *os.File // nil: not open yet
	left []byte
}

func (a *appended) open(path string, flags int) (err error) {
	if err := regular(path); err != nil {
		return err
	}
	a.file, err = os.OpenFile(path, flags|os.O_APPEND|os.O_WRONLY, 0o666)
	return err
}

func (a *appended) add(line []byte) {
	a.left = append(append(a.left, line...), '\n')
	a.flush()
}

func (a *appended) flush() {
	if a.file != nil {
		n, _ := a.file.Write(a.left) // an error leaves the rest for the next time
		a.left = append(a.left[:0], a.left[n:]...)
	}
}

func (a *appended) close() {
	if a.file != nil {
		a.flush()
		a.file.Close()
	}
}
