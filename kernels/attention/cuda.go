package attention

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/gemm"
	"fluxion/kernels/number"
)

//go:embed attention.ptx.zst
var ptx string

var module = cuda.Register("attention", ptx)

// mostScratch bounds the scores that are in memory at a time, in bytes, unless those
// of one image are more.
const mostScratch = 64 << 20

// mostProducts is the largest third dimension of a grid.
const mostProducts = 1<<16 - 1

// onGPU is one attention on the GPU: products side by side for each head of a
// group of images, with the scores (float32) and the probabilities (of the type of
// qkv) in scratch memory. Group after group uses the same memory.
type onGPU struct {
	size
	qkv           cuda.Operand
	group         int // images of a group
	pitch         int // of scores and probabilities
	scores, probs cuda.Address
	card          cuda.Card
}

func newOnGPU(s size, l cuda.Launch) onGPU {
	g := onGPU{size: s, card: l.Card, qkv: l.In[0], pitch: (s.pixels + 7) / 8 * 8}
	perImage := s.heads * s.pixels * g.pitch * (4 + g.qkv.Type.Size())
	g.group = max(1, min(s.images, mostScratch/perImage, mostProducts/s.heads))
	g.scores = l.Scratch
	g.probs = l.Scratch + cuda.Address(4*g.group*s.heads*s.pixels*g.pitch)
	return g
}

func (g onGPU) scratch() int {
	return g.group * g.heads * g.pixels * g.pitch * (4 + g.qkv.Type.Size())
}

// groups calls visit for each group: its first image and their number.
func (g onGPU) groups(visit func(first, images int)) {
	for n := 0; n < g.images; n += g.group {
		visit(n, min(g.group, g.images-n))
	}
}

// matrix is one operand of the products of a group.
type matrix struct {
	cuda.Operand
	strides [2]int
}

// part is queries, keys, values (0, 1, 2) or the only part of a tensor, from an image on.
func (g onGPU) part(o cuda.Operand, image, part int) matrix {
	o.Address += cuda.Address((image*g.pixels*o.Pitch + part*g.inner()) * o.Type.Size())
	o.Rows, o.Cols = g.pixels, g.dim
	return matrix{o, [2]int{g.pixels * o.Pitch, g.dim}}
}

// square is scores or probabilities.
func (g onGPU) square(at cuda.Address, t number.Type) matrix {
	o := cuda.Operand{Address: at, Type: t, Rows: g.pixels, Cols: g.pixels, Pitch: g.pitch}
	return matrix{o, [2]int{g.heads * g.pixels * g.pitch, g.pixels * g.pitch}}
}

func (g onGPU) product(images int, kind gemm.Kind, out, a, b matrix) []cuda.Call {
	return gemm.CUDA{
		Kind: kind, Walk: gemm.DenseWalk(1, g.pixels), Depth: a.Cols, Width: out.Cols,
		A: a.Operand, B: b.Operand, Out: out.Operand, Card: g.card,
		Batch: gemm.Batch{Images: images, Heads: g.heads, A: a.strides, B: b.strides, Out: out.strides},
	}.Calls()
}

// rows is the launch of a function that takes a warp for each row of scores.
func (g onGPU) rows(function string, images int) cuda.Call {
	const warps = 4
	rows := images * g.heads * g.pixels
	name := map[number.Type]string{number.Float32: "_f32", number.BFloat16: "_bf16"}[g.qkv.Type]
	return cuda.Call{
		Module: module, Function: function + name,
		Grid: [3]int{(rows + warps - 1) / warps, 1, 1}, Block: [3]int{32 * warps, 1, 1},
		Args: cuda.Args(g.probs, g.scores, float32(g.scale()), rows, g.pixels, g.pitch),
	}
}

func (f forward) CUDAScratch(l cuda.Launch) int {
	return newOnGPU(newSize(l.In[0].Shape, f.heads), l).scratch()
}

func (f forward) CUDA(l cuda.Launch) []cuda.Call {
	g := newOnGPU(newSize(l.In[0].Shape, f.heads), l)
	var calls []cuda.Call
	g.groups(func(n, images int) {
		scores, p := g.square(g.scores, number.Float32), g.square(g.probs, g.qkv.Type)
		q, k, v := g.part(g.qkv, n, 0), g.part(g.qkv, n, 1), g.part(g.qkv, n, 2)
		calls = append(calls, g.product(images, gemm.NT, scores, q, k)...)
		calls = append(calls, g.rows("attention_softmax", images))
		calls = append(calls, g.product(images, gemm.NN, g.part(l.Out, n, 0), p, v)...)
	})
	return calls
}

func (g grad) CUDAScratch(l cuda.Launch) int {
	return newOnGPU(newSize(l.In[0].Shape, g.heads), l).scratch()
}

func (o grad) CUDA(l cuda.Launch) []cuda.Call {
	g := newOnGPU(newSize(l.In[0].Shape, o.heads), l)
	var calls []cuda.Call
	g.groups(func(n, images int) {
		scores, p := g.square(g.scores, number.Float32), g.square(g.probs, g.qkv.Type)
		q, k, v, dy := g.part(g.qkv, n, 0), g.part(g.qkv, n, 1), g.part(g.qkv, n, 2), g.part(l.In[1], n, 0)
		dq, dk, dv := g.part(l.Out, n, 0), g.part(l.Out, n, 1), g.part(l.Out, n, 2)
		dp, ds := scores, p // each in the place of what is not needed any more
		calls = append(calls, g.product(images, gemm.NT, scores, q, k)...)
		calls = append(calls, g.rows("attention_softmax", images))
		calls = append(calls, g.product(images, gemm.TN, dv, p, dy)...)
		calls = append(calls, g.product(images, gemm.NT, dp, dy, v)...)
		calls = append(calls, g.rows("attention_softmax_grad", images))
		calls = append(calls, g.product(images, gemm.NN, dq, ds, k)...)
		calls = append(calls, g.product(images, gemm.TN, dk, ds, q)...)
	})
	return calls
}
