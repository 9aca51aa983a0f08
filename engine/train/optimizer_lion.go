package train

import (
	"fluxion/kernels"
	"fluxion/kernels/lion"
	"fluxion/kernels/optim"
	"fluxion/nets"
)

// lionOptimizer is that of Chen et al. (arXiv 2302.06675).
var lionOptimizer = optimizer{
	method: method{
		name: "lion", does: "the sign of a momentum, for a learning rate 3 to 10 times as small as Adam's",
		own:      []string{"beta1", "beta2"},
		defaults: func(s *Settings) { s.Beta1, s.Beta2 = 0.9, 0.99 },
	},
	states: []state{{name: "momentum"}},
	kernel: func(_ []nets.Param, undecayed optim.Ranges) (kernels.Kernel, func(Hyper)) {
		var hyper lion.Hyper
		return lion.New(&hyper, undecayed), func(h Hyper) {
			hyper = lion.Hyper{
				LearningRate: h.LearningRate, Beta1: h.Beta1, Beta2: h.Beta2, WeightDecay: h.WeightDecay,
				Clip: h.clipping(), EMADecay: h.EMADecays[0],
			}
		}
	},
}
