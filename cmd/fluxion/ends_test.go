//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fluxion/engine/model"
)

// TestFullOutput: what cannot be printed is an error of every command, after its work.
func TestFullOutput(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	run := filepath.Join(t.TempDir(), "run")
	for _, args := range [][]string{
		{"version"}, {"version", "--json"}, {"--version"}, {"--help"}, {"doctor"}, {"inspect", "--preset", "micro"}, {"trace", "--list"}, {"completion", "bash"},
		with(tiny, "--dry-run"), with(tiny, "--images", "8", "--out", run), with(tiny, "--images", "12", "--out", run, "--json"),
		{"sample", "--model", run, "--out", run + "-pictures", "--count", "1", "--steps", "2", "--json"},
	} {
		c := program(t, args...)
		var errs bytes.Buffer
		c.Stdout, c.Stderr = full, &errs
		if code := exitOf(t, c.Run()); code != exitFailure || !strings.Contains(errs.String(), "no space left on device") || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%v: exit %d, %q", args, code, errs.String())
		}
	}
	if newest, err := model.Newest(run); err != nil || filepath.Base(newest) != "12" {
		t.Errorf("the newest checkpoint is %s, %v", newest, err)
	}
	if _, err := os.Stat(filepath.Join(run+"-pictures", "000000.png")); err != nil {
		t.Error(err)
	}
}

// TestClosedOutput: nobody reads; commands whose work lies in files do it.
func TestClosedOutput(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	for _, c := range []struct {
		args []string
		code int
	}{
		{with(tiny, "--images", "40", "--out", run), 0},
		{[]string{"sample", "--model", run, "--out", run + "-pictures", "--count", "1", "--steps", "2"}, 0},
		{[]string{"trace", "--list"}, exitSignal + int(syscall.SIGPIPE)},
	} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := program(t, c.args...)
		p.Stdout = write
		read.Close()
		code := exitOf(t, p.Run())
		write.Close()
		if code != c.code {
			t.Errorf("%v: exit %d, want %d", c.args, code, c.code)
		}
	}
	text, err := os.ReadFile(filepath.Join(run, "log.txt"))
	if err != nil || !strings.Contains(string(text), "the output cannot be written any more") || !strings.Contains(string(text), "done: 40 images") {
		t.Errorf("the log says %s, %v", text, err)
	}
}

// TestSignals: a run that is hung up, once or more, interrupted or terminated saves
// first; under nohup it is not hung up; SIGUSR1 saves and goes on.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name    string
		nohup   bool
		signals []syscall.Signal // the first after a status, the others after a checkpoint
		code    int
	}{
		{"hung up", false, []syscall.Signal{syscall.SIGHUP}, 129},
		{"interrupted", false, []syscall.Signal{syscall.SIGINT}, 130},
		{"quit", false, []syscall.Signal{syscall.SIGQUIT}, 131},
		{"terminated", false, []syscall.Signal{syscall.SIGTERM}, 143},
		{"asked, then hung up", false, []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP}, 129},
		{"nohup", true, []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGTERM}, 143},
	} {
		if testing.Short() && len(c.signals) == 1 && c.code != 130 {
			continue
		}
		run := filepath.Join(t.TempDir(), "run")
		p := program(t, with(tiny, "--images", "1000000000", "--checkpoint-every", "0", "--out", run, "--json")...)
		if c.nohup {
			p.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, p.Path}, p.Args[1:]...)
			p.Path = "/bin/sh"
		}
		var errs bytes.Buffer
		p.Stderr = &errs
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		events, left := bufio.NewScanner(out), c.signals
		for wait := `"event":"status"`; len(left) > 0 && events.Scan(); {
			if !strings.Contains(events.Text(), wait) {
				continue
			}
			err := p.Process.Signal(left[0])
			if left[0] == syscall.SIGHUP { // a terminal that closes sends more than one
				err = errors.Join(err, p.Process.Signal(left[0]))
			}
			if err != nil {
				t.Fatal(err)
			}
			if left[0] == syscall.SIGUSR1 {
				wait = `"event":"checkpoint"`
			}
			left = left[1:]
		}
		last := ""
		for events.Scan() {
			last = events.Text()
		}
		if err := events.Err(); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"code":%d,"error":"stopped by signal: `, c.code); !strings.HasPrefix(last, want) || !strings.Contains(last, `goes on from here","event":"ended","time":"`) {
			t.Errorf("%s: the last event is %s", c.name, last)
		}
		if code := exitOf(t, p.Wait()); code != c.code || len(left) > 0 {
			t.Errorf("%s: exit %d, want %d; %v not sent; %s", c.name, code, c.code, left, errs.String())
		}
		if !strings.Contains(errs.String(), "; the same command goes on from here") {
			t.Errorf("%s: told only %s", c.name, errs.String())
		}
		all, err := model.Checkpoints(run)
		if err != nil || len(all) == 0 {
			t.Errorf("%s: %d checkpoints, %v", c.name, len(all), err)
		}
		text, err := os.ReadFile(filepath.Join(run, "log.txt"))
		if err != nil || !strings.Contains(string(text), "images: stopped by signal: ") || !strings.Contains(string(text), "command: ") {
			t.Errorf("%s: the log says %s, %v", c.name, text, err)
		}
	}
}
