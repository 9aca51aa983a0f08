package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/runpage"
	"fluxion/cmd/fluxion/internal/second"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
	"fluxion/engine/train"
	"fluxion/kernels/cpu"
	"fluxion/nets/catalog"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

type trainOptions struct {
	given   train.Settings // defaults, and what the user says over them
	sources *settings.Sources
	out     string
	fresh   bool
	from    int64
	world   int // processes that train
	dryRun  bool
	json    bool
	ignore  []string
	lacks   error // of a new run

	onCheckpoint string // a command of the shell
	serve        string // where the run's page is; "": nowhere
}

func newTrain() *cobra.Command {
	o := &trainOptions{}
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a model; the same command again resumes it",
		Long: `Train a model. Without arguments it is a small class-conditional network on
glyphs, an embedded set of digits. The run folder holds the resolved settings,
statistics, sample grids and checkpoints that diffusers opens. The same command
again resumes from the newest checkpoint, to the bit. Whatever ends a run but a
kill, it first saves its last step and says in log.txt why it ended. SIGUSR1 asks
for a checkpoint, a grid and an evaluation at once. It goes on if nobody reads what it prints.
Data may have moved or grown when a run is resumed; with other classes, or images
of another shape, it cannot go on.

--self-conditioning 0.5 trains a network that is given its own last estimate of
the clean image behind the noisy one: in training for half of the images, from a
pass without gradient, which makes steps a third longer; the others get none.
The folder says so, in_channels is twice out_channels, and sample needs no flag.

--eval-every 5000 judges samples of the average along the run, as eval does those of
its checkpoint: --eval-metrics fd,kid against the data (or --eval-real), in features of
the networks that eval has. --keep-best fd keeps the checkpoint that is best so far
beside the newest: RUN@best is it, wherever a model is asked for. The folder evaluation
has curves. Nothing of it shows in the weights; a kill or a signal leaves no gap, and
numbers that are not finite are a note.

--serve 8080 shows curves, grids and the log in a browser, --tensorboard writes events
for TensorBoard (tensorboard --logdir runs). Every run folder has loss.png when the run
ends, and metrics.prom for the textfile collector of Prometheus' node exporter. fluxion
runs lists all of them.

What was announced as a checkpoint is on the disk. --fresh and --from N (go back to
checkpoint N, as where the newest cannot be used) set aside what the folder holds,
under names that begin with .previous-; it is removed when there is a new
checkpoint, and comes back if there is none, after a kill when the folder is used
again.

` + settings.Help + ` A run that is resumed keeps what its config.json says where
nothing else is said; device, threads and blockings are not part of it. A new run
takes the rest from the preset, which is a network and how it is trained:
` + presetsText() + `

--recipe NAME is a preset and all settings of a paper, over which flags go as over a
preset's (fluxion recipes lists them); a run that goes on keeps its own:
` + recipesText(),
		Example: `  fluxion train
  fluxion train --data mnist:$HOME/mnist --size 32
  fluxion train --eval-every 3400 --eval-count 500 --keep-best fd
  fluxion train --data photos.zip --size 64 --preset small --out runs/photos`,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout()) },
	}
	c.Flags().SortFlags = false // what matters most comes first
	o.given = train.Default()
	o.sources = settings.Bind(c, append(o.given.List(),
		setting.Setting{Key: "out", Value: setting.Of(&o.out), Own: true, Help: "run folder (default runs/<data>-<preset>, or the recipe's name, and the objective if it is no denoising)"},
		model.IgnoreSetting(&o.ignore),
	))
	o.sources.Default("the preset's", train.RecipeKeys()...)
	c.Flags().BoolVar(&o.fresh, "fresh", false, "begin anew in the place of the run that is in the folder")
	c.Flags().Int64Var(&o.from, "from", 0, "go on from the checkpoint after so many images, in the place of what comes later (default the newest)")
	c.Flags().StringVar(&o.onCheckpoint, "on-checkpoint", "", "command of the shell, run beside training for each checkpoint on the disk: $CHECKPOINT is its folder, $CHECKPOINT_IMAGES the images seen, $RUN the run folder")
	c.Flags().StringVar(&o.serve, "serve", "", "serve a page of the run, with curves, grids and log, on a port of this machine, as 8080, or on HOST:PORT; what is printed has a token, which the page needs to stop the run, and elsewhere than on this machine to be seen")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the resolved settings, say what the run would be refused for, and stop")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

