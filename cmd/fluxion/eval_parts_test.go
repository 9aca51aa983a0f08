package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEvalParts: a set that is looked at in parts gives the numbers of one that is looked
// at at once, be it of more images than numbers of each or of fewer, a model or data, in
// the place of samples or of real images.
func TestEvalParts(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	if _, code, err := fluxion(t, with(tiny, "--out", run, "--images", "8")...); err != nil {
		t.Fatal(code, err)
	}
	glyph := []string{"--network", "glyph", "--metrics", "fd,kid,prdc,mind,authpct"}
	parts := func(name, of string, n int, args ...string) (files []string) {
		t.Helper()
		for i := range n {
			file := filepath.Join(dir, fmt.Sprintf("%s-%d.npz", name, i+1))
			r := evaluated(t, with(glyph, with(args, "--part", fmt.Sprintf("%d/%d", i+1, n), "--save", file, of)...)...)
			if r.Part != fmt.Sprintf("%d/%d", i+1, n) || len(r.Metrics) != 0 || r.Save != file {
				t.Errorf("a part: %+v", r)
			}
			files = append(files, file)
		}
		return files
	}
	equal := func(got, want shownEvaluation) {
		t.Helper()
		if len(got.Metrics) != len(want.Metrics) || len(got.Metrics) < 8 || got.N[0] != want.N[0] || got.N[1] != want.N[1] {
			t.Fatalf("%+v, want %+v", got, want)
		}
		for name, v := range want.Metrics {
			if math.Abs(got.Metrics[name]-v) > 1e-6*math.Abs(v) {
				t.Errorf("%s of parts is %v, of the set %v", name, got.Metrics[name], v)
			}
		}
	}
	for _, count := range []string{"150", "11"} {
		real := parts("real"+count, "glyphs", 4, "--count", count, "--batch", "7")
		whole := evaluated(t, with(glyph, "--count", "12", "--real-count", count, "--steps", "2", run, "glyphs")...)
		equal(evaluated(t, with(with(glyph, "--count", "12", "--steps", "2", run), real...)...), whole)
		if count == "11" {
			samples := parts("samples", run, 3, "--count", "12", "--steps", "2")
			joined := evaluated(t, with(with(glyph, samples[2], samples[0], samples[1]), real...)...)
			equal(joined, whole)
			if joined.Sampling[0]["steps"] != "2" || joined.Sampling[1] != nil || !strings.Contains(strings.Join(joined.Notes, "\n"), "sampled with") {
				t.Errorf("how the parts were sampled: %+v", joined)
			}
			all := filepath.Join(dir, "all.npz")
			evaluated(t, with(samples, "--save", all)...)
			if r := evaluated(t, all, all); r.N[0] != 12 || math.Abs(r.Metrics["fd"]) > 1e-3 {
				t.Errorf("joined statistics: %+v", r)
			}
			for _, c := range []struct {
				args []string
				want string
			}{
				{with(samples[:2], all), "of the others 3 are not among the files"},
				{with(samples[:1], samples[0], samples[1], all), "are both part 1/3"},
				{with(samples[:2], real[0], all), "parts of different sets: parts 3 and 4; checkpoint"},
				{with(samples, "glyphs", "glyphs"), "there are 3 arguments: " + samples[0] + " with 2 more parts of its set, glyphs, glyphs"},
				{with(samples[:1], run, samples[1], "glyphs"), "there are 4 arguments: " + samples[0] + ", " + run + ", " + samples[1] + ", glyphs"},
				{with(glyph, run, "--count", "12", "--part", "1/2"), "--save"},
				{with(glyph, run, "glyphs", "--count", "12", "--part", "1/2", "--save", all), "want one set"},
				{with(samples, "--part", "1/2", "--save", all), "want one set"},
				{with(glyph, run, "--count", "12", "--part", "0/2", "--save", all), "1/4 to 4/4"},
				{with(glyph, run, "--count", "2", "--part", "3/3", "--save", filepath.Join(dir, "none.npz")), ""},
				{with(glyph, run, "--count", "2", "--part", "1/3", "--save", filepath.Join(dir, "none.npz")), "this part has none"},
				{with(real, "glyphs", "--count", "9", "--real-count", "9", "--metrics", "sfid"), "sfid"},
				{with(samples, "--metrics", "fd", "--steps", "3", "glyphs"), "there is no model to sample"},
			} {
				_, code, err := fluxion(t, append([]string{"eval"}, c.args...)...)
				if c.want == "" && err == nil {
					continue
				}
				if code != exitUsage || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v: %d, %v; want %q", c.args, code, err, c.want)
				}
			}
			whole, err := os.ReadFile(samples[1])
			if err == nil {
				err = os.WriteFile(samples[1], whole[:len(whole)/2], 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, code, err := fluxion(t, with([]string{"eval", "--metrics", "fd"}, samples...)...); code != exitInput && code != exitUsage || err == nil {
				t.Errorf("half a file: %d, %v", code, err)
			}
		}
	}
}
