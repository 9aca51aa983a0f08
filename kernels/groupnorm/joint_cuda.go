package groupnorm

import (
	"fluxion/kernels/cuda"
)

// On a GPU a launch that makes an input itself has a block for some groups of an image, and goes over
// them twice: the second time they are in the second cache.

// few is how many blocks leave a card so idle that two launches, which cut images into parts, are faster,
// as a share of its multiprocessors.
const few = 4

// joins says whether images in narrow tiles keep a card busy, or are small. It does not matter to the bits of a
// normalisation.
func joins(t tiles, x cuda.Operand, c cuda.Card) bool {
	const small, usual = 256, 132 // pixels; multiprocessors of a card that is not known
	processors := c.Multiprocessors
	if processors == 0 {
		processors = usual
	}
	return t.parts == 1 && (pixelsOf(x) <= small || few*x.Shape[0]*t.across >= processors)
}

// whole is every image a block.
func whole(x cuda.Operand) cuda.Images {
	pixels := pixelsOf(x)
	return cuda.Images{Images: x.Shape[0], Pixels: pixels, Group: 1, Parts: 1, Length: pixels}
}

func (w withStats) tiles(l cuda.Launch) (tiles, bool) {
	x := l.In[0]
	t := newNarrowTiles(w.stats.o.Groups, cuda.Over(x), x.Type.Size(), pixelsOf(x))
	if cuda.Over(l.Out, x).Vector != t.Vector { // statistics are those of their own kernel
		return t, false
	}
	return t, joins(t, x, l.Card)
}

// CUDAGroups is the number of groups. With partials of them the input is read once.
func (w withStats) CUDAGroups() (groups int, instead bool) { return w.stats.o.Groups, false }

func (w withStats) measured(l cuda.Launch) cuda.Launch {
	return cuda.Launch{Card: l.Card, In: l.In[:1], Out: l.In[1], Partials: l.Partials, Scratch: l.Scratch}
}

// CUDAScratch is that of the statistics. Addresses, which decide whether both are one launch, are not known.
func (w withStats) CUDAScratch(l cuda.Launch) int { return w.stats.CUDAScratch(w.measured(l)) }

func (w withStats) CUDA(l cuda.Launch) []cuda.Call {
	t, joint := w.tiles(l)
	if !joint {
		return append(w.stats.CUDA(w.measured(l)), w.apply.CUDA(l)...)
	}
	x := l.In[0]
	length, _ := t.chunks(x)
	chunks, shared := l.Partials.Chunks, 3*t.floats()
	if l.Partials.Address == 0 {
		shared = max(shared, t.measuring())
	}
	return []cuda.Call{{
		Module: module, Function: t.Function("groupnorm_normalise", x.Type),
		Grid: [3]int{x.Shape[0], t.across, 1}, Block: t.Block(), Shared: shared,
		Args: cuda.Args(t.View(l.Out), t.View(x), w.apply.norm(l.In[1], l.In[2], l.In[3], l.In[4:]), t.argument(), whole(x).Argument(), int32(0),
			l.In[1].Address, l.Partials.Address, length, chunks, t.stride(), float32(w.stats.o.Epsilon), w.apply.activate()),
	}}
}

func (w withSums) parts(l cuda.Launch) (sums, grad cuda.Launch) {
	last := len(l.In) - 1
	return cuda.Launch{Card: l.Card, In: l.In[:last], Out: l.In[last], Scratch: l.Scratch}, l
}

// CUDAScratch is that of the sums.
func (w withSums) CUDAScratch(l cuda.Launch) int {
	sums, _ := w.parts(l)
	return w.sums.CUDAScratch(sums)
}

func (w withSums) CUDA(l cuda.Launch) []cuda.Call { return w.launch(l, 0) }

// launch leaves the sums of the result over the pixels, if an address is given. It has none for two launches.
func (w withSums) launch(l cuda.Launch, tally cuda.Address) []cuda.Call {
	x, g := l.In[0], w.grad
	tensors := []cuda.Operand{l.Out, x, l.In[g.heads()], l.Add}
	t := newNarrowTiles(g.o.Groups, cuda.Over(tensors...), x.Type.Size(), pixelsOf(x))
	if !joins(t, x, l.Card) {
		if tally != 0 {
			return nil
		}
		sums, grad := w.parts(l)
		return append(w.sums.CUDA(sums), g.CUDA(grad)...)
	}
	var args []any
	for _, o := range tensors {
		args = append(args, t.View(o))
	}
	args = append(args, g.norm(l.In[1], l.In[2], l.In[3], l.In[4:]), t.argument(), whole(x).Argument(), int32(0), l.In[g.heads()+1].Address, g.activate(), tally)
	return []cuda.Call{{
		Module: module, Function: t.Function("groupnorm_whole_grad", x.Type),
		Grid: [3]int{x.Shape[0], t.across, 1}, Block: t.Block(),
		Shared: max(3+2*t.Height, 5) * t.floats(), Args: cuda.Args(args...),
	}}
}
