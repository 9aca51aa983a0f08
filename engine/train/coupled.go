package train

import (
	"context"
	"slices"

	"fluxion/data"
	"fluxion/engine/couple"
	"fluxion/kernels/gram"
)

// coupled is a stream of batches whose noise is paired, step by step: while one step is
// lent, the next is paired. So many batches in a row are a step, of which some are lent; the
// stream must be able to lend those of two steps at a time.
type coupled struct {
	stream     data.Stream
	coupling   couple.Coupling
	batches    int // of a step
	first, end int // those of them that are lent
	size       int // values of an image
	// multiply is the products of a step, for a coupling that wants them.
	multiply func([]*data.Batch) (gram.Table, error)
	draw     func(address int64, to []float32) // as in couple.Step
	inputs   bool                              // are what is paired, and not noise
	seed     uint64
	tell     func(error) // in what pairs fall short: the first time that they do
	left     int64       // steps that will be asked for; the one behind them is not paired ahead

	waiting []*data.Batch // of the step that is lent
	next    []*data.Batch // of the step behind it, which is being paired
	spare   []*data.Batch // memory
	failed  error         // of reading that step
	step    couple.Step
	values  []float32 // of its images
	begin   chan struct{}
	done    chan error
	busy    bool
}

// newCoupled takes over a stream.
func newCoupled(c coupled) *coupled {
	s := &c
	s.begin, s.done = make(chan struct{}), make(chan error, 1)
	go func() {
		for range s.begin {
			s.done <- s.pair()
		}
	}()
	return s
}

// Next returns the next batch.
func (s *coupled) Next(ctx context.Context) (*data.Batch, error) {
	if len(s.waiting) == 0 {
		if err := s.turn(ctx); err != nil {
			return nil, err
		}
	}
	b := s.waiting[0]
	s.waiting = s.waiting[1:]
	return b, nil
}

// turn brings the next step, and lets the one behind it be paired.
func (s *coupled) turn(ctx context.Context) error {
	if s.failed == nil && len(s.next) == 0 {
		s.read(ctx)
	}
	if err := s.failed; err != nil {
		s.failed = nil // who asks again reads on
		return err
	}
	if s.busy {
		select {
		case short := <-s.done:
			s.paired(short)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.waiting, s.next, s.spare = s.next, s.spare[:0], s.next[:0]
	for i, b := range s.waiting {
		if i < s.first || i >= s.end {
			s.Release(b)
		}
	}
	s.waiting = s.waiting[s.first:s.end]
	if s.left--; s.left > 0 {
		s.read(ctx)
	}
	return nil
}

// paired ends the pairing of a step.
func (s *coupled) paired(short error) {
	if s.busy = false; short != nil && s.tell != nil {
		s.tell(short)
		s.tell = nil
	}
}

// read reads the batches of a step, and lets them be paired.
func (s *coupled) read(ctx context.Context) {
	for len(s.next) < s.batches {
		b, err := s.stream.Next(ctx)
		if err != nil {
			s.fail(err)
			return
		}
		s.next = append(s.next, b)
	}
	if s.multiply != nil {
		var err error
		if s.step.Products, err = s.multiply(s.next); err != nil {
			s.fail(err)
			return
		}
	}
	s.busy = true
	s.begin <- struct{}{}
}

// fail gives back what was read of a step that cannot be.
func (s *coupled) fail(err error) {
	for _, b := range s.next {
		s.Release(b)
	}
	s.next, s.failed = s.next[:0], err
}

// pair pairs the step that was read.
func (s *coupled) pair() error {
	step := &s.step
	step.Seed, step.Draw = s.seed, s.draw
	if s.inputs {
		defer s.exchange(s.next, step)()
	}
	step.Classes, step.Noise, step.At, step.Images = step.Classes[:0], step.Noise[:0], step.At[:0], step.Images[:0]
	for k, b := range s.next {
		step.Classes, step.Noise, step.At = append(step.Classes, b.Classes...), append(step.Noise, b.Noise...), append(step.At, b.Indices...)
		if s.multiply == nil {
			s.look(k, b)
		}
	}
	if s.inputs {
		inputs := make([][]float32, len(step.Noise))
		for i, address := range step.Noise {
			inputs[i] = make([]float32, s.size)
			step.Draw(address, inputs[i])
		}
		step.Products = gram.Of(step.Images, inputs)
	}
	err := s.coupling.Pair(*step)
	at := 0
	for _, b := range s.next {
		at += copy(b.Noise, step.Noise[at:])
	}
	return err
}

// look adds the images of batch k as the network sees them.
func (s *coupled) look(k int, b *data.Batch) {
	n := len(b.Indices)
	if s.values == nil {
		s.values = make([]float32, s.batches*n*s.size)
	}
	values := s.values[k*n*s.size:][:n*s.size]
	b.Pixels.Values(values)
	for i := range n {
		s.step.Images = append(s.step.Images, values[i*s.size:][:s.size])
	}
}

// Release gives a batch back.
func (s *coupled) Release(b *data.Batch) { s.stream.Release(b) }

// Skipped names broken images.
func (s *coupled) Skipped() []string { return s.stream.Skipped() }

// Close waits for the pairing that is on its way.
func (s *coupled) Close() {
	close(s.begin)
	if s.busy {
		s.paired(<-s.done)
	}
	s.stream.Close()
}

// exchange makes inputs the noise of a step: the address of one is its number in the step.
// What it returns gives each image the input that it is paired with.
func (s *coupled) exchange(all []*data.Batch, step *couple.Step) func() {
	n := len(all[0].Indices)
	inputs, own := data.NewPixels(all[0].Inputs.Kind(), len(all)*n*s.size), make([][]int64, len(all))
	for k, b := range all {
		inputs.Slice(k*n*s.size, (k+1)*n*s.size).Copy(b.Inputs)
		own[k] = slices.Clone(b.Noise)
		for i := range b.Noise {
			b.Noise[i] = int64(k*n + i)
		}
	}
	input := func(address int64) data.Pixels { return inputs.Slice(int(address)*s.size, int(address+1)*s.size) }
	step.Draw = func(address int64, to []float32) { input(address).Values(to) }
	return func() {
		for k, b := range all {
			for i, address := range b.Noise {
				b.Inputs.Slice(i*s.size, (i+1)*s.size).Copy(input(address))
			}
			copy(b.Noise, own[k])
		}
	}
}
