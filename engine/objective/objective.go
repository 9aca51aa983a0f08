// Package objective holds the losses that networks are trained on, as values. An
// objective builds its loss in the graph of a step, from the images, their noise and as
// many applications of networks as it wants; gives each image its numbers; and may learn
// from the errors that come of it. One method is one file, and a line in the list.
package objective

import (
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// Objective is a loss. It belongs to one run; what it builds belongs to one step, of which
// a run may have several made until one fits its memory.
type Objective interface {
	// About is what a user should know of it, line by line, each under a name.
	About() [][2]string
	// Process is the one along which the trained network samples.
	Process() process.Process
	// Fit says what the trained network takes and gives: images like these, and what the
	// objective gives it besides.
	Fit(like nets.Spec) nets.Spec
	// Loss builds the loss of a batch. It may panic, as builders of graphs do; Build
	// makes an error of that.
	Loss(b *Builder) Loss
	// Baseline is the loss of a network that knows the mean and the variance of the pixels
	// and nothing else, and that of the answer 0; both 0 where nobody knows.
	Baseline(mean, variance float64) (baseline, zero float64)
	// Few is how the network that was trained on so many images samples, if it was trained
	// for that alone; nil: any number of steps.
	Few(images int64) *sampler.Few
	// Observe learns from an image of a whole step.
	Observe(o Observation, err float64)
	// State is what it has learnt; nil: it learns nothing.
	State() *State
}

// Loss is what Objective.Loss builds.
type Loss struct {
	Value *gorgonia.Node // a scalar, the mean over the batch
	// Errors are those of each image, for Observe; nil: nobody wants them, and there is
	// no State.
	Errors *gorgonia.Node
	// Plus is what is added to the value of the batch that was fed last, and has no gradient;
	// nil: nothing.
	Plus func() float64
	// Feed sets the numbers of image i of the batch, which stands at a position in the
	// stream of images, and says what an error of it will mean.
	Feed func(i int, at int64) Observation
	// Expect may be called before what Observe is told of the step before, and makes ready what Feed needs of the image
	// at a position and nothing learnt decides; nil: nothing.
	Expect func(at int64)
}

// Observation is an image whose error is not known yet.
type Observation struct {
	LogSNR float64
	Weight float64 // what an error of 1 weighs
	Step   int     // of a chain, of objectives that have one
}

// State is what has to be known to go on to the bit: a file of each checkpoint.
type State struct {
	File  string                 // its name, in the checkpoint's folder training
	Store func() ([]byte, error) // after the last step
	// Load checks what a checkpoint holds, and returns what takes it over. It may be
	// called beside steps, to look for a sound checkpoint, and is not called for one that
	// lacks the file: there one begins anew.
	Load func(data []byte) (take func() error, err error)
}

// Setup is what objectives are made of.
type Setup struct {
	Seed     uint64
	Batch    int        // images of a step, whoever computes which part of them
	Images   int64      // of the whole run; 0: not known
	Paired   bool       // images come with the noise that a model made them of
	Scales   [2]float64 // of guidance that the trained network is told, from the least to the largest; both 0: it is told none
	Levels   bool       // images are of 256 levels from −1 to 1; else their values are any numbers
	Distance string     // distance of what a network says from what it is to say: see LossSetting; empty: DefaultLoss
	Target   string     // network that gives the target; empty: the objective's own choice
	Teacher  *Teacher   // nil: none
	// Uncertainty of errors is learnt, and what they weigh follows from it; nil: it is not.
	Uncertainty *Uncertainty
	process.Objective

	distance distance // of Distance
}

// Kind is an objective's place in the list.
type Kind struct {
	Name, About string
	More        string // of what a training step has more than that of the first; "" for it
	Defaults    process.Parameters
	target      string // network that gives the target where nobody says; "": there is no choice
	make        func(s Setup, p process.Parameters) (Objective, error)
}

// Adding an objective is a line here, and a file.
var kinds = []Kind{
	{"denoising", "the network's output at a time drawn, for what the image and its noise say of it", "", nil, "", newDenoising},
	{selfConditioningName, "denoising by a network that is given its own estimate of a share of the images (Analog Bits)", "a pass", process.Parameters{"share": 0.5}, "", newSelfConditioning},
	{"hybrid", "denoising by a network that says the variance of each step, too, learnt by lambda of the variational bound (improved DDPM)", "", process.Parameters{"lambda": 0.001}, "", newHybrid},
	{"vlb", "the variational bound alone, mean and variance, at steps drawn by their last history terms (improved DDPM; history=0: uniform)", "", process.Parameters{"history": 10, "uniform": 0.001}, "", newVLB},
	{"reflow", "denoising on pairs of noise and what a model made of it (fluxion pairs), with times U-shaped by a (0: --time-sampler): straighter paths", "", process.Parameters{"a": 4}, "", newReflow},
	{progressiveName, "progressive distillation: in one step what --teacher does in two, stage by stage, from so many steps to so many", "two passes of the teacher", process.Parameters{"from": 16, "to": 1}, "", newProgressive},
	{"guidance", "guidance distillation: one pass for the two of a guided --teacher, of one scale or of all that --guidance-input tells the network (Meng et al.)", "two passes of the teacher", nil, "", newGuided},
	{"consistency", "the image that each point of a path leads to, as what the network says nearer to it: consistency training, or distillation of --teacher", "a pass, and one of a teacher", process.Parameters{"mean": -1.1, "std": 2, "stages": 8, "first": 0, "last": 1280}, selfTarget, newConsistency},
	{"kd", "knowledge distillation on such pairs: the model's answer in so many steps", "", process.Parameters{"steps": 1}, "", newKD},
	{"flowmap", "a flow map by its change along the flow: MeanFlow; improved MeanFlow (predicted=1); with --teacher Align Your Flow; sCM (same=0,data=1,norm=0.1,warmup=0.1)", "two passes", process.Parameters{"same": 0.5, "ends": 0.1, "predicted": 0, "warmup": 0, "data": 0, "norm": 0, "p": 0, "c": 0.001, difference: 0.002}, selfTarget, newEulerian},
	{"shortcut", "a flow map by two jumps in one, for a share of the images: shortcut models; any jumps (levels=0)", "two passes", process.Parameters{"share": 0.5, "ends": 0.1, "levels": 7, "p": 0, "c": 0.001}, selfTarget, newShortcut},
	{"lagrangian", "a flow map by the velocity at where it leads: Lagrangian self-distillation, or distillation of --teacher; its derivative is learnt through, or not (through=0)", "three passes", process.Parameters{"same": 0.5, "ends": 0.1, "through": 1, "p": 0, "c": 0.001, difference: 0.002}, selfTarget, newLagrangian},
}

// List returns every objective.
func List() []Kind { return kinds }
