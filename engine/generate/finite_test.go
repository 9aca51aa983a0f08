package generate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/number"
)

// unfit is a sampling that no picture may come of.
type unfit struct {
	method   string
	guidance float64
	limits   Guidance // the rest of it
	clip     bool
	factor   float32 // of the weights
	noise    float64 // what is added to every coefficient of noise
}

func (u unfit) run(t *testing.T, d device.Device, precision number.Type) (made int, err error) {
	t.Helper()
	config, weights := small(t, false, 1)
	for i := range weights {
		weights[i] *= u.factor
	}
	c := conditioned{method: u.method}
	table, adaptive := c.plan(t)
	for i := range table.Rows {
		table.Rows[i].C += u.noise
	}
	guidance := u.limits
	guidance.Scale = u.guidance
	g, free := loaded(t, d, Options{
		Network: config, Height: 8, Width: 8, Batch: 2, Guided: u.guidance != 1, Reduced: guidance.Reduces(), Slots: 2, Calls: len(table.Rows),
		Target: d.Target(), Precision: precision,
	}, weights)
	defer free()
	r := Request{Table: table, Adaptive: adaptive, Seeds: []int64{4, 5}, Classes: []int{0, 1}, NullClass: classes, Guidance: guidance, Clip: u.clip}
	err = g.Run(context.Background(), r, func(int, Sample) error { made++; return nil })
	return made, err
}

// No picture is made of numbers that are not finite, however they came about and
// whatever bounds the predicted image; what is finite passes.
func TestNotFinite(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	processor, err := device.NewCPU(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer processor.Close()
	t.Setenv(device.Variable, driver.Simulated)
	simulated, err := device.Open("cuda:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer simulated.Close()
	nan, huge := float32(math.NaN()), float32(1e30)
	for name, c := range map[string]struct {
		unfit
		want string // of the error; "" is a picture
	}{
		"sound":          {unfit{"euler", 1, Guidance{}, false, 1, 0}, ""},
		"strong":         {unfit{"euler", 50, Guidance{}, true, 1, 0}, ""},
		"guidance":       {unfit{"euler", 1e308, Guidance{}, false, 1, 0}, "the scale of guidance, 1e+308, is not finite"},
		"and clipped":    {unfit{"euler", math.Inf(1), Guidance{}, true, 1, 0}, "the scale of guidance"},
		"noise":          {unfit{"euler", 1, Guidance{}, false, 1, 1e300}, "in step 1 of 4, the coefficient of the noise, 1e+300, is not finite"},
		"weights":        {unfit{"euler", 1, Guidance{}, false, nan, 0}, "image 4: the state after the last step is not finite"},
		"clipped":        {unfit{"euler", 1, Guidance{}, true, nan, 0}, "image 4: "},
		"overflow":       {unfit{"euler", 1, Guidance{}, true, huge, 0}, "image 4: "},
		"threshold":      {unfit{"euler", 2, Guidance{Percentile: 0.9}, false, huge, 0}, "image 4: "},
		"rescaled":       {unfit{"euler", 2, Guidance{Rescale: 0.7}, true, huge, 0}, "image 4: "},
		"several stages": {unfit{"heun", 1, Guidance{}, true, huge, 0}, "image 4: "},
		"adaptive":       {unfit{"rk45", 1, Guidance{}, false, nan, 0}, "image 4: the network's output at t = 1 is not finite"},
	} {
		t.Run(name, func(t *testing.T) {
			for d, precisions := range map[device.Device][]number.Type{processor: {number.Float32, number.BFloat16}, simulated: {number.Float32}} {
				if d == simulated && name != "overflow" && name != "weights" && name != "sound" {
					continue
				}
				for _, precision := range precisions {
					what := fmt.Sprintf("%s, %v: ", d.Name(), precision)
					made, err := c.run(t, d, precision)
					var bad *NotFiniteError
					switch {
					case c.want == "" && (err != nil || made != 2):
						t.Errorf("%s%d pictures, %v", what, made, err)
					case c.want != "" && (!errors.As(err, &bad) || !strings.HasPrefix(err.Error(), c.want) || made != 0):
						t.Errorf("%s%d pictures, error %v, want %q", what, made, err, c.want)
					}
				}
			}
		})
	}
}

// What can be chosen by name can be computed with: every schedule with every output
// that fits it, by every sampler.
func TestEveryTableIsFinite(t *testing.T) {
	tables := 0
	for _, schedule := range process.Schedules() {
		for _, output := range process.Outputs() {
			p, err := process.Get(schedule, process.ScheduleOptions{}, output)
			if err != nil {
				continue // the output says why it makes no sense there
			}
			for _, name := range sampler.Names() {
				s, err := sampler.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				if s.Adaptive {
					continue
				}
				table, err := s.Plan(p, sampler.Options{Steps: 7})
				if err != nil {
					continue
				}
				tables++
				r := Request{Table: toData(table.Fold()), Guidance: Guidance{Scale: 1}}
				if r.Clip = r.Table.Rows[0].Call.Limits(); r.check() != nil {
					t.Errorf("%s/%s by %s: %v", schedule, output, name, r.check())
				}
			}
		}
	}
	if tables < 500 {
		t.Errorf("%d tables only", tables)
	}
}
