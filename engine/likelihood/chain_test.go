package likelihood

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels/loss"
)

func chainOf(t *testing.T, schedule, output string) chain {
	t.Helper()
	p, err := process.Get(schedule, process.ScheduleOptions{Shift: 1}, output)
	if err != nil {
		t.Fatal(err)
	}
	return chain{p.Chain(), Levels{}, true}
}

// TestChain: the three terms of images are those that PyTorch makes of the papers' equations, for
// a network that is a formula.
func TestChain(t *testing.T) {
	var cases []struct {
		Schedule             string
		Learnt               bool
		Image                []int
		First, Between, Last float64
	}
	text, err := os.ReadFile("testdata/chain.json")
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil || len(cases) == 0 {
		t.Fatal(len(cases), err)
	}
	for _, c := range cases {
		r := &run{Options: Options{Process: chainOf(t, c.Schedule, "eps").Process, Levels: Bytes, Seed: 5}}
		r.variance = c.Learnt
		image := Image{Number: 3}
		for _, b := range c.Image {
			image.Bytes = append(image.Bytes, byte(b))
		}
		asked := 0
		got, err := r.chain(image, func(q *question) bool {
			for k, z := range q.z {
				asked++
				for _, z := range z {
					q.y[k] = append(q.y[k], float32(math.Sin(z+q.points[k].NetworkTime/300)))
					q.v[k] = append(q.v[k], float32(math.Cos(2*z)))
				}
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, of := range map[string][2]float64{"L_0": {got.Reconstruction, c.First}, "terms between": {got.Diffusion, c.Between}, "L_T": {got.Prior, c.Last}} {
			if math.Abs(of[0]-of[1]) > 1e-5*math.Abs(of[1])+1e-13 { // diffusers rounds 1 − β = 0.001 to float32
				t.Errorf("%s, learnt %v: %s %g, want %g", c.Schedule, c.Learnt, name, of[0], of[1])
			}
		}
		if asked != 1000 || math.Abs(r.done-1) > 1e-9 {
			t.Errorf("asked %d times for %g images", asked, r.done)
		}
	}
}

// TestChainOfGaussian: where each step back is the right one, mean and variance, the bound of
// normal data is their entropy and what of them is left in the noise, on any schedule.
func TestChainOfGaussian(t *testing.T) {
	const variance = 0.25
	for _, schedule := range []string{"ddpm-linear", "ddpm-squaredcos", "vp-linear", "ve"} {
		c := chainOf(t, schedule, "x")
		total := 0.0
		for n := range c.Steps {
			s, err := c.at(n)
			if err != nil {
				t.Fatal(err)
			}
			// Of x ~ N(0, v): E[x|z] = gain z, and q(x_s|z) has the variance of q(x_s|z, x) and what
			// of x is not known.
			q := s.point
			marginal := q.Alpha*q.Alpha*variance + q.Sigma*q.Sigma
			gain, unknown := q.Alpha*variance/marginal, variance*q.Sigma*q.Sigma/marginal
			of := c.Step(n, q)
			right := of.Mean * of.Mean * unknown
			if n > 0 {
				right += of.Least
			}
			v := 2*math.Log(right/of.Least)/of.Range - 1
			// Terms are squares of x and ε: four points have the moments.
			for _, at := range [][2]float64{{math.Sqrt(2 * variance), 0}, {-math.Sqrt(2 * variance), 0}, {0, math.Sqrt2}, {0, -math.Sqrt2}} {
				x, z := at[0], q.Alpha*at[0]+q.Sigma*at[1]
				l, _, _ := loss.Term(gain*z, v, x, x, s.numbers[:])
				total += l / 4
			}
		}
		last := c.At(c.Time(c.Steps - 1))
		scale := last.Alpha*last.Alpha + last.Sigma*last.Sigma // of the noise that samples begin with
		m := (last.Alpha*last.Alpha*variance + last.Sigma*last.Sigma) / scale
		want := math.Log(2*math.Pi*math.E*variance)/2 + (m-1-math.Log(m))/2
		prior := (c.prior([]float64{math.Sqrt(variance)}) + c.prior([]float64{-math.Sqrt(variance)})) / 2
		if got := total + prior; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %.12g nats, want %.12g", schedule, got, want)
		}
	}
}

// TestChainDraws: some steps stand for all, without bias, and step 0 is always there.
func TestChainDraws(t *testing.T) {
	c := chainOf(t, "ddpm-linear", "eps")
	want, sum := 0.0, 0.0
	term := func(n int) float64 { return math.Exp(-float64(n) / 100) }
	for n := range c.Steps {
		want += term(n)
	}
	const images = 400
	for image := range int64(images) {
		steps, weights := c.draws(Draws{1, image}, 16)
		if len(steps) != 17 || steps[0] != 0 || weights[0] != 1 {
			t.Fatal(steps, weights)
		}
		for k, n := range steps {
			sum += weights[k] * term(n) / images
		}
	}
	if math.Abs(sum-want) > 4e-3*want {
		t.Errorf("%g, want %g", sum, want)
	}
	if steps, _ := c.draws(Draws{}, 0); len(steps) != 1000 || steps[999] != 999 {
		t.Errorf("all are %d steps", len(steps))
	}
	if _, err := chainOf(t, "cosine", "eps").at(999); err == nil {
		t.Error("ε of pure noise says what the image is")
	}
}
