package nets

import (
	"fmt"
	"slices"
)

// Noted is what is to be known of a network that was read: see Network.Notes. Every
// configuration of one embeds it.
type Noted struct{ lines []string }

// Notes say what of a folder was not heeded.
func (n Noted) Notes() []string { return n.lines }

// And returns them with more.
func (n Noted) And(lines ...string) Noted { return Noted{slices.Concat(n.lines, lines)} }

// FitDropout is a share that a network leaves out in training, for one like another, with a note
// where it was left out itself.
func (n Noted) FitDropout(was Number, like Spec) (Number, Noted) {
	if was.Value == like.Dropout {
		return was, n
	}
	if like.Dropout == 0 {
		n = n.And(fmt.Sprintf("dropout %g of the network is left out: --dropout %g trains with it", was.Value, was.Value))
	}
	return Number{Value: like.Dropout}, n
}
