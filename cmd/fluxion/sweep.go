package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/cmd/fluxion/internal/sweeps"
	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/generate"
	"fluxion/engine/likelihood"
	"fluxion/engine/model"

	"github.com/spf13/cobra"
)

type sweepOptions struct {
	evalOptions
	axes                                     []sweepAxis
	samplers, steps, scales, ofModel, sigmas []string
	out                                      string
	disk                                     durable.Disk
}

func newSweep() *cobra.Command { return newSweepOn(durable.Disk{}) }

// newSweepOn is for tests, whose disks fail.
func newSweepOn(disk durable.Disk) *cobra.Command {
	o := &sweepOptions{disk: disk}
	c := &cobra.Command{
		Use:   "sweep MODEL [REAL]",
		Short: "Judge a model over samplers, steps, guidance and weights, as a table and plots",
		Long: `Judge a model over all combinations of samplers, steps, guidance and weights:
each is a cell of a table. What a cell is worth is what eval says of samples that
are made so, with the same settings; all cells have the same seeds, and REAL is
looked at once. NFE is how often a sampler calls the network for an image; guidance
doubles the work of a call.

OUT/sweep.json and sweep.csv are written after every cell, and a plot of each value
over NFE as PNG and SVG; where there is one number of steps, over guidance, or over the
width of the weights' average if there are several (--ema-sigma; see convert). The same
command goes on where it was stopped, and one with more samplers, steps, guidance or
weights adds cells. Where anything else differs that decides values, nothing is done,
and what differs is named (exit code 4).

A combination that cannot be sampled, or gives numbers that are not finite, stands in
the table with the reason. A value that no cell can have, such as a guidance of a model
without classes, is named before the first is sampled; nothing is if none can be.`,
		Example: `  fluxion sweep runs/glyphs-tiny glyphs --samplers euler,heun,dpm++-2m --steps 5,10,20 --metrics fd,kid --network glyph --count 1000 --out sweep
  fluxion sweep runs/pictures-small pictures.npz --guidance 0,1,1.5,2,3 --model-weights ema,raw --count 5000 --out guidance
  fluxion sweep runs/glyphs-tiny glyphs --ema-sigma 0.03,0.05,0.07,0.1,0.15,0.2 --metrics fd --network glyph --count 1000 --out widths`,
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args); n != 1 && n != 2 {
				return fault.Usagef("sweep takes MODEL and REAL, or MODEL alone; there are %d arguments", n)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return goesOn(o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args), "the same command")
		},
	}
	c.Flags().SortFlags = false
	o.sources = settings.Bind(c, o.list())
	c.Flags().Lookup("clip").NoOptDefVal = "true"
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

// sweep is one call of the command.
type sweep struct {
	*judging
	options *sweepOptions
	models  map[string]*model.Model // by weights
	planned []plannedCell
	table   *sweeps.Table
	told    int // of the notes
	folder  sweeps.Folder
}

