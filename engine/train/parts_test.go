package train

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fluxion/engine/average"
	"fluxion/engine/collective"
	"fluxion/engine/model"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
	"fluxion/nets"
	"fluxion/nets/unet"
)

// wide is a network of several blocks, so that processes have parts of it.
func wide(t *testing.T) string {
	t.Helper()
	c, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	c.BlockOutChannels = []int{24, 48}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), c.JSON(), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestMemoryOfParts: what the optimizer keeps is shared by the processes, and so is the memory
// for averages, but for the first process's of the first, which it samples from, and where
// the objective applies it.
func TestMemoryOfParts(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"adamw":       func(s *Settings) { s.EMA = Averages{{HalfLife: 50}, {HalfLife: 100}} },
		"muon":        func(s *Settings) { s.Optimizer, s.Momentum, s.Nesterov = "muon", 0.95, true },
		"consistency": func(s *Settings) { s.Objective, s.Target = "consistency", "ema" },
	} {
		s := shared(change)
		s.Preset, s.SampleCount = wide(t), 0
		all := of(t, 1, s, "")[0]
		alone := all.planned(t, collective.Alone)
		size := alone.step.Buffers.Parameters.Size
		for _, world := range []int{2, 4} {
			sum := map[string]int{}
			for r, g := range collective.Local(world) {
				p := all.planned(t, g)
				for _, b := range p.step.Buffers.stored()[1:] {
					if b == p.step.Buffers.EMA && (r == 0 || name == "consistency") {
						if b.Size != size {
							t.Errorf("%s: process %d of %d has %d numbers of the average, want all %d", name, r, world, b.Size, size)
						}
						continue
					}
					if most := size/world + 2*partFloats; b.Size > most {
						t.Errorf("%s: process %d of %d has %d numbers of %v, want %d at most", name, r, world, b.Size, b, most)
					}
					sum[b.Name] += b.Size
				}
				t.Logf("%s: process %d of %d: %d bytes for %d of %d weights; alone %d", name, r, world, p.sizes.Bytes(), p.step.parts.Size(r), size, alone.sizes.Bytes())
			}
			for _, b := range alone.step.Buffers.stored()[2:] {
				if sum[b.Name] != size {
					t.Errorf("%s: %d processes have %d numbers of %v, want %d", name, world, sum[b.Name], b, size)
				}
			}
		}
	}
}

