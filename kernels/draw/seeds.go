package draw

// Seeds says which samples a batch makes: image i is the one of number
// Images[i] under Seed, in whatever batch it is made.
type Seeds struct {
	Seed   uint64
	Images []int64
	Scale  float32 // standard deviation of the start, sampler.Table's
}
