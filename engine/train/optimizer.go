package train

import (
	"fluxion/data/lookup"
	"fluxion/kernels"
	"fluxion/kernels/optim"
	"fluxion/nets"
)

// optimizer is how gradients change weights: a kernel, what it keeps from step to step,
// and what it takes of the settings. Another one is a file with a value of this type and
// a line in the list.
type optimizer struct {
	method
	states []state
	// kernel is that of weights with these names and places, some of which do not decay. It
	// takes the flat gradients, the states in their order, the average, the gradients' norm
	// and perhaps the bf16 copy of the weights, and gives the flat weights. set gives it the
	// numbers of the next step.
	kernel func(weights []nets.Param, undecayed optim.Ranges) (k kernels.Kernel, set func(Hyper))
	about  func(weights []nets.Param) string // of weights that differ in how they are changed; nil: none do
	// work is that of a tensor which is changed as a whole. nil: each weight is changed by
	// itself.
	work func(nets.Param) int64
}

// state is a flat buffer that an optimizer keeps.
type state struct {
	name    string // of the buffer, and with a dot behind it the prefix of its tensors in checkpoints
	squares bool   // it is a mean of squares, none of which is below 0
}

// Hyper is the numbers of a step of an optimizer.
type Hyper struct {
	Settings
	LearningRate float64
	Count        int64            // steps done, this one included; from 1
	EMADecays    [MaxEMAs]float64 // shares of the old EMAs that are kept

	gradScale float64 // multiplies the gradients first: 1/(micro-batches)
}

func (h Hyper) clipping() optim.Clip { return optim.Clip{Scale: h.gradScale, Norm: h.Clip} }

var optimizers = []optimizer{adamW, adamOptimizer, radam, momentum, lionOptimizer, muonOptimizer}

// adamWName is the name of the optimizer of runs that name none.
const adamWName = "adamw"

// findOptimizer returns the optimizer of a name; without one it is AdamW.
func findOptimizer(name string) (optimizer, error) {
	if name == "" {
		return adamW, nil
	}
	i, err := lookup.Find("optimizer", name, names(methods()["optimizer"]))
	if err != nil {
		return optimizer{}, err
	}
	return optimizers[i], nil
}

// What weight decay is of.
const (
	decayAll      = "all"
	decayMatrices = "matrices"
)

// undecayed are the weights without decay.
func undecayed(of string, weights []nets.Param) (r optim.Ranges) {
	for _, p := range weights {
		if p.Fixed || of == decayMatrices && len(p.Stored) < 2 {
			r.Add(p.Offset, p.End())
		}
	}
	return r
}
