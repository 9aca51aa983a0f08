package equality

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fluxion/engine/augment"
	"fluxion/engine/process"
	"fluxion/engine/scheduler"
	"fluxion/engine/train"
	"fluxion/nets"
)

// teacher writes a model that others learn from.
func teacher(t *testing.T) string {
	t.Helper()
	dir, n := t.TempDir(), network(t)
	p, err := process.Get("cosine", process.ScheduleOptions{Shift: 1}, "v")
	if err != nil {
		t.Fatal(err)
	}
	config, err := scheduler.Of(p)
	if err != nil {
		t.Fatal(err)
	}
	unet, sub, training := filepath.Join(dir, "unet"), filepath.Join(dir, "scheduler"), filepath.Join(dir, "training")
	params := nets.Params(n)
	names := []byte(`["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]`)
	err = errors.Join(os.Mkdir(unet, 0o777), os.Mkdir(sub, 0o777), os.Mkdir(training, 0o777), os.WriteFile(filepath.Join(training, "classes.json"), names, 0o666), nets.WriteModel(unet, n, params, weights(params)), os.WriteFile(filepath.Join(sub, "scheduler_config.json"), config.Bytes(), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestObjectives: steps of every objective of several networks have the same loss curve
// on both devices. The teacher was trained along another schedule, for another output.
func TestObjectives(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	from := teacher(t)
	// What a network lacks of agreeing with itself is 0.01 of its answers here, and so has
	// fewer digits than they have.
	const residual = 3e-4
	average := func(s *train.Settings) { s.Target = "ema" }
	for _, c := range []struct {
		objective, teacher string
		most               float64
		change             func(*train.Settings)
	}{
		{"consistency", "", 0, nil}, {"consistency", from, 0, average}, {"progressive:from=4,to=2", from, 0, nil},
		{"consistency:first=10", "", 0, func(s *train.Settings) { s.Loss = "huber" }},
		{"hybrid", "", 0, func(s *train.Settings) { s.Schedule, s.Output = "ddpm-squaredcos", "eps" }},
		{"vlb", "", 0, func(s *train.Settings) { s.Schedule, s.Output = "ddpm-squaredcos", "eps" }},
		{"guidance", from, 0, func(s *train.Settings) { s.GuidanceInput, s.TeacherInterval = "1,4", "0.1,5" }},
		{"flowmap:predicted=1", "", 0, nil}, {"flowmap:same=0,data=1,norm=0.1,warmup=0.5", "", 0, nil}, {"flowmap:p=0.75", from, 0, func(s *train.Settings) { s.TeacherGuidance, s.TeacherGuide = 2, from }},
		{"shortcut:share=0.9", "", residual, average}, {"lagrangian", "", residual, average}, {"lagrangian:through=0", "", residual, average}, {"lagrangian:same=0", from, 0, nil},
	} {
		s := train.Default()
		s.Batch, s.Images, s.Objective, s.Teacher = 1, 100, c.objective, c.teacher
		if c.change != nil {
			c.change(&s)
		}
		s = s.Switched(train.Default(), func(string) bool { return false })
		o := train.StepOptions{Batch: 1, Accumulate: 1, Network: network(t)}
		var err error
		if o.Objective, err = train.NewObjective(s, nil); err == nil {
			o.Network, err = o.Network.Fit(o.Objective.Fit(o.Network.Spec()))
		}
		if err != nil {
			t.Fatal(err)
		}
		want, wantNorm := curve(t, "cpu", o, 2)
		got, norm := curve(t, "cuda:0", o, 2)
		near(t, c.objective+": loss", got, want, max(1e-5, c.most))
		near(t, c.objective+": norm", norm, wantNorm, max(1e-4, c.most))
	}
}

// TestUncertainty: what errors weigh is learnt alike on both devices.
func TestUncertainty(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	loss := func(device string) []float64 {
		s := train.Default()
		s.Batch, s.Uncertainty = 1, true
		o := train.StepOptions{Batch: 1, Accumulate: 1}
		var err error
		if o.Objective, err = train.NewObjective(s, nil); err != nil {
			t.Fatal(err)
		}
		losses, _ := curve(t, device, o, 2)
		return losses
	}
	near(t, "loss", loss("cuda:0"), loss("cpu"), 1e-5)
}

// TestAugment: a network is told alike on both devices how images were transformed.
func TestAugment(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	like := network(t).Spec()
	like.Augmented = true
	n, err := network(t).Fit(like)
	if err != nil {
		t.Fatal(err)
	}
	o := train.StepOptions{Batch: 1, Accumulate: 1, Network: n}
	if o.Augment, err = augment.New("edm:p=1", true, 1, size); err != nil {
		t.Fatal(err)
	}
	want, wantNorm := curve(t, "cpu", o, 2)
	got, norm := curve(t, "cuda:0", o, 2)
	near(t, "loss", got, want, 1e-5)
	near(t, "norm", norm, wantNorm, 1e-4)
	o.Augment = nil
	if untold, _ := curve(t, "cpu", o, 1); untold[0] == want[0] {
		t.Error("the network is told nothing")
	}
}

// TestDropout: the same values are left out on both devices.
func TestDropout(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	like := network(t).Spec()
	like.Dropout = 0.3
	n, err := network(t).Fit(like)
	if err != nil {
		t.Fatal(err)
	}
	o := train.StepOptions{Batch: 1, Accumulate: 1, Network: n}
	want, wantNorm := curve(t, "cpu", o, 2)
	got, norm := curve(t, "cuda:0", o, 2)
	near(t, "loss", got, want, 1e-5)
	near(t, "norm", norm, wantNorm, 1e-4)
	if plain, _ := curve(t, "cpu", train.StepOptions{Batch: 1, Accumulate: 1}, 1); plain[0] == want[0] {
		t.Error("nothing is left out")
	}
}

// TestSources: noise of every source trains a network to the same loss on both devices, and
// not to that of another.
func TestSources(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	losses := map[float64]string{}
	for _, source := range []string{"gaussian", "uniform", "laplace", "offset:0.1", "spectrum:1"} {
		s := train.Default()
		s.Batch, s.Images, s.Source = 1, 100, source
		loss, err := train.NewObjective(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		o := train.StepOptions{Batch: 1, Accumulate: 1, Objective: loss}
		want, wantNorm := curve(t, "cpu", o, 2)
		got, norm := curve(t, "cuda:0", o, 2)
		near(t, source+": loss", got, want, 1e-5)
		near(t, source+": norm", norm, wantNorm, 1e-4)
		if other := losses[want[0]]; other != "" {
			t.Errorf("the loss of %s is that of %s", source, other)
		}
		losses[want[0]] = source
	}
}

// TestBridges: a third noise trains a network to the same loss on both devices.
func TestBridges(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	for _, c := range []struct{ bridge, schedule, output string }{{"brownian:sigma=0.5", "fm", "u"}, {"sine", "cosine", "velocity"}, {"brownian:sigma=0.376", "i2sb", "i2sb"}} {
		s := train.Default()
		s.Batch, s.Images, s.Bridge, s.Schedule, s.Output = 1, 100, c.bridge, c.schedule, c.output
		loss, err := train.NewObjective(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		o := train.StepOptions{Batch: 1, Accumulate: 1, Objective: loss}
		want, wantNorm := curve(t, "cpu", o, 2)
		got, norm := curve(t, "cuda:0", o, 2)
		near(t, c.bridge+": loss", got, want, 1e-5)
		near(t, c.bridge+": norm", norm, wantNorm, 1e-4)
	}
}
