package sim_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// Every PTX that ships is understood to the last instruction.
func TestEveryModuleDecodes(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	modules := 0
	kernels := filepath.Join("..", "..")
	err := filepath.WalkDir(kernels, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".ptx" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		modules++
		name := strings.TrimSuffix(filepath.Base(path), ".ptx")
		if err := sim.New(sim.NewMemory(0), sim.Options{}).Load(cuda.NewModule(name, string(text))); err != nil {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if modules == 0 {
		t.Fatalf("no PTX under %s", kernels)
	}
}
