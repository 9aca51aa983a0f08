package groupnorm

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/reduce"
)

//go:embed groupnorm.ptx.zst
var ptx string

var module = cuda.Register("groupnorm", ptx)

const (
	rowsHeld   = 8  // rows of a thread of groupnorm_partials, as in groupnorm.cu
	imageRows  = 16 // images that the kernel of gamma and beta reads at a time, as in groupnorm.cu
	vectorJobs = 32 // gradients of them that are one launch, as there

	// Rows of a block. What it reads besides tensors, up to four float32 for each
	// of its columns, and the sums it writes are a few hundredths of the tensors.
	applyRows = 128
	sumsRows  = 256
)

// tiles is how kernels go over a tensor with groups of channels: a block has
// several whole groups or, where groups are wide, one of several parts of a group.
type tiles struct {
	cuda.Tiles
	per     int // channels of a group
	columns int // channels of a tile, at most
	parts   int // tiles of a group
	across  int // the number of tiles
}

// newTiles makes tiles as wide as a warp.
func newTiles(groups int, over cuda.Tiles) tiles {
	const width = 32 // threads
	t := tiles{Tiles: over, parts: 1, per: over.Cols / groups}
	unit := t.unit(t.Vector)
	if unit > width*t.Vector && t.per%t.Vector != 0 {
		unit, t.Vector = t.per, 1
	}
	if room := width * t.Vector / unit; room > 0 {
		units := t.Cols / unit
		t.columns = unit * ceil(units, ceil(units, room))
		t.across = ceil(t.Cols, t.columns)
	} else {
		t.parts = ceil(t.per, width*t.Vector)
		t.columns = t.Vector * ceil(t.per, t.Vector*t.parts)
		t.across = t.Cols / t.per * t.parts
	}
	return t.sized()
}

// newNarrowTiles makes tiles of few whole groups: a block goes over an image of them, of which the second
// cache holds as many as run at a time, and which are many enough for the whole card. It has no more
// threads than have rowsHeld pixels each, but a warp at least.
func newNarrowTiles(groups int, over cuda.Tiles, size, pixels int) tiles {
	const columns, sector = 32, 32
	t := tiles{Tiles: over, parts: 1, per: over.Cols / groups}
	unit := t.unit(t.Vector)
	if whole := t.unit(max(t.Vector, sector/size)); whole <= 2*columns && t.Cols%whole == 0 {
		unit = whole
	}
	if unit > 32*t.Vector {
		return newTiles(groups, over)
	}
	t.columns = min(t.Cols, max(1, columns/unit)*unit)
	t.across = ceil(t.Cols, t.columns)
	t = t.sized()
	t.Height = min(t.Height, max(ceil(32, t.Width), ceil(pixels, rowsHeld)))
	return t
}

// unit is the least columns that whole groups fill, and whole pieces of so many columns.
func (t tiles) unit(piece int) int {
	unit := t.per
	for unit%piece != 0 {
		unit += t.per
	}
	return unit
}

// sized is the tiles with their block's threads.
func (t tiles) sized() tiles {
	t.Width = t.columns / t.Vector
	t.Height = 256 / t.Width
	return t
}

// floats is the bytes of shared memory of one float for each column of a block.
func (t tiles) floats() int { return 4 * t.Width * t.Vector }

// argument is the kernels' Tile.
func (t tiles) argument() []byte { return cuda.Args(t.Cols, t.per, t.columns, t.parts) }

func ceil(a, b int) int { return (a + b - 1) / b }

func pixelsOf(x cuda.Operand) int { return x.Shape[1] * x.Shape[2] }

// join launches the kernel that makes statistics (N,Groups,2) of partials: mean and 1/√(variance+ε).
func join(stats cuda.Operand, p cuda.Partials, epsilon float64) cuda.Call {
	images := stats.Shape[0]
	return cuda.Call{
		Module: module, Function: "groupnorm_stats",
		Grid: [3]int{ceil(images*p.Groups, 128), 1, 1}, Block: [3]int{128, 1, 1},
		Args: cuda.Args(stats.Address, p.Address, images, p.Groups, p.Chunks, float32(epsilon)),
	}
}

// chunks returns how groupnorm_partials cuts an image: rows of a chunk and chunks.
func (t tiles) chunks(x cuda.Operand) (rows, n int) {
	pixels := pixelsOf(x)
	n = ceil(pixels, rowsHeld*t.Height)
	return ceil(pixels, n), n
}

// stride is how far rows of shared memory are apart, in floats, so that the columns of a group are in banks of their own.
func (t tiles) stride() int { return t.Width*t.Vector + min(32, 4*ceil(t.per, 4)) }

// measuring is the shared memory of measuring a chunk, in bytes.
func (t tiles) measuring() int { return 4 * 2 * (t.Height*t.stride() + t.columns) }

// CUDAScratch holds the partials of either variant of the kernel, if it must make them.
func (s statsOp) CUDAScratch(l cuda.Launch) int {
	x, most := l.In[0], 0
	if l.Partials.Chunks > 0 {
		return 0
	}
	for _, vector := range []int{1, 16 / x.Type.Size()} {
		if x.Cols%vector == 0 {
			t := newNarrowTiles(s.o.Groups, cuda.NewTiles(x.Rows, x.Cols, vector), x.Type.Size(), pixelsOf(x))
			_, n := t.chunks(x)
			most = max(most, cuda.Partials{Groups: s.o.Groups, Chunks: n * t.parts}.Bytes(x.Shape[0]))
		}
	}
	return most
}

// CUDAGroups is the number of groups. With partials of them nothing is read.
func (s statsOp) CUDAGroups() (groups int, instead bool) { return s.o.Groups, true }

