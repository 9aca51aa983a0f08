package main

import (
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"fluxion/data/durable"
	"fluxion/engine/rundir"
)

// TestSeen: a run leaves curves, text for Prometheus and events for TensorBoard, and runs
// a command for each checkpoint, whose failure is a note; runs tells how it ended.
func TestSeen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is one for sh")
	}
	dir := t.TempDir()
	run := filepath.Join(dir, "deep", "run")
	args := with(tiny, "--out", run, "--images", "16", "--sample-count", "4", "--sample-steps", "1", "--checkpoint-every", "8", "--json", "--tensorboard",
		"--on-checkpoint", `echo "$CHECKPOINT $CHECKPOINT_IMAGES" >>"$RUN/told"; echo no luck >&2; sleep 60 & exit 3`) // what it leaves behind is not waited for
	out, code, err := fluxion(t, args...)
	if err != nil {
		t.Fatal(code, err)
	}
	told, err := os.ReadFile(filepath.Join(run, "told"))
	if want := filepath.Join(run, "checkpoints", "16") + " 16\n"; err != nil || !strings.HasSuffix(string(told), want) {
		t.Errorf("the command was told %q, want %q at the end; %v", told, want, err)
	}
	if !strings.Contains(out, "exit status 3: no luck") {
		t.Errorf("nothing is said of the command that failed: %s", out)
	}
	curve, err := os.Open(filepath.Join(run, "loss.png"))
	if err == nil {
		_, err = png.Decode(curve)
		curve.Close()
	}
	if err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(run, prometheusFile)); err != nil || !strings.Contains(string(text), "fluxion_images_total{run=\"run\"} 16\n") {
		t.Errorf("%s, %v", text, err)
	}
	if files, err := filepath.Glob(filepath.Join(run, tensorBoardDir, "events.out.tfevents.*")); err != nil || len(files) != 1 {
		t.Errorf("events: %v, %v", files, err)
	}

	var found struct{ Runs []aRun }
	look := func(args ...string) aRun {
		t.Helper()
		out, code, err := fluxion(t, append([]string{"runs", dir, "--json"}, args...)...)
		if err == nil {
			err = json.Unmarshal([]byte(out), &found)
		}
		if err != nil || len(found.Runs) != 1 || found.Runs[0].Run != run {
			t.Fatalf("%s, %d, %v", out, code, err)
		}
		return found.Runs[0]
	}
	page := filepath.Join(dir, "page.html")
	if r := look("--page", page); r.State != rundir.Done || r.Images != 16 || r.Of != 16 || r.Loss == nil || filepath.Base(r.Grid) != "000000016.png" {
		t.Errorf("%+v", r)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), run) || strings.Contains(string(text), "<!--") || strings.Contains(string(text), "/*CHART*/") {
		t.Errorf("the page lacks the run, or a part of itself: %v", err)
	}
	log := filepath.Join(run, rundir.LogFile)
	for end, want := range map[string]string{"ended after 16 images: no: space": rundir.Ended, "training from image 16 on": rundir.Killed} {
		f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("2026-11-30T00:00:00Z training from image 0 on\n2026-11-30T00:00:00Z " + end + "\n2026-11-30T00:00:00Z something else\n")
		f.Close()
		if r := look(); r.State != want || want == rundir.Ended && r.Why != "no: space" {
			t.Errorf("%q is %+v, want %s", end, r, want)
		}
	}
	d, err := rundir.Open(run, false, durable.Disk{})
	if err != nil {
		t.Fatal(err)
	}
	if r := look(); r.State != rundir.Training {
		t.Errorf("%+v, and its folder is locked", r)
	}
	d.Close()
	if err := os.WriteFile(filepath.Join(run, rundir.ConfigFile), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if r := look(); r.Problem == "" {
		t.Errorf("%+v, and its settings are cut", r)
	}
	if _, code, err := fluxion(t, "runs", filepath.Join(dir, "none")); code != exitInput || err == nil {
		t.Errorf("%d, %v", code, err)
	}
	if _, code, err := fluxion(t, with(tiny, "--out", filepath.Join(dir, "other"), "--serve", "x")...); code != exitUsage || err == nil {
		t.Errorf("%d, %v", code, err)
	}
}
