package cpu

// upsampledBF16AVX512 are the steps of Winograd's convolution of an image whose pixels
// are repeated; Input and OutputGrad are those of the gradient of its weights, too.
func upsampledBF16AVX512() *BF16Squares {
	return &BF16Squares{
		Input: func(l *BF16Lines) {
			a := linearArgsOf(l)
			repeatedInputAVX512(&a)
		},
		Output: func(l *BF16Lines) {
			a := linearArgsOf(l)
			if l.Add != nil {
				repeatedOutputAddAVX512(&a)
			} else {
				repeatedOutputAVX512(&a)
			}
		},
		OutputGrad: func(l *BF16Lines) {
			a := linearArgsOf(l)
			repeatedOutputGradAVX512(&a)
		},
		Weights: func(l *BF16Lines) {
			a := linearArgsOf(l)
			repeatedWeightsAVX512(&a)
		},
	}
}

// upsampledGradBF16AVX512 are the steps of the gradient of such an image.
func upsampledGradBF16AVX512() *BF16Squares {
	return &BF16Squares{
		Input: func(l *BF16Lines) {
			a := linearArgsOf(l)
			repeatedGradInputAVX512(&a)
		},
		Output: func(l *BF16Lines) {
			a := linearArgsOf(l)
			if l.Add != nil {
				repeatedGradOutputAddAVX512(&a)
			} else {
				repeatedGradOutputAVX512(&a)
			}
		},
		Weights: upsampledBF16AVX512().Weights,
	}
}
