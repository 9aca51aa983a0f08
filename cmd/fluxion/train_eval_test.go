package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
)

// TestTrainEvaluates: a run tells what metrics say of it, which is what eval says of its
// checkpoint; it keeps the best, and what it knows of the real images.
func TestTrainEvaluates(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir) // where no weights of other networks are
	t.Setenv("TORCH_HOME", "")
	run := filepath.Join(dir, "run")
	args := with(tiny, "--out", run, "--images", "16", "--json", "--keep", "1", "--eval-every", "8", "--eval-metrics", "fd,kid", "--eval-count", "8", "--eval-steps", "2",
		"--eval-real-count", "10", "--keep-best", "kid")
	train := func(args []string) (said []map[string]any, notes []string, done map[string]any) {
		t.Helper()
		out, code, err := fluxion(t, args...)
		if err != nil {
			t.Fatal(code, err)
		}
		for _, e := range events(t, out) {
			switch e["event"] {
			case "evaluation":
				said = append(said, e)
			case "note":
				notes = append(notes, e["text"].(string))
			case "start":
				if e["beside_bytes"].(float64) < 1<<16 || !strings.Contains(e["evaluation"].(string), "fd, kid every 8 images") || !strings.Contains(e["compares"].(string), "10 images of glyphs, 8×8×3") {
					t.Errorf("the start: %v", e)
				}
			case "status":
				if e["loss"] == nil {
					t.Errorf("a status that is none of training: %v", e)
				}
			case "done":
				done = e
			}
		}
		return said, notes, done
	}
	told := func(notes []string, what string) bool {
		return slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, what) })
	}
	said, notes, done := train(args)
	if len(said) != 2 || said[1]["images"] != 16.0 || !told(notes, "fewer than the 64 features") || told(notes, "is read from") {
		t.Fatalf("evaluations %v, notes %q", said, notes)
	}
	best, _ := done["best"].(map[string]any)
	at := said[0]
	if value(t, said[1], "kid") < value(t, at, "kid") {
		at = said[1]
	}
	if best == nil || best["value"] != value(t, at, "kid") || best["images"] != at["images"] || at["best"] != "kid" {
		t.Fatalf("the best is %v, want %v", best, at)
	}
	ask := []string{"--count", "8", "--real-count", "10", "--steps", "2", "--metrics", "fd,kid"}
	for _, real := range [][]string{{"glyphs", "--size", "8"}, {filepath.Join(run, referenceFile)}} {
		r := evaluated(t, with(ask, with([]string{run + "@best"}, real...)...)...)
		for _, name := range []string{"fd", "kid"} {
			if want := value(t, at, name); math.Abs(r.Metrics[name]-want) > 1e-6*math.Abs(want) {
				t.Errorf("%s against %v is %g for eval, %g in the run", name, real, r.Metrics[name], want)
			}
		}
	}
	if _, code, err := fluxion(t, "sample", "--model", run+"@best", "--count", "1", "--steps", "1", "--out", filepath.Join(dir, "samples")); err != nil {
		t.Error(code, err)
	}
	curve, err := os.ReadFile(filepath.Join(run, curvesDir, "kid.csv"))
	if err != nil || strings.Count(string(curve), "\n") != 3 || !strings.Contains(string(curve), fmt.Sprintf("0,kid,16,%v\n", value(t, said[1], "kid"))) {
		t.Errorf("the curve is %q, %v", curve, err)
	}
	said, notes, _ = train(with(args, "--images", "24"))
	if longer, err := os.ReadFile(filepath.Join(run, curvesDir, "kid.csv")); err != nil || !strings.HasPrefix(string(longer), string(curve)) || strings.Count(string(longer), "\n") != 4 {
		t.Errorf("the curve goes on as %q, %v", longer, err)
	}
	if len(said) != 1 || !told(notes, "is read from "+filepath.Join(run, referenceFile)) {
		t.Errorf("gone on: %v, %q", said, notes)
	}
	// A longer run by text, from images of another number: they are looked at anew.
	out, code, err := fluxion(t, with(tiny, "--out", run, "--images", "28", "--eval-real-count", "9")...)
	if err != nil {
		t.Fatal(code, err)
	}
	for _, want := range []string{"do not compare with those before", "evaluation  fd ", "(the best so far)", "\nbest        ", "planned, and "} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "is read from") {
		t.Errorf("9 real images were taken from what is known of 10:\n%s", out)
	}
}

