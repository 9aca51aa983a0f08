//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fluxion/engine/collective"
	"fluxion/engine/model"
)

// groupArgs train in steps that up to twelve processes share.
var groupArgs = []string{"train", "--preset", "micro", "--size", "8", "--batch", "24", "--accumulate", "12", "--images", "1440", "--checkpoint-every", "120",
	"--sample-count", "0", "--blockings", "off", "--json"}

// member is one of a group.
type member struct {
	*exec.Cmd
	out  output
	errs bytes.Buffer
	code int
}

// output is what a process says, and when it says that the run starts, or has been done.
type output struct {
	text    bytes.Buffer
	started chan struct{} // closed then
	once    sync.Once
}

func (o *output) Write(text []byte) (int, error) {
	n, err := o.text.Write(text)
	if all := o.text.Bytes(); bytes.Contains(all, []byte(`"event":"start"`)) || bytes.Contains(all, []byte(`"event":"done"`)) {
		o.once.Do(func() { close(o.started) })
	}
	return n, err
}

func (o *output) String() string { return o.text.String() }

// startGroup starts so many processes, each with arguments of its own.
func startGroup(t *testing.T, world int, args func(rank int) []string) []*member {
	t.Helper()
	return startGroupIn(t, world, func(int) string { return "" }, args)
}

// startGroupIn is startGroup of processes each in a folder of its own.
func startGroupIn(t *testing.T, world int, in func(rank int) string, args func(rank int) []string) []*member {
	t.Helper()
	dir, err := os.MkdirTemp("", "group") // a short name: those of sockets have at most a hundred letters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	all := make([]*member, world)
	for r := range all {
		p := &member{Cmd: program(t, args(r)...), out: output{started: make(chan struct{})}}
		p.Env = append(p.Env, fmt.Sprintf("%s=%d/%d:%s", collective.Variable, r, world, dir))
		p.Stdout, p.Stderr, p.Dir = &p.out, &p.errs, in(r)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		all[r] = p
	}
	return all
}

// wait waits for all, which end within a time of the first.
func wait(t *testing.T, all []*member) {
	t.Helper()
	ended := make(chan int, len(all))
	for r, p := range all {
		go func() { p.Wait(); p.code = p.ProcessState.ExitCode(); ended <- r }()
	}
	first := <-ended
	for range len(all) - 1 {
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatalf("ten seconds after process %d has ended others run: %s", first, all[first].errs.String())
		}
	}
}

// learnt is the bytes of what a finished run has learnt.
func learnt(t *testing.T, dir string) string {
	t.Helper()
	newest, err := model.Newest(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, name := range []string{"unet/diffusion_pytorch_model.safetensors", "unet_ema/diffusion_pytorch_model.safetensors", "training/optimizer.safetensors"} {
		text, err := os.ReadFile(filepath.Join(newest, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	return all
}

// newestOf is the images of the newest checkpoint of a run; 0: there is none.
func newestOf(dir string) int64 {
	all, err := model.Checkpoints(dir)
	if err != nil || len(all) == 0 {
		return 0
	}
	return all[len(all)-1].Images
}

// until waits for a checkpoint of a run that is newer.
func until(t *testing.T, dir string, p *member, than int64) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(5 * time.Millisecond) {
		if newestOf(dir) > than {
			return
		}
	}
	t.Fatalf("no checkpoint: %s", p.errs.String())
}

// TestGroup: processes that are stopped, killed and resumed in other numbers end with the
// bits of one that was left alone; each end has its code and its words, and none stays.
func TestGroup(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	alone, dir := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	if err := program(t, with(groupArgs, "--out", alone)...).Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		world, rank int
		signal      syscall.Signal
		code, peers int
		words       string
	}{
		{3, 1, syscall.SIGTERM, 143, 143, "process 1 of the group: stopped by signal: terminated; the same command goes on from here"},
		{2, 0, syscall.SIGTERM, 143, 143, "stopped by signal: terminated; the same command goes on from here"},
		{4, 2, syscall.SIGKILL, -1, exitLost, "process 2 of the group is lost: "}, // it is gone, or a process that saw it first says so
		{2, 0, syscall.SIGKILL, -1, exitLost, ""},
		{3, 0, 0, 0, 0, ""},
	} {
		name := fmt.Sprintf("%v to %d of %d", c.signal, c.rank, c.world)
		before := newestOf(dir)
		all := startGroup(t, c.world, func(int) []string { return with(groupArgs, "--out", dir) })
		if c.signal != 0 {
			until(t, dir, all[0], before)
			all[c.rank].Process.Signal(c.signal) // fails where the process has ended
		}
		wait(t, all)
		done := strings.Contains(all[0].out.String(), `"event":"done"`)
		for r, p := range all {
			want := c.peers
			if r == c.rank {
				want = c.code
			}
			if p.code != want && (!done || p.code != 0) {
				t.Errorf("%s: process %d ends with %d, want %d: %s", name, r, p.code, want, p.errs.String())
			}
			if r > 0 && p.out.String() != "" {
				t.Errorf("%s: process %d says %s", name, r, p.out.String())
			}
		}
		if text := all[0].errs.String(); !done && !strings.Contains(text, c.words) {
			t.Errorf("%s: %s, want %s", name, text, c.words)
		} else if next := "; the same command goes on from the last checkpoint, with any number of processes"; !done && strings.Contains(c.words, " is lost") && !strings.Contains(text, next) {
			t.Errorf("%s: %s, want %s", name, text, next)
		}
	}
	if learnt(t, dir) != learnt(t, alone) {
		t.Error("the bits are not those of one process")
	}
}

// TestGroupStopped: processes that are stopped together, as those of a machine that sleeps,
// go on; one that is stopped alone is named by all others, which end within ten seconds.
func TestGroupStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute")
	}
	for rank := range 3 {
		dir := filepath.Join(t.TempDir(), "run")
		all := startGroup(t, 3, func(int) []string { return with(groupArgs, "--out", dir, "--images", "24000000") })
		signal := func(s syscall.Signal, some ...*member) {
			for _, p := range some {
				if err := p.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
		}
		until(t, dir, all[0], 0)
		if rank == 0 {
			signal(syscall.SIGSTOP, all...)
			time.Sleep(8 * time.Second)
			before := newestOf(dir)
			signal(syscall.SIGCONT, all...)
			until(t, dir, all[0], before)
		}
		signal(syscall.SIGSTOP, all[rank])
		others := append(append([]*member(nil), all[:rank]...), all[rank+1:]...)
		begin := time.Now()
		wait(t, others)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("process %d is stopped, and the others end after %v", rank, took)
		}
		want := fmt.Sprintf("process %d of the group is lost", rank)
		for _, p := range others {
			if p.code != exitLost || !strings.Contains(p.errs.String(), want) {
				t.Errorf("process %d is stopped, and another ends with %d and says %s", rank, p.code, p.errs.String())
			}
		}
		signal(syscall.SIGCONT, all[rank])
		wait(t, all[rank:rank+1])
		if all[rank].code != exitLost {
			t.Errorf("process %d goes on alone, and ends with %d: %s", rank, all[rank].code, all[rank].errs.String())
		}
	}
}

