package main

import (
	"errors"
	"fmt"
	"math/bits"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// set is what is learnt, by which methods, and how few steps of each are judged.
type set struct {
	name string
	// open makes what the set needs in the folder of the runner, and sets its data.
	open    func(r *runner) (judge, error)
	train   []string // settings of every method
	ways    []string // of sampling: a number of steps, perhaps behind the name of a sampler
	sample  []string // settings of every way
	folders bool     // samples are folders of pictures, not arrays
	methods []method // the first is the flow, of which pairs are made
	pairs   []string
	check   func(t table) []string // what must hold besides gates
}

// method is how a network is trained, in the folder of its name.
type method struct {
	name  string
	args  []string
	ways  []string
	gates []gate
	// stages says that it halves its steps, and that each stage leaves a model of its own.
	stages bool
}

// folder is the run of the method, in the folder of the runner.
func (m method) folder() string { return strings.ReplaceAll(m.name, " ", "-") }

// out is where samples made in a way lie.
func (m method) out(s set, way string) string {
	out := m.folder() + "-" + strings.ReplaceAll(way, " ", "-")
	if !s.folders {
		out += ".npz"
	}
	return out
}

// gate bounds a number of samples made in a way.
type gate struct {
	way    string
	number int // of those of a judge
	least  float64
	most   float64 // 0: there is none
}

// within is the gate of each of some ways.
func within(number int, most float64, ways ...string) (gates []gate) {
	for _, w := range ways {
		gates = append(gates, gate{way: w, number: number, most: most})
	}
	return gates
}

// judge says of samples how good they are, in some numbers.
type judge interface {
	about() string
	judge(samples string) ([]float64, error)
}

// table is numbers by method and way.
type table map[string]map[string][]float64

func (t table) row(method string, ways []string) string {
	text := "| " + method + " |"
	for _, w := range ways {
		var numbers []string
		for _, x := range t[method][w] {
			numbers = append(numbers, fmt.Sprintf("%.3g", x))
		}
		text += " " + strings.Join(numbers, " / ") + " |"
	}
	return text
}

// failed are the gates that do not hold.
func (s set) failed(t table) (failed []string) {
	for _, m := range s.methods {
		for _, g := range m.gates {
			numbers := t[m.name][g.way]
			if numbers == nil {
				continue // left out
			}
			if x := numbers[g.number]; x < g.least || g.most > 0 && !(x <= g.most) {
				failed = append(failed, fmt.Sprintf("%s in %s: %.4g, and the gate is %g to %g", m.name, g.way, x, g.least, g.most))
			}
		}
	}
	return failed
}

type runner struct {
	program, dir, mnist string
	only                *regexp.Regexp
	svg                 string // where a figure of points goes; "": nowhere
	images              int    // that methods behind the first see; 0: as many as the set has it
	data                string // of the set, as train takes it
}

// judge trains by a method, samples in its ways, and fills a row of the table.
func (r runner) judge(s set, m method, j judge, t table) error {
	folder := m.folder()
	train := slices.Concat([]string{"train", "--out", folder, "--data", r.data, "--seed", "1", "--checkpoint-every", "0", "--sample-every", "0", "--sample-count", "0"}, s.train, m.args)
	if r.images > 0 && m.name != s.methods[0].name {
		train = append(train, "--images", strconv.Itoa(r.images))
	}
	if err := r.call(train...); err != nil {
		return err
	}
	t[m.name] = map[string][]float64{}
	for _, way := range m.ways {
		if way == straightness {
			bent, err := r.straightness(folder)
			if err != nil {
				return err
			}
			t[m.name][way] = []float64{bent}
			continue
		}
		model, err := r.model(m, folder, way)
		if err != nil {
			return err
		}
		out := m.out(s, way)
		sample := slices.Concat([]string{"sample", "--model", model, "--out", out}, s.sample)
		sampler, steps, named := strings.Cut(way, " ")
		if !named {
			steps = sampler
		} else {
			sample = append(sample, "--sampler", sampler)
		}
		if err := r.call(append(sample, "--steps", steps)...); err != nil {
			return err
		}
		numbers, err := j.judge(filepath.Join(r.dir, out))
		if err != nil {
			return err
		}
		t[m.name][way] = numbers
	}
	if m.name == s.methods[0].name {
		return r.call(slices.Concat([]string{"pairs", "--model", folder, "--out", "pairs"}, s.pairs)...)
	}
	return nil
}

// model is the folder of the network for a way of sampling: of stages, the last is the run
// itself, for one step, and those before it are for twice as many each.
func (r runner) model(m method, folder, way string) (string, error) {
	steps, err := strconv.Atoi(way)
	if !m.stages || err == nil && steps == 1 {
		return folder, nil
	}
	stages, globbed := filepath.Glob(filepath.Join(r.dir, folder, "stages", "*"))
	number := func(path string) int { n, _ := strconv.Atoi(filepath.Base(path)); return n }
	slices.SortFunc(stages, func(a, b string) int { return number(b) - number(a) })
	if i := bits.TrailingZeros(uint(steps)) - 1; err == nil && i < len(stages) {
		return stages[i], nil
	}
	return "", errors.Join(fmt.Errorf("%s has no model for %s steps", folder, way), globbed)
}

// call runs the program in the folder.
func (r runner) call(args ...string) error {
	c := exec.Command(r.program, args...)
	c.Dir = r.dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
