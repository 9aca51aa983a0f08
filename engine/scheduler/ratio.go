package scheduler

// ratioGrid is the grid of the schedulers on z = x + σε: the times of the
// spacing, or noise levels between their ends.
func ratioGrid(p *planner, s spacing, keys sigmaKeys, r sigmaRange, table []float64) (levels, error) {
	times, err := s.times(p, spread{train: len(table), last: len(table), steps: p.Steps})
	if err != nil {
		return levels{}, err
	}
	l := byTime(times, table)
	if keys == (sigmaKeys{}) {
		return l, nil
	}
	return p.ratioSigmas(keys, r, l.sigmas[0], l.sigmas[p.Steps-1], table)
}

func (p *planner) ratioSigmas(keys sigmaKeys, r sigmaRange, first, last float64, table []float64) (levels, error) {
	kind, err := keys.kind()
	if err != nil {
		return levels{}, err
	}
	sigmas, err := r.grid(kind, first, last, p.Steps)
	if err != nil {
		return levels{}, err
	}
	l := levels{sigmas: sigmas}
	for _, s := range sigmas {
		l.times = append(l.times, timeOf(s, table))
	}
	return l, nil
}

// exploding places levels on z = x + σε.
func (p *planner) exploding(l levels) {
	for i, n := range l.times {
		p.vary(n, l.sigmas[i])
	}
}
