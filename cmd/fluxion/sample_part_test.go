//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fluxion/data"
	"fluxion/data/datatest"
)

// TestReadPart: schedulers say which part this is; where that cannot be known it is not guessed.
func TestReadPart(t *testing.T) {
	for _, c := range []struct {
		text string
		set  string // NAME=VALUE …
		want string // empty: refused
	}{
		{"3/16", "", "3/16"},
		{"16/16", "SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=2", "16/16"},
		{"3/2", "", ""}, {"0/2", "", ""}, {"2", "", ""}, {"auto/0", "", ""}, {"auto/x", "", ""}, {"auto", "", ""},
		{"auto", "SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=3", "1/4"},
		{"auto", "SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=4", "1/4"},
		{"auto", "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_MAX=7", ""}, // the two that failed
		{"auto/16", "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_MAX=7", "8/16"},
		{"auto", "AWS_BATCH_JOB_ARRAY_INDEX=2 AWS_BATCH_JOB_ARRAY_SIZE=5", "3/5"},
		{"auto", "JOB_COMPLETION_INDEX=2", ""},
		{"auto/5", "JOB_COMPLETION_INDEX=2", "3/5"},
		{"auto/5", "JOB_COMPLETION_INDEX=5", ""}, {"auto/5", "JOB_COMPLETION_INDEX=x", ""}, {"auto/5", "JOB_COMPLETION_INDEX=-1", ""},
		{"auto", "AWS_BATCH_JOB_ARRAY_INDEX=5 AWS_BATCH_JOB_ARRAY_SIZE=5", ""}, {"auto/4", "AWS_BATCH_JOB_ARRAY_INDEX=2 AWS_BATCH_JOB_ARRAY_SIZE=5", ""},
		{"auto", "AWS_BATCH_JOB_ARRAY_INDEX=2 AWS_BATCH_JOB_ARRAY_SIZE=many", ""},
		{"auto/16", "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=32 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=31", ""},
		{"auto/16", "SLURM_ARRAY_TASK_ID=16 SLURM_ARRAY_TASK_COUNT=16 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=16", "1/16"},
		{"auto/16", "SLURM_ARRAY_TASK_ID=x", ""},
		{"auto", "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=4", "2/4"},
		{"auto", "PMI_RANK=3 PMI_SIZE=4", "4/4"},
		{"auto", "SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=3", "3/3"},
		{"auto/4", "SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=3", ""},
		{"auto", "SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=3 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2", "4/8"},
	} {
		set := map[string]string{}
		for pair := range strings.FieldsSeq(c.set) {
			name, value, _ := strings.Cut(pair, "=")
			set[name] = value
		}
		p, err := readPart(c.text, func(name string) string { return set[name] })
		if got := p.String(); (err != nil) != (c.want == "") || err == nil && got != c.want {
			t.Errorf("--part %s, %s: %s, %v; want %q", c.text, c.set, got, err, c.want)
		}
	}
}

