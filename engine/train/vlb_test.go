package train

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fluxion/engine/model"
	"fluxion/nets/unet"
)

// TestVLB: a run on the bound learns which steps of the chain count, and draws by them, to the
// same bits when it goes on and with several processes.
func TestVLB(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := brief()
	s.Objective, s.Schedule, s.Output, s.TimeSampler, s.Precision = "vlb:history=1", "ddpm-squaredcos", "eps", "uniform+low-discrepancy", "fp32"
	s.Batch, s.Accumulate, s.Images, s.CheckpointEvery, s.SampleCount = 1008, 3, 2016, 1008, 0 // a batch has every step of the chain
	s.Preset = wide(t)
	c, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	c.BlockOutChannels, c.NormNumGroups = []int{8, 8}, 4
	s.Preset = t.TempDir()
	if err := os.WriteFile(filepath.Join(s.Preset, "config.json"), c.JSON(), 0o666); err != nil {
		t.Fatal(err)
	}
	parted, stopped := t.TempDir(), t.TempDir()
	trainWith(t, 3, s, parted)

	o, rec := options(t, s, stopped)
	ctx, cancel := context.WithCancel(t.Context())
	rec.onSave = cancel
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	rec.onSave = nil
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	cancel()
	same(t, files(t, stopped), files(t, parted))

	newest, err := model.Newest(parted)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(newest, model.TrainingDir, "terms.json"))
	var learnt struct{ Terms [][]float64 }
	if err == nil {
		err = json.Unmarshal(text, &learnt)
	}
	if err != nil || len(learnt.Terms) != 1000 {
		t.Fatal(len(learnt.Terms), err)
	}
	for n, terms := range learnt.Terms {
		if len(terms) != 1 || terms[0] == 0 {
			t.Fatalf("step %d has terms %v, want one", n, terms)
		}
	}
}
