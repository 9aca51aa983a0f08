package gemm

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math/bits"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed gemm_f32.ptx.zst
var ptxFloat32 string

//go:embed gemm_bf16.ptx.zst
var ptxBFloat16 string

var modules = map[number.Type]*cuda.Module{
	number.Float32:  cuda.Register("gemm_f32", ptxFloat32),
	number.BFloat16: cuda.Register("gemm_bf16", ptxBFloat16),
}

// Kind of a product on the GPU, named as in product.cuh.
type Kind int

// The walk is over pixels of A. Weights are matrices of taps·Depth rows and Width
// columns (NN), or of taps·Width rows and Depth columns (NT).
const (
	NN Kind = iota // out[pixel] = Σ_tap a[walk(pixel, tap)]·b[tap]
	NT             // out[pixel] = Σ_tap a[walk(pixel, tap)]·b[tap]ᵀ
	TN             // out[tap] = Σ_pixel a[walk(pixel, tap)]ᵀ·b[pixel]
)

func (k Kind) String() string { return [...]string{"nn", "nt", "tn"}[k] }

// Axis is one of the two axes of a walk.
type Axis struct {
	Grid, Source   int // sizes
	Origin         int // where tap 0 of pixel 0 of the grid is in the source
	Taps, FirstTap int
	Out, OutOrigin int // size of the result, and where pixel 0 of the grid is in it
}

// Along is the axis of a dense product.
func Along(n int) Axis { return Axis{Grid: n, Source: n, Taps: 1, Out: n} }

// Walk says which rows of A meet in each row of the result: Geometry by
// arithmetic. Along each axis, pixel i of the grid meets at tap t
//
//	pixel  Stride·i + Origin + Direction·t  of the source, or zeros outside of it,
//	tap    FirstTap + TapStep·t             of the weights,
//	pixel  OutStep·i + OutOrigin            of the result.
type Walk struct {
	Images            int
	Y, X              Axis
	Stride, Direction int
	TapStep, OutStep  int
	Side              int // tap (y, x) is number y·Side + x
}

// DenseWalk is that of an ordinary matrix product, over so many rows of each image.
func DenseWalk(images, rows int) Walk {
	return Walk{Images: images, Y: Along(1), X: Along(rows), Stride: 1, Direction: 1, TapStep: 1, OutStep: 1, Side: 1}
}

// Batch is products side by side, for each head of each image. Strides are in elements.
type Batch struct {
	Images, Heads int
	A, B, Out     [2]int // from image to image, from head to head
}

// CUDA is a product on the GPU. A and B have the same type.
type CUDA struct {
	Kind
	Walk
	Depth, Width int // channels of A, columns of the result
	A, B, Out    cuda.Operand
	Bias         cuda.Address  // Width floats, or 0
	Add          cuda.Operand  // Address 0: none
	PerImage     cuda.Operand  // Address 0: none
	Batch        Batch         // zero: one product
	Partials     cuda.Partials // to leave of the result; Address 0: none. See Chunks
	Sums         cuda.Address  // of the columns of B, TN alone: Width floats, or 0
	Scratch      cuda.Address  // ScratchBytes
	Card         cuda.Card     // to choose tiles and splits for
	Trains       bool          // no picture depends on it: the order of sums may follow the card and the number of images
}

func (p CUDA) pixels() int { return p.Images * p.Y.Grid * p.X.Grid }
func (p CUDA) taps() int   { return p.Y.Taps * p.X.Taps }

// rows of the result, as the product counts them.
func (p CUDA) rows() int {
	if p.Kind == TN {
		return p.taps() * p.Depth
	}
	return p.pixels()
}

// ScratchBytes does not depend on addresses, which are not known when it is called.
func (p CUDA) ScratchBytes() int {
	need := 0
	for _, access := range []access{direct, gatherB, gather} {
		c := choose(p, access)
		if c.together || c.pair {
			need = max(need, p.left(c))
			continue
		}
		need = max(need, 4*roundUp(p.Width, 4)*(p.shared(c)+p.columnParts(c)))
	}
	if c, ok := p.groups(); ok {
		need = max(need, 4*roundUp(p.Width, 4)*(p.shared(c)+p.columnParts(c)))
	}
	return need
}

