package main

import (
	"errors"
	"fmt"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/sweeps"
	"fluxion/engine/model"
	"fluxion/engine/sampler"
)

// plannedCell is a cell that can be sampled.
type plannedCell struct {
	way  sweeps.Way
	text map[string]string // how
	nfe  float64           // 0: not known before
	work float64           // evaluations of the network for an image, for the time left
}

// fewOf reads the model and says for which steps it was trained, if for few.
func (s *sweep) fewOf(path string) (*sampler.Few, error) {
	if _, err := model.Newest(path); errors.As(err, new(*model.AddressError)) {
		return nil, modelError{path, err}
	}
	if !model.Is(path) {
		return nil, fault.Usagef("%s is no model; sweep samples a run, a checkpoint or a diffusers folder", path)
	}
	if s.count == 0 {
		return nil, fault.Usagef("say how many images of each cell to judge, with --count N")
	}
	o := s.sampleOptions
	o.model = path
	if len(s.options.ofModel) > 0 {
		o.weights = s.options.ofModel[0]
	}
	m, err := o.readModel()
	if err != nil {
		return nil, err
	}
	s.models[o.weights] = m
	return m.Few, nil
}

// plan settles how each cell is sampled, opens REAL, and says what cannot be, before
// anything is sampled.
func (s *sweep) plan(args []string, ways []sweeps.Way) (problems []sweeps.Cell, err error) {
	path := args[0]
	var sampled *modelSource
	why := map[sweeps.Way]error{}
	for _, w := range ways {
		m, err := s.cell(path, w)
		if bad := (modelError{}); errors.As(err, &bad) {
			return nil, err
		}
		if err != nil {
			why[w] = err
			problems = append(problems, sweeps.Cell{Way: w, Problem: err.Error()})
			continue
		}
		sampled = m
		p := plannedCell{way: w, text: m.text(), nfe: float64(len(m.job.run.table.Rows))}
		if p.work = p.nfe; p.work == 0 {
			p.work = unknownCalls
		}
		if w.Guidance != 1 {
			p.work *= 2
		}
		s.planned = append(s.planned, p)
	}
	notes, err := impossible(ways, why)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		s.note(n)
	}
	s.sides = append(s.sides, &side{path: path, source: sampled, sampling: sampled.text()})
	if len(args) == 2 {
		if model.Is(args[1]) {
			return nil, fault.Usagef("%s is a model; REAL of a sweep is data, or statistics of eval --save", args[1])
		}
		if err := s.openSide(&side{path: args[1]}, false); err != nil {
			return nil, err
		}
		if err := s.follow(); err != nil {
			return nil, err
		}
	}
	return problems, s.check()
}

// unknownCalls stands for those of a sampler that chooses its steps.
const unknownCalls = 100

// impossible names the values that no cell can have, and why; it refuses a sweep of which
// nothing is left.
func impossible(ways []sweeps.Way, why map[sweeps.Way]error) (notes []string, err error) {
	for _, value := range []func(w sweeps.Way) string{
		func(w sweeps.Way) string { return "sampler " + w.Sampler },
		func(w sweeps.Way) string { return fmt.Sprintf("steps %d", w.Steps) },
		func(w sweeps.Way) string { return fmt.Sprintf("guidance %g", w.Guidance) },
		func(w sweeps.Way) string { return "weights " + w.Weights },
	} {
		possible := map[string]bool{}
		for _, w := range ways {
			possible[value(w)] = possible[value(w)] || why[w] == nil
		}
		for _, w := range ways {
			if v := value(w); !possible[v] {
				possible[v] = true // it is said once
				notes = append(notes, fmt.Sprintf("no cell of %s can be sampled: %v", v, why[w]))
			}
		}
	}
	if len(why) == len(ways) {
		return nil, fmt.Errorf("no cell can be sampled: %w", why[ways[0]])
	}
	return notes, nil
}

// cell is the samples of one way. Weights of the model are read once.
func (s *sweep) cell(path string, w sweeps.Way) (*modelSource, error) {
	o := s.options.sampling(w)
	o.model = path
	return s.sampled(o, s.count, func() (*model.Model, error) {
		if s.models[w.Weights] == nil {
			m, err := o.readModel()
			if err != nil {
				return nil, err
			}
			s.models[w.Weights] = m
		}
		return s.models[w.Weights], nil
	})
}
