package metric

import "math"

// InceptionScore is exp of the mean divergence of the classes of an image from those
// of all (Salimans et al., "Improved Techniques for Training GANs", 2016), mean and
// standard deviation over parts of the images. Logits have one row an image. The images
// are put into a random order first, since samples often come sorted by class.
func InceptionScore(logits Features, splits int, seed uint64) (mean, deviation float64, err error) {
	if logits.Len() < splits || splits < 1 {
		return 0, 0, &CountError{"the Inception Score", logits.Len(), max(splits, 1)}
	}
	return inceptionScore(logits, shuffled(logits.Len(), logits.Len(), seed, 0), splits)
}

func inceptionScore(logits Features, order []int, splits int) (mean, deviation float64, err error) {
	scores := make([]float64, splits)
	p, log := make([]float64, logits.Dim), make([]float64, logits.Dim)
	for s := range scores {
		part := order[s*len(order)/splits : (s+1)*len(order)/splits]
		marginal := make([]float64, logits.Dim)
		entropy := 0.0 // Σ p ln p, mean over images
		for _, i := range part {
			softmax(logits.Row(i), p, log)
			for c, v := range p {
				marginal[c] += v / float64(len(part))
				entropy += v * log[c] / float64(len(part))
			}
		}
		for _, v := range marginal {
			if v > 0 {
				entropy -= v * math.Log(v)
			}
		}
		scores[s] = math.Exp(entropy)
	}
	mean, deviation = meanDeviation(scores)
	return mean, deviation, nil
}

// softmax of logits, and its logarithm.
func softmax(logits []float32, p, log []float64) {
	most := math.Inf(-1)
	for _, v := range logits {
		most = max(most, float64(v))
	}
	sum := 0.0
	for c, v := range logits {
		log[c] = float64(v) - most
		p[c] = math.Exp(log[c])
		sum += p[c]
	}
	for c := range p {
		p[c] /= sum
		log[c] -= math.Log(sum)
	}
}
