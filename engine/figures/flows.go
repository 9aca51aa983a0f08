package figures

import (
	"context"
	"fmt"
	"math"

	"fluxion/engine/sampler"
	"fluxion/engine/trace"
	"fluxion/kernels/philox"
)

// flow is an exact one: of flow matching, from standard normal noise to data that are
// Gaussians of one variance.
type flow struct {
	name     string
	denoiser trace.Denoiser
}

// finest is the number of steps of a path, of which fewer steps take some.
const finest = 32

// path follows the flow from noise, and returns its states at 1, 1 − 1/32, … 0.
func (f flow) path(noise []float64) ([][]float64, error) {
	return f.run("rk45", sampler.Options{Steps: finest, Tolerance: 1e-5}, noise)
}

// euler takes steps of Euler's.
func (f flow) euler(steps int, noise []float64) ([][]float64, error) {
	return f.run("euler", sampler.Options{Steps: steps}, noise)
}

func (f flow) run(name string, o sampler.Options, noise []float64) ([][]float64, error) {
	setup, err := trace.Config{Schedule: "fm", Output: "u", Sampler: name, Options: o}.Resolve()
	if err != nil {
		return nil, err
	}
	r, err := setup.Run(context.Background(), noise, f.denoiser, trace.SeededNoise(1))
	return r.States, err
}

// timeOf is the time of state i of a path of some steps.
func timeOf(i, steps int) float64 { return 1 - float64(i)/float64(steps) }

// Straightness is ∫|ż − (z₁ − z₀)|² dt of a path of states at equally spaced times (X. Liu, C.
// Gong, Q. Liu, "Flow Straight and Fast", 2022): 0 of a straight one at one speed.
func Straightness(path [][]float64) float64 {
	n := len(path) - 1
	sum := 0.0
	for i := range n {
		for k := range path[0] {
			d := (path[i+1][k]-path[i][k])*float64(n) - (path[n][k] - path[0][k])
			sum += d * d / float64(n)
		}
	}
	return sum
}

// reflow shows what it is for: on a line, where paths do not cross, one reflow makes them
// straight, and one step of Euler's exact.
func reflow(Images) (Figure, error) {
	f := Figure{
		Title:   "Reflow makes paths straight",
		Caption: "Paths from noise to two Gaussians, N(±1, 0.2²), by the exact velocity, and Euler's steps along them. Reflow learns the straight lines from each noise to where its path leads. On a line they do not cross, so that they are the new paths, and one step is exact; in more dimensions they cross a little.",
		X:       "time t (0 data, 1 noise)", Y: "z", Across: 2, XRange: [2]float64{0, 1}, YRange: [2]float64{-2.5, 2.5},
	}
	data := flow{"", trace.Gaussians([][]float64{{-1}, {1}}, 0.04)}
	var starts, paths [][]float64
	mean := 0.0
	const many, few = 41, 4 // paths; every so many has Euler's steps beside it
	for i := range many {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/many-1)
		states, err := data.path([]float64{z})
		if err != nil {
			return f, err
		}
		line := make([]float64, len(states))
		for k, s := range states {
			line[k] = s[0]
		}
		mean += Straightness(states) / many
		starts, paths = append(starts, []float64{z}), append(paths, line)
	}
	var err error
	f.Slider, f.Frames, err = family("steps", []float64{1, 2, 4, 8, 16}, 1, func(v float64) (Frame, error) {
		steps := int(v)
		exact, straight := Series{Name: "paths", Kind: Threads}, Series{Name: "paths", Kind: Threads}
		before, after := Series{Name: "Euler", Kind: Marked}, Series{Name: "Euler", Kind: Marked}
		wrong := 0.0
		for i, path := range paths {
			end := path[finest]
			for k, z := range path {
				exact.add(timeOf(k, finest), z)
			}
			straight.add(1, path[0])
			straight.add(0, end)
			exact.cut()
			straight.cut()
			states, err := data.euler(steps, starts[i])
			if err != nil {
				return Frame{}, err
			}
			wrong += (states[steps][0] - end) * (states[steps][0] - end) / many
			if i%few != few/2 {
				continue
			}
			for k, s := range states {
				t := timeOf(k, steps)
				before.add(t, s[0])
				after.add(t, t*path[0]+(1-t)*end)
			}
			before.cut()
			after.cut()
		}
		return Frame{
			Panels: []Panel{{"flow", []Series{exact, before}}, {"after reflow", []Series{straight, after}}},
			Note:   fmt.Sprintf("∫(ż − (z₁ − z₀))² dt: %.3f, after reflow 0; mean error of Euler's sample: %.3f, after reflow 0", mean, math.Sqrt(wrong)),
		}, nil
	})
	return f, err
}

// add adds a point.
func (s *Series) add(x, y float64) { s.X, s.Y = append(s.X, x), append(s.Y, y) }

// cut ends a thread.
func (s *Series) cut() { s.add(math.NaN(), math.NaN()) }

