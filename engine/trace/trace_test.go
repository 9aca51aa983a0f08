package trace

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/engine/process"
	"fluxion/engine/sampler"

	"pgregory.net/rapid"
)

func near(t rapid.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func denoiser(t rapid.TB, text string) Denoiser {
	t.Helper()
	d, err := ParseDenoiser(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.json")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(t rapid.TB, schedule, output string) process.Process {
	t.Helper()
	p, err := process.Get(schedule, process.ScheduleOptions{}, output)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func number(x float64) *float64 { return &x }

// A mixture's score is the gradient of its log-density, its x̂ Tweedie's; every
// output is what x̂ and ε̂ make of it.
func TestMixture(t *testing.T) {
	const text = `{"weights":[0.3,0.5,0.2],"means":[[1,-0.5],[-1,0.2],[0.3,2]],"vars":[0.2,[0.1,0.7],[[0.5,0.3],[0.3,0.4]]]}`
	d := denoiser(t, "mixture:"+file(t, text))
	covariances := [][3]float64{{0.2, 0, 0.2}, {0.1, 0, 0.7}, {0.5, 0.3, 0.4}}
	means := [][2]float64{{1, -0.5}, {-1, 0.2}, {0.3, 2}}
	rapid.Check(t, func(r *rapid.T) {
		p := get(r, rapid.SampledFrom([]string{"fm", "cosine", "ve"}).Draw(r, "schedule"), "score")
		q := p.At(rapid.Float64Range(0.05, 0.95).Draw(r, "t"))
		z := []float64{rapid.Float64Range(-2, 2).Draw(r, "z0"), rapid.Float64Range(-2, 2).Draw(r, "z1")}
		density := func(a, b float64) float64 {
			sum := 0.0
			for i, c := range covariances {
				s2, a2 := q.Sigma*q.Sigma, q.Alpha*q.Alpha
				xx, xy, yy := a2*c[0]+s2, a2*c[1], a2*c[2]+s2
				det := xx*yy - xy*xy
				u, v := a-q.Alpha*means[i][0], b-q.Alpha*means[i][1]
				sum += []float64{0.3, 0.5, 0.2}[i] / math.Sqrt(det) * math.Exp(-(yy*u*u-2*xy*u*v+xx*v*v)/(2*det))
			}
			return math.Log(sum)
		}
		score, err := d.Output(q, z)
		if err != nil {
			r.Fatal(err)
		}
		h := 1e-5 * math.Max(1, q.Sigma)
		near(r, "∂₀ log p", score[0], (density(z[0]+h, z[1])-density(z[0]-h, z[1]))/(2*h), 1e-5)
		near(r, "∂₁ log p", score[1], (density(z[0], z[1]+h)-density(z[0], z[1]-h))/(2*h), 1e-5)
		for _, name := range process.Outputs() {
			o, _ := process.GetOutput(name)
			point := process.Process{Schedule: p.Schedule, Output: o}.At(q.Time)
			y, err := d.Output(point, z)
			if err != nil {
				r.Fatal(err)
			}
			for k := range z {
				eps := -q.Sigma * score[k]
				x := (z[k] - q.Sigma*eps) / q.Alpha
				near(r, name, y[k], point.A*x+point.B*eps, 1e-9)
			}
		}
	})
}

// One component is a Gaussian; without variance it is a data set.
func TestKindsOfData(t *testing.T) {
	p := get(t, "cosine", "u")
	q := p.At(0.4)
	z := []float64{0.3, -1}
	same := func(a, b string) {
		t.Helper()
		ya, err := denoiser(t, a).Output(q, z)
		if err != nil {
			t.Fatal(err)
		}
		yb, err := denoiser(t, b).Output(q, z)
		if err != nil {
			t.Fatal(err)
		}
		for k := range ya {
			near(t, a, ya[k], yb[k], 1e-12)
		}
	}
	same("gaussian:mean=0.5,var=0.3", "mixture:"+file(t, `{"means":[[0.5,0.5]],"vars":[0.3]}`))
	same("gaussian:mean=0.5,var=0.3", "mixture:"+file(t, `{"means":[[0.5,0.5],[0.5,0.5]],"vars":[[0.3,0.3],[[0.3,0],[0,0.3]]],"weights":[2,1]}`))
	same("points:"+file(t, `[[1,2],[-1,0.5]]`), "mixture:"+file(t, `{"means":[[1,2],[-1,0.5]],"vars":[0,0]}`))
	same("formula:2*z - t", "formula:z + z - t")
	// x̂ of a data set is a mean of it, weighted by how near z is.
	y, err := denoiser(t, "points:"+file(t, `[[1,2],[-1,0.5]]`)).Output(get(t, "cosine", "x").At(0.4), z)
	if err != nil {
		t.Fatal(err)
	}
	weight := func(x []float64) float64 {
		a, b := z[0]-q.Alpha*x[0], z[1]-q.Alpha*x[1]
		return math.Exp(-(a*a + b*b) / (2 * q.Sigma * q.Sigma))
	}
	a, b := weight([]float64{1, 2}), weight([]float64{-1, 0.5})
	near(t, "x̂", y[0], (a-b)/(a+b), 1e-12)

	for text, want := range map[string]string{
		"gausian:mean=0": `"gaussian"?`, "gaussian:mean=0,vr=1": `"var"?`, "gaussian:var=-1": "negative",
		"points:/nowhere.json": "nowhere", "formula:z +* 1": "formula", "mixture:" + file(t, `{"means":[[1]],"vars":[]}`): "want as many",
		"mixture:" + file(t, `{"means":[[1,2]],"vars":[[[1,0],[1,1]]]}`): "not symmetric", "points:" + file(t, `[]`): "no points",
		"points:" + file(t, `[[1,2],[1]]`): "want 2", "mixture:" + file(t, `{"means":[[1]],"vars":[1],"weight":[1]}`): "weight",
	} {
		_, err := ParseDenoiser(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
	if _, err := denoiser(t, "points:"+file(t, `[[1,2,3]]`)).Output(q, z); err == nil || !strings.Contains(err.Error(), "3 values") {
		t.Errorf("data of another size: error %v", err)
	}
}

// The weights are what the sample is made of: any outputs, replayed, give the
// same last state (MATHEMATICS.md, section 6).
func TestWeights(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		names := []string{}
		for _, s := range sampler.List() {
			if !s.Adaptive {
				names = append(names, s.Name)
			}
		}
		schedule := rapid.SampledFrom([]string{"fm", "cosine", "ve", "ddpm-linear"}).Draw(r, "schedule")
		output := rapid.SampledFrom([]string{"x", "eps", "u", "edm"}).Draw(r, "output")
		c := Config{
			Schedule: schedule, Output: output, Sampler: rapid.SampledFrom(names).Draw(r, "sampler"),
			Options: sampler.Options{Steps: rapid.IntRange(1, 9).Draw(r, "steps")},
		}
		if c.Sampler == "edm-churn" {
			c.Options.Churn = number(2)
		}
		s, err := c.Resolve()
		if err != nil {
			r.Fatal(err)
		}
		table, err := s.Sampler.Table(s.Grid, s.Options)
		if err != nil {
			r.Fatal(err)
		}
		value := func(i int) float64 { return math.Sin(1.7*float64(i) + 0.3) }
		calls, draws := 0, 0
		result, err := Execute(context.Background(), table, []float64{0.8}, func(process.Point, []float64) ([]float64, error) {
			calls++
			return []float64{value(calls)}, nil
		}, func(i, n int) ([]float64, error) {
			draws++
			return []float64{value(100 + i)}, nil
		})
		if err != nil {
			r.Fatal(err)
		}
		w := result.Weights
		want := w.Start * 0.8
		for i, c := range w.Outputs {
			want += c * value(i+1)
		}
		for i, c := range w.Noise {
			want += c * value(100+i)
		}
		last := result.States[len(result.States)-1][0]
		if math.Abs(last-want) > 1e-9*(1+math.Abs(w.Start)+math.Abs(want)) {
			r.Errorf("the sample is %v, its weights give %v", last, want)
		}
		if calls != len(w.Outputs) || draws != len(w.Noise) || len(result.States) != len(s.Grid.Points) {
			r.Errorf("%d calls, %d draws, %d states; weights of %d and %d, %d entries", calls, draws, len(result.States), len(w.Outputs), len(w.Noise), len(s.Grid.Points))
		}
	})
}

// A trace of DDIM and DDPM against their formulas, step by step.
func TestTraces(t *testing.T) {
	noise := [][]float64{{0.5, -0.1}, {-1.2, 0.4}, {9, 9}}
	run := func(c Config, d string) Result {
		t.Helper()
		s, err := c.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Run(context.Background(), []float64{1.2, -0.7}, denoiser(t, d), GivenNoise(noise))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	times := []float64{0.9, 0.6, 0.3, 0}
	for _, name := range []string{"ddim", "ddpm"} {
		r := run(Config{Schedule: "cosine", Output: "v", Sampler: name, Options: sampler.Options{Grid: "t:0.9,0.6,0.3,0"}}, "gaussian:mean=0.3,var=0.25")
		z := []float64{1.2, -0.7}
		for i := range 3 {
			at, bt := math.Cos(math.Pi/2*times[i]), math.Sin(math.Pi/2*times[i])
			as, bs := math.Cos(math.Pi/2*times[i+1]), math.Sin(math.Pi/2*times[i+1])
			for k := range z {
				x := 0.3 + at*0.25/(at*at*0.25+bt*bt)*(z[k]-at*0.3)
				eps := (z[k] - at*x) / bt
				if name == "ddim" {
					z[k] = as*x + bs*eps
					continue
				}
				beta := bt*bt - at*at/(as*as)*bs*bs
				mean := (at/as*bs*bs*z[k] + as*beta*x) / (bt * bt)
				z[k] = mean + math.Sqrt(beta)*bs/bt*noise[min(i, 2)][k]
			}
			for k := range z {
				near(t, name, r.States[i+1][k], z[k], 1e-12)
			}
		}
	}
	// Part-way: the last entries of the grid alone.
	s, err := Config{Schedule: "cosine", Output: "v", Sampler: "ddim", Options: sampler.Options{Grid: "t:0.9,0.6,0.3,0", Begin: 2}}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(context.Background(), []float64{0.4}, denoiser(t, "gaussian:mean=0.3,var=0.25"), nil)
	if err != nil || len(r.States) != 2 || r.Calls[0].Point.Time != 0.3 {
		t.Errorf("part-way: %+v, %v", r, err)
	}
	// Adaptive: the exact flow of a Gaussian.
	r = run(Config{Schedule: "fm", Output: "u", Sampler: "rk45", Options: sampler.Options{Steps: 2, Tolerance: 1e-9}}, "gaussian:mean=0.3,var=0.25")
	near(t, "rk45", r.States[2][0], 0.3+0.5*1.2, 1e-7)
	if len(r.Weights.Outputs) != len(r.Calls) || len(r.Calls) < 7 {
		t.Errorf("rk45: %d weights of %d calls", len(r.Weights.Outputs), len(r.Calls))
	}
}

// Every deterministic sampler finds the noise of an image: from the data at t = 0
// to t = 1, and back again.
func TestInversion(t *testing.T) {
	d := denoiser(t, "gaussian:mean=0.3,var=0.25")
	for _, s := range sampler.List() {
		if s.Random {
			continue
		}
		for _, schedule := range []string{"fm", "cosine", "vp-fm"} {
			z := []float64{0.9}
			for _, up := range []bool{true, false} {
				c := Config{Schedule: schedule, Output: "v", Sampler: s.Name, Options: sampler.Options{Steps: 80, Invert: up}}
				setup, err := c.Resolve()
				if err != nil {
					t.Fatal(err)
				}
				r, err := setup.Run(context.Background(), z, d, nil)
				if err != nil {
					t.Fatal(err)
				}
				if z = r.States[80]; up {
					near(t, s.Name+" on "+schedule+": the noise", z[0], (0.9-0.3)/0.5, 0.03)
				}
			}
			near(t, s.Name+" on "+schedule+": the image", z[0], 0.9, 0.03)
		}
	}
}

// Networks see the input in their own scale, and the formula stands for one.
func TestInputScale(t *testing.T) {
	q := get(t, "ve", "edm").At(0.6)
	y, err := denoiser(t, "formula:z + n").Output(q, []float64{3})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "y", y[0], 3/math.Sqrt(q.Sigma*q.Sigma+0.25)+math.Log(q.Sigma)/4, 1e-12)
}

func TestRefusals(t *testing.T) {
	s, err := Config{Schedule: "fm", Output: "u", Sampler: "ddpm", Options: sampler.Options{Steps: 4}}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	d := denoiser(t, "gaussian:mean=0,var=1")
	if _, err := s.Run(context.Background(), []float64{1}, d, GivenNoise([][]float64{{1}})); err == nil || !strings.Contains(err.Error(), "more than 1 times") {
		t.Errorf("too little noise: %v", err)
	}
	if _, err := s.Run(context.Background(), []float64{1}, d, GivenNoise([][]float64{{1, 2}})); err == nil || !strings.Contains(err.Error(), "2 numbers, want 1") {
		t.Errorf("noise of another size: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx, []float64{1}, d, SeededNoise(1)); err == nil {
		t.Error("goes on after it was stopped")
	}
	for text, want := range map[string]string{`[1,[2,[3]]]`: "", `"a"`: "not a number", `[]`: "no numbers", `[1`: "end of JSON"} {
		list, err := Numbers(json.RawMessage(text))
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) || (err == nil && len(list) != 3) {
			t.Errorf("%s: %v, %v", text, list, err)
		}
	}
	a, _ := SeededNoise(5)(3, 4)
	b, _ := SeededNoise(5)(3, 4)
	c, _ := SeededNoise(6)(3, 4)
	if a[0] != b[0] || a[0] == c[0] {
		t.Errorf("draws %v, %v, %v", a, b, c)
	}
}
