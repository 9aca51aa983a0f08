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