// left is the bytes of what blocks leave of tiles, and of sums of B's columns.
func (p CUDA) left(c choice) int {
	if c.together {
		return 4 * c.m * c.n * (c.blocks() - c.whole)
	}
	return p.leftParts(c, c.alone())
}

func (p CUDA) leftParts(c choice, alone bool) int {
	n := 4 * c.partFloats(alone)
	if p.Sums != 0 {
		n += 4 * c.places() * 2 * c.n // of each group of threads
	}
	return n
}

// shared is the rows that blocks which share a sum leave.
func (p CUDA) shared(c choice) int {
	if c.splits == 1 {
		return 0
	}
	return c.splits * p.rows()
}

// columnParts is the rows that are left of sums of B's columns.
func (p CUDA) columnParts(c choice) int {
	if p.Sums == 0 {
		return 0
	}
	return c.splits * c.turns()
}

// Calls returns the product, and where blocks share sums, what adds them up.
func (p CUDA) Calls() []cuda.Call {
	a := p.access()
	if p.Partials.Address != 0 && a == gatherB {
		a = gather
	}
	if p, c, ok := p.byGroups(a); ok {
		return p.bind(c, a)
	}
	return p.bind(choose(p, a), a)
}

// call is the launch without its arguments.
func (p CUDA) call(c choice, a access) cuda.Call {
	if c.groups != nil {
		return p.groupCall(c)
	}
	call := cuda.Call{
		Module: modules[p.A.Type], Function: c.function(p.Kind, a, p.A.Type),
		Grid: [3]int{c.across * c.down, c.splits, max(1, p.Batch.Images*p.Batch.Heads)}, Block: [3]int{128, 1, 1},
	}
	if c.together {
		call.Grid, call.Split = [3]int{c.blocks(), 1, 1}, c.split()
	}
	if c.pair {
		call.Grid[0], call.Grid[1], call.Block[1] = c.blocks(), 1, 2
		call.Shared, call.Split = c.stages(), c.split()
	}
	return call
}

func (p CUDA) bind(c choice, a access) []cuda.Call {
	args := p.arguments(c, a)
	call := p.call(c, a)
	maps := make([]byte, cuda.TensorMapBytes*len(call.Maps)) // which a driver makes
	call.Args = append(maps, args.bytes()...)
	if c.together {
		args.Partial, args.Whole = p.Scratch, int32(c.whole)
		call.Args = args.bytes()
		return []cuda.Call{call}
	}
	columns := roundUp(p.Width, 4)
	if c.pair {
		call.Args = p.leavingParts(args, c, c.alone()).bytes()
		if c.alone() && p.Sums == 0 {
			return []cuda.Call{call}
		}
		return []cuda.Call{call, p.addingParts(args, c, 0, c.alone())}
	}
	if c.splits == 1 && p.Sums == 0 {
		return []cuda.Call{p.pack(call, a)}
	}
	part := args
	args.Partial = p.Scratch
	blocks := 0
	if c.splits > 1 {
		part = p.leaving(args)
		args.OutSplit = part.OutSplit
		blocks = ceil(p.rows()*columns/4, 256)
	} else {
		args.Rows = 0
	}
	if p.Sums != 0 {
		part.Moments, part.Group = p.Scratch+cuda.Address(4*columns*p.shared(c)), int32(c.turns())
		args.Moments, args.Groups = p.Sums, int32(p.columnParts(c))
		blocks += ceil(p.Width, 32)
	}
	call.Args = append(maps, part.bytes()...)
	return []cuda.Call{p.pack(call, a), p.adding(args, blocks)}
}

// leavingParts are the arguments of blocks of a pair, which leave parts of tiles, if none has a tile alone, and of sums of B's columns.
func (p CUDA) leavingParts(args arguments, c choice, alone bool) arguments {
	args.BySplits = by(c.tileSteps)
	if !alone {
		args.Partial = p.Scratch
	}
	if p.Sums != 0 {
		args.Moments, args.Group = p.Scratch+cuda.Address(4*c.partFloats(alone)), int32(c.down)
	}
	return args
}