func (o *sweepOptions) run(ctx context.Context, face console.Face, args []string) (err error) {
	o.json = false // of the sampling within
	o.imply(args)
	s := &sweep{judging: &judging{evalOptions: &o.evalOptions, face: face}, options: o, models: map[string]*model.Model{}}
	if o.out == "" {
		return fault.Usagef("--out is needed: the folder for the table")
	}
	for _, name := range s.names {
		if likelihood.Is(name) {
			return fault.Usagef("--metrics %s: of the model itself, whatever it is sampled by; fluxion eval MODEL DATA --metrics %[1]s", name)
		}
	}
	if err := errors.Join(cmp.Or(outdir.Check("--out", o.out), outdir.Begun(o.out, func(name string) bool { return name == sweeps.File })), s.choose(len(args) == 2)); err != nil {
		return err
	}
	few, err := s.fewOf(args[0])
	if err != nil {
		return err
	}
	ways, err := o.ways(few)
	if err != nil {
		return err
	}
	dev, err := machine.Open(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	s.extractor.Device = dev
	if s.extractor.Precision, err = device.Precision(o.precise, dev.Target()); err != nil {
		return fault.Usagef("--features-precision: %w", err)
	}
	begin := time.Now()
	defer s.close()
	problems, err := s.plan(args, ways)
	if err != nil {
		return err
	}
	common, err := s.settings()
	if err != nil {
		return err
	}
	s.folder = sweeps.Folder{Path: o.out, Disk: o.disk}
	var leave func() error
	if s.table, leave, err = s.folder.Open(common); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	for _, c := range problems {
		if s.table.Lacks(c.Way) { // or what can be sampled no more keeps its values
			s.table.Put(c)
		}
	}
	made, err := s.fill(ctx, ways)
	if err != nil {
		return err
	}
	paths, err := s.write(ways)
	if err != nil {
		return err
	}
	return s.show(made, paths, time.Since(begin))
}

// fill samples and judges the cells that are not in the table yet, and writes it after
// each.
func (s *sweep) fill(ctx context.Context, ways []sweeps.Way) (made int, err error) {
	var todo []plannedCell
	for _, p := range s.planned {
		if s.table.Lacks(p.way) {
			todo = append(todo, p)
		}
	}
	s.told = len(s.notes)
	text := []string{fmt.Sprintf("%d cells, of which %d are to be sampled, of %s images each", len(ways), len(todo), console.Thousands(int64(s.count)))}
	for _, n := range s.notes {
		text = append(text, noteLine(n))
	}
	s.face.Event("start", map[string]any{"cells": len(ways), "planned": len(todo), "out": s.options.out, "device": s.extractor.Device.Describe(), "notes": orEmpty(s.notes)}, text...)
	if len(todo) == 0 {
		return 0, nil
	}
	s.extractor.Batch = min(s.extractor.Batch, max(s.count, s.realImages()))
	network, err := evaluate.NewCollector(s.extractor, s.needs[0].Join(s.needs[1]))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	if err := network.Load(); err != nil {
		return 0, err
	}
	real, err := s.realSet(ctx, network)
	if err != nil {
		return 0, err
	}
	progress := newSweepProgress(s.face, todo, s.count)
	for i, p := range todo {
		progress.begin(i)
		cell, err := s.judge(ctx, p, network, real, progress)
		if err != nil {
			return i, err
		}
		progress.end()
		s.table.Put(cell)
		if _, err := s.write(ways); err != nil {
			return i, err
		}
		s.tell(cell, i+1, len(todo))
	}
	return len(todo), nil
}

// realImages is how many images of REAL are looked at.
func (s *sweep) realImages() int {
	if len(s.sides) < 2 || s.sides[1].source == nil {
		return 0
	}
	return s.sides[1].source.Len()
}

// realSet is what is known of REAL; nil where there is none.
func (s *sweep) realSet(ctx context.Context, network *evaluate.Collector) (*evaluate.Set, error) {
	if s.realImages() == 0 {
		if len(s.sides) == 2 {
			return s.sides[1].stored, nil
		}
		return nil, nil
	}
	real := s.sides[1]
	progress := newImageProgress(s.face, real.path, real.source.Len())
	defer s.face.End()
	return network.Collect(ctx, real.source, s.needs[1], func(done int) error {
		progress.show(done)
		return nil
	})
}

func (s *sweep) write(ways []sweeps.Way) ([]string, error) {
	s.table.Order(ways)
	s.table.About = map[string]string{"model": s.sides[0].path, "sampling": "seeds " + fmt.Sprintf("0-%d", s.count-1), "features": s.how()}
	if len(s.sides) == 2 {
		s.table.About["real"] = s.sides[1].path
	}
	return s.folder.Write(s.table)
}

// judge samples a cell. Numbers that are not finite make it a problem, and end nothing.
func (s *sweep) judge(ctx context.Context, p plannedCell, network *evaluate.Collector, real *evaluate.Set, progress *sweepProgress) (sweeps.Cell, error) {
	cell := sweeps.Cell{Way: p.way, NFE: p.nfe}
	begin := time.Now()
	m, err := s.cell(s.sides[0].path, p.way)
	if err != nil {
		return cell, err
	}
	set, err := network.Collect(ctx, m, s.needs[0], func(done int) error {
		progress.show(done)
		return nil
	})
	if bad := (*generate.NotFiniteError)(nil); errors.As(err, &bad) {
		cell.Problem, cell.Tried = strings.ReplaceAll(bad.Error(), "\n", " "), true
		return cell, nil
	}
	if err != nil {
		return cell, err
	}
	values, err := evaluate.Compute(ctx, s.metrics, set, real, s.take)
	if stopped := context.Cause(ctx); stopped != nil {
		return cell, stopped
	}
	if err != nil {
		return cell, fault.Usage(err)
	}
	cell.NFE, cell.Images = float64(m.calls)/float64(set.N), set.N
	cell.Metrics, cell.Errors = map[string]float64{}, map[string]float64{}
	for _, v := range values {
		s.table.Name(v.Name)
		cell.Metrics[v.Name] = v.Value
		if v.Error != 0 {
			cell.Errors[v.Name] = v.Error
		}
	}
	cell.Seconds = time.Since(begin).Seconds()
	return cell, nil
}
