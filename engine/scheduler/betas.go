package scheduler

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// betas are the keys of a discrete noise schedule.
type betas struct {
	NumTrainTimesteps int       `json:"num_train_timesteps"`
	BetaStart         float64   `json:"beta_start"`
	BetaEnd           float64   `json:"beta_end"`
	BetaSchedule      string    `json:"beta_schedule"`
	TrainedBetas      []float64 `json:"trained_betas"`
}

// mostTimesteps is the longest schedule: its βs are made whole. Published ones have
// 1000 steps, or 4000.
const mostTimesteps = 1_000_000

type zeroSNR struct {
	RescaleBetasZeroSNR bool `json:"rescale_betas_zero_snr"`
}

// The constructors' defaults: DDPM's, and Stable Diffusion's.
func linearBetas() betas { return betas{1000, 1e-4, 0.02, "linear", nil} }
func latentBetas(schedule string) betas {
	return betas{1000, 0.00085, 0.012, schedule, nil}
}

// cumulated returns ᾱₙ, the squared α of step n. extra are the schedules that
// the class knows beside the three that all of them know.
func (b betas) cumulated(zero bool, extra ...string) ([]float64, error) {
	list, err := b.list(extra...)
	if err != nil {
		return nil, err
	}
	product := 1.0
	for i, beta := range list {
		product *= 1 - beta
		list[i] = product
	}
	if zero {
		zeroTerminal(list)
	}
	return list, nil
}

// list returns the βs.
func (b betas) list(extra ...string) ([]float64, error) {
	n := b.NumTrainTimesteps
	if n < 2 || n > mostTimesteps {
		return nil, refuse("num_train_timesteps", n, fmt.Sprintf("2 to %d", mostTimesteps))
	}
	list := make([]float64, n)
	switch schedules := append([]string{"linear", "scaled_linear", "squaredcos_cap_v2"}, extra...); {
	case b.TrainedBetas != nil:
		if len(b.TrainedBetas) != n {
			return nil, refuse("trained_betas", fmt.Sprintf("[%d numbers]", len(b.TrainedBetas)), fmt.Sprintf("as many as num_train_timesteps, %d", n))
		}
		list = slices.Clone(b.TrainedBetas)
	case !slices.Contains(schedules, b.BetaSchedule):
		return nil, refuse("beta_schedule", b.BetaSchedule, strings.Join(schedules, ", "))
	case b.BetaSchedule == "linear":
		linspace(list, b.BetaStart, b.BetaEnd)
	case b.BetaSchedule == "scaled_linear":
		linspace(list, math.Sqrt(b.BetaStart), math.Sqrt(b.BetaEnd))
		for i, x := range list {
			list[i] = x * x
		}
	case b.BetaSchedule == "sigmoid":
		linspace(list, -6, 6)
		for i, x := range list {
			list[i] = (b.BetaEnd-b.BetaStart)/(1+math.Exp(-x)) + b.BetaStart
		}
	default:
		cumulated := cumulatedFormulas[b.BetaSchedule]
		for i := range list {
			before, after := cumulated(float64(i)/float64(n)), cumulated(float64(i+1)/float64(n))
			list[i] = math.Min(1-after/before, 0.999)
		}
	}
	for i, beta := range list {
		if !(beta > 0 && beta < 1) {
			return nil, refuse(fmt.Sprintf("β[%d]", i), beta, "a number between 0 and 1")
		}
	}
	return list, nil
}

// cumulatedFormulas are the schedules that are defined by ᾱ(t).
var cumulatedFormulas = map[string]func(t float64) float64{
	// Nichol and Dhariwal, "Improved Denoising Diffusion…" (2021), equation 17.
	"squaredcos_cap_v2": func(t float64) float64 {
		c := math.Cos((t + 0.008) / 1.008 * math.Pi / 2)
		return c * c
	},
	"exp": func(t float64) float64 { return math.Exp(-12 * t) },
	// diffusers takes √SNR/(1+SNR) for ᾱ where its name would have SNR/(1+SNR).
	// A network trained there knows this schedule, so this is the schedule.
	"laplace": func(t float64) float64 {
		lambda := -0.5 * math.Copysign(1, 0.5-t) * math.Log(1-2*math.Abs(0.5-t)+1e-6)
		snr := math.Exp(lambda)
		return math.Sqrt(snr / (1 + snr))
	},
}

// zeroTerminal moves and scales √ᾱ so that it ends at 0 and begins where it
// did: Lin et al., "Common Diffusion Noise Schedules and Sample Steps are
// Flawed" (2024), algorithm 1.
func zeroTerminal(cumulated []float64) {
	first, last := math.Sqrt(cumulated[0]), math.Sqrt(cumulated[len(cumulated)-1])
	for i, c := range cumulated {
		root := (math.Sqrt(c) - last) * first / (first - last)
		cumulated[i] = root * root
	}
}

// tinyTerminal is ᾱ of the last step where it is 0 and the scheduler needs
// σ/α to be finite.
const tinyTerminal = 1.0 / (1 << 24)

// ratios returns σ/α of every step, the noise level where α is scaled to 1.
func ratios(cumulated []float64) []float64 {
	sigmas := make([]float64, len(cumulated))
	for i, c := range cumulated {
		sigmas[i] = math.Sqrt((1 - c) / c)
	}
	return sigmas
}

// linspace is numpy's, to the bit: a step that is rounded and then multiplied, which
// decides at halves. first alone if there is one.
func linspace(list []float64, first, last float64) {
	n := len(list)
	step := (last - first) / math.Max(1, float64(n-1))
	for i := range list {
		list[i] = first + float64(float64(i)*step) // rounded: some processors would fuse
	}
	if n > 1 {
		list[n-1] = last
	}
}

// arange is numpy's arange(first, 0, -step), to the bit: what it multiplies is the
// difference of its first two entries.
func arange(first, step float64) []float64 {
	list := make([]float64, int(math.Ceil(first/step)))
	difference := (first - step) - first
	for i := range list {
		list[i] = first + float64(float64(i)*difference)
	}
	return list
}

// KeyError is a key whose value is not supported.
type KeyError struct{ Key, Value, Want string }

func (e *KeyError) Error() string {
	return fmt.Sprintf("%s = %s is not supported, want %s", e.Key, e.Value, e.Want)
}

func refuse(key string, value any, want string) error {
	if s, ok := value.(string); ok {
		value = strconv.Quote(s)
	}
	return &KeyError{key, shown(value), want}
}
