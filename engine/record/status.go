// Package record is what a run says of itself while it trains, and where that goes:
// a status, what metrics say, and the sinks that take both. It knows neither the loop
// nor the folder of a run. A new sink is one file here and one line in the loop's list.
package record

import (
	"errors"
	"time"
)

// Status is how far a run is.
type Status struct {
	Images, Of      int64
	Steps           int64
	Loss            float64 // running mean
	Baseline        float64 // the loss of a network without knowledge
	LR              float64
	GradNorm        float64
	ImagesPerSecond float64
	Time            time.Time
	Elapsed, Left   time.Duration // of the whole run, times before it was resumed included
	Skipped         []string      // undecodable images left out, in the order in which they were met
}

// Sink takes what a run says: a screen, a file, a service.
type Sink interface {
	// Begin comes first. The run goes on after so many images: what was recorded of
	// later ones, which will be seen again, is void.
	Begin(images int64) error
	// Status takes one. An error ends the run; that a disk is full for a while is none.
	Status(Status) error
	// Evaluation takes what metrics say, where a run is evaluated; errors as of Status.
	Evaluation(Evaluation) error
	// Close ends what Begin began.
	Close() error
}

// Func is a sink of statuses alone that has nothing to open.
type Func func(Status) error

func (Func) Begin(int64) error           { return nil }
func (f Func) Status(s Status) error     { return f(s) }
func (Func) Evaluation(Evaluation) error { return nil }
func (Func) Close() error                { return nil }

// Sinks are told in this order; one that fails is the last.
type Sinks []Sink

// Begin begins all of them, or closes those that it had begun.
func (s Sinks) Begin(images int64) error {
	for i, sink := range s {
		if err := sink.Begin(images); err != nil {
			return errors.Join(err, s[:i].Close())
		}
	}
	return nil
}

func (s Sinks) Status(status Status) error {
	for _, sink := range s {
		if err := sink.Status(status); err != nil {
			return err
		}
	}
	return nil
}

func (s Sinks) Evaluation(e Evaluation) error {
	for _, sink := range s {
		if err := sink.Evaluation(e); err != nil {
			return err
		}
	}
	return nil
}

func (s Sinks) Close() (err error) {
	for _, sink := range s {
		err = errors.Join(err, sink.Close())
	}
	return err
}
