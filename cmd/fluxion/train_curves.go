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
	record.Nothing
	dir  string
	tell func(text string)
	all  []record.Evaluation
}

func (c *curves) Begin(images int64) error {
	stats, err := rundir.Stats(c.dir)
	c.all = record.Evaluations(stats, images)
	return err
}

// Rewind reads what is left.
func (c *curves) Rewind(images int64) error { return c.Begin(images) }

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

// lossName is that of the curve of the loss in a run folder.
const lossName = "loss"

// lossCurve is a sink that draws it when the run ends, however that is.
type lossCurve struct {
	record.Nothing
	dir  string
	warn func(format string, args ...any)
	told bool // of a step
}

func (l *lossCurve) Status(record.Status) error {
	l.told = true
	return nil
}

func (l *lossCurve) Close() error {
	if !l.told {
		return nil
	}
	stats, err := rundir.Stats(l.dir)
	if err == nil {
		line := lossLine(stats, filepath.Base(l.dir))
		_, err = paper.DrawPlots(durable.Disk{}, l.dir, figures.Figure{
			Name: lossName, Title: "loss of " + line.Name, X: "images seen", Y: "running mean of the loss", Frames: []figures.Frame{{Series: []figures.Series{line}}},
		})
	}
	if err != nil {
		l.warn("no curve of the loss: %v", err)
	}
	return nil
}

// linePoints is about how many points of a curve can be told apart.
const linePoints = 1000

// lossLine is the loss by images seen, of a file of statistics.
func lossLine(stats []byte, name string) figures.Series {
	all := record.Losses(stats)
	line := figures.Series{Name: name, Kind: figures.Line}
	every := max(1, len(all)/linePoints)
	for i, l := range all {
		if (len(all)-1-i)%every == 0 {
			line.X, line.Y = append(line.X, float64(l.Images)), append(line.Y, l.Loss)
		}
	}
	return line
}
