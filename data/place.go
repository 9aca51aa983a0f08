package data

import "fmt"

// places says which images come at the positions of a stream.
type places struct {
	o     LoaderOptions
	total int
	parts []listedPart // of a list; nil: images come from all of the set
	each  int          // micro-batches of a step that are of one part
}

// newPlaces are those of a set's stream. Parts that this stream needs must be here.
func newPlaces(d Dataset, o LoaderOptions) (places, error) {
	p := places{o: o, total: d.Len()}
	l, ok := stored(d).(*listed)
	if !ok {
		return p, nil
	}
	step := max(o.Step, 1)
	if step%len(l.parts) != 0 {
		return p, &Error{Path: l.path, Problem: fmt.Sprintf("has %d parts, each with as many micro-batches of a step, and there are %d; want --accumulate %d, or a multiple of it", len(l.parts), step, len(l.parts))}
	}
	p.parts, p.each = l.parts, step/len(l.parts)
	first, end := o.First, o.End
	if end == 0 {
		end = step
	}
	for k := first; k < end; k++ {
		if part := &p.parts[k/p.each]; part.set == nil {
			return p, &Error{Path: part.Data, Problem: fmt.Sprintf("is a part that is not on this machine, and the process here has micro-batches %d to %d of %d, of parts %d to %d; want it here, or more processes", first+1, end, step, first/p.each+1, (end-1)/p.each+1), Err: part.why}
		}
	}
	return p, nil
}

// CheckStream says why a stream of a set cannot begin, as far as that is known without reading images.
func CheckStream(d Dataset, o LoaderOptions) error {
	_, err := newPlaces(d, o)
	return err
}

// at is the image at a position: the place-th of n from the first on.
func (p places) at(position int64) (first, n, place int) {
	if p.parts == nil {
		return 0, p.total, Order(p.o.Seed, position/int64(p.total), p.total, int(position%int64(p.total)))
	}
	part, batch := p.partOf(position / int64(p.o.Batch))
	own := batch*int64(p.o.Batch) + position%int64(p.o.Batch) // in the stream of the part
	first, n = p.parts[part].first, p.parts[part].Images
	return first, n, Order(p.o.Seed+uint64(part), own/int64(n), n, int(own%int64(n)))
}

// partOf says of which part a batch of the stream is, and which of that part's own.
func (p places) partOf(batch int64) (part int, own int64) {
	steps := int64(len(p.parts) * p.each)
	step, micro := batch/steps, int(batch%steps)
	return micro / p.each, step*int64(p.each) + int64(micro%p.each)
}

// turn is the bucket that a batch is of, and the place in its stream of the first image. Images are
// numbered from the first of the set or part that it is a bucket of.
type turn struct {
	of     *Buckets
	bucket int
	from   int64
	first  int
	seed   uint64
}

// turn is that of the batch at a position of a set with such buckets.
func (p places) turn(of *Buckets, position int64) turn {
	t, batch := turn{of: of, seed: p.o.Seed}, position/int64(p.o.Batch)
	if p.parts != nil {
		var part int
		part, batch = p.partOf(batch)
		t.of, t.first, t.seed = BucketsOf(p.parts[part].set), p.parts[part].first, p.o.Seed+uint64(part)
	}
	t.bucket, t.from = t.of.batch(t.seed, p.o.Batch, batch)
	return t
}

// pick returns the image at a position. read reads it. If that fails and broken images are
// to be left out, the next is taken that can be read; skip is told of the others.
func (p places) pick(position int64, read func(index int) error, skip func(error)) (int, error) {
	from, n, place := p.at(position)
	place, err := p.readable(n, place, func(place int) error { return read(from + place) }, skip)
	return from + place, err
}

// readable is pick among n, from a place on.
func (p places) readable(n, place int, read func(place int) error, skip func(error)) (int, error) {
	at, err := place, read(place)
	for tries := 1; err != nil && p.o.SkipBroken && tries < n; tries++ {
		skip(err)
		at = (place + tries) % n
		err = read(at)
	}
	return at, err
}
