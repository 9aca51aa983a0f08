package objective

import (
	"math"
	"strings"
	"testing"

	"fluxion/engine/process"
	"fluxion/nets"
)

// of is what names stand for; nil: they do not go together.
func of(t *testing.T, schedule, output, times, weighting string) *denoising {
	t.Helper()
	p, err := process.Get(schedule, process.ScheduleOptions{Shift: 1}, output)
	if err != nil {
		return nil // not every output goes with every schedule
	}
	o, err := process.NewObjective(p, times, weighting)
	if err != nil {
		if strings.Contains(err.Error(), "; want") {
			return nil
		}
		t.Fatalf("%s, %s, %s, %s: %v", schedule, output, times, weighting, err)
	}
	d, err := makeDenoising(Setup{Seed: 1, Batch: 8, Objective: o})
	if err != nil {
		if strings.Contains(err.Error(), "; want") {
			return nil
		}
		t.Fatal(err)
	}
	return d
}

// TestWeights: every schedule with every output, weightings and time samplers in turn,
// has positive weights of mean 1 at the times drawn.
func TestWeights(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	k, some := 0, 0
	for _, schedule := range process.Schedules() {
		for _, output := range process.Outputs() {
			d := of(t, schedule, output, process.TimeSamplers()[k%len(process.TimeSamplers())], process.Weightings()[k%len(process.Weightings())])
			if k++; d == nil {
				continue
			}
			some++
			for at := range int64(200) {
				time := d.time(at)
				if w := d.Draw(time).Weight; !(time >= 0 && time <= 1) || !(w >= 0) || math.IsInf(w, 0) {
					t.Fatalf("%v: weight %v at t = %v", d, w, time)
				}
			}
			const n = 10_000
			mean := 0.0
			for i := range n {
				mean += d.Draw(d.Times.Time((float64(i)+0.5)/n)).Weight / d.mean / n
			}
			if !(mean > 0.9 && mean < 3) { // some have no limit
				t.Errorf("%v: mean weight %v", d, mean)
			}
		}
	}
	if some < 10 {
		t.Errorf("only %d combinations", some)
	}
}

// TestList: every objective of the list can be made, says what it is, and keeps the
// process that it is of; what is not there is refused.
func TestList(t *testing.T) {
	d := of(t, "fm", "u", "uniform", "plain")
	for _, k := range List() {
		n, err := Find(k.Name)
		if err != nil {
			t.Fatal(err)
		}
		paired := d.Setup
		paired.Paired, paired.Images, paired.Scales = true, 1000, [2]float64{1, 4}
		if paired.Process.Schedule, err = process.GetSchedule("fm", process.ScheduleOptions{TimeScale: n.TimeScale()}); err != nil {
			t.Fatal(err)
		}
		paired.Teacher = &Teacher{Frozen: &Frozen{}, Process: d.Setup.Process, Guidance: 1}
		o, err := n.New(paired)
		if err != nil {
			t.Fatal(err)
		}
		maps := k.Name == "flowmap" || k.Name == "shortcut" || k.Name == "lagrangian"
		if like := o.Fit(nets.Spec{Jump: true, Estimate: true}); like.Jump != maps || like.Estimate != (k.Name == selfConditioningName) || like.Guidance != paired.Scales {
			t.Errorf("%s gives its network %+v", k.Name, like)
		}
		if k.About == "" || len(o.About()) == 0 || o.Process().String() != d.Process().String() || (o.State() != nil) != (k.Name == "vlb") {
			t.Errorf("%s: %v, %v, state %v", k.Name, o.About(), o.Process(), o.State())
		}
	}
	for text, want := range map[string]string{
		"denoisin": "denoising", "denoising:share=1": "takes no parameters", "self-conditioning:share=1": "between 0 and 1", "self-conditioning:part=1": "share",
		"reflow": "pairs:FOLDER", "kd": "pairs:FOLDER", "reflow:b=1": "a", "progressive": "--teacher", "consistency:ema=1": "mean, stages, std",
	} {
		n, err := Find(text)
		if err == nil {
			_, err = n.New(d.Setup)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestState: adaptive times go on from what they have stored, and refuse what they can
// not be.
func TestState(t *testing.T) {
	d := of(t, "fm", "u", "adaptive:bins=5", "sigmoid")
	for i := range 40 {
		d.Observe(Observation{LogSNR: float64(i%10) - 5, Weight: 2}, float64(i))
	}
	stored, err := d.State().Store()
	if err != nil {
		t.Fatal(err)
	}
	again := of(t, "fm", "u", "adaptive:bins=5", "sigmoid")
	take, err := again.State().Load(stored)
	if err != nil {
		t.Fatal(err)
	}
	if again.time(4) == d.time(4) {
		t.Error("checking a state takes it over")
	}
	if err := take(); err != nil || again.time(4) != d.time(4) {
		t.Errorf("%v: time %v, want %v", err, again.time(4), d.time(4))
	}
	other := of(t, "fm", "u", "adaptive:bins=6", "sigmoid")
	if _, err := other.State().Load(stored); err == nil || !strings.Contains(err.Error(), "5 bins") {
		t.Errorf("other bins: %v", err)
	}
}

// mute is denoising that gives no errors.
type mute struct{ *denoising }

func (m mute) Loss(b *Builder) Loss {
	l := m.denoising.Loss(b)
	l.Errors = nil
	return l
}

// TestErrorsForState: an objective that is to learn has to give what it learns from.
func TestErrorsForState(t *testing.T) {
	adaptive := of(t, "fm", "u", "adaptive:bins=5", "sigmoid")
	for _, c := range []struct {
		objective Objective
		refused   bool
	}{{mute{adaptive}, true}, {adaptive, false}, {mute{of(t, "fm", "u", "uniform", "plain")}, false}} {
		if _, _, err := build(t, c.objective); (err != nil) != c.refused || c.refused && !strings.Contains(err.Error(), timesFile) {
			t.Errorf("%v: %v", c.objective.About(), err)
		}
	}
}

// TestFeed: the numbers of an image are made without memory, which is for each image.
func TestFeed(t *testing.T) {
	adaptive := of(t, "fm", "u", "adaptive:bins=5", "sigmoid")
	adaptive.Observe(Observation{LogSNR: 1, Weight: 2}, 3)
	for _, o := range []Objective{of(t, "cosine", "v", "logit-normal+stratified", "plain"), adaptive, conditioned(adaptive, 0.5)} {
		_, l := built(t, o)
		at := int64(0)
		if n := testing.AllocsPerRun(20, func() { at++; l.Feed(0, at) }); n != 0 {
			t.Errorf("%v: %g allocations an image", o.About(), n)
		}
	}
}
