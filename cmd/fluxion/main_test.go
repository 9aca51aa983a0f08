package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/data"
	"fluxion/engine/rundir"
	"fluxion/engine/train"
	"fluxion/nets"
	"fluxion/nets/safetensors"
)

// fluxion runs a command line and returns what it printed and its exit code.
func fluxion(t *testing.T, args ...string) (string, int, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	_, err := execute(context.Background(), root, args)
	if err == nil {
		return out.String(), 0, nil
	}
	return out.String(), exitCode(err), err
}

// quick are the flags of a run of a second.
var quick = []string{"--preset", "micro", "--size", "16", "--batch", "8", "--sample-count", "10", "--sample-steps", "2"}

// tiny is the beginning of a run of less.
var tiny = []string{"train", "--size", "8", "--preset", "micro", "--batch", "4", "--sample-count", "0", "--threads", "1"}

func with(args []string, more ...string) []string { return append(slices.Clone(args), more...) }

// events parses a stream of JSON lines.
func events(t *testing.T, text string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(text) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q is no JSON object: %v", line, err)
		}
		list = append(list, e)
	}
	return list
}

// TestTrainAndSample walks through the program: train, resume, sample, sample again.
func TestTrainAndSample(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	out, code, err := fluxion(t, with(quick, "train", "--images", "32", "--json", "--out", run)...)
	if err != nil {
		t.Fatal(code, err)
	}
	es := events(t, out)
	if first, last := es[0], es[len(es)-1]; first["event"] != "start" || last["event"] != "done" || last["images"] != 32.0 || last["steps"] != 4.0 || last["run"] != run || last["loss"] == nil {
		t.Errorf("events begin with %v and end with %v", first, last)
	}
	out, _, err = fluxion(t, with(quick, "train", "--images", "32", "--json", "--out", run)...)
	if es := events(t, out); err != nil || len(es) != 1 || es[0]["already"] != true {
		t.Errorf("a finished run: %s, %v", out, err)
	}
	out, _, err = fluxion(t, with(quick, "train", "--images", "48", "--out", run)...)
	if err != nil || !strings.Contains(out, "images was 32, now 48") || !strings.Contains(out, "resumes") {
		t.Errorf("a longer run: %s, %v", out, err)
	}

	pictures := filepath.Join(dir, "pictures")
	sample := []string{"sample", "--model", run, "--out", pictures, "--steps", "2", "--json"}
	for _, c := range []struct {
		args             []string
		written, skipped float64
	}{
		{[]string{"--seeds", "0-2,7"}, 4, 0},
		{[]string{"--count", "4", "--batch", "3"}, 1, 3},
		{[]string{"--count", "4", "--batch", "1", "--threads", "1"}, 0, 4},
		{[]string{"--seeds", "20-22", "--class", "3", "--guidance", "1.5", "--sampler", "ddpm", "--clip"}, 3, 0},
	} {
		out, code, err := fluxion(t, with(sample, c.args...)...)
		if err != nil {
			t.Fatal(code, err)
		}
		es := events(t, out)
		if last := es[len(es)-1]; last["written"] != c.written || last["skipped"] != c.skipped {
			t.Errorf("%v: %v", c.args, last)
		}
	}
	text, err := data.ReadText(filepath.Join(pictures, "000021.png"))
	if err != nil || text["seed"] != "21" || text["class"] != "3" || text["sampler"] != "ddpm" {
		t.Errorf("texts %v, %v", text, err)
	}
	if _, err := os.Stat(pictures + "-grid.png"); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"inspect", "--model", run, "--json"}, {"inspect", "--preset", "micro", "--sample", "--plan"}, {"inspect", "--preset", "micro", "--train"}, {"doctor"}, {"doctor", "--json"}, {"version"}, {"version", "--json"}, {"--version"}} {
		if out, code, err := fluxion(t, args...); err != nil || out == "" {
			t.Errorf("%v: %d, %v", args, code, err)
		}
	}
}

