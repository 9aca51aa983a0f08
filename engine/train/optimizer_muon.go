package train

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/muon"
	"fluxion/kernels/optim"
	"fluxion/nets"
)

// muonOptimizer is Muon for the hidden matrices, AdamW for all else: see package muon.
var muonOptimizer = optimizer{
	method: method{
		name: "muon", does: "Muon for hidden matrices and convolutions, AdamW for biases, norms, tables and the first and last layer", family: "adam",
		own: []string{"momentum", "nesterov", "beta1", "beta2", "epsilon"},
		defaults: func(s *Settings) {
			adamW.defaults(s)
			s.Momentum, s.Nesterov = 0.95, true
		},
	},
	states: adamMoments, // the first one is the momentum of matrices
	kernel: func(weights []nets.Param, undecayed optim.Ranges) (kernels.Kernel, func(Hyper)) {
		var hyper muon.Hyper
		return muon.New(&hyper, muonMatrices(weights), undecayed), func(h Hyper) {
			hyper = muon.Hyper{
				LearningRate: h.LearningRate, WeightDecay: h.WeightDecay, Momentum: h.Momentum, Nesterov: h.Nesterov,
				Beta1: h.Beta1, Beta2: h.Beta2, Epsilon: h.Epsilon, Count: h.Count, Clip: h.clipping(), EMADecay: h.EMADecays[0],
			}
		}
	},
	work: func(p nets.Param) int64 {
		work := 16 * int64(p.Size()) // about what AdamW takes
		for _, m := range muonMatrices([]nets.Param{p}) {
			work += m.FLOPs()
		}
		return work
	},
	about: func(weights []nets.Param) string {
		n := 0
		matrices := muonMatrices(weights)
		for _, m := range matrices {
			n += m.Rows * m.Columns
		}
		return fmt.Sprintf("Muon for %d matrices, %.1f %% of the weights; AdamW for the rest", len(matrices), 100*float64(n)/float64(nets.Count(weights)))
	},
}

// muonMatrices are the weights between hidden layers, of a convolution all taps of all
// inputs against its outputs.
func muonMatrices(weights []nets.Param) (all []muon.Matrix) {
	for _, p := range weights {
		if rows, columns, ok := p.Hidden(); ok {
			all = append(all, muon.Matrix{Offset: p.Offset, Rows: rows, Columns: columns})
		}
	}
	return all
}