// TestParts: parts made at the same time, some killed and begun again, come to the folder
// of one process, byte for byte, and the last of them makes the grid. --verify finds what
// is wrong in it.
func TestParts(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	run, dir := trainedRun(t), t.TempDir()
	one, many := filepath.Join(dir, "one"), filepath.Join(dir, "many")
	args := []string{"sample", "--model", run, "--count", "60", "--steps", "3", "--batch", "2", "--threads", "1", "--json"}
	if _, code, err := fluxion(t, with(args, "--out", one)...); err != nil {
		t.Fatal(code, err)
	}
	const parts = 16
	var all sync.WaitGroup
	for i := range parts {
		all.Go(func() {
			if i%5 == 0 { // it is killed in the middle, or before, or behind the end
				p := program(t, with(args, "--out", many, "--part", fmt.Sprintf("%d/%d", i+1, parts))...)
				if err := p.Start(); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(20+40*i) * time.Millisecond)
				p.Process.Signal(syscall.SIGKILL)
				p.Wait()
			}
			p := program(t, with(args, "--out", many, "--part", fmt.Sprintf("auto/%d", parts))...)
			p.Env = append(p.Env, fmt.Sprint("JOB_COMPLETION_INDEX=", i))
			if text, err := p.CombinedOutput(); err != nil {
				t.Errorf("part %d: %v: %s", i+1, err, text)
			}
		})
	}
	all.Wait()
	if !same(contents(t, one), contents(t, many)) {
		t.Error("the folder is not that of one process")
	}
	a, err := os.ReadFile(one + "-grid.png")
	b, again := os.ReadFile(many + "-grid.png")
	if err != nil || again != nil || !bytes.Equal(a, b) {
		t.Errorf("the grids differ, %v, %v", err, again)
	}
	verify := with(args, "--out", many, "--verify")
	if text, code, err := fluxion(t, verify...); err != nil || !strings.Contains(text, `"event":"verified"`) || !strings.Contains(text, `"again":1`) {
		t.Errorf("%s, exit %d, %v", text, code, err)
	}
	// Another picture with the same texts, a picture that is cut, and none.
	picture := filepath.Join(many, fmt.Sprintf("%06d.png", data.Spread(60, 1, 0))) // the one that is made again
	before, err := data.InspectPNG(picture)
	if err != nil {
		t.Fatal(err)
	}
	datatest.WritePNG(t, picture, make([]byte, 8*8*3), 8, 8, 3, before.Text)
	if _, code, err := fluxion(t, verify...); code != exitInput || err == nil || !strings.Contains(err.Error(), ".png of 1 pictures that were made again are not what is made here") {
		t.Errorf("a changed picture: exit %d, %v", code, err)
	}
	for _, harm := range []func() error{func() error { return os.Truncate(picture, 100) }, func() error { return os.Remove(picture) }} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if _, code, err := fluxion(t, verify...); code != exitInput || err == nil || !strings.Contains(err.Error(), filepath.Base(picture)+": is not there or not whole; the same command") {
			t.Errorf("a picture that is gone: exit %d, %v", code, err)
		}
	}
	if _, err := os.Stat(picture); err == nil {
		t.Error("--verify made a picture")
	}
}

// TestPartBesideOthers: a part is refused before it is made where another was made with other
// settings, whatever they go to.
func TestPartBesideOthers(t *testing.T) {
	run := trainedRun(t)
	for _, to := range []string{"pictures", "tar:shards --shard 2", "one.tar", "floats.npz"} {
		t.Run(to, func(t *testing.T) {
			t.Chdir(t.TempDir())
			args := append([]string{"sample", "--model", run, "--count", "8", "--steps", "2", "--out"}, strings.Fields(to)...)
			if _, code, err := fluxion(t, with(args, "--part", "2/2")...); err != nil {
				t.Fatal(code, err)
			}
			made, err := filepath.Glob("*")
			if err != nil || len(made) != 1 {
				t.Fatal(made, err)
			}
			before := contents(t, made[0])
			_, code, err := fluxion(t, with(args, "--part", "1/2", "--steps", "3")...)
			if code != exitFolder || !strings.Contains(err.Error(), "other settings: steps was 2, now 3") {
				t.Errorf("exit code %d, %v", code, err)
			}
			if again, _ := filepath.Glob("*"); !same(contents(t, made[0]), before) || len(again) != 1 {
				t.Error("refused, and files have changed")
			}
			if _, code, err := fluxion(t, with(args, "--part", "1/2")...); err != nil {
				t.Error(code, err)
			}
		})
	}
}

// TestPartRefuses: what parts do not go with.
func TestPartRefuses(t *testing.T) {
	for flags, want := range map[string]string{
		"--out o --part 3/2":                    "--part 3/2: want I/N",
		"--out o --part auto":                   "no scheduler says which this is",
		"--out o --part 1/2 --save-noise n.npy": "--save-noise writes the noise of all images",
		"--out o --verify --overwrite":          "want one of the two",
	} {
		args := append([]string{"sample", "--model", "none", "--count", "4"}, strings.Fields(flags)...)
		if _, code, err := fluxion(t, args...); code != exitUsage || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: exit %d, %v, want %s", flags, code, err, want)
		}
	}
}
