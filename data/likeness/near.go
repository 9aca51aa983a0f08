package likeness

import (
	"context"
	"math/bits"
	"slices"
)

// A hash is cut into bands of bandBits. Hashes that differ in at most r bits differ in at
// most r/bands of one band (multi-index hashing: Norouzi et al., "Fast Search in Hamming
// Space", 2012), so that only pictures with such a band must be compared.
const bands, bandBits = 4, 16

// MaxRadius is the largest distance at which hashes are looked for: unrelated pictures
// are about 32 apart.
const MaxRadius = 16

// pairs visits all pairs i < j of hashes that differ in at most radius bits, each once.
func pairs(ctx context.Context, hashes []Hash, radius int, visit func(i, j int32, distance int)) error {
	within := radius / bands
	var masks []uint16
	for m := range 1 << bandBits {
		if bits.OnesCount16(uint16(m)) <= within {
			masks = append(masks, uint16(m))
		}
	}
	for b := range bands {
		index := newIndex(hashes, b)
		for i, h := range hashes {
			if i%1024 == 0 {
				if err := context.Cause(ctx); err != nil {
					return err
				}
			}
			for _, m := range masks {
				for _, j := range index.of(band(h, b) ^ m) {
					if int(j) <= i {
						continue
					}
					if d := h.Distance(hashes[j]); d <= radius && firstBand(h^hashes[j], within) == b {
						visit(int32(i), j, d)
					}
				}
			}
		}
	}
	return nil
}

// band is one of a hash.
func band(h Hash, b int) uint16 { return uint16(h >> (bandBits * b)) }

// firstBand is the first in which a difference is within some bits.
func firstBand(difference Hash, within int) int {
	b := 0
	for bits.OnesCount16(band(difference, b)) > within {
		b++
	}
	return b
}

// index lists hashes by one band.
type index struct {
	begin []int32 // of those of a value, in order
	order []int32
}

func newIndex(hashes []Hash, b int) index {
	x := index{make([]int32, 1<<bandBits+1), make([]int32, len(hashes))}
	for _, h := range hashes {
		x.begin[int(band(h, b))+1]++
	}
	for v := range 1 << bandBits {
		x.begin[v+1] += x.begin[v]
	}
	next := slices.Clone(x.begin)
	for i, h := range hashes {
		v := band(h, b)
		x.order[next[v]] = int32(i)
		next[v]++
	}
	return x
}

func (x index) of(v uint16) []int32 { return x.order[x.begin[v]:x.begin[int(v)+1]] }
