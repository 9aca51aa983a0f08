package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/nets"
)

// shared are settings of a run that up to twelve processes share.
func shared(change func(*Settings)) Settings {
	s := brief()
	s.Batch, s.Accumulate, s.Images, s.CheckpointEvery, s.SampleEvery = 24, 12, 72, 24, 48
	if change != nil {
		change(&s)
	}
	return s
}

// together runs as many processes as there are options, and returns what each ended with.
func together(t *testing.T, ctx func(rank int) context.Context, all []Options) []error {
	t.Helper()
	errs := make([]error, len(all))
	groups := collective.Local(len(all))
	var ranks sync.WaitGroup
	for r := range all {
		all[r].Group = groups[r]
		ranks.Go(func() {
			_, errs[r] = Run(ctx(r), all[r])
			if err := groups[r].Close(false); err != nil {
				t.Error(err)
			}
		})
	}
	ranks.Wait()
	return errs
}

// of are the options of so many processes, of which the first has a folder.
func of(t *testing.T, world int, s Settings, dir string) []Options {
	t.Helper()
	all := make([]Options, world)
	for r := range all {
		all[r], _ = options(t, s, "")
	}
	all[0].Dir = dir
	return all
}

// share trains with so many processes.
func trainWith(t *testing.T, world int, s Settings, dir string) {
	t.Helper()
	for r, err := range together(t, func(int) context.Context { return t.Context() }, of(t, world, s, dir)) {
		if err != nil {
			t.Fatalf("process %d of %d: %v", r, world, err)
		}
	}
}

// TestSameBits: whatever the number of processes, checkpoints are the same, to the bit:
// weights, averages, moments, and what objectives and hooks have learnt.
func TestSameBits(t *testing.T) {
	preset := wide(t)
	cases := map[string]func(*Settings){
		"fp32":        func(s *Settings) { s.Precision = "fp32" },
		"bf16":        func(s *Settings) { s.Precision = "bf16" },
		"adaptive":    func(s *Settings) { s.TimeSampler, s.Weighting = "adaptive:bins=8", "sigmoid" },
		"uncertainty": func(s *Settings) { s.Uncertainty, s.NoiseScale = true, true },
		"coupling":    func(s *Settings) { s.Coupling = "ot" },
		"averages":    func(s *Settings) { s.EMA = Averages{{HalfLife: 50}, {Sigma: 0.1}}; s.EMASnapshotEvery = 24 },
		"clipped":     func(s *Settings) { s.Clip, s.WeightDecay, s.WeightDecayOf = 0.01, 0.1, decayMatrices },
		"consistency": func(s *Settings) { s.Objective, s.Target = "consistency", "ema" },
	}
	for _, o := range optimizers[1:] {
		cases[o.name] = func(s *Settings) {
			s.Optimizer, s.WeightDecay = o.name, 0.1
			*s = s.Switched(small(), nothing)
		}
	}
	for name, change := range cases {
		if testing.Short() && name != "fp32" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := shared(change)
			s.Preset = preset
			alone := t.TempDir()
			trainWith(t, 1, s, alone)
			for world := 2; world <= 4; world++ {
				if name != "fp32" && name != "bf16" && name != "muon" && world != 3 {
					continue
				}
				dir := t.TempDir()
				trainWith(t, world, s, dir)
				same(t, files(t, alone), files(t, dir))
			}
		})
	}
}

// TestGroupLabels: ranges of numbers that are not those of the data, as of a run that goes on
// with more images, are those of all processes.
func TestGroupLabels(t *testing.T) {
	lines := []string{"0,1", "3,0", "1,1", "0,0", "2,1", ""}
	sets := []data.Dataset{labelledSet(t, lines[:3]...), labelledSet(t, append(lines, "9,9")...)}
	train := func(world int, dir string) {
		t.Helper()
		for _, d := range sets {
			s := shared(func(s *Settings) { s.SampleEvery, s.Images = 0, int64(8*d.Len()) })
			s.Batch, s.Accumulate, s.CheckpointEvery = 8, 4, 8
			all := of(t, world, s, dir)
			for r := range all {
				all[r].Data, all[r].Settings.Data = d, "numbers"
			}
			for r, err := range together(t, func(int) context.Context { return t.Context() }, all) {
				if err != nil {
					t.Fatalf("process %d of %d: %v", r, world, err)
				}
			}
		}
	}
	alone, both := t.TempDir(), t.TempDir()
	train(1, alone)
	train(2, both)
	same(t, files(t, alone), files(t, both))
}

