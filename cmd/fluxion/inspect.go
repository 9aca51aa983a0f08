package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/cmd/fluxion/internal/workload"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/data/stable"
	"fluxion/engine/device"
	"fluxion/engine/model"
	"fluxion/engine/plan"
	"fluxion/engine/train"
	"fluxion/kernels"
	"fluxion/nets"
	"fluxion/nets/catalog"

	"github.com/spf13/cobra"
)

// maxThreads bounds those of a machine that a plan is looked at for.
const maxThreads = 4096

type inspectOptions struct {
	preset, model string
	device        string
	precision     string
	batch         int
	size          data.Size
	threads       int
	without       []string
	ignore        []string
	recompute     string
	train, sample bool
	objectives    workload.Objectives
	imagesFlags
	plan, json bool
}

func newInspect() *cobra.Command {
	o := &inspectOptions{}
	c := &cobra.Command{
		Use:   "inspect [FILE|FOLDER]",
		Short: "Operators, FLOPs, bytes and peak memory of a network; tensors of files of weights",
		Long: `Print what a training step (or, with --sample, a sampling step) of a network
consists of and the memory it will take. Nothing is run.

With FILE or FOLDER: the tensors of a file of weights (.safetensors, .bin, .pt, .pth,
.ckpt), or of all files of weights in a folder, of a run in its newest checkpoint: types,
shapes, norms, means, extremes, how many numbers are not finite, and metadata.

` + fusionsText(),
		Example: "  fluxion inspect --preset cifar --batch 16\n  fluxion inspect --preset small --device cuda --images 256,512 --batch 32\n  fluxion inspect --model runs/glyphs-tiny --sample --plan\n  fluxion inspect model.safetensors",
		Args: func(_ *cobra.Command, args []string) error {
			_, err := oneFile(args)
			return err
		},
		RunE: func(c *cobra.Command, args []string) error {
			face := console.NewFace(c.OutOrStdout(), o.json)
			if path, _ := oneFile(args); path != "" {
				if flag := otherFlag(c); flag != "" {
					return fault.Usagef("--%s is for the steps of a network; of %s the tensors are listed, with no flag but --json", flag, path)
				}
				return inspectFiles(c.Context(), face, path)
			}
			return o.run(face)
		},
	}
	settings.Bind(c, o.list())
	c.Flags().BoolVar(&o.plan, "plan", false, "print the plan, one launch a line")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return c
}

// list declares the settings, with their defaults.
func (o *inspectOptions) list() setting.List {
	o.preset, o.batch, o.device, o.precision, o.recompute = "tiny", 16, "cpu", "auto", "none"
	target, threads := device.NameSetting(&o.device), device.ThreadsSetting(&o.threads)
	target.Own, threads.Own = true, true
	target.Help = "that the plan is for: cpu, cuda; it need not be there"
	threads.Help, threads.Range = "threads the plan allows for", setting.Within(0, maxThreads, fmt.Sprintf("0 (all there are) to %d", maxThreads))
	list := setting.List{
		workload.PresetSetting(&o.preset),
		{Key: "model", Value: setting.Of(&o.model), Own: true, Help: "a folder with a network, instead of a preset"},
		workload.BatchSetting(&o.batch), workload.SizeSetting(&o.size, "the network's own"),
		target, device.PrecisionSetting(&o.precision), threads,
		{Key: "train", Value: setting.Of(&o.train), Own: true, Help: "a training step, as it is without this flag"},
		{Key: "sample", Value: setting.Of(&o.sample), Own: true, Help: "a sampling step instead of a training step"},
		plan.RecomputeSetting(&o.recompute), plan.WithoutSetting(&o.without), model.IgnoreSetting(&o.ignore),
	}
	list = append(list, o.imagesFlags.list()...)
	for _, s := range o.objectives.List() {
		list = append(list, s.Helps(s.Help+"; a model says so itself"))
	}
	return list
}

