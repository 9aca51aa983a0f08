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

// visitor is told of pairs.
type visitor struct {
	like func(i, j int32, distance int)
	// settled is the group of a hash of which like has enough: it is told of no pair of two that
	// are settled in one group. ok is false where it has not.
	settled func(i int32) (group int32, ok bool)
	done    func(hashes int) // looked up, of all there are
}

// everyPairs is after how many comparisons it is looked whether the work is to end.
const everyPairs = 1 << 20

// pairs visits all pairs i < j of hashes that differ in at most radius bits, each once, but of
// those that are settled in one group. Where thousands are nearly the same, most are: lists of
// such are passed over as a whole.
func pairs(ctx context.Context, hashes []Hash, radius int, v visitor) error {
	within := radius / bands
	var masks []uint16
	for m := range 1 << bandBits {
		if bits.OnesCount16(uint16(m)) <= within {
			masks = append(masks, uint16(m))
		}
	}
	compared := 0
	for b := range bands {
		index := newIndex(hashes, b)
		together := make([]int32, 1<<bandBits) // 1 + a hash with whose group all of a list are settled; 0: not all are
		for i, h := range hashes {
			if i%1024 == 0 || compared > everyPairs {
				if err := context.Cause(ctx); err != nil {
					return err
				}
				compared = 0
				v.done((b*len(hashes) + i) / bands)
			}
			for _, m := range masks {
				value := band(h, b) ^ m
				own, enough := v.settled(int32(i))
				if t := together[value]; enough && t > 0 {
					if group, _ := v.settled(t - 1); group == own {
						continue
					}
				}
				list := index.of(value)
				compared += len(list)
				all := enough // are settled in one group
				for _, j := range list {
					if int(j) <= i {
						continue
					}
					if enough {
						if group, settled := v.settled(j); settled && group == own {
							continue
						}
						all = false
					}
					if d := h.Distance(hashes[j]); d <= radius && firstBand(h^hashes[j], within) == b {
						v.like(int32(i), j, d)
						own, enough = v.settled(int32(i))
					}
				}
				if all {
					together[value] = 1 + int32(i)
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
