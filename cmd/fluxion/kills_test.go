//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluxion/data/durable"
	"fluxion/engine/model"
)

// A run of the kill harness: all that a run writes, often.
const (
	killImages, killCheckpoints, killGrids = 320, 40, 80
)

var killArgs = []string{"train", "--preset", "micro", "--size", "8", "--batch", "4", "--images", strconv.Itoa(killImages),
	"--checkpoint-every", strconv.Itoa(killCheckpoints), "--keep", "3", "--sample-every", strconv.Itoa(killGrids), "--sample-count", "2", "--sample-steps", "2",
	"--threads", "1", "--blockings", "off", "--json"}

var killSignals = []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}

// life is one process of a run.
type life struct {
	started   bool
	from      int64 // images at its start
	announced int64 // images of the last checkpoint that it told of
	done      bool
	errors    string
}

// live trains in a folder and sends the process a signal after a while, unless it is
// 0 or the process has ended.
func live(t *testing.T, dir string, signal syscall.Signal, after time.Duration, args ...string) (l life) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, append(append(killArgs[:len(killArgs):len(killArgs)], "--out", dir), args...)...)
	c.Env = append(os.Environ(), asProgram+"=1")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if signal != 0 {
		timer := time.AfterFunc(after, func() { c.Process.Signal(signal) }) // fails where the process has ended
		defer timer.Stop()
	}
	err = c.Wait()
	l.errors = errs.String()
	for line := range strings.Lines(out.String()) {
		var e struct {
			Event   string
			Images  int64
			Already bool
		}
		if json.Unmarshal([]byte(line), &e) != nil {
			continue // a kill cut it short
		}
		switch e.Event {
		case "start":
			l.started, l.from = true, e.Images
		case "checkpoint":
			l.announced = e.Images
		case "done":
			l.done = true
		}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status := exit.Sys().(syscall.WaitStatus)
		if ended := status.Signaled() && status.Signal() == signal || status.ExitStatus() == exitSignal+int(signal); signal == 0 || !ended {
			t.Fatalf("%v after %v, sent %v: %v: %s", args, after, signal, err, l.errors)
		}
	} else if err != nil || !l.done {
		t.Fatalf("%v: %v, done %v: %s", args, err, l.done, l.errors)
	}
	return l
}

// TestKills kills runs at random moments by every signal, begins some anew and takes
// some back to an earlier checkpoint. What was announced is there when the next process
// starts, and every run that comes to its end has the bits of one that was left alone,
// and every grid. FLUXION_KILLS says how often, FLUXION_KILLS_SEED which moments.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	kills := count(t, "FLUXION_KILLS", 40)
	random := rand.New(rand.NewPCG(uint64(count(t, "FLUXION_KILLS_SEED", 1)), 0))
	whole := filepath.Join(t.TempDir(), "whole")
	begin := time.Now()
	live(t, whole, 0, 0)
	span := time.Since(begin)
	ends := map[string]int{}
	for killed := 0; killed < kills; {
		dir := filepath.Join(t.TempDir(), "run")
		safe := int64(0)
		for done := false; !done; {
			var args []string
			back := int64(0)
			switch random.IntN(10) {
			case 0:
				args = []string{"--fresh"}
			case 1:
				if back = earlier(t, dir, random); back > 0 {
					args = []string{"--from", strconv.FormatInt(back, 10)}
				}
			}
			signal := killSignals[random.IntN(len(killSignals))]
			if killed >= kills {
				signal = 0
			}
			l := live(t, dir, signal, time.Duration(random.Float64()*float64(span)), args...)
			if l.started && args == nil && l.from < safe || l.started && back > 0 && l.from != back {
				t.Fatalf("%v starts at image %d, but %d were announced", args, l.from, safe)
			}
			switch {
			case l.announced > 0:
				safe = l.announced
			case args != nil: // killed after its first checkpoint took its name, and before it told
				safe = min(safe, max(back, killCheckpoints))
			}
			if done = l.done; !done {
				killed++
				ends[signal.String()]++
			}
		}
		compareRuns(t, dir, whole)
		ends["runs"]++
	}
	t.Log(ends, "in", time.Since(begin).Round(time.Second))
}

func count(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text, ok := os.LookupEnv(variable)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// earlier chooses a checkpoint to go back to, 0 if there is none, or where the last
// process was killed with a run set aside.
func earlier(t *testing.T, dir string, random *rand.Rand) int64 {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, ".[ps]*")); err != nil || left != nil {
		return 0
	}
	all, err := model.Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return 0
	}
	return all[random.IntN(len(all))].Images
}

// compareRuns compares a run that was killed with one that was left alone.
func compareRuns(t *testing.T, dir, whole string) {
	t.Helper()
	weights := "diffusion_pytorch_model.safetensors"
	last := filepath.Join(model.CheckpointsDir, strconv.Itoa(killImages))
	names := []string{filepath.Join(last, "unet", weights), filepath.Join(last, "unet_ema", weights), filepath.Join(last, "training", "optimizer.safetensors")}
	for n := killGrids; n <= killImages; n += killGrids {
		names = append(names, filepath.Join("samples", fmt.Sprintf("%09d.png", n)))
	}
	for _, name := range names {
		got, err1 := os.ReadFile(filepath.Join(dir, name))
		want, err2 := os.ReadFile(filepath.Join(whole, name))
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not that of a run that was left alone: %v", name, err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if name := e.Name(); strings.HasPrefix(name, durable.Temporary) || strings.HasPrefix(name, ".previous-") {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	stats, err := os.ReadFile(filepath.Join(dir, "stats.jsonl"))
	if err != nil {
		t.Error(err)
	}
	shown := int64(0)
	for line := range bytes.Lines(stats) {
		var s struct{ Images int64 }
		if err := json.Unmarshal(line, &s); err != nil || s.Images <= shown {
			t.Errorf("line %q of the statistics follows image %d, %v", line, shown, err)
		}
		shown = s.Images
	}
	if shown != killImages {
		t.Errorf("the statistics end at image %d", shown)
	}
}
