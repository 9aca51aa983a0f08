package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluxion/data/durable/durabletest"
)

// TestPipes: a named pipe in the place of any file that a command reads or appends to
// is refused by name. Nobody writes to it, so that opening it would wait for ever, and
// no signal but a kill would end the wait.
func TestPipes(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	if _, _, err := fluxion(t, with(tiny, "--images", "4", "--out", run)...); err != nil {
		t.Fatal(err)
	}
	trace := []string{"trace", "--sampler", "euler", "--steps", "2"}
	for _, c := range []struct {
		pipe string
		args []string
		code int
	}{
		{"settings.yaml", []string{"train", "--dry-run", "--config"}, exitUsage},
		{"settings.toml", []string{"train", "--dry-run", "--config"}, exitUsage},
		{"other/config.json", with(tiny, "--images", "4", "--out", filepath.Join(dir, "new"), "--preset"), exitInput},
		{"none/config.json", []string{"sample", "--count", "1", "--out", filepath.Join(dir, "out"), "--model"}, exitInput},
		{"z.json", with(trace, "--denoiser", "gaussian", "--z"), exitInput},
		{"points.json", with(trace, "--z", "1", "--denoiser"), exitUsage},
		{"run/stats.jsonl", with(tiny, "--images", "8", "--out"), exitFolder},
		{"run/log.txt", with(tiny, "--images", "8", "--out"), exitFolder},
		{"run/checkpoints/4/training/data.json", with(tiny, "--images", "8", "--out"), exitInput},
		{"run/config.json", with(tiny, "--images", "8", "--out"), exitInput},
	} {
		pipe := filepath.Join(dir, c.pipe)
		before, err := os.ReadFile(pipe)
		there := err == nil
		if err := errors.Join(os.MkdirAll(filepath.Dir(pipe), 0o777), os.RemoveAll(pipe), durabletest.Pipe(pipe)); err != nil {
			t.Fatal(err)
		}
		last := pipe
		switch name := filepath.Base(pipe); {
		case strings.HasPrefix(c.pipe, "run/"):
			last = run
		case name == "config.json":
			last = filepath.Dir(pipe)
		case name == "z.json":
			last = "@" + pipe
		case name == "points.json":
			last = "points:" + pipe
		}
		type result struct {
			code int
			err  error
		}
		ended := make(chan result, 1)
		go func() {
			_, code, err := fluxion(t, with(c.args, last)...)
			ended <- result{code, err}
		}()
		select {
		case r := <-ended:
			if r.err == nil || r.code != c.code || !strings.Contains(r.err.Error(), pipe) || !strings.Contains(r.err.Error(), "pipe") {
				t.Errorf("%s: exit %d, %v; want %d and the pipe named", c.pipe, r.code, r.err, c.code)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: is waited for", c.pipe)
		}
		if err := os.Remove(pipe); err != nil {
			t.Fatal(err)
		}
		if there {
			if err := os.WriteFile(pipe, before, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}
