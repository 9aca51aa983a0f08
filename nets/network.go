// Package nets holds what all networks share: parameters and where they lie, how a
// network is applied in a Gorgonia graph, and the folder format of diffusers. Each
// network has a room of its own below; catalog lists them.
package nets

import (
	"fmt"
	"math/bits"

	"fluxion/kernels/embed"

	"gorgonia.org/gorgonia"
)

// Network is a denoiser without weights: a configuration, and what it makes of a noisy
// image. It is a value.
type Network interface {
	// ClassName is _class_name of its config.json.
	ClassName() string
	// JSON is its config.json, to the byte.
	JSON() []byte
	// Spec says what it takes and gives.
	Spec() Spec
	// Validate says whether it can be built, with a *ConfigError if not.
	Validate() error

	// Apply adds the network to the graph of its inputs, and declares its parameters in
	// the scope where it uses them. It is written once: a first application in a graph
	// of its own is how the parameters are found (Layout), later ones are for use, as
	// many as wanted. It may panic, as builders of graphs do; Placed.Apply makes an
	// error of that.
	Apply(s *Scope, in Inputs) Result

	// Fit returns the same kind of network for images, classes, an estimate, a second image
	// and a jump like these, with notes on what that leaves out. Its Spec says what it does not take.
	Fit(like Spec) (Network, error)
	// Denoiser returns the network without what it gives besides the denoised image,
	// with a note, or says why it does not denoise. Its parameters have the same names,
	// and a file has theirs first.
	Denoiser() (Network, error)

	// Notes say what of a folder was not heeded, and which of several files was read:
	// who opens it should know. They are no part of the configuration.
	Notes() []string
	// WithNotes returns the network with more of them.
	WithNotes(lines ...string) Network
}

// TimeEmbedding begins the names of the two linear maps, with SiLU between, that sines and
// cosines of the time go through.
const TimeEmbedding = "time_embedding"

// Timed is a network with such an embedding.
type Timed interface {
	// TimeFeatures are those sines and cosines; ok is false if times are rows of a table.
	TimeFeatures() (o embed.TimestepOptions, ok bool)
}

// Teller is a network that can do without what it is told of an image.
type Teller interface {
	// Untold returns the network without what it is told of an image, a class or numbers, and its
	// weights, flat: it makes of every image what the network makes of one that it is told this of.
	// It is false where there is no such network.
	Untold(weights, told []float32) (Network, []float32, bool)
}

// Spec is what a network takes and gives.
type Spec struct {
	Height, Width int // of images; 0 if it does not say
	// Multiple of which other heights and widths must be; 0: it takes no others.
	Multiple int
	Channels int  // of an image
	Outputs  int  // channels of what it gives: those of an image, and of a variance; more before Denoiser
	Variance bool // it gives a variance of each value, too: see Result
	Classes  int  // that it is told by number, that for none among them; 0: it is told none
	// Condition is how it is told something else of an image than a number below Classes:
	// Timestep or Identity. Empty: it is not.
	Condition string
	Embedding int     // length of the vector that it is told of each image; 0: a number
	Dropout   float64 // share of its values that are left out in training
	Estimate  bool    // it is given its own last estimate of the image, or 0
	Concat    int     // channels of a second image that it is given beside the noisy one; 0: it is given none
	Augmented bool    // it is told how an image was transformed, in training alone
	Jump      bool    // it is told how far its answer is to lead, as flow maps are
	// Guidance is from where to where the scale of guidance may be that it is told; none if
	// both are 0.
	Guidance [2]float64
	// OverTime says that the network takes the logarithm of its time and divides what it gives by
	// it, so that it gives a score where it is told σ: times must be above 0.
	OverTime bool
	// UnitTime says that the network is made for times of about 1, such as ln(σ)/4: what it makes
	// of them turns so fast that it has nothing of those from 0 to 1000.
	UnitTime bool
	Widest   int // about as many numbers as a layer makes of a pixel, at most
}

// SampleSize is that of a configuration for images of the spec: height and width, or one number for
// both; as it was where the spec leaves it open.
func (s Spec) SampleSize(was []int) []int {
	switch {
	case s.Height != s.Width:
		return []int{s.Height, s.Width}
	case s.Height != 0:
		return []int{s.Height}
	}
	return was
}

// WithMeta is the metadata of a configuration with what a network of the spec is told besides.
func (s Spec) WithMeta(meta map[string]any) map[string]any {
	for key, on := range map[string]bool{SelfConditioning: s.Estimate, FlowMap: s.Jump, Augmented: s.Augmented} {
		meta = WithMeta(meta, key, on)
	}
	return WithGuidance(meta, s.Guidance)
}

// Told says whether the network is told the scale of its guidance.
func (s Spec) Told() bool { return s.Guidance != [2]float64{} }

// Unguided is the scale of guidance in the range of the network that is next to none.
func (s Spec) Unguided() float64 {
	if !s.Told() {
		return 1
	}
	return min(max(1, s.Guidance[0]), s.Guidance[1])
}

// Ways in which a network is told numbers of an image, as class_embed_type of diffusers has it.
const (
	Timestep = "timestep" // one, through sines and cosines and two linear maps, as the time
	Identity = "identity" // a vector, which is added to the embedding of the time
)

// AugmentLabels is how many numbers say how an image was transformed.
const AugmentLabels = 13

