package main

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cpu"
	"fluxion/kernels/cpu/amx/amxtest"
)

// TestAMX trains on tiles, where need be on emulated ones.
func TestAMX(t *testing.T) { amxtest.Run(t, "^TestTiles$/^amx$") }

// TestTiles: where there are tiles, a run takes them and bfloat16 by itself, and its
// losses are those of the products of AVX512-BF16, whose sums are in another order.
func TestTiles(t *testing.T) {
	if !slices.Contains(cpu.Names(), "amx") {
		return // TestAMX makes sure
	}
	run := func(t *testing.T, instructions, precision string) []map[string]any {
		t.Setenv(cpu.Variable, instructions)
		out, code, err := fluxion(t, "train", "--preset", "micro", "--size", "8", "--batch", "1", "--images", "3", "--sample-count", "0",
			"--device", "cpu", "--precision", precision, "--json", "--out", filepath.Join(t.TempDir(), "run"))
		if err != nil {
			t.Fatal(code, err)
		}
		return events(t, out)
	}
	t.Run("amx", func(t *testing.T) {
		tiles, pairs := run(t, "", "auto"), run(t, "avx512_bf16", "bf16")
		if device, _ := tiles[0]["device"].(string); !strings.HasPrefix(device, "amx") || tiles[0]["precision"] != "bf16" {
			t.Errorf("without a word the run is in %v on %v", tiles[0]["precision"], tiles[0]["device"])
		}
		last := len(tiles) - 1
		a, aok := tiles[last]["loss"].(float64)
		b, bok := pairs[len(pairs)-1]["loss"].(float64)
		if !aok || !bok || tiles[last]["steps"] != 3.0 || !(math.Abs(a-b) <= 1e-4*b) {
			t.Errorf("losses %v on tiles, %v in pairs", a, b)
		}
	})
}