func TestBench(t *testing.T) {
	for _, mode := range []string{"train", "sample"} {
		out, _, err := fluxion(t, "bench", mode, "--preset", "micro", "--batch", "2", "--size", "16", "--steps", "2", "--json")
		if err != nil {
			t.Fatal(err)
		}
		e := events(t, out)[0]
		for _, key := range []string{"images_per_second", "flop_per_image", "flops", "peak_flops", "share_of_peak", "planned_bytes", "start_to_first_step_seconds", "threads"} {
			if x, ok := e[key].(float64); !ok || x <= 0 {
				t.Errorf("bench %s: %s is %v", mode, key, e[key])
			}
		}
	}
}

// TestWithout: a plan without a fusion has more launches, and fusions have names.
func TestWithout(t *testing.T) {
	launches := func(more ...string) float64 {
		out, _, err := fluxion(t, append([]string{"inspect", "--preset", "micro", "--json"}, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		return events(t, out)[0]["launches"].(float64)
	}
	if all, fewer := launches(), launches("--without", "add,per-image"); fewer <= all {
		t.Errorf("%v launches with all fusions, %v without two", all, fewer)
	}
	for _, command := range [][]string{{"inspect"}, {"bench", "train"}, {"bench", "ops"}} {
		if _, code, err := fluxion(t, append(command, "--without", "adds")...); code != 2 || !strings.Contains(err.Error(), `"adds"`) {
			t.Errorf("%v of an unknown fusion: %d, %v", command, code, err)
		}
	}
}

// TestBenchOps: the launches are those of the plan and their shares make a whole.
func TestBenchOps(t *testing.T) {
	for _, mode := range [][]string{nil, {"--sample"}} {
		out, _, err := fluxion(t, append([]string{"bench", "ops", "--preset", "micro", "--batch", "2", "--size", "16", "--steps", "1", "--json"}, mode...)...)
		if err != nil {
			t.Fatal(err)
		}
		var r opsResult
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		share, convolutions := 0.0, 0
		for _, op := range r.Ops {
			share += op.Share
			if strings.HasPrefix(op.Operator, "conv 3x3") {
				convolutions += op.Times
			}
		}
		if math.Abs(share-1) > 1e-6 || convolutions < 10 || r.PeakBytes <= 0 {
			t.Errorf("%v: shares add up to %g, %d convolutions, peak of %g bytes/s", mode, share, convolutions, r.PeakBytes)
		}
	}
}

// TestBenchKernels: nothing spills, products meet no bank conflict, and tensor cores work where they should.
func TestBenchKernels(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, precision := range []string{"bf16", "fp32"} {
		out, _, err := fluxion(t, "bench", "kernels", "--preset", "micro", "--batch", "2", "--precision", precision, "--blocks", "2", "--json")
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ Launches []countedLaunch }
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		tensor, products := int64(0), 0
		for _, l := range r.Launches {
			for _, c := range l.Calls {
				tensor += c.TensorInstructions
				if c.Registers["sm_80"] == 0 || c.Spills > 0 || c.Blocks["sm_90a"] < 1 {
					t.Errorf("%s: %d registers, %d bytes spilled, %d blocks on sm_90a", c.Function, c.Registers["sm_80"], c.Spills, c.Blocks["sm_90a"])
				}
				if strings.HasPrefix(c.Function, "gemm_n") || strings.HasPrefix(c.Function, "gemm_t") {
					products++
					if c.BankConflicts > 0 {
						t.Errorf("%s on %s: %d bank conflicts", c.Function, l.Operands, c.BankConflicts)
					}
				}
			}
		}
		if products == 0 || (tensor > 0) != (precision == "bf16") {
			t.Errorf("%s: %d launches of products, %d instructions of tensor cores", precision, products, tensor)
		}
	}
}

// TestRefusals: one line that says what would work, and the promised code.
func TestRefusals(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(config, []byte("batch: 8\nlearning: 3\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"trian"}, exitUsage, []string{"trian", "train"}},
		{[]string{"train", "--bacth", "3"}, exitUsage, []string{"bacth", "did you mean --batch"}},
		{[]string{"train", "--learning_rate", "3"}, exitUsage, []string{`"--learning_rate": here it is --lr, largest learning rate`}},
		{[]string{"train", "--resume"}, exitUsage, []string{"--out RUN alone goes on with the run"}},
		{[]string{"train", "--frobnicate", "0.1"}, exitUsage, []string{`"--frobnicate"; fluxion train --help says which there are`}},
		{[]string{"train", "now"}, exitUsage, []string{"now"}},
		{[]string{"train", "-s", "bacth=3"}, exitUsage, []string{"bacth", "batch"}},
		{[]string{"train", "-s", "batch"}, exitUsage, []string{"key=value"}},
		{[]string{"train", "-s", "batch=many"}, exitUsage, []string{"batch"}},
		{[]string{"train", "--config", config}, exitUsage, []string{config, "learning"}},
		{[]string{"train", "--config", filepath.Join(dir, "none.yaml")}, exitUsage, []string{"none.yaml"}},
		{[]string{"train", "--channels", "2"}, exitUsage, []string{"channels", "1 (grey)"}},
		{[]string{"train", "--batch", "0"}, exitUsage, []string{"batch", "1 to 1048576"}},
		{[]string{"train", "--preset", "tyny", "--out", dir}, exitUsage, []string{"tyny", "tiny"}},
		{[]string{"train", "--schedule", "cosin", "--out", dir}, exitUsage, []string{"cosin", "cosine"}},
		{[]string{"train", "--device", "tpu", "--out", dir}, exitUsage, []string{"tpu", "cpu"}},
		{[]string{"train", "--size", "30", "--out", dir}, exitUsage, []string{"30", "multiple of 4"}},
		{[]string{"train", "--data", filepath.Join(dir, "nothing")}, exitInput, []string{"nothing", "neither a file nor a folder"}},
		{[]string{"sample", "--out", dir, "--count", "1"}, exitUsage, []string{"--model"}},
		{[]string{"sample", "--model", dir, "--out", dir}, exitUsage, []string{"--count"}},
		{[]string{"sample", "--model", dir, "--out", dir, "--seeds", "5-2"}, exitUsage, []string{"5-2"}},
		{[]string{"sample", "--model", filepath.Join(dir, "nothing"), "--out", dir, "--count", "1"}, exitInput, []string{"nothing: there is no such folder"}},
		{[]string{"sample", "--model", dir, "--out", dir, "--count", "1", "--sampler", "eular"}, exitUsage, []string{"eular", "euler"}},
		{[]string{"sample", "--model", dir, "--out", dir, "--count", "1", "--threads", "-1"}, exitUsage, []string{"--threads: -1"}},
		{[]string{"trace", "--sampler", "rk45", "--steps", "2", "--denoiser", "gaussian", "--z", "1", "--tolerance", "NaN"}, exitUsage, []string{"--tolerance", "finite"}},
		{[]string{"trace", "--sampler", "rk45", "--steps", "2", "--denoiser", "gaussian", "--z", "1", "--tolerance", "1e-30"}, exitUsage, []string{"tolerance = 1e-30"}},
		{[]string{"bench"}, exitUsage, []string{"bench train"}},
		{[]string{"bench", "trian"}, exitUsage, []string{"trian", "bench train"}},
		{[]string{"bench", "train", "--preset", "micro", "--device", "cpu", "--batch", "2000000"}, exitUsage, []string{"GiB", "available", "--accumulate"}},
		{[]string{"inspect", "--threads", "-1"}, exitUsage, []string{"--threads: -1"}},
		{[]string{"inspect", "--size", "30"}, exitUsage, []string{"--size 30", "multiple of 4"}},
		{[]string{"bench", "train", "--precision", "fp8"}, exitUsage, []string{"fp8", "fp32"}},
		{[]string{"inspect", "--preset", "tyny"}, exitUsage, []string{"tiny"}},
		{[]string{"inspect", "--train", "--sample"}, exitUsage, []string{"--train", "--sample"}},
	} {
		out, code, err := fluxion(t, c.args...)
		if code != c.code {
			t.Errorf("%v: exit code %d, want %d (%v)", c.args, code, c.code, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %q does not say %q", c.args, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") || out != "" {
			t.Errorf("%v: more than a line: %q %q", c.args, out, err)
		}
	}
}

// dryRun is the settings that train --dry-run --json prints.
func dryRun(t *testing.T, out string) train.Settings {
	t.Helper()
	var e struct {
		Event    string
		Time     time.Time
		Settings train.Settings
	}
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.Event != "settings" || time.Since(e.Time) > time.Hour {
		t.Fatalf("%v: %s", err, out)
	}
	return e.Settings
}

// TestPrecedence: flag over -s over environment over file over default.
func TestPrecedence(t *testing.T) {
	t.Setenv(machine.BlockingsVariable, "")
	config := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(config, []byte("batch: 11\nlr: 0.5\nseed: 18446744073709551615\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	resolved := func(args ...string) train.Settings {
		t.Helper()
		out, _, err := fluxion(t, append([]string{"train", "--dry-run", "--json"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return dryRun(t, out)
	}
	if s := resolved(); s != train.Default() {
		t.Errorf("without arguments: %+v", s)
	}
	if s := resolved("--config", config); s.Batch != 11 || s.LR != 0.5 || s.Seed != 1<<64-1 {
		t.Errorf("from the file: %+v", s)
	}
	t.Setenv("FLUXION_BATCH", "12")
	t.Setenv("FLUXION_CPU", "")
	if s := resolved("--config", config); s.Batch != 12 || s.LR != 0.5 {
		t.Errorf("from the environment: %+v", s)
	}
	if s := resolved("--config", config, "-s", "batch=13"); s.Batch != 13 {
		t.Errorf("from -s: %+v", s)
	}
	if s := resolved("--config", config, "-s", "batch=13", "--batch", "14", "--skip-broken"); s.Batch != 14 || !s.SkipBroken {
		t.Errorf("from the flag: %+v", s)
	}
	out, _, err := fluxion(t, "train", "--dry-run")
	if err != nil || !strings.HasPrefix(out, "data: glyphs\n") || !strings.Contains(out, "\nlr: 0.0") {
		t.Errorf("dry run: %q, %v", out, err)
	}
}

// TestValues: a file's values are taken as they are or refused with their source.
func TestValues(t *testing.T) {
	t.Setenv(machine.BlockingsVariable, "")
	dir := t.TempDir()
	for _, c := range []struct {
		name, text string
		want       string // what the refusal says, "" if there is none
		check      func(train.Settings) bool
	}{
		{"a.yaml", "batch: 8.5", "batch: \"8.5\", want a whole number", nil},
		{"a.yaml", "seed: -1", "seed: \"-1\"", nil},
		{"a.yaml", "threads: true", "threads: \"true\"", nil},
		{"a.yaml", "flip: maybe", "flip: \"maybe\", want true or false", nil},
		{"a.yaml", "data: [a, b]", "not one value", nil},
		{"a.yaml", "batch:", "batch: has no value", nil},
		{"a.yaml", "bacth: {}", "did you mean \"batch\"", nil},
		{"a.yaml", "images: 99999999999999999999", "images:", nil},
		{"a.yaml", "just words", "a.yaml", nil},
		{"a", "batch: 8", ".yaml, .toml or .json", nil},
		{"a.json", `{"batch": "many"}`, "batch: \"many\"", nil},
		{"a.toml", "bacth = 3", "did you mean \"batch\"", nil},
		{"a.yaml", "images: 1e5\nFlip: true", "", func(s train.Settings) bool { return s.Images == 100_000 && s.Flip }},
		{"a.yml", "{}", "", func(s train.Settings) bool { return s == train.Default() }},
		{"a.json", `{"seed": 18446744073709551615, "lr": 1e-3}`, "", func(s train.Settings) bool { return s.Seed == 1<<64-1 && s.LR == 1e-3 }},
		{"a.toml", "seed = 9007199254740993\npreset = 'small'", "", func(s train.Settings) bool { return s.Seed == 1<<53+1 && s.Preset == "small" }},
	} {
		file := filepath.Join(dir, c.name)
		if err := os.WriteFile(file, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		out, code, err := fluxion(t, "train", "--dry-run", "--json", "--config", file)
		if c.want != "" {
			if code != exitUsage || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s %q: code %d, %v; want %s", c.name, c.text, code, err, c.want)
			}
			continue
		}
		if err != nil || !c.check(dryRun(t, out)) {
			t.Errorf("%s %q: %s %v", c.name, c.text, out, err)
		}
	}
	t.Setenv("FLUXION_BATCH", "many")
	t.Setenv("FLUXION_PEERS", "is not a key")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "FLUXION_BATCH: batch: \"many\""},
		{[]string{"--batch", "4", "-s", "lr=fast"}, "-s: lr: \"fast\""},
		{[]string{"--batch", "4", "-s", "images=1e5"}, ""},
		{[]string{"--batch", "4", "--coupling", "otter"}, "coupling: unknown coupling \"otter\""},
	} {
		_, _, err := fluxion(t, append([]string{"train", "--dry-run"}, c.args...)...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}

// TestRoomForFile: what is said of a file that cannot be written names that file, and
// none that was tried in its place.
func TestRoomForFile(t *testing.T) {
	if err := outdir.Room("--save", "/proc/x.npz"); err == nil || !strings.Contains(err.Error(), "/proc") || strings.Contains(err.Error(), ".fluxion-") {
		t.Error(err)
	}
}

// TestSampleProgress: a status a second, in both faces.
func TestSampleProgress(t *testing.T) {
	var out bytes.Buffer
	p := newImageProgress(console.NewFace(&out, true), "", 100)
	p.show(1) // too early
	p.begin, p.shown = p.begin.Add(-2*samplePeriod), p.shown.Add(-2*samplePeriod)
	p.show(50)
	p.show(51)
	if es := events(t, out.String()); len(es) != 1 || es[0]["event"] != "status" || es[0]["images"] != 50.0 || es[0]["of"] != 100.0 || es[0]["images_per_second"] == nil {
		t.Errorf("events %v", es)
	}
	out.Reset()
	p = newImageProgress(console.NewFace(&out, false), "", 100)
	p.shown = p.shown.Add(-2 * samplePeriod)
	if p.show(50); out.Len() > 0 {
		t.Errorf("short work shows %q", out.String())
	}
}

// TestStopped: a signal ends sampling with its code and leaves whole images only.
func TestStopped(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	if _, code, err := fluxion(t, with(quick, "train", "--images", "8", "--json", "--out", run)...); err != nil {
		t.Fatal(code, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(signalError{signal: syscall.SIGINT})
	root := newRoot()
	root.SetOut(&bytes.Buffer{})
	root.SetArgs([]string{"sample", "--model", run, "--out", filepath.Join(dir, "pictures"), "--count", "4"})
	err := root.ExecuteContext(ctx)
	if code := exitCode(err); code != 130 || !strings.Contains(err.Error(), "interrupt; the same command goes on from here") {
		t.Errorf("exit code %d, %v", code, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "pictures")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), exitFailure},
		{signalError{signal: syscall.SIGINT}, 130},
		{signalError{signal: syscall.SIGTERM}, 143},
		{fmt.Errorf("x: %w", &data.Error{}), exitInput},
		{modelError{"m", &nets.ConfigError{}}, exitInput},
		{&nets.ConfigError{}, exitUsage},
		{fmt.Errorf("x: %w", &safetensors.FormatError{}), exitInput},
		{fmt.Errorf("x: %w", fs.ErrNotExist), exitInput},
		{&rundir.InUseError{}, exitFolder},
		{&rundir.Error{}, exitFolder},
		{&rundir.GoneError{}, exitFolder},
		{&train.CheckpointError{Err: &nets.ConfigError{}}, exitInput},
		{&train.SettingsError{}, exitInput},
		{&train.ChangedError{}, exitFolder},
		{&train.NotFiniteError{}, exitDiverged},
		{&train.SettingError{}, exitUsage},
		{fault.Output(&data.Error{}), exitFailure},
		{&data.Error{Err: &fs.PathError{Err: syscall.ENOSPC}}, exitFailure},
		{&data.Error{Err: &fs.PathError{Err: syscall.EACCES}}, exitInput},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%T: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestParseSeeds(t *testing.T) {
	for text, want := range map[string][]int64{"0-3": {0, 1, 2, 3}, "7": {7}, "3,1-2, 9": {1, 2, 3, 9}, "1-3,2": {1, 2, 3}} {
		if got, err := parseSeeds(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a", "3-1", "1-", "-", "0-99999999999"} {
		if got, err := parseSeeds(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
