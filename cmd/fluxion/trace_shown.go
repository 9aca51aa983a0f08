package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"fluxion/engine/sampler"
	"fluxion/engine/trace"
)

// real is a number in JSON, null where it is infinite or none.
type real float64

func (r real) MarshalJSON() ([]byte, error) {
	if x := float64(r); !math.IsInf(x, 0) && !math.IsNaN(x) {
		return json.Marshal(x)
	}
	return []byte("null"), nil
}

func reals(values []float64) []real {
	list := make([]real, len(values))
	for i, v := range values {
		list[i] = real(v)
	}
	return list
}

type tracePoint struct {
	T      real `json:"t"`
	Alpha  real `json:"alpha"`
	Sigma  real `json:"sigma"`
	Lambda real `json:"lambda"`
	N      real `json:"n"`
}

type traceCall struct {
	Point real `json:"point"`
	N     real `json:"n"`
}

type traceWeights struct {
	Start   real   `json:"start"`
	Outputs []real `json:"outputs"`
	Noise   []real `json:"noise"`
}

// shownTrace is a run to be shown.
type shownTrace struct {
	sampler, schedule, output string
	grid                      sampler.Grid
	result                    trace.Result
	scheduler                 *shownScheduler // nil without one
}

// traceObject is a run for a machine.
type traceObject struct {
	Grid      []tracePoint    `json:"grid"`
	States    [][]real        `json:"states"`
	Calls     []traceCall     `json:"calls"`
	Weights   *traceWeights   `json:"weights"`
	Sampler   string          `json:"sampler"`
	Schedule  string          `json:"schedule"`
	Scheduler *shownScheduler `json:"scheduler,omitempty"`
}

func (s shownTrace) object() (t traceObject) {
	for _, q := range s.grid.Points {
		t.Grid = append(t.Grid, tracePoint{real(q.Time), real(q.Alpha), real(q.Sigma), real(q.LogSNR), real(q.NetworkTime)})
	}
	for _, z := range s.result.States {
		t.States = append(t.States, reals(z))
	}
	for _, c := range s.result.Calls {
		t.Calls = append(t.Calls, traceCall{real(c.Position), real(c.Point.NetworkTime)})
	}
	if w := s.result.Weights; w != nil {
		t.Weights = &traceWeights{real(w.Start), reals(w.Outputs), reals(w.Noise)}
	}
	t.Sampler, t.Schedule, t.Scheduler = s.sampler, s.schedule, s.scheduler
	return t
}

// show writes the run as a table.
func (s shownTrace) show(out io.Writer) error {
	fmt.Fprintf(out, "%s on %s/%s, %d calls\n", s.sampler, s.schedule, s.output, len(s.result.Calls))
	if s.scheduler != nil {
		s.scheduler.show(out)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "t\tα\tσ\tλ\tn\tstate\t")
	for i, q := range s.grid.Points {
		var values []string
		for _, v := range s.result.States[i] {
			values = append(values, fmt.Sprintf("%.6g", v))
		}
		fmt.Fprintf(w, "%.5g\t%.5g\t%.5g\t%.5g\t%.5g\t%s\t\n", q.Time, q.Alpha, q.Sigma, q.LogSNR, q.NetworkTime, strings.Join(values, " "))
	}
	return w.Flush()
}
