package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/setting"
	"fluxion/engine/scheduler"
)

// schedulerFlags let a scheduler config of diffusers say what samplingFlags say.
type schedulerFlags struct {
	scheduler, compat string
	mu                *float64
	tokens            int
}

func (o *schedulerFlags) list(help string) setting.List {
	return append(setting.List{{Key: "scheduler", Value: setting.Of(&o.scheduler), Own: true, Help: help}}, scheduler.Settings(&o.compat, &o.mu, &o.tokens)...)
}

// check refuses settings that say nothing together, or the same twice; others are the
// command's own of what a config says.
func (o *schedulerFlags) check(s *samplingFlags, others ...string) error {
	s.config.Options.Compat = scheduler.Compats[o.compat] == scheduler.Diffusers
	if o.scheduler == "" {
		for _, key := range []string{"mu", "image_tokens"} {
			if s.sources.Has(key) {
				return fault.Usagef("%s: only a --scheduler with dynamic shifting takes it", s.sources.Source(key))
			}
		}
		return nil
	}
	for _, key := range append(others, saidByScheduler...) {
		if s.sources.Has(key) {
			return fault.Usagef("%s beside --scheduler, whose config says it; want one of the two", s.sources.Source(key))
		}
	}
	return nil
}

// saidByScheduler are the settings of what a scheduler config says.
var saidByScheduler = []string{"schedule", "clip_lambda", "shift", "scale", "zero_snr", "grid", "sampler", "invert", "epsilon", "order",
	"variable", "solver", "variance", "lower_order_final", "first_order_final", "tolerance"}

// options are those of a run by the config.
func (o *schedulerFlags) options(s *samplingFlags) scheduler.Options {
	c := s.config.Options
	options := scheduler.Options{Steps: c.Steps, Compat: scheduler.Compats[o.compat], Begin: c.Begin, Tokens: o.tokens}
	if c.Churn != nil || c.NoiseMin != 0 || c.NoiseMax != 0 || c.NoiseScale != 0 {
		options.Churn = scheduler.Churn{Min: c.NoiseMin, Max: c.NoiseMax, Scale: c.NoiseScale}
		if c.Churn != nil {
			options.Churn.Amount = *c.Churn
		}
	}
	options.Eta, options.Mu = c.Eta, o.mu
	return options
}

// planned resolves a config for the options; errors of the file are schedulerErrors, others of usage.
func planned(path string, config scheduler.Config, options scheduler.Options) (scheduler.Plan, error) {
	plan, err := config.Plan(options)
	if fault := (*scheduler.FileError)(nil); errors.As(err, &fault) {
		return plan, schedulerError{path, err}
	}
	if err != nil {
		return plan, fault.Usage(err)
	}
	return plan, nil
}

// shownScheduler is what there is to say of a scheduler config beside the run.
type shownScheduler struct {
	Class     string   `json:"class"`
	Output    string   `json:"output"`
	Corrected []string `json:"corrected"` // departures of diffusers that were left out
	Repeated  []string `json:"repeated"`  // and those that were repeated
	Unused    []string `json:"unused"`    // keys that the class does not have
}

func shownOf(p scheduler.Plan) *shownScheduler {
	return &shownScheduler{p.Class, p.Output, names(p.Corrected), names(p.Repeated), append([]string{}, p.Unused...)}
}

func (t *shownScheduler) show(out io.Writer) {
	for _, line := range t.lines() {
		fmt.Fprintln(out, line)
	}
}

func (t *shownScheduler) lines() []string {
	var lines []string
	for _, l := range []struct {
		about string
		names []string
	}{{"departures of diffusers left out", t.Corrected}, {"departures of diffusers repeated", t.Repeated}, {"keys without effect", t.Unused}} {
		if len(l.names) > 0 {
			lines = append(lines, l.about+": "+strings.Join(l.names, ", "))
		}
	}
	return lines
}

func names(departures []scheduler.Departure) []string {
	list := []string{}
	for _, d := range departures {
		list = append(list, d.Name)
	}
	return list
}

// schedulerError is a scheduler's file or folder that cannot be used.
type schedulerError struct {
	path string
	err  error
}

func (e schedulerError) Error() string { return fmt.Sprintf("scheduler %s: %v", e.path, e.err) }
func (e schedulerError) Unwrap() error { return e.err }
