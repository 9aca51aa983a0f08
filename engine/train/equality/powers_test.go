package equality

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"fluxion/engine/average"
	"fluxion/engine/model"
	"fluxion/engine/train"
)

// TestPowers: averages by powers of time, the first of which the optimizer's kernel makes,
// are on a GPU what they are on the CPU, and a run that is resumed there keeps snapshots
// with the same bits.
func TestPowers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	s := settings("cuda:0", 6)
	s.EMA, s.EMASnapshotEvery, s.EMASnapshotType = train.Averages{{Sigma: 0.1}, {Sigma: 0.2}}, 2, "fp32"
	whole, cut, cpu := t.TempDir(), t.TempDir(), t.TempDir()
	runWith(t, whole, s)
	first := s
	first.Images = 4
	runWith(t, cut, first)
	runWith(t, cut, s)
	s.Device = "cpu"
	runWith(t, cpu, s)
	list, err := average.List(filepath.Join(whole, average.Dir))
	if err != nil || len(list) != 6 {
		t.Fatalf("%d snapshots (%v)", len(list), err)
	}
	for _, p := range list {
		var data [2][]byte
		for i, dir := range []string{whole, cut} {
			if data[i], err = os.ReadFile(filepath.Join(dir, average.Dir, average.FileName(p))); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(data[0], data[1]) {
			t.Errorf("snapshot %+v of a resumed run has other bytes", p)
		}
	}
	for _, sigma := range []float64{0.1, 0.2} {
		var weights [3][]float32
		for i, dir := range []string{whole, cut, cpu} {
			m, err := model.Read(dir, model.Power(sigma, 0))
			if err != nil {
				t.Fatal(err)
			}
			weights[i] = m.Weights
		}
		early, err := model.Read(cpu, model.Power(sigma, 2))
		if err != nil {
			t.Fatal(err)
		}
		if distance(weights[0], weights[1]) != 0 {
			t.Errorf("σ_rel %v: a resumed run has another average", sigma)
		}
		if off, moved := distance(weights[0], weights[2]), distance(weights[0], early.Weights); !(off <= 1e-3*moved) {
			t.Errorf("σ_rel %v: averages differ by %.2g on the CPU where they moved by %.2g", sigma, off, moved)
		}
	}
}
