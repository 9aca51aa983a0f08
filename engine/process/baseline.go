package process

// LinearError is the mean squared error of the best linear guess of the output
// y = Ax + Bε from z = αx + σε, pixel by pixel, where x has this variance and ε
// has 1, whatever the mean of x: Var y − Cov(y, z)²/Var z, which is
//
//	s²(Aσ − Bα)² / (α²s² + σ²).
//
// A Gaussian x has no better guess of any kind.
func (q Point) LinearError(variance float64) float64 {
	if q.Gamma != 0 {
		covariance := q.A*q.Alpha*variance + q.B*q.Sigma + q.C*q.Gamma
		return q.A*q.A*variance + q.B*q.B + q.C*q.C - covariance*covariance/(q.Alpha*q.Alpha*variance+q.Sigma*q.Sigma+q.Gamma*q.Gamma)
	}
	d := q.A*q.Sigma - q.B*q.Alpha
	if variance == 0 || d == 0 {
		return 0
	}
	return variance * d * d / (q.Alpha*q.Alpha*variance + q.Sigma*q.Sigma)
}

// BaselineLoss is the loss, its weights divided by MeanLossWeight, of a network
// that knows the mean and the variance of the pixels and nothing else: not what
// pixels are beside each other. A network that learns falls below it soon. It is
// the mean over the times drawn, at the quantiles that MeanLossWeight takes.
//
// Adaptive times do not move it: what is drawn more often is weighted less.
func (o Objective) BaselineLoss(variance float64) float64 {
	return o.meanLoss(func(q Point) float64 { return q.LinearError(variance) })
}

// ZeroLoss is the loss of a network that answers 0, as one with its first weights
// nearly does, where x² has this mean: A² E x² + B², over the times drawn.
func (o Objective) ZeroLoss(square float64) float64 {
	return o.meanLoss(func(q Point) float64 { return q.A*q.A*square + q.B*q.B + q.C*q.C })
}

// meanLoss is the mean over the times drawn of a mean squared error, weighted as
// in training.
func (o Objective) meanLoss(squared func(Point) float64) float64 {
	loss, weights := 0.0, 0.0
	for i := range weightSamples {
		d := o.Draw(o.Times.Time((float64(i) + 0.5) / weightSamples))
		if d.Weight == 0 {
			continue
		}
		weights += d.Weight
		loss += d.Weight * squared(d.Point)
	}
	return loss / weights
}