func (s statsOp) CUDA(l cuda.Launch) []cuda.Call {
	if p := l.Partials; p.Address != 0 {
		return []cuda.Call{join(l.Out, p, s.o.Epsilon)}
	}
	x := l.In[0]
	t := newNarrowTiles(s.o.Groups, cuda.Over(x), x.Type.Size(), pixelsOf(x))
	rows, chunks := t.chunks(x)
	partials := cuda.Partials{Address: l.Scratch, Groups: s.o.Groups, Chunks: chunks * t.parts}
	var whole cuda.Address // where statistics go at once
	if partials.Chunks == 1 {
		whole = l.Out.Address
	}
	stride := t.stride()
	calls := []cuda.Call{{
		Module: module, Function: t.Function("groupnorm_partials", x.Type),
		Grid: [3]int{x.Shape[0] * chunks, t.across, 1}, Block: t.Block(),
		Shared: t.measuring(),
		Args: cuda.Args(t.View(x), partials.Address, t.argument(), x.Shape[1]*x.Shape[2], rows, chunks, stride,
			whole, float32(s.o.Epsilon)),
	}}
	if whole == 0 {
		calls = append(calls, join(l.Out, partials, s.o.Epsilon))
	}
	return calls
}

// norm is the kernels' Norm.
func (c common) norm(stats, gamma, beta cuda.Operand, scaleShift []cuda.Operand) []byte {
	var modulation cuda.Address
	if c.scaleShift {
		modulation = scaleShift[0].Address
	}
	return cuda.Args(stats.Address, gamma.Address, beta.Address, modulation)
}

func (c common) activate() int32 {
	if c.o.SiLU {
		return 1
	}
	return 0
}

// over launches a kernel over the pixels of images. Its arguments are views of
// tensors, the small inputs, the tiles, the cut, and more; it has vectors floats
// of shared memory for each column of each image and rows for each of the block's rows.
func (c common) over(function string, l cuda.Launch, tensors []cuda.Operand, length, vectors, rows int, more ...any) (cuda.Call, cuda.Images) {
	x := l.In[0]
	t := newTiles(c.o.Groups, cuda.Over(tensors...))
	images := cuda.CutImages(x.Shape[0], x.Shape[1]*x.Shape[2], length, vectors*t.floats())
	var args []any
	for _, o := range tensors {
		args = append(args, t.View(o))
	}
	args = append(args, c.norm(l.In[1], l.In[2], l.In[3], l.In[4:]), t.argument(), images.Argument())
	return cuda.Call{
		Module: module, Function: t.Function(function, x.Type),
		Grid: [3]int{images.Blocks(), t.across, 1}, Block: t.Block(),
		Shared: (images.Group*vectors + t.Height*rows) * t.floats(),
		Args:   cuda.Args(append(args, more...)...),
	}, images
}

func (apply) CUDAScratch(cuda.Launch) int { return 0 }

func (a apply) CUDA(l cuda.Launch) []cuda.Call {
	call, _ := a.over("groupnorm_apply", l, []cuda.Operand{l.Out, l.In[0]}, applyRows, 3, 0, a.activate())
	return []cuda.Call{call}
}

func (s sums) launch(l cuda.Launch, to cuda.Address) (cuda.Call, cuda.Images) {
	tensors := []cuda.Operand{l.In[0], l.In[s.heads()]}
	return s.over("groupnorm_sums", l, tensors, sumsRows, 3, 2, to, s.activate())
}

// CUDAScratch holds the sums of parts of images, where there are several.
func (s sums) CUDAScratch(l cuda.Launch) int {
	if _, i := s.launch(l, 0); i.Parts > 1 {
		return 4 * i.Parts * l.Out.Rows * l.Out.Cols
	}
	return 0
}

func (s sums) CUDA(l cuda.Launch) []cuda.Call {
	call, i := s.launch(l, l.Out.Address)
	if i.Parts == 1 {
		return []cuda.Call{call}
	}
	call, _ = s.launch(l, l.Scratch)
	return []cuda.Call{call, reduce.Join(l.Out.Address, l.Scratch, i.Images, i.Parts, l.Out.Cols)}
}

func (inputGrad) CUDAScratch(cuda.Launch) int { return 0 }

func (g inputGrad) CUDA(l cuda.Launch) []cuda.Call {
	tensors := []cuda.Operand{l.Out, l.In[0], l.In[g.heads()], l.Add}
	call, _ := g.over("groupnorm_input_grad", l, tensors, applyRows, 5, 0, l.In[g.heads()+1].Address, g.activate())
	return []cuda.Call{call}
}

func (parameterGrad) CUDAScratch(cuda.Launch) int { return 0 }

func (g parameterGrad) CUDA(l cuda.Launch) []cuda.Call {
	stats, gamma, beta, sums := l.In[0], l.In[1], l.In[2], l.In[len(l.In)-1]
	channels, images := gamma.Shape[0], sums.Shape[0]
	tile := cuda.Args(channels, channels/g.o.Groups, channels, 1)
	args := []any{l.Out.Address, sums.Address, g.norm(stats, gamma, beta, l.In[3:]), tile}
	if g.which == "scaleshift" {
		return []cuda.Call{{
			Module: module, Function: "groupnorm_scaleshift_grad",
			Grid: [3]int{images, ceil(channels, 128), 1}, Block: [3]int{128, 1, 1}, Args: cuda.Args(args...),
		}}
	}
	ofGamma := 0
	if g.which == "gamma" {
		ofGamma = 1
	}
	return []cuda.Call{cuda.OneJob(cuda.Call{
		Module: module, Function: "groupnorm_vector_grads",
		Grid: [3]int{ceil(channels, 32), 1, 1}, Block: [3]int{32, imageRows, 1}, Args: cuda.Args(append(args, images, ofGamma)...),
	}, vectorJobs)}
}
