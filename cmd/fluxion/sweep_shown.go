package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/sweeps"
)

// shownSweep is the result in JSON.
type shownSweep struct {
	Event string `json:"event"`
	*sweeps.Table
	Best    map[string]sweeps.Cell `json:"best"` // by value
	Made    int                    `json:"made"` // cells of this call
	Files   []string               `json:"files"`
	Notes   []string               `json:"notes"`
	Seconds float64                `json:"seconds"`
}

// best is the best cell by each value.
func (s *sweep) best() map[string]sweeps.Cell {
	best := map[string]sweeps.Cell{}
	for _, m := range s.metrics {
		for _, g := range m.Gives {
			for _, c := range s.table.Cells {
				v, ok := c.Metrics[g.Name]
				b, some := best[g.Name]
				if ok && (!some || (v > b.Metrics[g.Name]) == g.Higher && v != b.Metrics[g.Name]) {
					best[g.Name] = c
				}
			}
		}
	}
	return best
}

func (s *sweep) show(made int, paths []string, took time.Duration) error {
	best := s.best()
	return s.face.Result(shownSweep{"done", s.table, best, made, paths, orEmpty(s.notes), took.Seconds()}, func(out io.Writer) error {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, strings.Join(append([]string{"sampler", "steps", "guidance", "weights", "NFE"}, s.table.Values...), "\t"))
		for _, c := range s.table.Cells {
			row := []string{c.Sampler, strconv.Itoa(c.Steps), fmt.Sprint(c.Guidance), c.Weights, shownNFE(c)}
			fmt.Fprintln(w, strings.Join(append(row, s.shownValues(c)...), "\t"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for _, name := range s.table.Values {
			if c, ok := best[name]; ok {
				if _, err := fmt.Fprintf(out, "best        %s %.6g: %v, NFE %s\n", name, c.Metrics[name], c.Way, shownNFE(c)); err != nil {
					return err
				}
			}
		}
		for _, n := range s.notes[s.told:] {
			if _, err := fmt.Fprintln(out, console.Visible(noteLine(n))); err != nil {
				return err
			}
		}
		sets := fmt.Sprintf("%s images a cell of %s", console.Thousands(int64(s.count)), s.sides[0].path)
		if len(s.sides) == 2 {
			sets += " against " + s.sides[1].path
		}
		_, err := fmt.Fprintf(out, "%s; %s; %d cells made in %.1f s\ntable       %s\n", sets, s.how(), made, took.Seconds(), strings.Join(paths, " "))
		return err
	})
}

func shownNFE(c sweeps.Cell) string {
	if c.NFE == 0 {
		return "-"
	}
	return strconv.FormatFloat(c.NFE, 'f', -1, 64)
}

// shownValues are those of a cell, or its problem.
func (s *sweep) shownValues(c sweeps.Cell) []string {
	if c.Problem != "" {
		return []string{console.Visible(c.Problem)}
	}
	var texts []string
	for _, name := range s.table.Values {
		v, ok := c.Metrics[name]
		text := "-"
		if ok {
			text = fmt.Sprintf("%.6g", v)
		}
		if e := c.Errors[name]; e != 0 {
			text += fmt.Sprintf(" ± %.2g", e)
		}
		texts = append(texts, text)
	}
	return texts
}

// tell tells of a cell that is done.
func (s *sweep) tell(c sweeps.Cell, done, of int) {
	line := fmt.Sprintf("%d/%d  %v:", done, of, c.Way)
	if c.Problem != "" {
		line += " " + c.Problem
	} else {
		for i, text := range s.shownValues(c) {
			line += " " + s.table.Values[i] + " " + text
		}
	}
	s.face.Event("cell", map[string]any{"cell": c, "done": done, "of": of}, line)
}

// sweepProgress shows how far a sweep is.
type sweepProgress struct {
	console.Face
	cells    []plannedCell
	count    int
	at       int
	started  time.Time
	shown    time.Time
	finished []timed
}

// timed is the work and the seconds of a cell that is done.
type timed struct{ work, seconds float64 }

func newSweepProgress(face console.Face, cells []plannedCell, count int) *sweepProgress {
	face.Begin()
	return &sweepProgress{Face: face, cells: cells, count: count, shown: time.Now()}
}

func (p *sweepProgress) begin(i int) { p.at, p.started = i, time.Now() }

func (p *sweepProgress) end() {
	p.finished = append(p.finished, timed{p.cells[p.at].work, time.Since(p.started).Seconds()})
	p.Face.End()
}

func (p *sweepProgress) show(images int) {
	if time.Since(p.shown) < samplePeriod {
		return
	}
	p.shown = time.Now()
	left, way := p.left(images, time.Since(p.started).Seconds()), p.cells[p.at].way
	p.Status(map[string]any{"cell": p.at, "cells": len(p.cells), "way": way, "images": images, "of": p.count, "left_seconds": left.Seconds()},
		fmt.Sprintf("cell %d/%d, %v: %s/%s images  %s left", p.at+1, len(p.cells), way, console.Thousands(int64(images)), console.Thousands(int64(p.count)), left.Round(time.Second)), false)
}

// left is the time that the rest takes. Seconds of a cell are a line in its work, for
// features take the same whatever the steps; through 0 where there are not two cells to
// tell.
func (p *sweepProgress) left(images int, spent float64) time.Duration {
	share := float64(images) / float64(p.count)
	known := p.finished
	if len(known) == 0 {
		known = []timed{{p.cells[p.at].work, spent / share}}
	}
	base, rate := line(known)
	rest := 0.0
	for _, c := range p.cells[p.at+1:] {
		rest += base + rate*c.work
	}
	return time.Duration((rest + spent*(1/share-1)) * float64(time.Second))
}

// line is the least-squares line through points, neither falling nor beginning below 0.
func line(points []timed) (base, rate float64) {
	n := float64(len(points))
	var mx, my, sxx, sxy float64
	for _, p := range points {
		mx += p.work / n
		my += p.seconds / n
	}
	for _, p := range points {
		sxx += (p.work - mx) * (p.work - mx)
		sxy += (p.work - mx) * (p.seconds - my)
	}
	if sxx > 0 {
		rate = max(0, sxy/sxx)
		if base = my - rate*mx; base >= 0 {
			return base, rate
		}
	}
	return 0, my / mx
}
