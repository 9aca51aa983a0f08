package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/cmd/fluxion/internal/sweeps"
	"fluxion/data/durable"
	"fluxion/engine/sampler"

	"github.com/spf13/cobra"
)

// swept is the result of sweep --json, and how many cells were told of.
func swept(t *testing.T, args ...string) (r shownSweep, cells int) {
	t.Helper()
	out, code, err := fluxion(t, append([]string{"sweep", "--json"}, args...)...)
	if err != nil {
		t.Fatalf("%v: %d, %v", args, code, err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatal(err)
	}
	return r, strings.Count(out, `"event":"cell"`)
}

// TestSweep: a cell is what eval says of it; the same command makes nothing anew, one
// with more values makes what is missing, and one that would make other values is
// refused. Whatever ends a sweep, the cells that were made are there.
func TestSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	dir := t.TempDir()
	weights := liteWeights(t, filepath.Join(dir, "lite0.safetensors"))
	run, out := filepath.Join(dir, "run"), filepath.Join(dir, "sweep")
	if _, code, err := fluxion(t, with(tiny, "--out", run, "--images", "8")...); err != nil {
		t.Fatal(code, err)
	}
	lite := []string{"--network", "lite0", "--weights", weights, "--count", "6", "--real-count", "6", "--metrics", "fd,prdc", "--seed", "5"}
	args := with(lite, run, "glyphs", "--out", out)

	failing := errors.New("the disk is full")
	written := 0
	root := newSweepOn(durable.Disk{Sync: func(path string) error {
		if written++; written > 20 { // a cell is ten files and the names of each
			return failing
		}
		return durable.Sync(path)
	}})
	root.SetArgs(with(args, "--samplers", "euler,heun", "--steps", "1"))
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetOut(io.Discard)
	if err := root.Execute(); !errors.Is(err, failing) {
		t.Fatalf("a full disk: %v", err)
	}
	r, cells := swept(t, with(args, "--samplers", "euler,heun", "--steps", "1")...)
	if cells != 1 || r.Made != 1 || len(r.Cells) != 2 {
		t.Errorf("after a full disk %d cells were made of %d: %+v", cells, len(r.Cells), r)
	}
	r, cells = swept(t, with(args, "--samplers", "heun,euler", "--steps", "2,1", "--guidance", "1,2", "--threads", "1", "--batch", "2")...)
	if cells != 6 || len(r.Cells) != 8 || strings.Join(r.Values, " ") != "fd precision recall density coverage" {
		t.Errorf("%d cells were made of %d: %+v", cells, len(r.Cells), r)
	}
	if c := r.Cells[1]; c.Way != (sweeps.Way{Sampler: "heun", Steps: 2, Guidance: 2, Weights: "ema"}) || c.NFE != 3 || c.Images != 6 {
		t.Errorf("the second cell: %+v", c)
	}
	for _, c := range r.Cells {
		if b := r.Best["fd"]; b.Metrics["fd"] > c.Metrics["fd"] || r.Best["precision"].Metrics["precision"] < c.Metrics["precision"] {
			t.Errorf("%+v is better than %+v", c, b)
		}
	}
	alone := evaluated(t, with(lite, run, "glyphs", "--sampler", "heun", "--steps", "2", "--guidance", "2")...)
	for name, want := range alone.Metrics {
		if got := r.Cells[1].Metrics[name]; got != want {
			t.Errorf("%s is %v, and by eval %v", name, got, want)
		}
	}
	if _, cells = swept(t, with(args, "--samplers", "heun,euler", "--steps", "2,1", "--guidance", "1,2")...); cells != 0 {
		t.Errorf("the same again makes %d cells", cells)
	}
	for _, file := range []string{"sweep.json", "sweep.csv", "fd.png", "coverage.svg"} {
		if _, err := os.Stat(filepath.Join(out, file)); err != nil {
			t.Error(err)
		}
	}
	csv, err := os.ReadFile(filepath.Join(out, "sweep.csv"))
	if lines := strings.Split(string(csv), "\n"); err != nil || len(lines) != 10 || !strings.HasPrefix(lines[0], "sampler,steps,guidance,weights,nfe,images,fd,fd_error,") || !strings.HasPrefix(lines[2], "heun,2,2,ema,3,6,") {
		t.Errorf("%v:\n%s", err, csv)
	}

	// rk45 calls the network as often as an image wants it.
	r, cells = swept(t, with(args, "--samplers", "rk45", "--steps", "1", "-s", "tolerance=0.5", "--out", filepath.Join(dir, "adaptive"))...)
	if cells != 1 || r.Cells[0].NFE < 7 {
		t.Errorf("rk45: %+v", r.Cells)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(args, "--seed", "6"), exitFolder, "seed was 5, now 6"},
		{with(args, "--metrics", "kid"), exitFolder, "metrics was fd,prdc, now fd,prdc,kid"},
		{with(args, "--grid", "karras"), exitFolder, "grid was uniform, now karras"},
		{with(args, "--samplers", "eulr"), exitUsage, `did you mean "euler"`},
		{with(args, "--samplers", "euler,heun", "--eta", "1"), exitUsage, "no cell can be sampled: sampler euler takes no eta"},
		{with(args, "--steps", "0"), exitUsage, "no cell can be sampled"},
		{with(args, "--metrics", "fd,bpd"), exitUsage, "fluxion eval MODEL DATA --metrics bpd"},
		{with(args, "--bpd-solver", "heun"), exitUsage, "bpd-solver"},
		{with(args, "--steps", ""), exitUsage, "makes 0 cells"},
		{with(args, "--model-weights", "ema:7"), exitInput, "no weights ema:7"},
		{with(lite, run, "glyphs", "--out", out, "--weights", "ema,raw"), exitUsage, "--model-weights ema,raw"},
		{with(lite, "glyphs", "glyphs", "--out", out), exitUsage, "is no model"},
		{with(lite, run, run, "--out", out), exitUsage, "REAL of a sweep"},
		{with(lite, run, "glyphs"), exitUsage, "--out is needed"},
		{[]string{run, "glyphs", "--out", out}, exitUsage, "--count N"},
		{[]string{run, "glyphs", "glyphs", "--out", out}, exitUsage, "3 arguments"},
	} {
		_, code, err := fluxion(t, append([]string{"sweep"}, c.args...)...)
		if code != c.code || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %d, %v; want %d and %q", c.args, code, err, c.code, c.want)
		}
	}
	leave, err := durable.Alone(out)
	if err != nil {
		t.Fatal(err)
	}
	if _, code, err := fluxion(t, append([]string{"sweep"}, args...)...); code != exitFolder || !strings.Contains(err.Error(), "in use") {
		t.Errorf("beside another: %d, %v", code, err)
	}
	if err := leave(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(out, sweeps.File), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, code, err := fluxion(t, append([]string{"sweep"}, args...)...); code != exitFolder || !strings.Contains(err.Error(), "no table") {
		t.Errorf("a file of others: %d, %v", code, err)
	}
}