// Conditional says whether the network is told a class, or something in its place.
func (s Spec) Conditional() bool { return s.Classes > 0 || s.Condition != "" }

// CheckOutput says why a network cannot be trained for an output, or sampled by it, by its name.
func (s Spec) CheckOutput(output string) error {
	if s.OverTime && output == "edm" {
		return fmt.Errorf("output %s is scaled by the noise level and told ln(σ)/4, and the network (time_embedding_type fourier) takes the logarithm of what it is told and divides by it; want eps, score, x, u or v, or a network of positional times", output)
	}
	return nil
}

// takes says whether images of a size can be given to the network.
func (s Spec) takes(height, width int) bool {
	if s.Multiple == 0 {
		return height == s.Height && width == s.Width && height > 0
	}
	return height > 0 && width > 0 && height%s.Multiple == 0 && width%s.Multiple == 0
}

// CheckSize says why images of a size can not be given to the network, which the error
// calls who.
func (s Spec) CheckSize(who string, height, width int) error {
	switch {
	case s.takes(height, width):
		return nil
	case s.Multiple == 0:
		return fmt.Errorf("%s is for images of %d×%d pixels alone", who, s.Width, s.Height)
	case height > 0 && height%s.Multiple == 0:
		height = width
	}
	return fmt.Errorf("%d pixels cannot be halved %d times as %s does; want a multiple of %d", height, bits.Len(uint(s.Multiple))-1, who, s.Multiple)
}

// Sizes says which images the network takes.
func (s Spec) sizes() string {
	if s.Multiple == 0 {
		return fmt.Sprintf("%d×%d", s.Height, s.Width)
	}
	return fmt.Sprintf("positive multiples of %d", s.Multiple)
}

// least is a size of images that the network takes.
func (s Spec) least() (height, width int) {
	if s.Multiple == 0 {
		return s.Height, s.Width
	}
	return s.Multiple, s.Multiple
}

// WithEstimate returns the network for the same images, given its own last estimate or not.
func WithEstimate(n Network, on bool) (Network, error) {
	like := n.Spec()
	if like.Estimate == on {
		return n, nil
	}
	like.Estimate = on
	return n.Fit(like)
}

// CheckDenoiser says why a network does not make images out of noisy ones alone.
func CheckDenoiser(n Network) error {
	if _, err := n.Denoiser(); err != nil {
		return err
	}
	if s := n.Spec(); s.Outputs != s.Channels && !s.Variance {
		return fmt.Errorf("the network gives %d channels for images of %d; want what its Denoiser is", s.Outputs, s.Channels)
	}
	return nil
}

// Inputs of one application of a network. Those that it does not take are not looked at.
type Inputs struct {
	Sample *gorgonia.Node // (N,H,W,channels): the noisy image
	Time   *gorgonia.Node // (N): the network's own time, 0 to 1000, any float
	Jump   *gorgonia.Node // (N): how much of that time its answer is to lead over, 0 to Time
	// Guidance is (N), the scale of guidance of each image.
	Guidance *gorgonia.Node
	// Class is (N), numbers of classes or what stands for them, or (N,Embedding).
	Class *gorgonia.Node
	// Estimate of the clean image, of the shape of Sample; 0 where there is none yet.
	Estimate *gorgonia.Node
	// Concat is a second image, (N,H,W,Concat), that it is given beside the noisy one: image to
	// image (SR3, Palette).
	Concat *gorgonia.Node
	// Augment is (N,AugmentLabels): how images were transformed; nil outside of training, which
	// is as zeros.
	Augment *gorgonia.Node
	// Dropout is the keys of the values that are left out, as kernels/dropout has them; nil
	// outside of training.
	Dropout *gorgonia.Node
}

// WithEstimate returns the inputs with a node for the estimate, if they had none.
func (in Inputs) WithEstimate() Inputs {
	if in.Estimate == nil {
		in.Estimate = gorgonia.NewTensor(in.Sample.Graph(), in.Sample.Dtype(), 4, gorgonia.WithShape(in.Sample.Shape()...), gorgonia.WithName("estimate"))
	}
	return in
}

// WithJump returns the inputs with a node for the jump, if they had none.
func (in Inputs) WithJump() Inputs {
	if in.Jump == nil {
		in.Jump = gorgonia.NewVector(in.Time.Graph(), in.Time.Dtype(), gorgonia.WithShape(in.Time.Shape()...), gorgonia.WithName("jump"))
	}
	return in
}

// WithConcat returns the inputs with a node for a second image of some channels, if they had none.
func (in Inputs) WithConcat(channels int) Inputs {
	if in.Concat == nil {
		s := in.Sample.Shape()
		in.Concat = gorgonia.NewTensor(in.Sample.Graph(), in.Sample.Dtype(), 4, gorgonia.WithShape(s[0], s[1], s[2], channels), gorgonia.WithName("concat"))
	}
	return in
}

// Result of one application of a network.
type Result struct {
	Output *gorgonia.Node // (N,H,W,channels)
	// Variance is of the shape of Output, where the network gives one: −1 stands for the least
	// variance of a step, and 1 for the largest (improved DDPM); nil: it gives none.
	Variance *gorgonia.Node
	// Blocks are what residual and attention blocks begin with, and Output: the
	// whole network follows from them, block by block.
	Blocks []*gorgonia.Node
}