// TestOtherWorld: a run goes on with another number of processes each time, to the bits of
// one that was never stopped. What any of them is told to do, all do, after the same step.
func TestOtherWorld(t *testing.T) {
	s := shared(func(s *Settings) { s.TimeSampler, s.Weighting, s.Images = "adaptive:bins=8", "sigmoid", 120 })
	s.Preset = wide(t)
	alone, dir := t.TempDir(), t.TempDir()
	trainWith(t, 1, s, alone)
	halted := errors.New("halt")
	for i, world := range []int{3, 2, 4, 1} {
		all := of(t, world, s, dir)
		stops := world - 1 // the last process is stopped, after a step more each time: its data are read ahead
		contexts := make([]context.Context, world)
		for r := range contexts {
			contexts[r] = t.Context()
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		contexts[stops] = ctx
		all[stops].Data = halting{all[stops].Data, s, int64(i+3) * int64(s.Batch), func() { cancel(halted) }}
		if world == 1 {
			contexts[0] = t.Context()
		}
		for r, err := range together(t, func(r int) context.Context { return contexts[r] }, all) {
			var peer *StoppedError
			switch {
			case world == 1 && err == nil:
			case r == stops && errors.Is(err, halted):
			case r != stops && errors.As(err, &peer):
			default:
				t.Errorf("process %d of %d: %v", r, world, err)
			}
		}
		if got := saved(t, dir); world > 1 && got[len(got)-1] < int64(i+1)*int64(s.Batch) {
			t.Errorf("stopped in step %d, with checkpoints %v", i+3, got)
		}
	}
	same(t, files(t, alone), files(t, dir))
}

// TestStagesInGroup: teachers of stages come from the first process, also where a run goes on
// within a stage.
func TestStagesInGroup(t *testing.T) {
	s := taught(t)
	s.SampleCount, s.SampleEvery, s.Accumulate = 0, 0, 4
	alone, dir := t.TempDir(), t.TempDir()
	trainWith(t, 1, s, alone)
	halted := errors.New("halt")
	ctx, halt := context.WithCancelCause(t.Context())
	all := of(t, 3, s, dir)
	all[0].Hooks = []Hook{{Name: "halts", Every: 1, After: func(_ context.Context, p Progress) error {
		if p.Images == 48 {
			halt(halted)
		}
		return nil
	}}}
	for r, err := range together(t, func(int) context.Context { return ctx }, all) {
		if err == nil {
			t.Errorf("process %d is not halted", r)
		}
	}
	trainWith(t, 2, s, dir)
	for _, name := range []string{"stages/32", "stages/96", "checkpoints/160"} {
		same(t, files(t, filepath.Join(dir, name)), files(t, filepath.Join(alone, name)))
	}
}

// halting calls at before an image of the stream of a run is read.
type halting struct {
	data.Dataset
	settings Settings
	images   int64
	at       func()
}

func (h halting) Read(i int, e *data.Example) error {
	if i == data.Order(h.settings.Seed, (h.images-1)/int64(h.Len()), h.Len(), int((h.images-1)%int64(h.Len()))) {
		h.at()
	}
	return h.Dataset.Read(i, e)
}

// TestGroupFails: what one process cannot do, none does, and all say whose fault it was;
// the steps before are saved.
func TestGroupFails(t *testing.T) {
	s := shared(nil)
	all := of(t, 3, s, t.TempDir())
	for r := range all {
		all[r].Data = broken{all[r].Data, data.Order(s.Seed, 0, all[r].Data.Len(), 47)} // the last of the second step
	}
	errs := together(t, func(int) context.Context { return t.Context() }, all)
	var bad *data.Error
	if !errors.As(errs[2], &bad) {
		t.Errorf("the process that reads it: %v", errs[2])
	}
	for r, err := range errs[:2] {
		var peer *collective.PeerError
		if !errors.As(err, &peer) || !strings.Contains(err.Error(), "process 2 of the group: broken.png") {
			t.Errorf("process %d: %v", r, err)
		}
	}
	if got := saved(t, all[0].Dir); !slices.Equal(got, []int64{24}) {
		t.Errorf("checkpoints %v", got)
	}
}

// TestGroupLeavesOut: of a broken picture that another process leaves out the first tells.
func TestGroupLeavesOut(t *testing.T) {
	s := shared(func(s *Settings) { s.SkipBroken = true })
	all := of(t, 2, s, t.TempDir())
	for r := range all {
		all[r].Data = broken{all[r].Data, data.Order(s.Seed, 0, all[r].Data.Len(), 23)} // the last of the first step
	}
	rec := all[0].Observer.(*recorder)
	for r, err := range together(t, func(int) context.Context { return t.Context() }, all) {
		if err != nil {
			t.Errorf("process %d: %v", r, err)
		}
	}
	if notes := strings.Join(rec.notes, "\n"); strings.Count(notes, "broken.png cannot be read and is left out") != 1 {
		t.Errorf("told: %s", notes)
	}
}

// TestGroupRefuses: processes that would not have the bits of one are refused before the
// first step, and the odd one is named.
func TestGroupRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		world  int
		change func(*Options) // of the second process
		want   string
	}{
		"more than micro-batches": {3, nil, "accumulate: 2, and 3 processes"},
		"other data":              {2, func(o *Options) { o.Data = shorter{o.Data} }, "process 1 of the group has another data"},
		"other precision":         {3, func(o *Options) { o.Settings.Precision = "bf16" }, "process 1 of the group has another precision than the others: bf16, and they fp32"},
		"other arithmetic":        {2, func(o *Options) { o.Device = portable(t) }, "process 1 of the group has another arithmetic than the others: portable"},
		"other settings":          {2, func(o *Options) { o.Settings.Preset = "none" }, "preset"},
	} {
		t.Run(name, func(t *testing.T) {
			s := shared(func(s *Settings) { s.Precision = "fp32" })
			if c.change == nil {
				s.Accumulate = 2
			}
			all := of(t, c.world, s, t.TempDir())
			if c.change != nil {
				c.change(&all[1])
			}
			for r, err := range together(t, func(int) context.Context { return t.Context() }, all) {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("process %d: %v, want %s", r, err, c.want)
				}
			}
			if got := saved(t, all[0].Dir); got != nil {
				t.Errorf("checkpoints %v", got)
			}
		})
	}
}