// TestStoppedAlone: a signal ends a process that still waits for the others.
func TestStoppedAlone(t *testing.T) {
	dir := t.TempDir()
	p := program(t, with(groupArgs, "--out", filepath.Join(dir, "run"))...)
	p.Env = append(p.Env, collective.Variable+"=0/2:"+dir)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "0")); err == nil {
			break
		}
	}
	begin := time.Now()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := p.Wait()
	if code := p.ProcessState.ExitCode(); code != exitSignal+int(syscall.SIGTERM) || time.Since(begin) > 5*time.Second {
		t.Errorf("exit code %d after %v: %v", code, time.Since(begin), err)
	}
}

// TestGroupMixed: what the processes do not have in common is told before anything is done,
// with the name of the odd one.
func TestGroupMixed(t *testing.T) {
	for name, c := range map[string]struct {
		world int
		args  func(rank int, out string) []string
		words string
	}{
		"settings": {3, func(r int, out string) []string {
			if r == 2 {
				return with(groupArgs, "--out", out, "--lr", "0.5")
			}
			return with(groupArgs, "--out", out)
		}, "process 2 of the group has another lr than the others: 0.5, and they 0.0015"},
		"no data": {2, func(r int, out string) []string {
			return with(groupArgs, "--out", out, "--preset", fmt.Sprint("none", r))
		}, "preset"},
		"more processes than micro-batches": {3, func(_ int, out string) []string {
			return with(groupArgs, "--out", out, "--accumulate", "2")
		}, "accumulate: 2, and 3 processes share the micro-batches of a step; want as many micro-batches or more, or fewer processes"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			all := startGroup(t, c.world, func(r int) []string { return c.args(r, out) })
			wait(t, all)
			if text := all[0].errs.String(); !strings.Contains(text, c.words) {
				t.Errorf("%s, want %s", text, c.words)
			}
			for r, p := range all {
				if p.code == 0 || r > 0 && p.errs.Len() > 0 && p.errs.String() != all[0].errs.String() { // what it knows by itself
					t.Errorf("process %d ends with %d, and says %s", r, p.code, p.errs.String())
				}
			}
		})
	}
}

// TestGroupByItself: without a word on micro-batches a step has as many as there are
// processes, or the next number that the batch can be cut into.
func TestGroupByItself(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	all := startGroup(t, 3, func(int) []string {
		return []string{"train", "--preset", "micro", "--size", "8", "--batch", "8", "--images", "16", "--sample-count", "0", "--blockings", "off", "--out", out}
	})
	wait(t, all)
	if text := all[0].out.String(); all[0].code != 0 || !strings.Contains(text, "share the 4 micro-batches of a step") || !strings.Contains(text, "process 2   on ") {
		t.Errorf("exit %d: %s%s", all[0].code, text, all[0].errs.String())
	}
}
