package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/engine/figures"
	"fluxion/kernels/philox"
)

// learner is a network of which a figure is drawn: how it is trained, and how it samples.
type learner struct {
	name  string
	train []string
	steps []int // of few that it is for
	fine  bool  // it is a velocity, whose way is followed
}

// learners begin with the flow, which the others may need. What begins with it sees
// fewer images.
func learners(images int) []learner {
	whole := func(more ...string) []string {
		return slices.Concat([]string{"--preset", "mlp", "--images", strconv.Itoa(images)}, more)
	}
	short := func(more ...string) []string {
		return slices.Concat([]string{"--images", strconv.Itoa((images + 1) / 2)}, more)
	}
	few := figures.LearntSteps
	return []learner{
		{"flow", whole(), few, true},
		{"reflow", short("--data", "pairs:pairs", "--init", "flow", "--objective", "reflow"), few, true},
		{"flow of ot pairs", whole("--coupling", "ot-across", "--batch", "256"), few, true},
		{"kd", short("--data", "pairs:pairs", "--init", "flow", "--objective", "kd"), few[:1], false},
		{"progressive", short("--teacher", "flow", "--objective", "progressive:from=8,to=1"), few[:1], false},
		{"consistency", short("--teacher", "flow", "--objective", "consistency"), few, false},
		{"flowmap", whole("--objective", "flowmap"), few, false},
		{"shortcut", whole("--objective", "shortcut"), few, false},
		{"lagrangian", whole("--objective", "lagrangian"), few, false},
	}
}

// What is made of a learner.
const (
	learntSamples = 400
	learntWays    = 60
	learntFinest  = 16 // steps of a way
	learntSeed    = "1"
)

// learn trains networks on points of a name, in a folder of the figures', and draws what
// they do. Each is made by this program's own commands, so that what is there is not made
// again.
func (o *figuresOptions) learn(ctx context.Context, face console.Face, name string) ([]figures.Figure, error) {
	spec := "toy:" + name
	points, classes, err := pointsOf(spec, learntSamples)
	if err != nil {
		return nil, err
	}
	var unlabelled, without []string // nobody is told a class, or one mode would be a straight way
	if classes > 0 {
		unlabelled, without = []string{"--label-drop", "0.9999"}, []string{"--class", "none"}
	}
	dir := filepath.Join(o.out, "runs", name)
	place := func(text string) string { return filepath.Join(dir, text) }
	call := func(args ...string) error {
		root := newRoot()
		root.SetArgs(args)
		root.SetOut(io.Discard)
		if err := root.ExecuteContext(ctx); err != nil {
			return fmt.Errorf("fluxion %s: %w", strings.Join(args, " "), err)
		}
		return nil
	}
	var all []figures.Learnt
	for i, l := range learners(o.learnt) {
		run := place(strings.ReplaceAll(l.name, " ", "-"))
		args := []string{"train", "--out", run, "--data", spec, "--seed", learntSeed, "--checkpoint-every", "0", "--sample-every", "0", "--sample-count", "0", "--time-scale", "16"}
		args = append(args, unlabelled...)
		for k, a := range l.train { // names of folders are of this one
			if a == "flow" {
				a = place("flow")
			}
			if k > 0 && l.train[k-1] == "--data" {
				a = "pairs:" + place("pairs")
			}
			args = append(args, a)
		}
		if err := call(args...); err != nil {
			return nil, err
		}
		if i == 0 {
			if err := call(append([]string{"pairs", "--model", run, "--out", place("pairs"), "--count", "10000", "--sampler", "heun", "--steps", "12", "--batch", "500"}, without...)...); err != nil {
				return nil, err
			}
		}
		made := func(count int, out string, how ...string) ([][]float64, error) {
			file := run + "-" + out + ".npz"
			if err := call(slices.Concat([]string{"sample", "--model", run, "--out", file, "--count", strconv.Itoa(count), "--batch", "100", "--seed", learntSeed}, without, how)...); err != nil {
				return nil, err
			}
			points, _, err := pointsOf(file, count)
			return points, err
		}
		learnt := figures.Learnt{Name: l.name, Samples: map[int][][]float64{}, Fine: l.fine}
		for _, steps := range l.steps {
			if learnt.Samples[steps], err = made(learntSamples, strconv.Itoa(steps), "--steps", strconv.Itoa(steps)); err != nil {
				return nil, err
			}
		}
		if learnt.Paths, err = waysOf(l, learnt.Samples[1], made); err != nil {
			return nil, err
		}
		all = append(all, learnt)
		if err := face.Result(map[string]string{"trained": l.name, "data": spec}, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "%-32s learnt %s\n", run, spec)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return figures.LearntFigures(name, points, all), nil
}

// waysOf are states of some points: those of the noise, and where one call leads, or
// where so many steps of a velocity have come.
func waysOf(l learner, ends [][]float64, made func(count int, out string, how ...string) ([][]float64, error)) ([][][]float64, error) {
	paths := make([][][]float64, learntWays)
	for i := range paths {
		var noise [2]float32
		philox.Normal(noise[:], 1, philox.SampleStart, uint64(i), 0)
		paths[i] = append(paths[i], []float64{float64(noise[0]), float64(noise[1])})
		if !l.fine {
			paths[i] = append(paths[i], ends[i])
		}
	}
	if !l.fine {
		return paths, nil
	}
	grid := "t:1"
	for k := range learntFinest {
		t := 1 - float64(k+1)/learntFinest
		grid += fmt.Sprintf(",%g", t)
		states, err := made(learntWays, fmt.Sprintf("way-%d", k+1), "--sampler", "euler", "--grid", grid)
		if err != nil {
			return nil, err
		}
		alpha := 1 - t // sample gives z/α where its grid ends before the data
		for i, s := range states {
			paths[i] = append(paths[i], []float64{alpha * s[0], alpha * s[1]})
		}
	}
	return paths, nil
}

// pointsOf reads points of the plane, and says how many classes they have.
func pointsOf(spec string, count int) (points [][]float64, classes int, err error) {
	d, err := data.Open(spec, data.Options{})
	if err != nil {
		return nil, 0, err
	}
	defer d.Close()
	if h, w, c := d.Shape(); d.Kind() != data.Floats || h != 1 || w != 1 || c != 2 || d.Len() < count {
		return nil, 0, fault.Usagef("%s is no set of %d points in the plane", spec, count)
	}
	e := data.NewExample(d)
	for i := range count {
		if err := d.Read(i, e); err != nil {
			return nil, 0, err
		}
		points = append(points, []float64{float64(e.Floats[0]), float64(e.Floats[1])})
	}
	return points, len(d.Classes()), nil
}
