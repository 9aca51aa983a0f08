package train

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/cpu"
	"fluxion/nets"
)

// curve is what PyTorch came to over the images beside it; scripts/check_training.py
// wrote both.
type curve struct {
	Settings json.RawMessage
	Losses   []float64 // of each step
	Norms    []float64 // of its gradients, before clipping
	Weights  float64   // the norm of all of them at the end
	Average  float64
}

// TestPyTorch: a run has the losses and gradients of the same run in PyTorch, which
// computed in float64 and shares nothing with ours but the images, on every
// instruction set.
func TestPyTorch(t *testing.T) {
	s := Default()
	s.Data = "mnist:" + filepath.Join("testdata", "pytorch")
	t.Run("adamw", func(t *testing.T) { followAll(t, s, "curve.json") })
	t.Run("sgd", func(t *testing.T) { followAll(t, s, "curve-sgd.json") })
}

// TestPyTorchEDM2: so has one of EDM2's network, whose weights are brought to unit size in each step.
func TestPyTorchEDM2(t *testing.T) {
	s := Default()
	s.Data, s.Init = filepath.Join("testdata", "pytorch", "images-edm2.npz"), filepath.Join("..", "..", "nets", "edm2", "testdata", "edm2")
	s.Preset = s.Init
	followAll(t, s, "curve-edm2.json")
}

// followAll holds runs on every instruction set against a curve.
func followAll(t *testing.T, s Settings, name string) {
	text, err := os.ReadFile(filepath.Join("testdata", "pytorch", name))
	if err != nil {
		t.Fatal(err)
	}
	var want curve
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	s.SampleCount = 0
	if err := json.Unmarshal(want.Settings, &s); err != nil {
		t.Fatal(err)
	}
	names := cpu.Names()
	if testing.Short() && s.Optimizer != adamWName {
		names = names[:1]
	}
	for _, name := range names {
		steps := len(want.Losses)
		if testing.Short() || name == "portable" { // which is ten times as slow
			steps /= 10
		}
		if testing.Short() && name == "portable" {
			steps = 1
		}
		t.Run(name, func(t *testing.T) { follow(t, s, name, want, steps) })
	}
}

// follow holds the first steps of a run on an instruction set against a curve.
func follow(t *testing.T, s Settings, name string, want curve, steps int) {
	const tolerance = 2e-5 // relative; the run must come within 1e-4
	d, err := device.NewCPU(2, name)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r, _, err := prepare(Options{Settings: s, Dir: t.TempDir(), Data: open(t, s), Device: d, Observer: &recorder{}, Group: collective.Alone})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if _, err := r.begin(t.Context(), Start{}); err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	compare := func(what string, got, want float64) {
		off := math.Abs(got-want) / want
		if worst = max(worst, off); !(off <= tolerance) {
			t.Fatalf("%s is %v, PyTorch's %v: off by %.1e", what, got, want, off)
		}
	}
	for i, loss := range want.Losses[:steps] {
		got, err := r.trainer.Train(r.hyper(r.state), func(int) error { return r.fill(t.Context()) })
		if err != nil {
			t.Fatal(err)
		}
		r.state.Images += int64(s.Batch)
		r.state.Steps++
		compare("the loss", got.Loss, loss)
		compare("the gradients' norm", got.GradNorm, want.Norms[i])
	}
	if r.state.Images == s.Images {
		compare("the weights' norm", norm(t, r, r.trainer.Buffers.Parameters), want.Weights)
		compare("the average's norm", norm(t, r, r.trainer.Buffers.EMA), want.Average)
	}
	t.Logf("within %.1e", worst)
}

// norm of a flat buffer.
func norm(t *testing.T, r *run, buffer *plan.Buffer) float64 {
	t.Helper()
	flat := make([]float32, nets.FlatSize(r.trainer.Trained.Params))
	if err := r.memory.Read(buffer, 0, flat); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, x := range flat {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}
