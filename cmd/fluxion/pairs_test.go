package main

import (
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/durable"
)

// TestPairs: pairs are the same in parts, after a loss, and all at once; a student is
// trained on them, and knows how it samples.
func TestPairs(t *testing.T) {
	dir := t.TempDir()
	run, whole, parts := filepath.Join(dir, "run"), filepath.Join(dir, "whole"), filepath.Join(dir, "parts")
	if _, code, err := fluxion(t, with(tiny, "--out", run, "--images", "400", "--lr", "5e-3", "--warmup", "0", "--precision", "fp32")...); err != nil {
		t.Fatal(code, err)
	}
	make := []string{"pairs", "--model", run, "--count", "10", "--shard", "4", "--steps", "1", "--precision", "fp32"}
	good := func(args ...string) string {
		t.Helper()
		out, code, err := fluxion(t, args...)
		if err != nil {
			t.Fatalf("%v: %d, %v", args, code, err)
		}
		return out
	}
	good(with(make, "--out", whole)...)
	good(with(make, "--out", parts, "--part", "2/2", "--batch", "3")...)
	if _, code, err := fluxion(t, with(tiny, "--size", "0", "--data", "pairs:"+parts, "--objective", "kd", "--out", filepath.Join(dir, "early"))...); err == nil || code != exitInput || !strings.Contains(err.Error(), "lacks 2 of 3") {
		t.Errorf("pairs that are not all there: %d, %v", code, err)
	}
	good(with(make, "--out", parts, "--part", "1/2")...)
	if out := good(with(make, "--out", parts)...); !strings.Contains(out, "10 pairs in "+parts+": 0 made") {
		t.Errorf("what is there is made again: %s", out)
	}
	// What a kill in the middle leaves: the files before, and one that is not whole.
	lost, half := data.ShardFile(parts, 1), filepath.Join(parts, durable.Temporary+"123")
	if err := errors.Join(os.Rename(lost, half), os.Truncate(half, 100), os.Remove(data.ShardFile(parts, 2))); err != nil {
		t.Fatal(err)
	}
	good(with(make, "--out", parts)...)
	read := func(dir string) map[string]string {
		files := map[string]string{}
		for i := range 3 {
			path := data.ShardFile(dir, i)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(path)] = string(b)
		}
		return files
	}
	if !maps.Equal(read(whole), read(parts)) {
		t.Error("pairs made in parts are others")
	}
	// Where the teacher takes one step, it is its own student: the loss of its answer is 0.
	pairs := with(tiny, "--size", "0", "--data", "pairs:"+whole, "--init", run, "--lr", "1e-30", "--label-drop", "0", "--images", "8", "--precision", "fp32", "--json")
	for objective, bound := range map[string]float64{"kd": 1e-9, "reflow": 10} {
		out := filepath.Join(dir, objective)
		all := events(t, good(with(slices.Clone(pairs), "--objective", objective, "--out", out)...))
		if loss := all[len(all)-1]["loss"].(float64); !(loss < bound) {
			t.Errorf("%s: loss %g", objective, loss)
		}
	}
	// What a teacher does in two steps of DDIM is told by pairs, and by the target of
	// progressive distillation.
	halves := filepath.Join(dir, "halves")
	good("pairs", "--model", run, "--count", "10", "--sampler", "ddim", "--steps", "2", "--out", halves, "--precision", "fp32")
	var losses []float64
	for name, args := range map[string][]string{"halves-kd": {"--objective", "kd"}, "halves-progressive": {"--objective", "progressive:from=2", "--teacher", run}} {
		all := events(t, good(with(tiny, with(args, "--size", "0", "--data", "pairs:"+halves, "--init", run, "--lr", "1e-30", "--label-drop", "0", "--images", "8", "--precision", "fp32", "--json", "--out", filepath.Join(dir, name))...)...))
		losses = append(losses, all[len(all)-1]["loss"].(float64))
	}
	if !(losses[0] > 1e-4) || math.Abs(losses[0]-losses[1]) > 1e-5*losses[0] {
		t.Errorf("losses %v", losses)
	}
	student := filepath.Join(dir, "kd")
	sample := []string{"sample", "--model", student, "--count", "2", "--out", filepath.Join(dir, "out")}
	if _, code, err := fluxion(t, with(sample, "--steps", "30")...); err == nil || code != exitUsage || !strings.Contains(err.Error(), "trained by kd for --sampler euler --grid uniform --steps 1 alone") {
		t.Errorf("a student of one step in 30: %d, %v", code, err)
	}
	good(sample...)
	if p, err := data.InspectPNG(filepath.Join(dir, "out", "000001.png")); err != nil || p.Text["steps"] != "1" {
		t.Errorf("%v, %v", p, err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(make, "--out", whole, "--seed", "3"), exitFolder, "made otherwise: key was 0, now 3; give"},
		{with(make, "--out", whole, "--steps", "2"), exitFolder, "steps was 1, now 2"},
		{with(make, "--out", whole, "--count", "5000", "--shard", "1"), exitUsage, "a shard of 5 or more"},
		{with(make, "--out", whole, "--part", "3/2"), exitUsage, "want I/N"},
		{with(make, "--out", whole, "--sampler", "ddpm", "--steps", "3"), exitUsage, "draws noise"},
		{with(make, "--out", run+"/config.json"), exitUsage, "is a file"},
		{[]string{"pairs", "--model", run}, exitUsage, "--out"},
		{with(tiny, "--objective", "kd", "--out", filepath.Join(dir, "x")), exitUsage, "pairs:FOLDER"},
		{with(pairs, "--objective", "kd:steps=0", "--out", filepath.Join(dir, "x")), exitUsage, "steps is 0"},
		{with(pairs, "--objective", "kd", "--output-kind", "eps", "--out", filepath.Join(dir, "x")), exitUsage, "tells nothing of the image"},
		{with(pairs, "--objective", "reflow", "--flip", "--out", filepath.Join(dir, "x")), exitUsage, "mirror"},
	} {
		if _, code, err := fluxion(t, c.args...); err == nil || code != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %d, %v; want %d and %q", c.args, code, err, c.code, c.want)
		}
	}
	if err := os.Truncate(data.ShardFile(whole, 0), 100); err != nil {
		t.Fatal(err)
	}
	if _, code, err := fluxion(t, with(make, "--out", whole)...); code != exitInput || err == nil || !strings.Contains(err.Error(), "without that file, the same command makes it anew") {
		t.Errorf("half a file: %d, %v", code, err)
	}
}

// TestPairsWithoutClasses: a model that is told no class makes pairs without.
func TestPairsWithoutClasses(t *testing.T) {
	dir := t.TempDir()
	run, pairs := filepath.Join(dir, "run"), filepath.Join(dir, "pairs")
	train := []string{"train", "--preset", "mlp", "--batch", "4", "--images", "8", "--sample-count", "0", "--out"}
	for _, args := range [][]string{
		with(train, run, "--data", "toy:grid"), {"pairs", "--model", run, "--count", "8", "--steps", "2", "--out", pairs},
		with(train, filepath.Join(dir, "student"), "--data", "pairs:"+pairs, "--init", run, "--objective", "reflow"),
	} {
		if _, code, err := fluxion(t, args...); err != nil {
			t.Fatalf("%v: %d, %v", args, code, err)
		}
	}
}
