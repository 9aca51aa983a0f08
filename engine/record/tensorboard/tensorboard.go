// Package tensorboard writes what a run says of itself as events that TensorBoard reads:
// scalars, grids as images, distributions of weights and gradients as histograms, settings
// as hyper-parameters. What it calls a step is an image seen.
package tensorboard

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fluxion/engine/record"
)

// Sink writes into a folder of its own, a file for each process that trains.
type Sink struct {
	record.Nothing
	dir        string
	parameters map[string]any
	of         int64 // images of the run
	warn       func(format string, args ...any)

	file *os.File
	size int64 // of it, up to the last whole event
	seen int64 // images
	lost bool  // the last event: the disk may be full for a while
}

// New returns a sink. Parameters are numbers (float64), texts and truth values. A run ends
// after so many images. What the disk does not take is left out, and warned of.
func New(dir string, parameters map[string]any, of int64, warn func(format string, args ...any)) *Sink {
	return &Sink{dir: dir, parameters: parameters, of: of, warn: warn}
}

// Begin begins a file. Those of processes before stay: their later events are void.
func (s *Sink) Begin(images int64) error {
	s.seen = images
	now := time.Now()
	s.add(version(now))
	s.add(restart(now, images))
	s.add(event(now, images).summary(beginning(now, s.parameters)))
	return nil
}

func (s *Sink) Rewind(images int64) error {
	s.seen = images
	s.add(restart(time.Now(), images))
	return nil
}

func (s *Sink) Status(t record.Status) error {
	s.seen = t.Images
	values := []message{scalar("train/loss", t.Loss), scalar("train/lr", t.LR), scalar("train/grad_norm", t.GradNorm), scalar("train/images_per_second", t.ImagesPerSecond)}
	if t.NoiseScale > 0 {
		values = append(values, scalar("train/noise_scale", t.NoiseScale))
	}
	s.add(event(t.Time, t.Images).summary(values...))
	return nil
}

func (s *Sink) Evaluation(e record.Evaluation) error {
	var values []message
	for _, v := range e.Values {
		values = append(values, scalar("eval/"+v.Name, v.Value))
	}
	s.add(event(e.Time, e.Images).summary(values...))
	return nil
}

func (s *Sink) Grid(f record.File) error {
	file, err := os.ReadFile(f.Path)
	var value message
	if err == nil {
		value, err = picture("samples", file)
	}
	if err != nil {
		s.warn("TensorBoard has no grid after %d images: %v", f.Images, err)
		return nil
	}
	s.add(event(time.Now(), f.Images).summary(value))
	return nil
}

func (s *Sink) Distributions(images int64, list []record.Distribution) error {
	var values []message
	for _, d := range list {
		values = append(values, histogram(d))
	}
	s.add(event(time.Now(), images).summary(values...))
	return nil
}

// Close says whether the run came to its end.
func (s *Sink) Close() error {
	status := int64(failed)
	if s.seen >= s.of {
		status = succeeded
	}
	now := time.Now()
	s.add(event(now, s.seen).summary(ending(now, status)))
	if s.file != nil {
		return s.file.Close()
	}
	return nil
}

// add writes an event whole or not at all: readers give up at one that is cut.
func (s *Sink) add(m message) {
	err := s.open()
	if err == nil {
		data := framed(m)
		if _, err = s.file.WriteAt(data, s.size); err == nil {
			s.size += int64(len(data))
			s.lost = false
			return
		}
		_ = s.file.Truncate(s.size) // or the next event overwrites it
	}
	if !s.lost {
		s.lost = true
		s.warn("TensorBoard misses events, the run goes on: %v", err)
	}
}

// open makes the file, named so that a reader takes files in the order of their making.
func (s *Sink) open() (err error) {
	if s.file != nil {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.0", time.Now().Unix(), host, os.Getpid())
	s.file, err = os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	return err
}
