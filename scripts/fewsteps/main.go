// Command fewsteps trains a flow on points in the plane and distils it by every method
// there is, and says how near samples of a few steps come to the data: the exact squared
// Wasserstein distance of as many samples and points. It fails where a method is not
// within its gate, or where steps of the flow itself are, which must not be.
//
//	go build -o fluxion ./cmd/fluxion && go run ./scripts/fewsteps -fluxion ./fluxion
//
// It takes a quarter of an hour on two cores that do nothing else.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"fluxion/data"
	"fluxion/engine/couple"
)

// method is how a network is trained, in the folder of its name.
type method struct {
	name  string
	args  []string
	steps []int
	// gate is the most that its distance in one step may be, in that of points against
	// others; 0: there is none. Of a negative one it must be more.
	gate float64
}

const images = "300000"

// methods, of which those below the first begin with it.
var methods = []method{
	{"flow", []string{"--images", "800000"}, []int{1, 2, 4, 8, 64}, -10},
	{"reflow", []string{"--data", "pairs:pairs", "--init", "flow", "--objective", "reflow"}, []int{1, 2, 4}, 3},
	{"kd", []string{"--data", "pairs:pairs", "--init", "flow", "--objective", "kd"}, []int{1}, 3},
	{"progressive", []string{"--teacher", "flow", "--objective", "progressive:from=16,to=1"}, []int{1}, 3},
	{"consistency training", []string{"--init", "flow", "--objective", "consistency"}, []int{1, 2}, 6},
	{"consistency distillation", []string{"--teacher", "flow", "--objective", "consistency"}, []int{1, 2}, 6},
	{"flow map", []string{"--images", "800000", "--preset", "mlp", "--objective", "flowmap", "--precision", "fp32"}, []int{1, 2, 4}, 6},
	{"shortcut", []string{"--images", "800000", "--preset", "mlp", "--objective", "shortcut", "--precision", "fp32"}, []int{1, 2, 4}, 6},
	{"lagrangian", []string{"--images", "800000", "--preset", "mlp", "--objective", "lagrangian", "--precision", "fp32"}, []int{1, 2, 4}, 6},
	{"flow with coupling ot", []string{"--images", "800000", "--preset", "mlp", "--coupling", "ot"}, []int{1, 2, 4, 8}, 6},
}

type runner struct {
	program, dir, points string
	count                int
}

func main() {
	r := runner{}
	flag.StringVar(&r.program, "fluxion", "fluxion", "the program")
	flag.StringVar(&r.dir, "dir", "", "folder for runs and samples, which stay there; a temporary one if not given")
	flag.StringVar(&r.points, "data", "toy:grid", "points to learn")
	flag.IntVar(&r.count, "count", 800, "points that are compared")
	flag.Parse()
	if err := r.run(); err != nil {
		fmt.Fprintln(os.Stderr, "fewsteps:", err)
		os.Exit(1)
	}
}

func (r runner) run() (err error) {
	if r.program, err = filepath.Abs(r.program); err != nil {
		return err
	}
	if r.dir == "" {
		if r.dir, err = os.MkdirTemp("", "fewsteps-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	} else if err := os.MkdirAll(r.dir, 0o777); err != nil {
		return err
	}
	real, err := r.read(r.points, 0)
	if err != nil {
		return err
	}
	others, err := r.read(r.points, r.count)
	if err != nil {
		return err
	}
	floor := distance(real, others)
	fmt.Printf("%s: W₂² of %d samples against %d points; %.4f of points against others. %s images a method.\n\n", r.points, r.count, r.count, floor, images)
	fmt.Println("| method | 1 step | 2 | 4 | 8 | 64 |\n|---|---|---|---|---|---|")
	var failed []string
	for _, m := range methods {
		row, err := r.judge(m, real)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Printf("| %s |", m.name)
		for _, steps := range []int{1, 2, 4, 8, 64} {
			if d, ok := row[steps]; ok {
				fmt.Printf(" %.4f |", d)
			} else {
				fmt.Print(" |")
			}
		}
		fmt.Println()
		if within := row[1] <= math.Abs(m.gate)*floor; within != (m.gate > 0) {
			failed = append(failed, fmt.Sprintf("%s: %.4f in one step, and the gate is %.4f", m.name, row[1], math.Abs(m.gate)*floor))
		}
	}
	if failed != nil {
		return fmt.Errorf("not as it must be: %s", strings.Join(failed, "; "))
	}
	return nil
}

// judge trains by a method, and returns distances by numbers of steps.
func (r runner) judge(m method, real [][]float64) (map[int]float64, error) {
	folder := strings.ReplaceAll(m.name, " ", "-")
	train := []string{"train", "--out", folder, "--data", r.points, "--batch", "256", "--lr", "1e-3", "--warmup", "5000", "--images", images, "--checkpoint-every", "0", "--sample-every", "0", "--sample-count", "0", "--seed", "1"}
	if m.name == "flow" {
		train = append(train, "--preset", "mlp")
	}
	if err := r.call(append(train, m.args...)...); err != nil {
		return nil, err
	}
	row := map[int]float64{}
	for _, steps := range m.steps {
		out := fmt.Sprintf("%s-%d.npz", folder, steps)
		if err := r.call("sample", "--model", folder, "--out", out, "--count", fmt.Sprint(r.count), "--steps", fmt.Sprint(steps), "--batch", "400"); err != nil {
			return nil, err
		}
		made, err := r.read(filepath.Join(r.dir, out), 0)
		if err != nil {
			return nil, err
		}
		row[steps] = distance(made, real)
	}
	if m.name == "flow" {
		return row, r.call("pairs", "--model", folder, "--out", "pairs", "--count", "30000", "--sampler", "heun", "--steps", "20", "--batch", "512")
	}
	return row, nil
}

func (r runner) call(args ...string) error {
	c := exec.Command(r.program, args...)
	c.Dir = r.dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// read reads points from one on.
func (r runner) read(spec string, first int) (points [][]float64, err error) {
	d, err := data.Open(spec, data.Options{})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	e := data.NewExample(d)
	for i := range r.count {
		if err := d.Read(first+i, e); err != nil {
			return nil, err
		}
		var p []float64
		for _, x := range e.Floats {
			p = append(p, float64(x))
		}
		points = append(points, p)
	}
	return points, nil
}

// distance is the mean squared distance of the best assignment of points to others.
func distance(a, b [][]float64) float64 {
	n := len(a)
	cost := make([]float64, n*n)
	for i, p := range a {
		for j, q := range b {
			for k, x := range p {
				cost[i*n+j] += (x - q[k]) * (x - q[k])
			}
		}
	}
	sum := 0.0
	for i, j := range couple.Assign(n, cost) {
		sum += cost[i*n+j] / float64(n)
	}
	return sum
}
