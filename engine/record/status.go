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
	NoiseScale      float64 // of gradients, in images; 0: not measured
	ImagesPerSecond float64
	Time            time.Time
	Elapsed, Left   time.Duration // of the whole run, times before it was resumed included
	Skipped         []string      // undecodable images left out, in the order in which they were met
}

// PerSecond is how many a second n in a time are. Of a short time a coarse clock says that it is
// none: a millisecond is the least.
func PerSecond(n float64, took time.Duration) float64 {
	return n / max(took, time.Millisecond).Seconds()
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
	// Grid takes a picture of samples, and Checkpoint one that is on the disk.
	Grid(File) error
	Checkpoint(File) error
	// Distributions takes those of weights and gradients after so many images, where they
	// are asked for.
	Distributions(images int64, list []Distribution) error
	// Rewind says that the run went back and goes on after so many images: what was told of
	// later ones is void.
	Rewind(images int64) error
	// Close ends what Begin began.
	Close() error
}

// File is one that a run wrote, after so many images.
type File struct {
	Path   string
	Images int64
}

// Distribution is how the values of a tensor are spread.
type Distribution struct {
	Name   string // of the tensor: weights/NAME, gradients/NAME
	Counts Counts
}

// Nothing is a sink that takes nothing. Others embed it and take what they have use for.
type Nothing struct{}

func (Nothing) Begin(int64) error                         { return nil }
func (Nothing) Status(Status) error                       { return nil }
func (Nothing) Evaluation(Evaluation) error               { return nil }
func (Nothing) Grid(File) error                           { return nil }
func (Nothing) Checkpoint(File) error                     { return nil }
func (Nothing) Distributions(int64, []Distribution) error { return nil }
func (Nothing) Rewind(int64) error                        { return nil }
func (Nothing) Close() error                              { return nil }

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

// each tells all of them, up to one that fails.
func (s Sinks) each(tell func(Sink) error) error {
	for _, sink := range s {
		if err := tell(sink); err != nil {
			return err
		}
	}
	return nil
}

func (s Sinks) Status(status Status) error {
	return s.each(func(sink Sink) error { return sink.Status(status) })
}

func (s Sinks) Evaluation(e Evaluation) error {
	return s.each(func(sink Sink) error { return sink.Evaluation(e) })
}

func (s Sinks) Grid(f File) error { return s.each(func(sink Sink) error { return sink.Grid(f) }) }

func (s Sinks) Checkpoint(f File) error {
	return s.each(func(sink Sink) error { return sink.Checkpoint(f) })
}

func (s Sinks) Distributions(images int64, list []Distribution) error {
	return s.each(func(sink Sink) error { return sink.Distributions(images, list) })
}

func (s Sinks) Rewind(images int64) error {
	return s.each(func(sink Sink) error { return sink.Rewind(images) })
}

func (s Sinks) Close() (err error) {
	for _, sink := range s {
		err = errors.Join(err, sink.Close())
	}
	return err
}
