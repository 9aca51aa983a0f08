package train

import (
	"fluxion/kernels"
	"fluxion/kernels/optim"
	"fluxion/kernels/sgd"
	"fluxion/nets"
)

// momentum is torch.optim.SGD without dampening.
var momentum = optimizer{
	method: method{
		name: "sgd", does: "stochastic gradient descent with momentum",
		own:      []string{"momentum", "nesterov"},
		defaults: func(s *Settings) { s.Momentum = 0.9 },
	},
	states: []state{{name: "momentum"}},
	kernel: func(_ []nets.Param, undecayed optim.Ranges) (kernels.Kernel, func(Hyper)) {
		var hyper sgd.Hyper
		return sgd.New(&hyper, undecayed), func(h Hyper) {
			hyper = sgd.Hyper{
				LearningRate: h.LearningRate, Momentum: h.Momentum, Nesterov: h.Nesterov, WeightDecay: h.WeightDecay,
				Clip: h.clipping(), EMADecay: h.EMADecays[0],
			}
		}
	},
}