// run trains, with the processes that were started together with this one, if any were.
func (o *trainOptions) run(ctx context.Context, out io.Writer) error {
	if t := second.Asked(); t != nil {
		return o.runAgain(ctx, t)
	}
	if err := o.askedOf(collective.Size()); err != nil {
		return fault.Usage(err)
	}
	group, err := joinGroup(ctx)
	if stopped := context.Cause(ctx); stopped != nil && err != nil {
		return stopped
	}
	if errors.As(err, new(*collective.LostError)) {
		return err
	}
	if err != nil {
		return fault.Usage(err)
	}
	if o.world = group.World; group.Rank > 0 {
		out = io.Discard
	}
	err = tell(group, os.Stderr, resumes(o.runIn(ctx, out, group), o.again()))
	return errors.Join(err, group.Close(false))
}

// joinGroup waits for the other processes until ctx is done. Then nobody waits any longer, for the
// process ends.
func joinGroup(ctx context.Context) (collective.Group, error) {
	type joined struct {
		group collective.Group
		err   error
	}
	met := make(chan joined, 1)
	go func() {
		group, err := collective.Open(console.Note)
		met <- joined{group, err}
	}()
	select {
	case j := <-met:
		return j.group, j.err
	case <-ctx.Done():
		return collective.Group{}, context.Cause(ctx)
	}
}

// askedOf says before others are waited for what so many processes cannot do.
func (o *trainOptions) askedOf(world int, err error) error {
	if err != nil || !o.sources.Has("accumulate") {
		return err
	}
	return train.Shareable(world, o.given)
}

// runIn trains as one of a group. What fails in one of them before the first step fails in all.
func (o *trainOptions) runIn(ctx context.Context, out io.Writer, group collective.Group) (err error) {
	d, s, err := o.openIn(group)
	if d != nil { // another process may lack its own
		defer d.Close()
	}
	if err != nil {
		return err
	}
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()
	t := train.Options{Dir: o.out, Fresh: o.fresh, IgnoreKeys: o.ignore, From: o.from, Data: d, Group: group, Origin: origin(), Distributions: s.TensorBoard}
	e, err := o.prepare(&t, &open, s)
	if err = group.Agree(err); err != nil {
		return err
	}
	all, err := places(group, s.Threads)
	if err != nil {
		return err
	}
	if o.dryRun {
		return cmp.Or(o.printSettings(out, t.Settings), group.Agree(o.check(ctx, &t, &open, e, all)))
	}
	show, ctx, err := o.equip(ctx, out, &t, &open, e, all)
	if err = group.Agree(err); err != nil {
		return err
	}
	result, err := train.Run(ctx, t)
	if err != nil {
		return goesOn(err, o.again())
	}
	if group.Rank == 0 {
		show.done(result)
	}
	return nil
}

// openIn resolves the settings and opens the data.
func (o *trainOptions) openIn(group collective.Group) (d data.Dataset, s train.Settings, err error) {
	said := o.resolve()
	if o.from < 0 || o.from > 0 && o.fresh {
		err = fault.Usagef("--from %d: want the number of a checkpoint, and not with --fresh", o.from)
	}
	if err == nil && group.Rank == 0 {
		if err = outdir.Check("--out", o.out); err == nil {
			err = cmp.Or(outdir.Apart(o.out, said.Data), runOrLoose(o.out))
		}
	}
	if err = group.Agree(err); err != nil {
		return nil, said, err
	}
	if group.World == 1 {
		return o.open(said)
	}
	if err := alike(group, said); err != nil {
		return nil, said, err
	}
	if group.Rank == 0 {
		d, s, err = o.open(said)
	} else {
		s = said
	}
	if err = group.Agree(err); err == nil {
		s, err = settled(group, s)
	}
	if err == nil && group.Rank > 0 {
		d, err = o.openData(s)
	}
	return d, s, group.Agree(err)
}

