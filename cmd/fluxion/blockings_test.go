package main

import (
	"encoding/json"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/engine/device/tuning"
)

// asProgram makes the test binary the program, so that it can be killed.
const asProgram = "AS_PROGRAM_OF_TEST"

// TestMain keeps what the tests measure apart from what users have measured. The
// test binary is the program itself where TestKills starts it.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		go endWith(os.Getppid())
		main()
		return
	}
	if signal.Ignored(syscall.SIGHUP) { // as under nohup: what tests start must not inherit that
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	debug.SetGCPercent(400) // a fifth of the tests' time was collection
	dir, err := os.MkdirTemp("", "blockings")
	if err == nil {
		err = os.Setenv(machine.BlockingsVariable, dir)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// endWith ends the program when the test that started it is gone, as after a test's
// time has run out: a run of a thousand million images would go on for days.
func endWith(parent int) {
	for os.Getppid() == parent {
		time.Sleep(time.Second)
	}
	os.Exit(1)
}

func TestBlockings(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir := t.TempDir()
	t.Setenv(machine.BlockingsVariable, dir)
	found := func() (e examination) {
		t.Helper()
		text, code, err := fluxion(t, "doctor", "--json")
		if err != nil || code != 0 || json.Unmarshal([]byte(text), &e) != nil {
			t.Fatalf("doctor: %s, %v", text, err)
		}
		return e
	}
	if b := found().Blockings; b.State != "none yet" || b.Path != tuning.Path(dir) {
		t.Errorf("doctor finds %+v in an empty folder", b)
	}
	small := []string{"--preset", "micro", "--size", "16", "--batch", "4"}
	// What only looks up measures nothing.
	if _, _, err := fluxion(t, with(small, "bench", "train", "--steps", "2")...); err != nil {
		t.Fatal(err)
	}
	if b := found().Blockings; b.State != "none yet" {
		t.Errorf("doctor finds %+v after bench train", b)
	}
	text, _, err := fluxion(t, with(small, "bench", "tune", "--json")...)
	var tuned tuneResult
	if err != nil || json.Unmarshal([]byte(text), &tuned) != nil || tuned.Settled == 0 || tuned.Runs < 2 {
		t.Fatalf("bench tune: %s, %v", text, err)
	}
	b := found().Blockings
	if b.State != "in use" || b.Settled != tuned.Settled || b.Otherwise != len(tuned.Launches) || b.Begun != 0 {
		t.Errorf("doctor finds %+v, bench tune %d launches, %d of them cut otherwise", b, tuned.Settled, len(tuned.Launches))
	}
	// A second time everything is known, and bench ops shows the same cuts.
	text, _, err = fluxion(t, with(small, "bench", "tune", "--json")...)
	var again tuneResult
	if err != nil || json.Unmarshal([]byte(text), &again) != nil || again.Runs != 1 || len(again.Launches) != len(tuned.Launches) {
		t.Errorf("bench tune again: %s, %v", text, err)
	}
	text, _, err = fluxion(t, with(small, "bench", "ops", "--steps", "1", "--top", "0")...)
	if n := strings.Count(text, " % faster"); err != nil || n != len(tuned.Launches) {
		t.Errorf("bench ops shows %d cuts, want %d: %v\n%s", n, len(tuned.Launches), err, text)
	}
	if err := os.WriteFile(tuning.Path(dir), []byte("garbage"), 0o666); err != nil {
		t.Fatal(err)
	}
	if b := found().Blockings; b.State != "unusable" || b.Problem == "" {
		t.Errorf("doctor finds %+v in garbage", b)
	}
	t.Setenv(machine.BlockingsVariable, "off")
	if b := found().Blockings; b != (machine.Blockings{State: "off"}) {
		t.Errorf("doctor finds %+v where they are off", b)
	}
	if _, code, _ := fluxion(t, with(small, "bench", "tune")...); code != exitUsage {
		t.Errorf("bench tune where they are off: exit code %d", code)
	}
	t.Setenv(machine.BlockingsVariable, "")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	t.Setenv("HOME", dir)
	if b := found().Blockings; b.Path == "" || b.State != "none yet" {
		t.Errorf("doctor finds %+v by default", b)
	}
}

// TestTrainingMeasures trains, deletes the table, and samples: both measure.
func TestTrainingMeasures(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir, run := t.TempDir(), filepath.Join(t.TempDir(), "run")
	args := with([]string{"train", "--images", "400", "--out", run, "--blockings", dir}, quick...)
	if _, _, err := fluxion(t, args...); err != nil {
		t.Fatal(err)
	}
	if s := tuning.Inspect(dir); s.Settled == 0 {
		t.Errorf("after training the table holds %+v", s)
	}
	if err := os.Remove(tuning.Path(dir)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fluxion(t, "sample", "--model", run, "--out", filepath.Join(dir, "out"), "--count", "4", "--steps", "5", "--blockings", dir); err != nil {
		t.Fatal(err)
	}
	if s := tuning.Inspect(dir); s.Begun == 0 {
		t.Errorf("after five steps of sampling the table holds %+v", s)
	}
}
