package objective

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"

	"fluxion/engine/noise"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/kernels/draw"
	"fluxion/kernels/dropout"
	"fluxion/kernels/feed"
	"fluxion/kernels/mix"
	"fluxion/kernels/philox"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Role is whose weights a network has that an objective applies. The zero value is the
// trained one's.
type Role struct {
	EMA    bool    // the average of the weights of the trained one
	Frozen *Frozen // another network
}

// Trained is the role of the network that is trained, EMA that of its average.
var (
	Trained = Role{}
	EMA     = Role{EMA: true}
)

// Frozen is a network whose weights do not change.
type Frozen struct {
	Name    string // of its buffer
	Network nets.Network
	Dir     string    // the folder whose weights it has
	Weights []float32 // the same, from when they are read until they are where they lie; nil: they are read anew
}

// Use is a network in a graph. Its parameters are there once, however often it is applied.
type Use struct {
	Role
	*nets.Placed
}

// Noise says which noise addresses are those of.
type Noise struct {
	Seed   uint64
	Stream uint32 // of package philox; 0: that of training
}

// Options of Build.
type Options struct {
	Network              nets.Network // that is trained
	Batch, Height, Width int
	Augmented            bool // images come transformed, and networks that know of it are told how
	Noise                Noise
	Source               process.Source // of the noise; Build sets that of the objective
	Data                 plan.Stage     // makes the images of a batch; where they go is not yet known
	Inputs               plan.Stage     // makes what they are to be made of, where a network takes it: see nets.Inputs.Concat
}

// Builder is the graph of a step, as far as it is built, with the stages that bring the
// numbers of the step into it.
type Builder struct {
	Options
	Graph     *gorgonia.ExprGraph
	Inputs    []*gorgonia.Node
	Before    []plan.Stage
	Blocks    []*gorgonia.Node // see plan.Forward
	Uses      []Use            // the trained one first
	Addresses []int64          // of the noise of each image
	Classes   *feed.Vector     // of each image, or the numbers that it is told instead; nil: nobody asked for them
	Augment   *feed.Vector     // how each image was transformed; nil: the network is not told

	augment            *gorgonia.Node
	head               draw.Head
	shape              tensor.Shape
	data, noise, class *gorgonia.Node
	concat             *gorgonia.Node
	latent             *gorgonia.Node
	positions          []int64        // of each image in the stream
	dropout            Numbers        // keys of what is left out of each image; without a node: nothing
	none               *gorgonia.Node // the class that stands for none, for every image
	scale              Numbers        // the guidance that the trained network is told of each image; without a node: it is told none
}

// Build builds the loss of an objective.
func Build(objective Objective, o Options) (b *Builder, l Loss, err error) {
	o.Source = objective.Process().Source
	b = newBuilder(o)
	defer failure(&err)
	b.use(Trained)
	if l = objective.Loss(b); l.Errors == nil && objective.State() != nil {
		err = fmt.Errorf("the objective is to keep in %s what it learns of the errors of images, and its loss gives none; want its Errors, or no State", objective.State().File)
	}
	if b.latent != nil {
		feed := l.Feed
		l.Feed = func(i int, at int64) Observation {
			b.positions[i] = at
			return feed(i, at)
		}
	}
	if b.scale.Node != nil {
		feed, from, to := l.Feed, o.Network.Spec().Guidance[0], o.Network.Spec().Guidance[1]
		l.Feed = func(i int, at int64) Observation {
			b.scale.Set(i, from+(to-from)*philox.Uniform64(o.Noise.Seed, philox.Guidance, uint64(at), 0))
			return feed(i, at)
		}
	}
	if keys := b.dropout; keys.Node != nil {
		feed := l.Feed
		l.Feed = func(i int, at int64) Observation {
			dropout.PutKey(keys.values.Values[i*dropout.Columns:][:dropout.Columns], o.Noise.Seed, uint64(at))
			return feed(i, at)
		}
	}
	return b, l, err
}

// Ends is the images of a batch and their noise, of which a loss is made, alone.
func Ends(o Options) (b *Builder, err error) {
	b = newBuilder(o)
	defer failure(&err)
	b.Data()
	b.Noise()
	return b, nil
}

func newBuilder(o Options) *Builder {
	b := &Builder{Options: o, Graph: gorgonia.NewGraph(), Addresses: make([]int64, o.Batch), positions: make([]int64, o.Batch), head: draw.Head{Seed: o.Noise.Seed, Scale: 1}}
	b.shape = tensor.Shape{o.Batch, o.Height, o.Width, o.Network.Spec().Channels}
	return b
}

// failure makes an error of a panic of those who build graphs.
func failure(err *error) {
	switch r := recover().(type) {
	case nil:
	case runtime.Error:
		panic(r)
	case error:
		*err = r
	default:
		*err = fmt.Errorf("building the loss: %v", r)
	}
}