// runOrLoose refuses a folder with others in it that no run made, such as one of projects. A run
// may begin beside files, such as what a scheduler of jobs writes of it.
func runOrLoose(out string) error {
	if rundir.Is(out) {
		return nil
	}
	return outdir.Own(out, func(name string) bool {
		info, err := os.Stat(filepath.Join(out, name))
		return err != nil || !info.IsDir() || slices.Contains([]string{model.CheckpointsDir, rundir.SamplesDir, rundir.StagesDir}, name)
	})
}

// closers close what was opened, the last first.
type closers []func() error

func (c closers) close() (err error) {
	for _, f := range slices.Backward(c) {
		err = errors.Join(err, f())
	}
	return err
}

// prepare settles what is trained, on what, and, in the first process, how it is judged.
func (o *trainOptions) prepare(t *train.Options, open *closers, s train.Settings) (e *evaluation, err error) {
	if s, err = s.Canonical(); err != nil {
		return nil, err
	}
	if t.Objective, err = train.NewObjective(s, t.Data); err != nil {
		return nil, err
	}
	t.Settings = s
	if t.Group.Rank > 0 {
		return nil, nil
	}
	t.Settings = featureNetwork(s)
	if e, err = newEvaluation(t.Settings, t.Data); err != nil {
		return nil, err
	}
	*open = append(*open, e.close)
	return e, nil
}

// check says of a dry run why the run would be refused.
func (o *trainOptions) check(ctx context.Context, t *train.Options, open *closers, e *evaluation, all []place) error {
	err := openDevice(t, open, all)
	if err == nil && t.Group.Rank == 0 {
		t.Hooks, err = e.hooks(ctx, t.Device, console.NewFace(io.Discard, true), true)
	}
	if err != nil {
		return err
	}
	return train.Check(*t)
}

// openDevice opens the device of this process.
func openDevice(t *train.Options, open *closers, all []place) (err error) {
	s := t.Settings
	name, threads := s.Device, s.Threads
	if t.Group.World > 1 {
		threads = all[t.Group.Rank].threads()
		if name, err = device.NameOf(name, t.Group.LocalRank); err != nil {
			return fault.Usage(err)
		}
	}
	if t.Device, err = machine.Open(name, threads, s.Blockings, true); err == nil {
		*open = append(*open, t.Device.Close)
	}
	return err
}

// equip opens the device and, in the first process, all that is told of the run.
func (o *trainOptions) equip(ctx context.Context, out io.Writer, t *train.Options, open *closers, e *evaluation, all []place) (show observer, _ context.Context, err error) {
	s := t.Settings
	if err := openDevice(t, open, all); err != nil {
		return show, ctx, err
	}
	console.Optional(out)
	requests, stop := saveRequests() // in all processes, which the signal would end
	*open = append(*open, func() error { stop(); return nil })
	if t.Group.Rank > 0 {
		return observer{Face: console.NewFace(out, o.json)}, ctx, nil
	}
	page, ctx, leave, err := o.page(ctx)
	if err != nil {
		return show, ctx, err
	}
	*open = append(*open, func() error { leave(); return nil })
	show = observer{Face: console.NewFace(out, o.json), page: page}
	if paper, err := train.FindPublished(s.Recipe); s.Recipe != "" && err == nil {
		show.paper = paper.Text(s)
		t.Origin = append(t.Origin, "recipe "+show.paper)
	}
	t.Observer, t.SaveNow, t.Sinks = show, requests, o.sinks(s, show)
	t.Making = show.making()
	t.Hooks, err = e.hooks(ctx, t.Device, show.Face, o.json)
	if t.Group.World > 1 {
		t.Hooks = append([]train.Hook{processesHook(t.Group, all, s.Accumulate)}, t.Hooks...)
	}
	return show, ctx, err
}

