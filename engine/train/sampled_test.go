package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/update"
)

// sampled is a model trained once, and what samples from it.
type sampled struct {
	model     *model.Model
	generator *generate.Generator
}

// pictured is the images of a run.
const pictured = 4

// trained trains micro for some seconds.
func trained(t *testing.T) sampled {
	t.Helper()
	s := small()
	s.Size, s.Images, s.Batch, s.LR, s.Warmup, s.SampleCount, s.CheckpointEvery, s.EMA = data.Square(8), 3200, 16, 3e-3, 200, 0, 0, exponential(500)
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	m, err := model.Read(dir, model.EMA)
	if err != nil {
		t.Fatal(err)
	}
	step, err := generate.NewStep(generate.Options{
		Network: m.Network, Height: s.Size.Height, Width: s.Size.Width, Batch: pictured, Slots: update.MaxHistory, Target: o.Device.Target(),
	})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := o.Device.Alloc(step.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	if err := memory.Write(step.Weights, 0, m.Weights); err != nil {
		t.Fatal(err)
	}
	g, err := step.Load(o.Device, memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Free(), memory.Free()); err != nil {
			t.Error(err)
		}
	})
	return sampled{m, g}
}

// pictures samples along a schedule.
func (s sampled) pictures(t *testing.T, schedule, method string, o sampler.Options) []float64 {
	t.Helper()
	along, err := process.GetSchedule(schedule, process.ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := s.model.Process.Under(along)
	m, err := sampler.Get(method)
	if err != nil {
		t.Fatal(err)
	}
	r := generate.Request{Seed: 3, Guidance: generate.Guidance{Scale: 1}}
	for i := range pictured {
		r.Seeds, r.Classes = append(r.Seeds, int64(i)), append(r.Classes, i)
	}
	if m.Adaptive {
		r.Seeds, r.Classes = r.Seeds[:2], r.Classes[:2]
		g, err := sampler.NewGrid(p, o)
		if err != nil {
			t.Fatalf("%s along %s: %v", method, schedule, err)
		}
		r.Adaptive = &generate.Adaptive{Sampler: m, Grid: g, Options: o}
	} else if r.Table, err = m.Plan(p, o); err != nil {
		t.Fatalf("%s along %s: %v", method, schedule, err)
	}
	var all []float64
	err = s.generator.Run(context.Background(), r, func(_ int, s generate.Sample) error {
		pixels := s.Pixels
		for _, v := range pixels {
			all = append(all, float64(v))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s along %s: %v", method, schedule, err)
	}
	return all
}

func apart(a, b []float64) float64 {
	sum := 0.0
	n := min(len(a), len(b))
	for i := range n {
		sum += math.Abs(a[i]-b[i]) / float64(n)
	}
	return sum
}

func meanAndDeviation(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		deviation += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(deviation)
}

// TestEverySamplerAlongEverySchedule: a model trained on flow matching makes its
// images by every sampler along every schedule. Samplers of higher order, whose
// many steps solve the same equation, make the same ones.
func TestEverySamplerAlongEverySchedule(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := trained(t)
	want := s.pictures(t, "fm", "heun", sampler.Options{Steps: 40})
	mean, deviation := meanAndDeviation(want)
	if deviation < 30 {
		t.Fatalf("the model's images have a deviation of %.3g levels only", deviation)
	}
	precise := []string{"heun", "midpoint", "dpm-3", "dpm++-2s", "dpm++-3m", "unipc", "deis", "rk45"}
	churn := 2.0
	for _, schedule := range process.Schedules() {
		for _, m := range sampler.List() {
			o := sampler.Options{Steps: 8}
			switch m.Name {
			case "map": // of flow maps alone
				continue
			case "edm-churn":
				o.Churn = &churn
			case "rk45":
				o.Steps, o.Tolerance = 1, 1e-2
			}
			exact := slices.Contains(precise, m.Name)
			if exact && !m.Adaptive {
				o.Steps, o.Grid = 16, "lambda:max=80"
			}
			got := s.pictures(t, schedule, m.Name, o)
			a, d := meanAndDeviation(got)
			if math.Abs(a-mean) > 0.5*deviation || d < 0.4*deviation || d > 1.6*deviation {
				t.Errorf("%s along %s: mean %.3g and deviation %.3g, where the model's images have %.3g and %.3g", m.Name, schedule, a, d, mean, deviation)
			}
			if off := apart(got, want); exact {
				t.Logf("%s along %s: %.2g levels", m.Name, schedule, off)
				tolerance := 4.0
				if schedule == "ddpm-scaled-linear" {
					tolerance = 9 // it begins with α = 0.07 and takes that for nothing
				}
				if off > tolerance {
					t.Errorf("%s along %s: images are %.2g levels from the solution", m.Name, schedule, off)
				}
			}
		}
	}
}