// input declares a node that stages write.
func (b *Builder) input(name string, shape ...int) *gorgonia.Node {
	n := gorgonia.NewTensor(b.Graph, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	b.Inputs = append(b.Inputs, n)
	return n
}

// Data is the images x of the batch, (N,H,W,channels).
func (b *Builder) Data() *gorgonia.Node {
	if b.data == nil {
		b.data = b.input("x", b.shape...)
		stage := b.Options.Data
		stage.Out = plan.Ref{Node: b.data}
		b.Before = append(b.Before, stage)
	}
	return b.data
}

// given is the second image of each image, which networks are given in every application,
// or which is the noise end.
func (b *Builder) given(channels int) *gorgonia.Node {
	if b.concat == nil {
		b.concat = b.input("concat", b.Batch, b.Height, b.Width, channels)
		stage := b.Options.Inputs
		stage.Out = plan.Ref{Node: b.concat}
		b.Before = append(b.Before, stage)
	}
	return b.concat
}

// Noise is that of each image, ε, of the shape of Data.
func (b *Builder) Noise() *gorgonia.Node {
	if b.Source.Kind() == process.Images {
		return b.given(b.shape[3])
	}
	if b.noise == nil {
		b.noise = b.input("noise", b.shape...)
		o := draw.NoiseOptions{Shape: draw.Shape{Images: b.Batch, Pixels: b.Height * b.Width, Channels: b.shape[3]}, Stream: cmp.Or(b.Options.Noise.Stream, philox.Noise)}
		b.Before = append(b.Before, noise.Stages(b.Source, o, b.Height, b.Width, &b.head, b.Addresses, plan.Ref{Node: b.noise})...)
	}
	return b.noise
}

// Latent is another noise of each image, ξ, white and normal: that of bridges.
func (b *Builder) Latent() *gorgonia.Node {
	if b.latent == nil {
		b.latent = b.input("latent", b.shape...)
		o := draw.NoiseOptions{Shape: draw.Shape{Images: b.Batch, Pixels: b.Height * b.Width, Channels: b.shape[3]}, Stream: philox.Latent}
		b.Before = append(b.Before, plan.Stage{Kernel: draw.NewNoise(o, &b.head, b.positions), Out: plan.Ref{Node: b.latent}})
	}
	return b.latent
}

// Class is that of each image, as the trained network is told it; nil: it is told none.
func (b *Builder) Class() *gorgonia.Node {
	if b.class == nil && b.Network.Spec().Conditional() {
		n := b.Number("class_labels")
		if width := b.Network.Spec().Embedding; width > 0 {
			n = b.Coefficients("class_labels", width)
		}
		b.class, b.Classes = n.Node, n.values
	}
	return b.class
}

// Numbers are what a step is told of each image.
type Numbers struct {
	Node   *gorgonia.Node // (N), or (N,columns)
	values *feed.Vector
}

// Set gives image i its numbers, rounded once.
func (n Numbers) Set(i int, values ...float64) {
	row := n.values.Values[i*len(values):][:len(values)]
	for k, v := range values {
		row[k] = float32(v)
	}
}

// Number is one of each image.
func (b *Builder) Number(name string) Numbers { return b.numbers(name, b.Batch) }

// Coefficients are some of each image, for Mix.
func (b *Builder) Coefficients(name string, columns int) Numbers {
	return b.numbers(name, b.Batch, columns)
}

func (b *Builder) numbers(name string, shape ...int) Numbers {
	n := Numbers{b.input(name, shape...), feed.New(tensor.Shape(shape).TotalSize(), len(shape))}
	n.values.Set(1) // for whoever counts what a step does
	b.Before = append(b.Before, plan.Stage{Kernel: n.values, Out: plan.Ref{Node: n.Node}})
	return n
}

// Mix is Σ_k c[n,k]·x_k[n]: see package mix.
func (b *Builder) Mix(o mix.Options, c Numbers, x ...*gorgonia.Node) *gorgonia.Node {
	n := mix.Images(o, c.Node, x...)
	b.Blocks = append(b.Blocks, n) // or recomputation would make again what it is of
	return n
}

// Apply applies a network once more.
func (b *Builder) Apply(r Role, in nets.Inputs) *gorgonia.Node { return b.apply(r, in).Output }

// apply returns all that the network gives.
func (b *Builder) apply(r Role, in nets.Inputs) nets.Result {
	if r == Trained && b.Network.Spec().Dropout > 0 {
		if b.dropout.Node == nil {
			b.dropout = b.Coefficients("keys of dropout", dropout.Columns)
		}
		in.Dropout = b.dropout.Node // the same in each application
	}
	if (r.Frozen == nil || b.Augmented) && b.network(r).Spec().Augmented {
		if b.augment == nil {
			n := b.Coefficients("augmentation", nets.AugmentLabels)
			b.augment, b.Augment = n.Node, n.values
		}
		in.Augment = b.augment
	}
	if in.Guidance == nil && b.network(r).Spec().Told() {
		if b.scale.Node == nil {
			b.scale = b.Number("guidance")
		}
		in.Guidance = b.scale.Node
	}
	network := b.use(r)
	if channels := network.Network.Spec().Concat; channels > 0 {
		in.Concat = b.given(channels)
	}
	result, err := network.Apply(in)
	if err != nil {
		panic(err)
	}
	b.Blocks = append(b.Blocks, result.Blocks...)
	return result
}

// told is the guidance that the trained network is told of image i; 1: it is told none.
func (b *Builder) told(i int) float64 {
	if b.scale.Node == nil {
		return 1
	}
	return float64(b.scale.values.Values[i])
}

// network is that of a role.
func (b *Builder) network(r Role) nets.Network {
	if r.Frozen != nil {
		return r.Frozen.Network
	}
	return b.Network
}

// use is the network of a role, whose parameters are declared where it is first used.
func (b *Builder) use(r Role) Use {
	if i := slices.IndexFunc(b.Uses, func(u Use) bool { return u.Role == r }); i >= 0 {
		return b.Uses[i]
	}
	network, prefix := b.network(r), ""
	switch {
	case r.Frozen != nil:
		prefix = r.Frozen.Name + "."
	case r.EMA:
		prefix = "ema."
	}
	placed, err := nets.Place(b.Graph, network, tensor.Float32, prefix)
	if err != nil {
		panic(err)
	}
	b.Uses = append(b.Uses, Use{r, placed})
	return b.Uses[len(b.Uses)-1]
}