// noiseAt is standard normal noise of n values, at an address.
func noiseAt(address uint64, n int) []float64 {
	values := make([]float32, n)
	philox.Normal(values, 1, philox.SampleStart, address, 0)
	z := make([]float64, n)
	for k, v := range values {
		z[k] = float64(v)
	}
	return z
}

// plane are data of two dimensions as Gaussians, with few of which every shape is
// near enough: toy:moons, toy:checkerboard and toy:gaussians of package data.
func plane() []flow {
	var moons, squares, ring [][]float64
	const arc = 30
	for i := range arc {
		sin, cos := math.Sincos(math.Pi * (float64(i) + 0.5) / arc)
		moons = append(moons, []float64{math.Sqrt2 * (cos - 0.5), math.Sqrt2 * (sin - 0.25)}, []float64{math.Sqrt2 * (0.5 - cos), math.Sqrt2 * (0.25 - sin)})
	}
	const side, cells = 0.85, 4
	for column := range 4 {
		for row := column % 2; row < 4; row += 2 {
			for i := range cells * cells {
				at := func(place, k int) float64 { return side * (float64(place) - 2 + (float64(k)+0.5)/cells) }
				squares = append(squares, []float64{at(column, i%cells), at(row, i/cells)})
			}
		}
	}
	for k := range 8 {
		sin, cos := math.Sincos(math.Pi / 4 * float64(k))
		ring = append(ring, []float64{1.4 * cos, 1.4 * sin})
	}
	square := func(x float64) float64 { return x * x }
	return []flow{
		{"moons", trace.Gaussians(moons, square(0.05*math.Sqrt2))},
		{"checkerboard", trace.Gaussians(squares, square(side/cells/2))},
		{"gaussians", trace.Gaussians(ring, square(0.07*1.4))},
	}
}

// fewSteps shows in the plane what steps of Euler's and jumps of a flow map make of noise.
func fewSteps(Images) (Figure, error) {
	f := Figure{
		Title:   "Few steps of a flow, and jumps of its flow map",
		Caption: "Samples of three distributions, and the way of some of them from noise. Euler's steps go along the velocity at their beginning; in one step all noise goes to the mean of the data. A flow map leads at once to where the flow does, in any number of jumps. Velocities and maps are exact, of Gaussians that stand for moons, checkerboard and ring.",
		X:       "x", Y: "y", Plane: true, Across: 3, XRange: [2]float64{-2.6, 2.6}, YRange: [2]float64{-2.6, 2.6},
	}
	const count, drawn = 200, 40
	sets := plane()
	starts, paths := make([][]float64, count), make([][][][]float64, len(sets))
	for i := range starts {
		starts[i] = noiseAt(uint64(i), 2)
	}
	for d, set := range sets {
		for _, z := range starts {
			states, err := set.path(z)
			if err != nil {
				return f, err
			}
			paths[d] = append(paths[d], states)
		}
	}
	var err error
	f.Slider, f.Frames, err = family("steps", []float64{1, 2, 4, 8, 16, 32}, 2, func(v float64) (Frame, error) {
		steps := int(v)
		note := "root mean square distance of Euler's samples from where the flow leads:"
		flows, maps := make([]Panel, len(sets)), make([]Panel, len(sets))
		for d, set := range sets {
			flows[d].Title, maps[d].Title = set.name+", Euler", set.name+", flow map"
			var tracks [2]tracks
			wrong := 0.0
			for i, z := range starts {
				states, err := set.euler(steps, z)
				if err != nil {
					return Frame{}, err
				}
				jumps := make([][]float64, steps+1)
				for k := range jumps {
					jumps[k] = paths[d][i][k*finest/steps]
				}
				apart := math.Hypot(states[steps][0]-jumps[steps][0], states[steps][1]-jumps[steps][1])
				wrong += apart * apart / count
				tracks[0].add(states, i < drawn)
				tracks[1].add(jumps, i < drawn)
			}
			note += fmt.Sprintf("  %s %.3f", set.name, math.Sqrt(wrong))
			flows[d].Series, maps[d].Series = tracks[0].series(), tracks[1].series()
		}
		return Frame{Panels: append(flows, maps...), Note: note}, nil
	})
	return f, err
}

// tracks are ways of points in the plane.
type tracks struct{ noise, ways, samples Series }

// add adds a point's, and perhaps what led there.
func (t *tracks) add(states [][]float64, drawn bool) {
	first, last := states[0], states[len(states)-1]
	t.samples.add(last[0], last[1])
	if !drawn {
		return
	}
	t.noise.add(first[0], first[1])
	for _, s := range states {
		t.ways.add(s[0], s[1])
	}
	t.ways.cut()
}

func (t *tracks) series() []Series {
	t.noise.Name, t.noise.Kind = "noise", Cloud
	t.ways.Name, t.ways.Kind = "way of some", Threads
	t.samples.Name, t.samples.Kind = "samples", Cloud
	return []Series{t.ways, t.samples, t.noise}
}
