package scheduler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

// spacing are the keys that choose among a discrete schedule's times.
type spacing struct {
	TimestepSpacing string `json:"timestep_spacing"`
	StepsOffset     int    `json:"steps_offset"`
}

// spread says how a class spaces its times.
type spread struct {
	train int  // N: times are 0 … N−1
	last  int  // times below it are used
	steps int  // how many times are wanted
	extra bool // linspace and leading make one time more, 0, and drop it
	round bool // linspace rounds to whole times
}

// times returns the wanted times, from the noisiest down, whole unless linspace
// may leave them so.
func (s spacing) times(p *planner, w spread) ([]float64, error) {
	switch {
	case w.steps > w.train:
		return nil, fmt.Errorf("%d steps, want at most num_train_timesteps = %d", w.steps, w.train)
	case w.last < 1:
		return nil, errNoTimes
	}
	made := w.steps
	if w.extra {
		made++
	}
	list := make([]float64, made)
	switch s.TimestepSpacing {
	case "linspace":
		linspace(list, 0, float64(w.last-1))
		if made == 1 && p.correct(lonelyTime) {
			list[0] = float64(w.last - 1)
		}
		if w.round {
			for i, x := range list {
				list[i] = math.RoundToEven(x)
			}
		}
		slices.Reverse(list)
	case "leading":
		for i := range list {
			list[made-1-i] = float64(i * (w.last / made))
		}
	case "trailing":
		list = arange(float64(w.last), float64(w.train)/float64(w.steps))
		for i, x := range list {
			list[i] = math.RoundToEven(x) - 1
		}
		if end := len(list) - 1; list[end] < 0 {
			// Rounding made arange one entry too long.
			if !p.correct(extraTime) {
				return nil, refuse("timestep_spacing", "trailing", fmt.Sprintf("another number of steps: diffusers makes %d of %d and gives the network time −1", end+1, end))
			}
			list = list[:end]
		}
		return list, within(list, w.train)
	default:
		return nil, refuse("timestep_spacing", s.TimestepSpacing, "leading, linspace or trailing")
	}
	if w.extra {
		list = list[:w.steps]
	}
	if s.TimestepSpacing == "leading" {
		for i := range list {
			list[i] += float64(s.StepsOffset)
		}
	}
	return list, within(list, w.train)
}

var errNoTimes = errors.New("lambda_min_clipped leaves no time, want less of it")

func within(times []float64, train int) error {
	for _, n := range times {
		if n < 0 || n > float64(train-1) {
			return fmt.Errorf("the grid has time %g, want times from 0 to num_train_timesteps − 1 = %d: fewer steps, or another steps_offset", n, train-1)
		}
	}
	return nil
}

// interpolate is numpy's interp of a table at 0, 1, 2, …
func interpolate(table []float64, n float64) float64 {
	i := min(max(int(math.Floor(n)), 0), len(table)-1)
	if i == len(table)-1 {
		return table[i]
	}
	return table[i] + (table[i+1]-table[i])*(n-float64(i))
}

// timeOf inverts interpolate in ln σ, for a table that increases: the time at
// which the noise level is sigma, from 0 to the last.
func timeOf(sigma float64, table []float64) float64 {
	log := math.Log(math.Max(sigma, 1e-10))
	above := sort.Search(len(table), func(i int) bool { return math.Log(table[i]) > log })
	low := min(max(above-1, 0), len(table)-2)
	a, b := math.Log(table[low]), math.Log(table[low+1])
	w := math.Min(math.Max((a-log)/(a-b), 0), 1)
	return float64(low) + w
}
