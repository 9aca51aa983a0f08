package train

import (
	"fluxion/data/lookup"
	"fluxion/kernels"
	"fluxion/kernels/adamw"
	"fluxion/kernels/optim"
	"fluxion/kernels/sgd"
)

// optimizer is how gradients change weights: a kernel, what it keeps from step to step,
// and what it takes of the settings. Another one is a value of this type and a line in
// the list.
type optimizer struct {
	method
	states []state
	// kernel takes the flat gradients, the states in their order, the average, the
	// gradients' norm and perhaps the bf16 copy of the weights, and gives the flat
	// weights. set gives it the numbers of the next step.
	kernel func() (k kernels.Kernel, set func(Hyper))
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

var optimizers = []optimizer{adamW, momentum}

// adamWName is the name of the optimizer of runs that name none.
const adamWName = "adamw"

// adamW is that of Loshchilov and Hutter (arXiv 1711.05101).
var adamW = optimizer{
	method: method{
		name: adamWName, does: "Adam with decoupled weight decay",
		own: []string{"beta1", "beta2", "epsilon"},
		defaults: func(s *Settings) {
			d := Default()
			s.Beta1, s.Beta2, s.Epsilon = d.Beta1, d.Beta2, d.Epsilon
		},
	},
	states: []state{{name: "moment1"}, {name: "moment2", squares: true}},
	kernel: func() (kernels.Kernel, func(Hyper)) {
		var hyper adamw.Hyper
		return adamw.New(&hyper), func(h Hyper) {
			hyper = adamw.Hyper{
				LearningRate: h.LearningRate, Beta1: h.Beta1, Beta2: h.Beta2, Epsilon: h.Epsilon, WeightDecay: h.WeightDecay,
				Count: h.Count, Clip: optim.Clip{Scale: h.gradScale, Norm: h.Clip}, EMADecay: h.EMADecays[0],
			}
		}
	},
}

// momentum is torch.optim.SGD without dampening.
var momentum = optimizer{
	method: method{
		name: "sgd", does: "stochastic gradient descent with momentum",
		own:      []string{"momentum", "nesterov"},
		defaults: func(s *Settings) { s.Momentum = 0.9 },
	},
	states: []state{{name: "momentum"}},
	kernel: func() (kernels.Kernel, func(Hyper)) {
		var hyper sgd.Hyper
		return sgd.New(&hyper), func(h Hyper) {
			hyper = sgd.Hyper{
				LearningRate: h.LearningRate, Momentum: h.Momentum, Nesterov: h.Nesterov, WeightDecay: h.WeightDecay,
				Clip: optim.Clip{Scale: h.gradScale, Norm: h.Clip}, EMADecay: h.EMADecays[0],
			}
		}
	},
}

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