// TestSweepMore: REAL, and what a run is compared with, may be the file of a part that is
// the whole; a note stands before the cells; a sweep of guidance 1 goes on with a guide,
// and with no other; a cell that could not be planned is tried again.
func TestSweepMore(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	dir := t.TempDir()
	run, weak, out, part := filepath.Join(dir, "run"), filepath.Join(dir, "weak"), filepath.Join(dir, "sweep"), filepath.Join(dir, "part.npz")
	evaluated(t, "glyphs", "--count", "8", "--part", "1/1", "--metrics", "fd", "--network", "glyph", "--save", part)
	judged := []string{"--eval-every", "8", "--eval-count", "4", "--eval-metrics", "fd", "--eval-network", "glyph", "--eval-real", part}
	if _, code, err := fluxion(t, with(tiny, append(judged, "--out", run, "--images", "8")...)...); err != nil {
		t.Fatal(code, err)
	}
	if _, code, err := fluxion(t, with(tiny, append(judged, "--out", weak, "--images", "8", "--eval-metrics", "fd,bpd")...)...); code != exitUsage || !strings.Contains(err.Error(), "of a model and data") {
		t.Errorf("bpd along a run: %d, %v", code, err)
	}
	if _, code, err := fluxion(t, with(tiny, "--out", weak, "--images", "4")...); err != nil {
		t.Fatal(code, err)
	}
	args := []string{run, part, "--count", "4", "--network", "glyph", "--metrics", "fd", "--samplers", "euler", "--steps", "1", "--out", out}
	text, code, err := fluxion(t, with([]string{"sweep"}, with(args, "--guidance", "1")...)...)
	if err != nil || !strings.Contains(text, "note") || strings.Index(text, "note") > strings.Index(text, "euler") {
		t.Fatalf("%d, %v:\n%s", code, err, text)
	}
	if r, cells := swept(t, with(args, "--guidance", "1,2", "--guide", weak)...); cells != 1 || len(r.Cells) != 2 {
		t.Errorf("with a guide: %d cells, %+v", cells, r.Cells)
	}
	if _, cells := swept(t, with(args, "--guidance", "1,2", "--guide", weak, "--model-weights", "ema,raw")...); cells != 2 {
		t.Errorf("over weights: %d cells", cells)
	}
	if _, code, err := fluxion(t, with([]string{"sweep"}, with(args, "--guidance", "2")...)...); code != exitFolder || !strings.Contains(err.Error(), "guide ema was") {
		t.Errorf("without the guide: %d, %v", code, err)
	}
}

// TestTimeLeft: what remains follows from the cells that are done.
func TestTimeLeft(t *testing.T) {
	cells := []plannedCell{{work: 10}, {work: 20}, {work: 40}}
	p := &sweepProgress{cells: cells, count: 100}
	if got := p.left(50, 5).Seconds(); got != 5+20+40 { // a second for each evaluation
		t.Errorf("in the first cell %g s are left", got)
	}
	p.finished, p.at = []timed{{10, 15}, {20, 20}}, 2 // ten for the features, and half a second for each evaluation
	if got := p.left(50, 15).Seconds(); got != 15 {
		t.Errorf("in the last cell %g s are left", got)
	}
	p.finished, p.at = []timed{{10, 15}, {20, 20}}, 1
	if got := p.left(100, 20).Seconds(); got != 30 {
		t.Errorf("before the last cell %g s are left", got)
	}
}

