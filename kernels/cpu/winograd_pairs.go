package cpu

import (
	"unsafe"

	"fluxion/kernels/number"
)

// BF16Pairs is the transforms of Winograd's gradient of weights, F(2×2, 3×3), as the
// dot products of TileT want them: of two squares at a time, to rows of pairs. They
// are those of BF16Squares, feedback included.
type BF16Pairs struct {
	Input      func(p *SquarePair) // 4×4 pixels to 4×4 places
	OutputGrad func(p *SquarePair) // 2×2 pixels to 4×4
}

// SquarePair is the operands of such a transform.
type SquarePair struct {
	In       *uintptr // addresses of the pixels of one square, row by row, then of the other
	Channels int
	// Out is where the pairs of the first place go, an element of one square and one of the other
	// for each channel, and zeros up to a multiple of 16. They must not overlap with what is read.
	Out   uintptr
	Place int // bytes to the pairs of the next place
	Panel int // bytes from the pairs of PairPanel channels to those of the next
}

// PairPanel is as many channels as a panel has columns.
const PairPanel = 64

// portableBF16Pairs are the transforms in plain Go.
func portableBF16Pairs() *BF16Pairs {
	return &BF16Pairs{Input: winogradInputFeedback.pair, OutputGrad: winogradOutputGradFeedback.pair}
}

func (f feedback) pair(p *SquarePair) {
	side := len(f.ends[0])
	in := unsafe.Slice(p.In, 2*side*side)
	x := make([][]float32, side)
	for c := range (p.Channels + 15) / 16 * 16 {
		for square := range 2 {
			for i := range x {
				x[i] = make([]float32, side)
				for j := range x[i] {
					if c < p.Channels {
						x[i][j] = number.Widen(shorts(in[(square*side+i)*side+j], c+1)[c])
					}
				}
			}
			for place, r := range f.round(x) {
				for j, r := range r {
					at := p.Out + uintptr((4*place+j)*p.Place+c/PairPanel*p.Panel)
					shorts(at, 2*PairPanel)[2*(c%PairPanel)+square] = number.Narrow(r)
				}
			}
		}
	}
}