// page serves the page of the run, if it is to have one, which can end the context.
func (o *trainOptions) page(ctx context.Context) (_ *runpage.Page, _ context.Context, leave func(), err error) {
	if o.serve == "" {
		return nil, ctx, func() {}, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p, err := runpage.Listen(o.serve, o.out, func() { cancel(signalError{syscall.SIGTERM, "from its page"}) })
	if err != nil {
		cancel(nil)
		return nil, ctx, nil, err
	}
	return p, ctx, func() {
		_ = p.Close() // who looks sees that it is gone
		cancel(nil)
	}, nil
}

// again is the command that goes on with the run.
func (o *trainOptions) again() string {
	same := "the same command"
	if o.fresh {
		same += " without --fresh"
	}
	if o.from > 0 {
		same += " without --from"
	}
	return same
}

// origin says for the log what trains here.
func origin() []string {
	dir, _ := os.Getwd() // "" where that is not known
	return []string{
		fmt.Sprintf("fluxion %s, %s, %s/%s", thisBuild(), runtime.Version(), runtime.GOOS, runtime.GOARCH),
		fmt.Sprintf("command: %s (in %s)", console.ShellWords(os.Args...), dir),
	}
}

// presetsText is a table of the presets and of what matters most in their recipes.
func presetsText() string {
	var b strings.Builder
	for _, p := range catalog.Presets() {
		r := p.Recipe
		fmt.Fprintf(&b, "\n  %-7s %s;\n          lr %g, batch %d, %s images", p.Name, p.Summary, r.LR, r.Batch, console.Thousands(r.Images))
		if r.Flip {
			b.WriteString(", photographs flipped")
		}
	}
	return b.String() + "\n\nA folder is trained like the smallest preset with at least as many weights,\nwithout flips."
}

// dataOptions are how images are read.
func dataOptions(s train.Settings) data.Options {
	return data.Options{Size: s.Size, Fit: data.Fit(s.Fit), Channels: s.Channels, Range: s.Range, Labels: s.Labels, CacheBytes: cacheBytes()}
}

// realOptions are how images are read that samples are compared with.
func realOptions(s train.Settings) data.Options {
	return data.Options{Size: s.Size, Fit: data.Fit(s.Fit).Shaped(), Channels: s.Channels, CacheBytes: cacheBytes()}
}

func (o *trainOptions) openData(s train.Settings) (data.Dataset, error) {
	if err := s.CheckFit(); err != nil {
		return nil, err
	}
	of := dataOptions(s)
	of.FitSaid = fitSaid(o.sources)
	d, err := data.Open(s.Data, of)
	if err != nil || s.Size != (data.Size{}) || s.SkipBroken {
		return d, err
	}
	if err := sizesApart(s.Data, d, ""); err != nil { // before there is a folder
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// resolve returns the settings of a new run: what the user says, over the preset's
// recipe, over the defaults. Whether they go together is to be checked when it is known
// that no run goes on. What is missing for a new one is kept as o.lacks.
func (o *trainOptions) resolve() train.Settings {
	s, paper, err := o.paper()
	if o.lacks = err; err != nil {
		return s
	}
	from := "preset"
	if s.Teacher != "" && !o.sources.Has("init") && !o.sources.Has("preset") {
		s.Init, from = s.Teacher, "teacher"
	}
	if s.Init != "" && !o.sources.Has("preset") {
		s.Preset = s.Init
		if from == "preset" {
			from = "init"
		}
	}
	if from != "preset" {
		o.lacks = train.CheckFolder(from, s.Init, o.ignore...)
	}
	recipe, err := train.RecipeOf(s.Preset, s.Data, o.ignore...)
	if o.lacks = cmp.Or(o.lacks, err); o.lacks != nil {
		return s
	}
	if s, o.lacks = paper.Over(recipe.Apply(s)); o.lacks != nil {
		return s
	}
	o.sources.Over(s.List())
	said := func(key string) bool { return o.sources.Has(key) || paper.Has(key) }
	return s.Switched(train.Default(), said).WithTimes(said, o.ignore...).WithBuckets(o.ignore...)
}

// goOn returns the settings with which a run goes on in the folder: what the user
// says, over what its configuration says; next, if no run is there.
func (o *trainOptions) goOn(next train.Settings) (train.Settings, error) {
	if !o.fresh {
		s, found, err := train.Stored(o.out, next)
		if err != nil {
			return next, err
		}
		if found {
			stored := s
			o.sources.Over(s.List())
			next = s.Switched(stored, o.sources.Has).WithBuckets(o.ignore...)
			return next, next.Validate()
		}
	}
	if o.lacks != nil {
		return next, o.lacks
	}
	next = o.cut(next)
	if err := next.Validate(); err != nil {
		return next, err
	}
	return next, cmp.Or(train.CheckTimes(next, o.ignore...), train.CheckInit(next, o.ignore...))
}

// open opens the data and chooses the run folder, which their name is part of,
// and the settings: those of the run that goes on there, if there is one.
func (o *trainOptions) open(s train.Settings) (data.Dataset, train.Settings, error) {
	var d data.Dataset
	var err error
	if o.out == "" {
		if d, err = o.openData(s); err != nil {
			return nil, s, err
		}
		o.out = filepath.Join("runs", d.Name()+"-"+cmp.Or(s.Recipe, filepath.Base(s.Preset))+distilled(s.Objective))
	}
	next, err := o.goOn(s)
	if err != nil {
		if d != nil {
			err = errors.Join(err, d.Close())
		}
		return nil, s, err
	}
	if d != nil && next.Data == s.Data && dataOptions(next) == dataOptions(s) {
		return d, next, nil
	}
	if d != nil {
		if err := d.Close(); err != nil {
			return nil, s, err
		}
	}
	d, err = o.openData(next)
	if bad := (*data.Error)(nil); errors.As(err, &bad) && data.Absent(err) && !o.sources.Has("data") { // the run's own
		err = &data.Error{Path: bad.Path, Problem: fmt.Sprintf("is what %s was trained on, and is not there; where it has moved, say so by --data", o.out)}
	}
	return d, next, err
}

// distilled is how the name of a folder ends whose model is made of another, or takes
// few steps: with the objective.
func distilled(text string) string {
	name, _, _ := strings.Cut(text, ":")
	if name == train.Default().Objective || name == "self-conditioning" {
		return ""
	}
	return "-" + name
}

// cacheBytes is how much decoded images may take: an eighth of what there is, where
// that is less than the reader's own bound; 0 leaves it at that.
func cacheBytes() int64 {
	const most = 512 << 20
	if share := cpu.AvailableMemory() / 8; share > 0 && share < most {
		return share
	}
	return 0
}

// printSettings shows what a run would be.
func (o *trainOptions) printSettings(out io.Writer, s train.Settings) error {
	if o.json {
		console.NewFace(out, true).Event("settings", map[string]any{"run": o.out, "settings": s})
		return console.Lost(out)
	}
	text, err := settingsYAML(s)
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

// settingsYAML writes settings in their order, as --config reads them.
func settingsYAML(s train.Settings) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var node yaml.Node // JSON is YAML; this way keys keep their order
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	plainStyle(&node)
	return yaml.Marshal(&node)
}

// plainStyle drops the braces and quotes that a node of JSON came with.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}
