// Package second finds the kernel that failed on a GPU by a second run of a command. What a kernel breaks
// is seen by whoever waits for the GPU, when many others have run, and then the process has lost it. So
// another process does the same once more, kernel by kernel, and what it writes goes to a folder that is removed.
package second

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/kernels/cuda"
)

// Variable is how many seconds the second run may take; 0: there is none.
const Variable = "FLUXION_CUDA_DIAGNOSE"

const usual = 120 // seconds

// taskVariable names, in the second run, the file that has its Task.
const taskVariable = "FLUXION_CUDA_SECOND_RUN"

// Task is what a second run is to do, and then what it has found.
type Task struct {
	Images int64  `json:"images"`           // of training: after so many the step failed
	Over   bool   `json:"over"`             // it has ended
	Place  string `json:"place,omitempty"`  // the kernel that failed
	Code   int    `json:"code,omitempty"`   // how: the driver's number
	Result string `json:"result,omitempty"` // and what it says
	Other  string `json:"other,omitempty"`  // what else ended it
}

// Asked returns the task of this process, nil where it is no second run.
func Asked() *Task {
	path := os.Getenv(taskVariable)
	if path == "" {
		return nil
	}
	t, err := read(path)
	if err != nil {
		return &Task{}
	}
	return &t
}

func read(path string) (t Task, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	return t, err
}

func (t Task) write(path string) error {
	text, err := json.Marshal(t)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	return err
}

// Report tells the first run what this one has ended with.
func (t Task) Report(err error) error {
	t.Over = true
	var kernel *device.KernelError
	if errors.As(err, &kernel) && kernel.Function != "" {
		t.Place, t.Code, t.Result = kernel.Place(), code(kernel), kernel.Err.Error()
	} else if err != nil {
		t.Other = err.Error()
	}
	return errors.Join(err, t.write(os.Getenv(taskVariable)))
}

// code is the driver's number of what a kernel failed with.
func code(e *device.KernelError) int {
	if of := (*cuda.Error)(nil); errors.As(e.Err, &of) {
		return int(of.Result)
	}
	return 0
}

// mostCopied is how many bytes of what a command has written already a second run is given.
const mostCopied = 64 << 20

// Elsewhere is where a second run writes what its command writes to path: in a folder beside its task. There it
// finds what is at path already, unless that is much, so that it goes on where the first run did.
func Elsewhere(path string) (string, error) {
	kind, at := "", path
	if rest, ok := strings.CutPrefix(path, "tar:"); ok {
		kind, at = "tar:", rest
	}
	at = filepath.Clean(at)
	dir, err := os.MkdirTemp(filepath.Dir(os.Getenv(taskVariable)), "out-")
	if err != nil {
		return "", err
	}
	name := filepath.Base(at)
	if name == "." || name == ".." || name == string(filepath.Separator) {
		name = "out"
	}
	to := filepath.Join(dir, name)
	if !few(at) || copied(to, at) != nil {
		err = os.RemoveAll(to)
	}
	return kind + to, err
}

// few says whether what is at a path, if anything is, is few bytes.
func few(path string) bool {
	left := int64(mostCopied)
	err := filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && !e.IsDir() {
			left -= info.Size()
		}
		if left < 0 {
			err = fs.SkipAll
		}
		return err
	})
	return err == nil && left >= 0
}

// copied copies a file, or a folder of files.
func copied(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := to + strings.TrimPrefix(path, from)
		if e.IsDir() {
			return os.MkdirAll(at, 0o700)
		}
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(at, text, 0o600)
		}
		return err
	})
}

// Limit is how long a second run may take, 0 if there is to be none.
func Limit() (time.Duration, error) {
	text := os.Getenv(Variable)
	if text == "" {
		return usual * time.Second, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s=%q, want a number of seconds, 0 for no second run", Variable, text)
	}
	return time.Duration(n) * time.Second, nil
}

// Look runs the command line once more on the device of a kernel that failed, and says what was found.
func Look(ctx context.Context, args []string, e *device.KernelError, t Task, limit time.Duration) string {
	said, found, err := run(ctx, args, e.Device, t, limit)
	const what = "a second run, kernel by kernel, "
	switch {
	case err == nil && found.Place != "" && found.Code == code(e): // which is said already
		return what + "fails in " + found.Place
	case err == nil && found.Place != "":
		return what + "fails in " + found.Place + ": " + found.Result
	case err == nil && found.Other != "":
		return what + "ends otherwise: " + found.Other
	case err == nil && found.Over:
		return what + "does not fail: the fault may be of the hardware (dmesg tells of an Xid then), or of kernels that run side by side"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%shas not failed within %g s", what, limit.Seconds())
	case err == nil:
		return what + "was not to be had: " + said
	}
	return fmt.Sprintf("%swas not to be had: %v", what, err)
}

// run waits for the second run. Said are its last words on standard error.
func run(ctx context.Context, args []string, lost string, t Task, limit time.Duration) (said string, found Task, err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", t, err
	}
	dir, remove, err := durable.Scratch("fluxion-second-")
	if err != nil {
		return "", t, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	path := filepath.Join(dir, "task")
	if err := t.write(path); err != nil {
		return "", t, err
	}
	end := len(args)
	if i := slices.Index(args, "--"); i >= 0 {
		end = i
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var words strings.Builder
	c := exec.CommandContext(ctx, exe, slices.Concat(args[:end], []string{"--device", lost}, args[end:])...)
	c.Env = append(os.Environ(), device.GraphVariable+"=0", taskVariable+"="+path)
	c.Stderr, c.WaitDelay = &words, time.Second
	failed := c.Run()
	if ctx.Err() != nil {
		return "", t, ctx.Err()
	}
	if found, err = read(path); err != nil || !found.Over {
		lines := strings.Split(strings.TrimSpace(words.String()), "\n")
		said = fmt.Sprintf("%s (%v)", lines[len(lines)-1], failed)
	}
	return said, found, err
}