// inspection is what inspect prints.
type inspection struct {
	Network      string           `json:"network"`
	Step         string           `json:"step"`
	Target       string           `json:"target"`
	Precision    string           `json:"precision"`
	Batch        int              `json:"batch"`
	Size         data.Size        `json:"size"`
	Parameters   int              `json:"parameters"`
	Tensors      int              `json:"tensors"`
	Launches     int              `json:"launches"`
	FLOPs        int64            `json:"flops"`
	FLOPPerImage float64          `json:"flop_per_image"`
	Bytes        int64            `json:"bytes"` // least traffic
	PlannedBytes int64            `json:"planned_bytes"`
	Regions      map[string]int64 `json:"regions"`
	Memory       []memoryRow      `json:"memory"`           // with every recomputation
	Images       []imagesRow      `json:"images,omitempty"` // with --images
	Operators    []operatorRow    `json:"operators"`
	Plan         []string         `json:"plan,omitempty"` // with --plan: one launch a line

	Estimate bool `json:"self_conditioning"` // the network is given its own estimate of the image

	Objective string `json:"objective,omitempty"` // of a model: that its settings name

	Notes []string `json:"notes"` // what of the model's files was not heeded

	Fullest fullest `json:"fullest"`

	kept      kernels.Cost // without recomputation
	grows     plan.Growth  // the memory
	transient string       // the buffer that lies in the arena
}

// fullest is the launch at which most of the arena holds something.
type fullest struct {
	Launch int    `json:"launch"`
	Kernel string `json:"kernel"`
	Bytes  int    `json:"bytes"`
}

type operatorRow struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
	FLOPs int64  `json:"flops"`
	Bytes int64  `json:"bytes"`
}

func (o *inspectOptions) run(face console.Face) error {
	if o.train && o.sample {
		return fault.Usagef("want one of --train and --sample")
	}
	sides, err := o.imagesFlags.parse()
	if err != nil {
		return err
	}
	if o.sample && sides != nil {
		return fault.Usagef("--images is of training; want no --sample")
	}
	if err := plan.CheckFusions(o.without); err != nil {
		return fault.Usagef("--without: %w", err)
	}
	if err := plan.CheckRecomputation(o.recompute); err != nil {
		return fault.Usagef("--recompute: %w", err)
	}
	if name, other := o.objectives.Name(); other && o.model != "" {
		return fault.Usagef("--%s is of a --preset; a model says itself whether it conditions on its own estimate", name)
	}
	target, err := device.Target(o.device, o.threads)
	if err != nil {
		return fault.Usagef("--device: %w", err)
	}
	precision, err := device.Precision(o.precision, target)
	if err != nil {
		return fault.Usagef("--precision: %w", err)
	}
	network, name, err := o.network()
	if err != nil {
		return err
	}
	height, width := network.Spec().Height, network.Spec().Width
	if o.size != (data.Size{}) {
		height, width = o.size.Height, o.size.Width
	}
	if height == 0 {
		height, width = 32, 32
	}
	if err := network.Spec().CheckSize("the network", height, width); err != nil {
		return fault.Usagef("--size %v: %w", o.size, err)
	}
	options := train.StepOptions{
		Network: network, Height: height, Width: width, Batch: o.batch, Accumulate: 1, Target: target, Precision: precision,
		Without: o.without, Recompute: o.recompute,
	}
	if o.model != "" && !o.sample {
		if options.Objective, err = train.ObjectiveOf(name); err != nil {
			return modelError{o.model, fmt.Errorf("what it was trained on: %w; --sample looks at it without that", err)}
		}
	}
	s, err := o.step(options)
	if err != nil {
		return err
	}
	p, sizes := s.plan, s.sizes
	if o.plan && !o.json {
		return face.Result(nil, func(out io.Writer) error {
			_, err := p.WriteTo(out)
			return err
		})
	}
	params := nets.Params(network)
	about := ""
	if options.Objective != nil {
		about = options.Objective.About()[0][1]
	}
	cost := p.Cost()
	memory, err := o.memory(options)
	if err != nil {
		return err
	}
	images, err := o.imagesRows(options, sides)
	if err != nil {
		return err
	}
	r := inspection{
		Network: name, Step: workload.Work(!o.sample), Target: fmt.Sprint(target), Precision: precision.String(), Batch: o.batch, Size: data.Size{Height: height, Width: width}, Parameters: nets.Count(params), Tensors: len(params), Estimate: network.Spec().Estimate, Objective: about, Notes: orEmpty(network.Notes()), Launches: len(p.Launches),
		FLOPs: cost.FLOPs, FLOPPerImage: float64(cost.FLOPs) / float64(o.batch), Bytes: cost.Bytes,
		PlannedBytes: sizes.Bytes(), Regions: map[string]int64{}, Memory: memory, Images: images, Operators: operators(p),
	}
	for _, b := range sizes.Buffers() {
		r.Regions[b.Name] = int64(sizes[b])
		if b.Transient {
			r.transient = b.Name
		}
	}
	at := p.Fullest()
	r.Fullest = fullest{at, p.Launches[at].Kernel.String(), p.Alive[at]}
	for _, row := range memory {
		if row.Recompute == o.recompute || o.sample {
			r.grows = row.Lines
		}
	}
	again := p.Recomputed()
	r.kept = kernels.Cost{FLOPs: cost.FLOPs - again.FLOPs, Bytes: cost.Bytes - again.Bytes}
	if o.plan {
		var lines strings.Builder
		if _, err := p.WriteTo(&lines); err != nil {
			return err
		}
		r.Plan = strings.Split(strings.TrimSpace(lines.String()), "\n")
	}
	return face.Result(r, r.print)
}

