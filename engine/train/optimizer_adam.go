package train

import (
	"fluxion/kernels"
	"fluxion/kernels/adam"
	"fluxion/kernels/adamw"
	"fluxion/kernels/optim"
	"fluxion/nets"
)

// adamMoments are what all kinds of Adam keep.
var adamMoments = []state{{name: "moment1"}, {name: "moment2", squares: true}}

// adamKind is a kind of Adam, whose settings mean the same in all.
func adamKind(name, does string) method {
	return method{
		name: name, does: does, family: "adam", own: []string{"beta1", "beta2", "epsilon"},
		defaults: func(s *Settings) {
			d := Default()
			s.Beta1, s.Beta2, s.Epsilon = d.Beta1, d.Beta2, d.Epsilon
		},
	}
}

// adamW is that of Loshchilov and Hutter (arXiv 1711.05101).
var adamW = optimizer{
	method: adamKind(adamWName, "Adam with decoupled weight decay"), states: adamMoments,
	kernel: func(_ []nets.Param, undecayed optim.Ranges) (kernels.Kernel, func(Hyper)) {
		var hyper adamw.Hyper
		return adamw.New(&hyper, undecayed), func(h Hyper) {
			hyper = adamw.Hyper{
				LearningRate: h.LearningRate, Beta1: h.Beta1, Beta2: h.Beta2, Epsilon: h.Epsilon, WeightDecay: h.WeightDecay,
				Count: h.Count, Clip: h.clipping(), EMADecay: h.EMADecays[0],
			}
		}
	},
}

// adamOptimizer is torch.optim.Adam, radam torch.optim.RAdam.
var (
	adamOptimizer = adamWith(adamKind("adam", "Adam, whose weight decay joins the gradients"), false)
	radam         = adamWith(adamKind("radam", "rectified Adam, which warms up by itself"), true)
)

func adamWith(m method, rectified bool) optimizer {
	return optimizer{
		method: m, states: adamMoments,
		kernel: func(_ []nets.Param, undecayed optim.Ranges) (kernels.Kernel, func(Hyper)) {
			var hyper adam.Hyper
			return adam.New(&hyper, undecayed), func(h Hyper) {
				hyper = adam.Hyper{
					LearningRate: h.LearningRate, Beta1: h.Beta1, Beta2: h.Beta2, Epsilon: h.Epsilon, WeightDecay: h.WeightDecay, Rectified: rectified,
					Count: h.Count, Clip: h.clipping(), EMADecay: h.EMADecays[0],
				}
			}
		},
	}
}