// addingParts is the launch that adds up the parts, whose columns are a result's from the first on.
func (p CUDA) addingParts(args arguments, c choice, first int, alone bool) cuda.Call {
	blocks := ceil(p.rows()*roundUp(p.Width, 4)/4, 256)
	if alone {
		args.Rows, blocks = 0, 0
	}
	args.Partial, args.OutSplit = p.Scratch, int64(c.partFloats(alone))
	args.APitch, args.BPitch, args.SourceH = int32(bits.Len(uint(c.m))-1), int32(bits.Len(uint(c.n))-1), int32(first)
	args.ByChunkSteps = by(c.splitSteps)
	if p.Sums != 0 {
		args.Moments, args.Groups = p.Sums, int32(c.down)
		blocks += ceil(p.Width, 32)
	}
	return p.adding(args, blocks)
}

// mostProducts of those that run side by side are one launch, as in product.cuh.
const mostProducts = 10

// strip is the rows of a result that share their statistics, as in product.cuh.
const strip = 64

// Chunks returns the chunks of the statistics that the product can leave of each
// image of its result, or 0 if it can not: only tensor cores' kernels leave any, of
// whole images that they alone make, whole groups in a tile. It needs no addresses.
func (p CUDA) Chunks(groups int) int {
	image := p.Y.Grid * p.X.Grid
	if p.Kind != NN || p.A.Type != number.BFloat16 || p.OutStep != 1 || image%strip != 0 || p.Width%(4*groups) != 0 {
		return 0
	}
	p.Trains = false // wherever they are added, the sums of one product may be shared
	for _, a := range []access{direct, gather} {
		if c := choose(p, a); c.splits > 1 || narrowest%(p.Width/groups) != 0 {
			return 0
		}
	}
	return image / strip
}

// access is how operands are read: in vectors, or element by element.
type access int

const (
	direct  access = iota
	gatherB        // vectors of A only
	gather
)

func (p CUDA) access() access {
	a, b := aligned(p.A, p.Batch.A), aligned(p.B, p.Batch.B)
	switch {
	case a && b:
		return direct
	case a && p.A.Type == number.BFloat16 && p.Kind != NT:
		return gatherB
	}
	return gather
}

// aligned reports whether every row, of every batch, begins at a multiple of 16 bytes.
func aligned(o cuda.Operand, strides [2]int) bool {
	size := o.Type.Size()
	return o.Address%16 == 0 && o.Pitch*size%16 == 0 && strides[0]*size%16 == 0 && strides[1]*size%16 == 0
}

// vectors reports whether four neighbours of a row can be read and written together.
func (p CUDA) vectors() bool {
	if p.Width%4 != 0 || p.Bias%16 != 0 || p.Batch.Out[0]%4 != 0 || p.Batch.Out[1]%4 != 0 {
		return false
	}
	for _, o := range []cuda.Operand{p.Out, p.Add, p.PerImage} {
		if o.Address%cuda.Address(4*o.Type.Size()) != 0 || o.Rows > 1 && o.Pitch%4 != 0 {
			return false
		}
	}
	return true
}

func suffix(t number.Type) string {
	if t == number.BFloat16 {
		return "bf16"
	}
	return "f32"
}

// arguments is struct Product of product.cuh.
type arguments struct {
	A, B, Out, Add, Bias, PerImage, Partial, Moments    cuda.Address
	AImage, AHead, BImage, BHead, OutImage, OutHead     int64
	OutSplit                                            int64
	APitch, BPitch, SourceH, SourceW                    int32 // see addingParts
	OutPitch, AddPitch, PerImagePitch                   int32
	Rows, Width, Pixels, Depth, Taps, TapsX             int32
	GridW, GridSize                                     int32
	Stride, OriginY, OriginX, Direction                 int32
	TapFirst, TapStepY, TapStepX                        int32
	OutStep, OutY, OutX, OutW, OutSize                  int32
	Group, Groups, Mapped                               int32
	Steps, SplitSteps, Splits, FloatOut, VectorOut      int32
	TilesN, TapTiles, Heads                             int32
	ByGridW, ByGridSize, ByDepth, ByTapsX, ByChunkSteps divisor
	ByTilesN, ByTapTiles, ByHeads, ByChunks, BySplits   divisor
	Whole, TileSteps                                    int32
}

