package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data/datatest"
	"fluxion/engine/device"
	"fluxion/kernels/cuda/driver"
)

// TestDevices walks through the program on the simulated GPU: precision by
// device, a run that is begun there, goes on on the CPU and is sampled on both.
func TestDevices(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	t.Setenv(device.Variable, driver.Simulated)
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	train := []string{"train", "--preset", "micro", "--size", "4", "--batch", "1", "--sample-count", "0", "--data", images(t, dir), "--json", "--out", run}
	out, code, err := fluxion(t, with(train, "--device", "cuda:0", "--images", "2")...)
	if err != nil {
		t.Fatal(code, err)
	}
	start := events(t, out)[0]
	if name, _ := start["device"].(string); !strings.Contains(name, "simulator") || start["precision"] != "bf16" || start["resident"] != true {
		t.Errorf("the run starts with %v", start)
	}
	out, code, err = fluxion(t, with(train, "--images", "4", "--precision", "fp32")...)
	if err != nil {
		t.Fatal(code, err)
	}
	start = events(t, out)[0]
	if start["precision"] != "fp32" || start["images"] != 2.0 || start["resident"] != false || !strings.Contains(out, `{"key":"precision","new":"fp32","old":"bf16"}`) {
		t.Errorf("on the CPU the run goes on with %v", start)
	}
	for _, args := range [][]string{{"--device", "cuda"}, {"--device", "cpu", "--precision", "bf16"}} {
		out, code, err := fluxion(t, with([]string{"sample"}, append(args, "--model", run, "--out", filepath.Join(dir, args[1]), "--count", "2", "--steps", "1", "--json")...)...)
		if err != nil {
			t.Fatal(args, code, err)
		}
		if es := events(t, out); es[0]["precision"] != "bf16" || es[len(es)-1]["written"] != 2.0 {
			t.Errorf("%v: %s", args, out)
		}
	}
	out, _, err = fluxion(t, "bench", "train", "--preset", "micro", "--size", "4", "--batch", "1", "--steps", "1", "--device", "cuda:0", "--precision", "fp32", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if e := events(t, out)[0]; e["simulated"] != true || e["precision"] != "fp32" || e["peak_flops"] != 0.0 {
		t.Errorf("bench on the simulator: %v", e)
	}
}

// images is a folder with three pictures.
func images(t *testing.T, dir string) string {
	t.Helper()
	folder := filepath.Join(dir, "images")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a.png", "b.png", "c.png"} {
		pixels := make([]byte, 4*4*3)
		for j := range pixels {
			pixels[j] = byte(40*i + 3*j)
		}
		datatest.WritePNG(t, filepath.Join(folder, name), pixels, 4, 4, 3, nil)
	}
	return folder
}

// TestInspectForGPU: a plan for a GPU needs none.
func TestInspectForGPU(t *testing.T) {
	t.Setenv(device.Variable, "none")
	for _, mode := range []string{"--train", "--sample"} {
		out, _, err := fluxion(t, "inspect", "--preset", "micro", "--batch", "2", "--device", "cuda", mode, "--json")
		if err != nil {
			t.Fatal(err)
		}
		e := events(t, out)[0]
		regions, _ := e["regions"].(map[string]any)
		if e["precision"] != "bf16" || e["target"] != "a CUDA GPU" || regions["table"] == nil || regions["params_bf16"] == nil {
			t.Errorf("inspect %s: %v", mode, e)
		}
	}
	for _, args := range [][]string{
		{"train", "--device", "cuda:0", "--out", t.TempDir()}, {"inspect", "--device", "tpu"}, {"inspect", "--precision", "fp8"},
		{"bench", "sample", "--device", "cuda:0"}, {"sample", "--model", "m", "--out", "o", "--count", "1", "--precision", "fp8"},
	} {
		if _, code, err := fluxion(t, args...); err == nil || code == 0 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: exit code %d, %v", args, code, err)
		}
	}
}