func (o *inspectOptions) network() (nets.Network, string, error) {
	if o.model == "" {
		p, err := catalog.Preset(o.preset)
		if err != nil {
			return nil, "", fault.Usage(err)
		}
		objective, err := train.NewObjective(o.objectives.Settings(), nil)
		if err != nil {
			return nil, "", err
		}
		images := objective.Fit(p.Network.Spec())
		if o.size != (data.Size{}) {
			images.Height, images.Width = o.size.Height, o.size.Width
		}
		n, err := p.Network.Fit(images)
		return n, o.preset, err
	}
	n, where, err := model.ReadNetwork(o.model, o.ignore...)
	if err == nil {
		n, err = n.Denoiser()
	}
	if err != nil {
		return nil, "", modelError{o.model, err}
	}
	return n, where, nil
}

// operators sums launches by the first words of their kernels, the most work first.
func operators(p *plan.Plan) []operatorRow {
	rows := map[string]*operatorRow{}
	for _, l := range p.Launches {
		name := workload.Kind(l.Kernel)
		r := rows[name]
		if r == nil {
			r = &operatorRow{Name: name}
			rows[name] = r
		}
		r.Count++
		r.FLOPs += l.Cost.FLOPs
		r.Bytes += l.Cost.Bytes
	}
	list := make([]operatorRow, 0, len(rows))
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, *rows[name])
	}
	stable.Sort(list, func(a, b operatorRow) int { return cmp.Compare(b.FLOPs, a.FLOPs) })
	return list
}

func (r inspection) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s step, batch %d of %d×%d pixels, %s on %s\n", r.Network, r.Step, r.Batch, r.Size.Height, r.Size.Width, r.Precision, r.Target)
	fmt.Fprintf(&b, "parameters  %s in %d tensors\n", console.Thousands(int64(r.Parameters)), r.Tensors)
	if r.Objective != "" {
		fmt.Fprintf(&b, "objective   %s\n", r.Objective)
	}
	if r.Estimate {
		b.WriteString("network     conditions on its own estimate of the image")
		if r.Step == "train" {
			b.WriteString(", which a pass without gradient makes")
		}
		b.WriteString("\n")
	}
	printNotes(&b, r.Notes)
	fmt.Fprintf(&b, "arithmetic  %.2f GFLOP, %.2f an image, in %d launches\n", float64(r.FLOPs)/1e9, r.FLOPPerImage/1e9, r.Launches)
	fmt.Fprintf(&b, "traffic     %s at least\n", console.Size(r.Bytes))
	fmt.Fprintf(&b, "memory      %s at most:", console.Size(r.PlannedBytes))
	for _, region := range slices.Sorted(maps.Keys(r.Regions)) {
		fmt.Fprintf(&b, "  %s %s", region, console.Size(r.Regions[region]))
		if region == r.transient {
			b.WriteString(" (in the arena)")
		}
	}
	fmt.Fprintf(&b, "\n            %s\n", growthText(r.grows))
	fmt.Fprintf(&b, "fullest     launch %d, %s: %s of the arena\n", r.Fullest.Launch, r.Fullest.Kernel, console.Size(int64(r.Fullest.Bytes)))
	fmt.Fprintf(&b, "\n%s", recomputeTable(r.Memory, r.kept))
	if r.Images != nil {
		fmt.Fprintf(&b, "\n%s", imagesTable(r.Images, r.Batch))
	}
	fmt.Fprintf(&b, "\n%-24s %6s %12s %7s %12s\n", "operator", "count", "GFLOP", "share", "bytes")
	for _, row := range r.Operators {
		fmt.Fprintf(&b, "%-24s %6d %12.3f %6.1f%% %12s\n", row.Name, row.Count, float64(row.FLOPs)/1e9, 100*float64(row.FLOPs)/float64(r.FLOPs), console.Size(row.Bytes))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
