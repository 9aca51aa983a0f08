package main

import (
	"fmt"
	"path/filepath"

	"fluxion/cmd/fluxion/internal/paper"
	"fluxion/data/durable"
	"fluxion/engine/figures"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
)

// curvesDir of a run folder holds a curve of each value over the images seen, as PNG, SVG
// and CSV.
const curvesDir = "evaluation"

// curves is a sink that draws them anew after every evaluation.
type curves struct {
	dir  string
	tell func(text string)
	all  []record.Evaluation
}

func (c *curves) Begin(images int64) error {
	stats, err := rundir.Stats(c.dir)
	c.all = record.Evaluations(stats, images)
	return err
}

func (*curves) Status(record.Status) error { return nil }
func (*curves) Close() error               { return nil }

// Evaluation draws what compares with the newest. A disk that is full for a while ends no
// run.
func (c *curves) Evaluation(e record.Evaluation) error {
	c.all = append(c.all, e)
	dir := filepath.Join(c.dir, curvesDir)
	err := durable.Disk{}.MkdirAll(dir)
	for _, v := range e.Values {
		if err == nil {
			_, err = paper.Draw(dir, c.figure(v.Name, e.Of))
		}
	}
	if err != nil {
		c.tell(fmt.Sprintf("no curves after %d images, the run goes on: %v", e.Images, err))
	}
	return nil
}

// figure is the curve of a value.
func (c *curves) figure(name, of string) figures.Figure {
	line := figures.Series{Name: name, Kind: figures.Marked}
	for _, e := range c.all {
		if y, ok := e.Value(name); ok && e.Of == of {
			line.X, line.Y = append(line.X, float64(e.Images)), append(line.Y, y)
		}
	}
	if len(line.X) == 1 {
		line.Kind = figures.Points
	}
	return figures.Figure{
		Name: name, Title: fmt.Sprintf("%s of %s", name, filepath.Base(c.dir)), Caption: of, X: "images seen", Y: name, Frames: []figures.Frame{{Series: []figures.Series{line}}},
	}
}