func value(t *testing.T, event map[string]any, name string) float64 {
	t.Helper()
	v, ok := event["metrics"].(map[string]any)[name].(float64)
	if !ok {
		t.Fatalf("no %s in %v", name, event)
	}
	return v
}

// TestTrainEvaluationRefuses what cannot be evaluated, in one line and before there is a
// run.
func TestTrainEvaluationRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("TORCH_HOME", "")
	weights := liteWeights(t, filepath.Join(dir, "lite0.safetensors"))
	lite := []string{"--eval-network", "lite0", "--eval-weights", weights}
	two := foreign(t, dir, "two.npz", []float64{0, 0}, []float64{2, 1, 1, 2})
	empty, one := filepath.Join(dir, "empty"), filepath.Join(dir, "one")
	pixels := data.Pixels{Bytes: make([]byte, 8*8*3)}
	for _, d := range []string{empty, one} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := data.WriteSheet(filepath.Join(one, "a.png"), pixels, 1, 8, 8, 3, 1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(lite, "--eval-metrics", "kidd"), exitUsage, `did you mean "kid"`},
		{with(lite, "--eval-metrics", "fid"), exitUsage, "the same distance of other features is fd"},
		{with(lite, "--eval-count", "1"), exitUsage, "--eval-count: 1 is out of range"},
		{with(lite, "--eval-count", "5", "--eval-metrics", "prdc"), exitUsage, "eval_count: prdc of 5 images: want at least 6"},
		{with(lite, "--eval-sampler", "eulr"), exitUsage, `did you mean "euler"`},
		{with(lite, "--eval-convention", "cleen"), exitUsage, `did you mean "clean"`},
		{with(lite, "--keep-best", "is"), exitUsage, `keep_best: unknown value "is"`},
		{with(lite, "--keep-best", "fd", "--eval-every", "0"), exitUsage, "want eval_every with it"},
		{with(lite, "--data", "toy:moons", "--preset", "mlp", "--size", "0"), exitUsage, "holds numbers, not pictures"},
		{with(lite, "--eval-real", "toy:moons"), exitInput, "moons: holds float32"},
		{with(lite, "--eval-real", two), exitUsage, "features of 2 numbers"},
		{with(lite, "--eval-real", two, "--eval-metrics", "kid"), exitUsage, "the features of every image"},
		{with(lite, "--eval-real", filepath.Join(dir, "nowhere")), exitInput, "nowhere"},
		{with(lite, "--eval-real", empty), exitInput, "empty"},
		{with(lite, "--eval-real", one), exitUsage, "eval_real: fd of 1 images"},
		{[]string{"--eval-network", "lite0"}, exitUsage, "efficientnet-lite0-57934424.pth"},
		{[]string{"--eval-network", "lite0", "--eval-weights", two}, exitInput, "two.npz"},
		{[]string{"--eval-network", "lite0", "--eval-weights", filepath.Join(dir, "none.pth")}, exitInput, "none.pth"},
	} {
		run := filepath.Join(dir, "run")
		args := with(with(tiny, "--out", run, "--images", "8", "--eval-every", "8"), c.args...)
		for _, args := range [][]string{args, with(args, "--dry-run")} {
			_, code, err := fluxion(t, args...)
			if code != c.code || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %d, %v; want %d and %q", args, code, err, c.code, c.want)
			}
		}
		if _, err := os.Stat(run); err == nil {
			t.Fatalf("%v: there is a run folder", c.args)
		}
	}
}

// TestBestAnywhere: RUN@best is a model wherever one is asked for, and no data.
func TestBestAnywhere(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	train := with(tiny, "--images", "8")
	if _, code, err := fluxion(t, with(train, "--eval-every", "4", "--eval-count", "4", "--eval-real-count", "8", "--keep-best", "fd", "--out", run)...); err != nil {
		t.Fatal(code, err)
	}
	for _, args := range [][]string{
		with(train, "--init", run+"@best", "--out", filepath.Join(dir, "second")),
		{"eval", run + "@best", "glyphs", "--size", "8", "--metrics", "bpd", "--real-count", "2", "--bpd-solver", "euler", "--bpd-steps", "2"},
	} {
		if _, code, err := fluxion(t, args...); err != nil {
			t.Errorf("%v: %d, %v", args, code, err)
		}
	}
	_, code, err := fluxion(t, "sweep", run, run+"@best", "--real-count", "4", "--count", "4", "--out", filepath.Join(dir, "sweep"))
	if err == nil || code != exitUsage || !strings.Contains(err.Error(), "is a model") {
		t.Errorf("a model as real images: %d, %v", code, err)
	}
}