func (a arguments) bytes() []byte {
	b, err := binary.Append(nil, binary.LittleEndian, a)
	if err != nil {
		panic(err) // the struct has fields of fixed size only
	}
	return append(b, make([]byte, -len(b)&7)...) // as C pads it
}

// divisor is a number below 2³¹ to divide others below 2³¹ by: n/d is
// (⌊n·Multiplier/2³²⌋ + n) >> Shift (Granlund and Montgomery 1994, figure 4.1).
type divisor struct{ Multiplier, Shift uint32 }

func by(d int) divisor {
	shift := bits.Len(uint(d - 1))
	return divisor{uint32((1<<32*(1<<shift-uint64(d)))/uint64(d) + 1), uint32(shift)}
}

func (p CUDA) arguments(c choice, access access) arguments {
	i32 := func(n int) int32 {
		if int(int32(n)) != n {
			panic(fmt.Sprintf("gemm: %d pixels or channels are more than a kernel can count", n))
		}
		return int32(n)
	}
	flag := func(b bool) int32 {
		if b {
			return 1
		}
		return 0
	}
	y, x := p.Y, p.X
	heads := max(1, p.Batch.Heads)
	group := 0
	if p.Partials.Address != 0 {
		group = p.Width / p.Partials.Groups
	}
	splits := c.splits
	if c.pair {
		splits *= 2
	}
	return arguments{
		A: p.A.Address, B: p.B.Address, Out: p.Out.Address, Add: p.Add.Address, Bias: p.Bias, PerImage: p.PerImage.Address,
		AImage: int64(p.Batch.A[0]), AHead: int64(p.Batch.A[1]), BImage: int64(p.Batch.B[0]), BHead: int64(p.Batch.B[1]),
		OutImage: int64(p.Batch.Out[0]), OutHead: int64(p.Batch.Out[1]),
		APitch: i32(p.A.Pitch * p.A.Type.Size()), BPitch: i32(p.B.Pitch * p.B.Type.Size()), OutPitch: i32(p.Out.Pitch), AddPitch: i32(p.Add.Pitch), PerImagePitch: i32(p.PerImage.Pitch),
		Rows: i32(p.rows()), Width: i32(p.Width), Pixels: i32(p.pixels()), Depth: i32(p.Depth), Taps: i32(p.taps()), TapsX: i32(x.Taps),
		GridW: i32(x.Grid), GridSize: i32(y.Grid * x.Grid), SourceH: i32(y.Source), SourceW: i32(x.Source),
		Stride: i32(p.Stride), OriginY: i32(y.Origin), OriginX: i32(x.Origin), Direction: i32(p.Direction),
		TapFirst: i32(y.FirstTap*p.Side + x.FirstTap), TapStepY: i32(p.TapStep * p.Side), TapStepX: i32(p.TapStep),
		OutStep: i32(p.OutStep), OutY: i32(y.OutOrigin), OutX: i32(x.OutOrigin), OutW: i32(x.Out), OutSize: i32(y.Out * x.Out),
		Moments: p.Partials.Address, Group: i32(group), Groups: i32(p.Partials.Groups),
		Mapped: flag(p.Kind != TN),
		Steps:  i32(c.steps), SplitSteps: i32(c.splitSteps), Splits: i32(splits),
		FloatOut: flag(p.Out.Type == number.Float32), VectorOut: flag(p.vectors()),
		TilesN: i32(c.across), TapTiles: i32(c.tapTiles), Heads: i32(heads),
		ByGridW: by(x.Grid), ByGridSize: by(y.Grid * x.Grid), ByDepth: by(p.Depth), ByTapsX: by(max(1, x.Taps)),
		ByChunkSteps: by(max(1, c.chunkSteps(p))), ByTilesN: by(c.across), ByTapTiles: by(c.tapTiles), ByHeads: by(heads), ByChunks: by(roundUp(p.Width, 4) / 4),
		BySplits: by(splits), Whole: i32(c.across * c.down * max(1, c.tileSteps)), TileSteps: i32(c.tileSteps),
	}
}