// TestPartsOf: parts follow each other and leave nothing out. They end with blocks, or with
// tensors of optimizers that change these as wholes, and are about as much work.
func TestPartsOf(t *testing.T) {
	n, err := Network("cifar", nets.Spec{Height: 32, Width: 32, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	weights := nets.Params(n)
	size := nets.FlatSize(weights)
	ends := map[int]bool{}
	for _, p := range weights {
		ends[p.End()] = true
	}
	for _, o := range optimizers {
		for _, world := range []int{2, 3, 7, 600} {
			parts := partsOf(collective.Group{World: world}, o, weights)
			last := len(parts.Borders) - 1
			if last%world != 0 || parts.Borders[0] != 0 || parts.Borders[last] != size || !slices.IsSorted(parts.Borders) {
				t.Fatalf("%s: parts of %d processes: %d", o.name, world, parts.Borders)
			}
			if n := parts.Chunks(); o.work == nil && world < 10 && (n < mostChunks || n > mostChunks+1) {
				t.Errorf("%s: %d chunks", o.name, n)
			}
			for _, at := range parts.Borders[1:last] {
				if o.work == nil && at < size && at%partFloats != 0 || o.work != nil && at > 0 && !ends[at] {
					t.Errorf("%s: a piece of %d processes ends at %d", o.name, world, at)
				}
			}
			if world > 7 {
				continue
			}
			work := func(all []nets.Param) (sum int64) {
				for _, p := range all {
					sum += o.work(p)
				}
				return sum
			}
			for r := range world {
				if o.work == nil {
					if n := parts.Size(r); n < size/world-10*partFloats || n > size/world+10*partFloats {
						t.Errorf("%s: process %d of %d has %d of %d weights", o.name, r, world, n, size)
					}
					continue
				}
				from, to := parts.Piece(0, r)
				if part, all := work(within(weights, from, to)), work(weights); part > 3*all/int64(2*world) {
					t.Errorf("%s: process %d of %d has the work %d of %d", o.name, r, world, part, all)
				}
			}
		}
	}
}

// TestPartsRecover: processes that go back to a checkpoint, or to the beginning, have the bits
// of one that does.
func TestPartsRecover(t *testing.T) {
	for name, images := range map[string]int64{"to a checkpoint": 72, "to the beginning": 24} {
		t.Run(name, func(t *testing.T) {
			s := shared(func(s *Settings) {
				s.LRSchedule, s.Decay, s.Warmup, s.LR, s.Recover, s.SampleCount = "constant", 0, 0, 1e-3, 1, 0
				s.EMA = Averages{{HalfLife: 50}, {HalfLife: 100}}
			})
			s.Preset = wide(t)
			run := func(world int) map[string][]byte {
				all := of(t, world, s, t.TempDir())
				all[0].Hooks = []Hook{diverging(images, 6e-4)}
				for r, err := range together(t, func(int) context.Context { return t.Context() }, all) {
					if err != nil {
						t.Fatalf("process %d of %d: %v", r, world, err)
					}
				}
				state, err := readState(filepath.Join(all[0].Dir, "checkpoints/72", model.TrainingDir, stateFile), 72)
				if err != nil || state.Recovered != 1 {
					t.Fatalf("%+v, %v", state, err)
				}
				return files(t, all[0].Dir)
			}
			same(t, run(3), run(1))
		})
	}
}

// TestPartsForHooks: hooks that pause the run find all of the first average; distributions
// are of all gradients; a snapshot that is missing is made of a checkpoint.
func TestPartsForHooks(t *testing.T) {
	s := shared(func(s *Settings) {
		s.EMA, s.EMASnapshotEvery = Averages{{Sigma: 0.1}, {Sigma: 0.05}}, 24
	})
	s.Preset = wide(t)
	type seen struct {
		average []float32
		norms   map[int64][2]float64
		files   map[string][]byte
	}
	run := func(world int) (all seen) {
		o := of(t, world, s, t.TempDir())
		to := &spread{norms: map[int64][2]float64{}}
		o[0].Sinks, o[0].Distributions = []record.Sink{to}, true
		o[0].Hooks = []Hook{{Name: "average", Every: 24, Pauses: true, After: func(_ context.Context, p Progress) error {
			b := p.Trainer.Buffers.EMA
			flat := make([]float32, b.Size)
			all.average = append(all.average, flat...)
			if kept, err := p.KeepBest(model.Best{Images: p.Images, Metric: "none", Value: 1}); !kept || err != nil {
				t.Errorf("the checkpoint of %d images is not kept: %v", p.Images, err)
			}
			return p.Trainer.Memory.Read(b, 0, all.average[len(all.average)-b.Size:])
		}}}
		ctx := func(int) context.Context { return t.Context() }
		for _, err := range together(t, ctx, o) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := os.RemoveAll(filepath.Join(o[0].Dir, average.Dir)); err != nil {
			t.Fatal(err)
		}
		for _, err := range together(t, ctx, o) {
			if err != nil {
				t.Fatal(err)
			}
		}
		all.norms, all.files = to.norms, files(t, o[0].Dir)
		for _, sub := range []string{average.Dir, rundir.SamplesDir} {
			list, err := os.ReadDir(filepath.Join(o[0].Dir, sub))
			if err != nil || len(list) < 2 {
				t.Fatalf("%d files in %s: %v", len(list), sub, err)
			}
			for _, e := range list {
				if all.files[e.Name()], err = os.ReadFile(filepath.Join(o[0].Dir, sub, e.Name())); err != nil {
					t.Fatal(err)
				}
			}
		}
		return all
	}
	one, three := run(1), run(3)
	same(t, three.files, one.files)
	if !slices.Equal(one.average, three.average) || !maps.Equal(one.norms, three.norms) {
		t.Errorf("distributions %v, want %v; averages equal: %t", three.norms, one.norms, slices.Equal(one.average, three.average))
	}
}