// TestImpossible: a value that no cell can have is named once, a combination is not, and a sweep
// of nothing is refused.
func TestImpossible(t *testing.T) {
	ways := []sweeps.Way{{Sampler: "a", Steps: 1}, {Sampler: "a", Steps: 2}, {Sampler: "b", Steps: 1}, {Sampler: "b", Steps: 2}}
	why := map[sweeps.Way]error{ways[0]: errors.New("wants more steps")}
	if notes, err := impossible(ways, why); err != nil || len(notes) > 0 {
		t.Error(notes, err)
	}
	why[ways[2]] = errors.New("wants two")
	if notes, err := impossible(ways, why); err != nil || !slices.Equal(notes, []string{"no cell of steps 1 can be sampled: wants more steps"}) {
		t.Error(notes, err)
	}
	why[ways[1]], why[ways[3]] = errors.New("wants fewer"), errors.New("wants one")
	if _, err := impossible(ways, why); err == nil || err.Error() != "no cell can be sampled: wants more steps" {
		t.Error(err)
	}
}

// TestSweepLeavesOut: of a model without classes the cells of guidance stand in the table with the
// reason, a note stands before the others, and the others are made.
func TestSweepLeavesOut(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	out := filepath.Join(t.TempDir(), "sweep")
	args := []string{pipeline(t, map[string]any{"_class_name": "FlowMatchEulerDiscreteScheduler"}), "glyphs", "--network", "glyph", "--count", "4", "--real-count", "4",
		"--metrics", "fd", "--steps", "1", "--out", out}
	r, cells := swept(t, with(args, "--guidance", "1,2,3")...)
	if cells != 1 || len(r.Cells) != 3 || r.Cells[0].Metrics["fd"] == 0 || r.Cells[1].Problem == "" || r.Cells[2].Problem == "" {
		t.Fatalf("%d cells were made: %+v", cells, r.Cells)
	}
	for i, guidance := range []string{"2", "3"} {
		if want := "no cell of guidance " + guidance + " can be sampled: " + r.Cells[1+i].Problem; i >= len(r.Notes) || r.Notes[i] != want {
			t.Errorf("notes %q, want %q", r.Notes, want)
		}
	}
	if _, code, err := fluxion(t, with([]string{"sweep"}, with(args, "--guidance", "2,3")...)...); code != exitUsage || !strings.Contains(err.Error(), "no cell can be sampled: ") {
		t.Errorf("guidance alone: %d, %v", code, err)
	}
}

// TestSweepOverWidths: averages of any width are cells of a table as other weights are.
func TestSweepOverWidths(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	run, out := averaged(t), filepath.Join(t.TempDir(), "sweep")
	args := []string{run, "glyphs", "--network", "glyph", "--count", "4", "--real-count", "4", "--metrics", "fd", "--steps", "1", "--out", out}
	r, _ := swept(t, with(args, "--ema-sigma", "0.05,0.08")...)
	if len(r.Cells) != 2 || r.Cells[0].Weights != "ema:power:0.05" || r.Cells[1].Weights != "ema:power:0.08" || r.Cells[0].Metrics["fd"] == r.Cells[1].Metrics["fd"] {
		t.Errorf("%+v", r.Cells)
	}
	if r, cells := swept(t, with(args, "--ema-sigma", "0.08,0.20", "--model-weights", "raw")...); cells != 2 || len(r.Cells) != 4 || r.Cells[0].Weights != "raw" {
		t.Errorf("%d cells were made: %+v", cells, r.Cells)
	}
	if _, code, err := fluxion(t, with([]string{"sweep"}, with(args, "--ema-sigma", "0.4")...)...); code != exitUsage || !strings.Contains(err.Error(), "--ema-sigma: σ_rel 0.4 is out of range") {
		t.Errorf("exit %d, %v", code, err)
	}
}

// TestSweepOfFewSteps: a model that was trained for few steps has one way where nothing
// is said, and what is said is taken for a cell's.
func TestSweepOfFewSteps(t *testing.T) {
	o := &sweepOptions{}
	o.sources = settings.Bind(&cobra.Command{}, o.list())
	few := &sampler.Few{Objective: "kd", Steps: 2, Sampler: "ddim", Grid: "uniform"}
	ways, err := o.ways(few)
	if err != nil || len(ways) != 1 || ways[0] != (sweeps.Way{Sampler: "ddim", Steps: 2, Guidance: 1, Weights: "ema"}) {
		t.Fatal(ways, err)
	}
	cell := o.sampling(ways[0])
	if err := cell.fewSteps(few); err != nil || cell.config.Sampler != "ddim" || cell.config.Options.Steps != 2 {
		t.Error(cell.config, err)
	}
	other := o.sampling(sweeps.Way{Sampler: "heun", Steps: 5, Guidance: 1, Weights: "ema"})
	if err := other.fewSteps(few); err == nil || !strings.Contains(err.Error(), "--sampler heun") {
		t.Error("another way is taken for the model's own:", err)
	}
}
