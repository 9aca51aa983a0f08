package cpu

// upsampledHalfAVX512 are the steps of Winograd's convolution of an image whose pixels
// are repeated; Input and OutputGrad are those of the gradient of its weights, too.
func upsampledHalfAVX512() *HalfSquares {
	return &HalfSquares{
		Input: func(l *HalfLines) {
			a := linearArgsOf(l)
			repeatedInputAVX512(&a)
		},
		Output: func(l *HalfLines) {
			a := linearArgsOf(l)
			if l.Add != nil {
				repeatedOutputAddAVX512(&a)
			} else {
				repeatedOutputAVX512(&a)
			}
		},
		OutputGrad: func(l *HalfLines) {
			a := linearArgsOf(l)
			repeatedOutputGradAVX512(&a)
		},
		Weights: func(l *HalfLines) {
			a := linearArgsOf(l)
			repeatedWeightsAVX512(&a)
		},
	}
}

// upsampledGradHalfAVX512 are the steps of the gradient of such an image.
func upsampledGradHalfAVX512() *HalfSquares {
	return &HalfSquares{
		Input: func(l *HalfLines) {
			a := linearArgsOf(l)
			repeatedGradInputAVX512(&a)
		},
		Output: func(l *HalfLines) {
			a := linearArgsOf(l)
			if l.Add != nil {
				repeatedGradOutputAddAVX512(&a)
			} else {
				repeatedGradOutputAVX512(&a)
			}
		},
		Weights: upsampledHalfAVX512().Weights,
	}
}