type shorter struct{ data.Dataset }

func (s shorter) Len() int { return s.Dataset.Len() - 1 }

func portable(t *testing.T) device.Device {
	t.Helper()
	d, err := device.NewCPU(1, "portable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestLostProcess: where a process dies, the others end. Its part of the moments is gone: the
// run goes on from the last checkpoint.
func TestLostProcess(t *testing.T) {
	s := shared(func(s *Settings) { s.Images = 240 })
	all := of(t, 3, s, t.TempDir())
	groups := collective.Local(3)
	var ranks sync.WaitGroup
	errs := make([]error, 3)
	all[2].Data = halting{all[2].Data, s, 168, func() { groups[2].Close(true) }}
	for r := range all {
		all[r].Group = groups[r]
		ranks.Go(func() { _, errs[r] = Run(t.Context(), all[r]); groups[r].Close(true) })
	}
	ranks.Wait()
	for r, err := range errs[:2] {
		var lost *collective.LostError
		if !errors.As(err, &lost) || lost.Rank != 2 {
			t.Errorf("process %d: %v", r, err)
		}
	}
	got := saved(t, all[0].Dir)
	if len(got) == 0 || slices.Max(got) > 144 {
		t.Errorf("checkpoints %v", got)
	}
	alone := t.TempDir()
	trainWith(t, 1, s, alone)
	trainWith(t, 2, s, all[0].Dir)
	same(t, files(t, filepath.Join(all[0].Dir, "checkpoints/240")), files(t, filepath.Join(alone, "checkpoints/240")))
}

// TestGroupSees: a hook that is called at every step sees the weights that one process has then,
// also where the next step would bring them, and so does one that looks before a step counts.
func TestGroupSees(t *testing.T) {
	preset := wide(t)
	for _, c := range []struct {
		world, micro int
		change       func(*Settings)
	}{{3, 12, nil}, {4, 4, nil}, {2, 3, func(s *Settings) { s.Objective, s.Target, s.Precision = "consistency", "ema", "bf16" }}} {
		seen := map[int][][]float32{}
		for _, world := range []int{1, c.world} {
			s := shared(c.change)
			s.Accumulate, s.SampleCount, s.CheckpointEvery, s.Preset = c.micro, 0, 0, preset
			all := of(t, world, s, t.TempDir())
			look := func(p Progress) error {
				for _, b := range []*plan.Buffer{p.Trainer.Buffers.Parameters, p.Trainer.Buffers.EMA} {
					x := make([]float32, nets.FlatSize(p.Trainer.Trained.Params))
					if !p.Trainer.applies && b == p.Trainer.Buffers.EMA {
						continue // of which this process has a part
					}
					if err := p.Trainer.Memory.Read(b, 0, x); err != nil {
						return err
					}
					seen[world] = append(seen[world], x)
				}
				return nil
			}
			all[0].Hooks = []Hook{{Name: "looks", Every: 1, Check: look, After: func(_ context.Context, p Progress) error { return look(p) }}}
			for r, err := range together(t, func(int) context.Context { return t.Context() }, all) {
				if err != nil {
					t.Fatalf("process %d of %d: %v", r, world, err)
				}
			}
		}
		if len(seen[1]) < 6 || !slices.EqualFunc(seen[1], seen[c.world], slices.Equal) {
			t.Errorf("%d processes, %d micro-batches: a hook sees %d times other weights than in one process", c.world, c.micro, len(seen[1]))
		}
	}
}

// dying is the link of a process that dies in its exchange of a number.
type dying struct {
	collective.Link
	at, made int
}

func (d *dying) Exchange(send, recv [][]byte, watch func([]int, time.Duration) error) error {
	if d.made++; d.made == d.at {
		return errors.Join(io.ErrClosedPipe, d.Link.Close(false))
	}
	return d.Link.Exchange(send, recv, watch)
}

// TestLostMeanwhile: whenever in a step a process dies, also while weights come, all end, and what
// is saved is what one process has then.
func TestLostMeanwhile(t *testing.T) {
	for _, micro := range []int{2, 3, 4} { // weights come while the only micro-batch runs, before it, while the first runs
		s := shared(func(s *Settings) { s.Batch, s.Accumulate, s.SampleCount = 2*micro, micro, 0 })
		s.Images, s.CheckpointEvery, s.Preset = int64(8*micro), int64(4*micro), wide(t)
		first := fmt.Sprintf("checkpoints/%d", s.CheckpointEvery)
		run := func(at int) (made int, errs []error, dir string) {
			t.Helper()
			all, groups := of(t, 2, s, t.TempDir()), collective.Local(2)
			var link *dying
			groups[1] = groups[1].Through(func(l collective.Link) collective.Link {
				link = &dying{Link: l, at: at}
				return link
			})
			errs = make([]error, 2)
			var ranks sync.WaitGroup
			for r := range all {
				all[r].Group = groups[r]
				ranks.Go(func() { _, errs[r] = Run(t.Context(), all[r]); groups[r].Close(errs[r] != nil) })
			}
			ranks.Wait()
			return link.made, errs, all[0].Dir
		}
		made, errs, whole := run(0)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		alone := t.TempDir()
		trainWith(t, 1, s, alone)
		same(t, files(t, whole), files(t, alone))
		for k := range 4 {
			at := made*6/10 + k*made/15 // of the third step and the fourth
			_, errs, dir := run(at)
			var lost *collective.LostError
			if errs[1] == nil || !errors.As(errs[0], &lost) || lost.Rank != 1 {
				t.Errorf("%d micro-batches, died in exchange %d of %d: %v", micro, at, made, errs)
			}
			same(t, files(t, filepath.Join(dir, first)), files(t, filepath.Join(alone, first)))
			if got := saved(t, dir); slices.Max(got) > s.CheckpointEvery {
				t.Errorf("%d micro-batches, died in exchange %d of %d: checkpoints %v", micro, at, made, got)
			}
		}
	}
}

// TestGroupOnFullDisk: a disk of the first process that is full for a while ends nothing;
// where the last steps cannot be saved, it says so, and all end.
func TestGroupOnFullDisk(t *testing.T) {
	for name, until := range map[string]int64{"for a while": 72, "to the end": 96} {
		t.Run(name, func(t *testing.T) {
			all := of(t, 3, shared(func(s *Settings) { s.SampleCount, s.Images = 0, 96 }), t.TempDir())
			var full atomic.Bool
			all[0].Disk = durable.Disk{Sync: func(path string) error {
				if full.Load() {
					return &fs.PathError{Op: "sync", Path: path, Err: syscall.ENOSPC}
				}
				return durable.Sync(path)
			}}
			all[0].Hooks = []Hook{{Name: "fills the disk", Every: 1, After: func(_ context.Context, p Progress) error {
				full.Store(p.Images >= 72 && p.Images <= until)
				return nil
			}}}
			ends := until == 96
			errs := together(t, func(int) context.Context { return t.Context() }, all)
			var unsaved *UnsavedError
			if ends != errors.As(errs[0], &unsaved) || ends != errors.Is(errs[0], syscall.ENOSPC) {
				t.Errorf("the first process: %v", errs[0])
			}
			for r, err := range errs[1:] {
				var peer *collective.PeerError
				if ends != errors.As(err, &peer) || !ends && err != nil {
					t.Errorf("process %d: %v", r+1, err)
				}
			}
			if got := saved(t, all[0].Dir); got[0] != 24 || ends == slices.Contains(got, 96) {
				t.Errorf("checkpoints %v", got)
			}
		})
	}
}

// TestBytesSent: a step sends what the scheme needs, and little more. Of P parameters each of
// W processes sends every other the part that it owns of each node of its own, and its
// weights to all: 2·4P·(W−1)/W bytes where ranges of micro-batches are whole nodes of the tree.
func TestBytesSent(t *testing.T) {
	const control = 16384 // losses, norms, and what all are told
	preset := wide(t)
	for _, c := range []struct {
		world, micro int
		nodes        float64 // of a process, in the mean
		gpu          bool
	}{{2, 4, 1, false}, {4, 4, 1, false}, {3, 12, 1, false}, {2, 12, 2, false}, {3, 8, 5. / 3, false}, {2, 4, 1, true}} {
		s := shared(func(s *Settings) {
			s.Batch, s.Accumulate, s.Images, s.SampleCount, s.CheckpointEvery, s.Preset = c.micro, c.micro, int64(c.micro), 0, 0, preset
		})
		all := of(t, c.world, s, t.TempDir())
		for r := range all {
			if !c.gpu {
				continue
			}
			idle, err := device.NewCUDA(cudatest.Idle{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			all[r].Device = idle // which bytes are sent is the same whatever they are
		}
		one := sent(t, all)
		for r := range all {
			all[r].Settings.Images, all[r].Fresh = int64(3*c.micro), true
		}
		three := sent(t, all)
		total := int64(0)
		for r := range all {
			total += (three[r] - one[r]) / 2
		}
		parameters := all[0].planned(t, collective.Alone).step.Buffers.Parameters.Size
		model := int64(4 * float64(parameters) * float64(c.world-1) * (1 + c.nodes))
		t.Logf("W = %d, K = %d, P = %d, GPUs: %v: %d bytes a step of all, %d by the model, %.2f times a ring's", c.world, c.micro, parameters, c.gpu, total, model, (1+c.nodes)/2)
		if within := int64(c.world) * control; total < model-within || total > model+within { // slices differ by a page or two
			t.Errorf("%d processes send %d bytes a step, want %d and little more", c.world, total, model)
		}
	}
}

func (o Options) planned(t *testing.T, g collective.Group) planned {
	t.Helper()
	_, p, err := planRun(Options{Settings: o.Settings, Data: o.Data, Device: o.Device, Group: g})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sent(t *testing.T, all []Options) (bytes []int64) {
	t.Helper()
	for r, err := range together(t, func(int) context.Context { return t.Context() }, all) {
		if err != nil {
			t.Fatal(fmt.Errorf("process %d: %w", r, err))
		}
		bytes = append(bytes, all[r].Group.Sent())
	}
	return bytes
}
