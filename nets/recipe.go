package nets

// Recipe is how a network is trained. Images are counted in images seen.
type Recipe struct {
	LR        float64 // largest learning rate
	Batch     int     // images of a step
	Warmup    int64   // images over which the learning rate rises from 0
	Decay     float64 // share of the run, at its end, over which it falls to 0
	Beta2     float64 // AdamW's second moment
	Clip      float64 // largest norm of the gradients
	EMA       int64   // half-life of the averaged weights, in images
	LabelDrop float64 // share of images trained without their label
	Flip      bool    // random horizontal flips, of photographs

	Images          int64 // length of the run
	CheckpointEvery int64
	SampleEvery     int64
}

// RecipeBySize is for a network that is none of the presets: the recipe of the
// smallest preset with at least as many weights, or of the largest there is,
// and that preset's name. What images and classes add is not counted. A larger network takes a lower learning rate, so this
// errs to the safe side. Images are not flipped: of what they are is not known.
func RecipeBySize(c Config) (Recipe, string, error) {
	if err := c.Validate(); err != nil {
		return Recipe{}, "", err
	}
	plain := c.WithSelfConditioning(false).WithChannels(Default().OutChannels).WithClasses(0)
	weights := Count(plain.Params())
	for i, p := range presets {
		like := Default()
		p.set(&like)
		if i == len(presets)-1 || Count(like.Params()) >= weights {
			r := p.recipe
			r.Flip = false
			return r, p.name, nil
		}
	}
	panic("no presets")
}
