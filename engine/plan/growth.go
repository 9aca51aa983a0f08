package plan

// Growth is memory as a line over the batch, in bytes: parameters and what
// belongs to them, and what every image adds.
type Growth struct{ Fixed, PerImage float64 }

// GrowthAt returns the line through two batches, one and twice as large. Sizes
// are those of the plans for a batch.
func GrowthAt(batch int, sizes func(batch int) ([Regions]int, error)) (Growth, error) {
	one, err := sizes(batch)
	if err != nil {
		return Growth{}, err
	}
	two, err := sizes(2 * batch)
	if err != nil {
		return Growth{}, err
	}
	image := float64(Bytes(two)-Bytes(one)) / float64(batch)
	return Growth{float64(Bytes(one)) - image*float64(batch), image}, nil
}

// Bytes of a batch.
func (g Growth) Bytes(batch int) float64 { return g.Fixed + g.PerImage*float64(batch) }
