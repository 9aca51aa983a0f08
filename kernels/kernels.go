// Package kernels defines what an operator is: the interface Kernel, and smaller ones for
// what only some can do (fusions, bfloat16, weights laid out once). Each operator is a
// folder below this one, with its Gorgonia operation (shape and gradient), its float64
// reference, its CPU and CUDA kernels and its test.
//
// Tensors are NHWC. A kernel sees each of them as a matrix whose rows are
// pixels (or images) and whose columns are channels, with a pitch between rows
// so that a tensor may be a range of channels inside a wider one.
package kernels

import (
	"fmt"
	"hash"
	"hash/fnv"

	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Cost is the work of one launch, known before anything runs.
type Cost struct {
	FLOPs int64 // a multiply-add counts as two
	Bytes int64 // least traffic: every operand read once, every result written once
}

// Add returns the sum of two costs.
func (c Cost) Add(d Cost) Cost { return Cost{c.FLOPs + d.FLOPs, c.Bytes + d.Bytes} }

// Operand is a tensor at the address a plan gave it.
type Operand struct {
	cpu.Matrix // Data is nil unless Type is Float32
	Shape      tensor.Shape
	Type       number.Type
	BF16       []uint16 // the memory of a BFloat16
	Bytes      []byte   // the memory of a Uint8
}

// Native is a kernel whose CPU binding reads and writes bfloat16 operands itself. For
// other kernels (but a NativeProduct) the device copies bfloat16 inputs to float32 before
// each launch, and rounds the float32 result afterwards.
type Native interface{ TakesBFloat16() bool }

// View is the memory of a tensor of an element type.
func View[T cpu.Element](o Operand) cpu.MatrixOf[T] {
	m := cpu.MatrixOf[T]{Rows: o.Rows, Cols: o.Cols, Pitch: o.Pitch}
	switch data := any(&m.Data).(type) {
	case *[]float32:
		*data = o.Data
	case *[]uint16:
		*data = o.BF16
	}
	return m
}

// NativeProduct is a matrix product or convolution whose CPU binding reads and writes
// bfloat16 operands itself if its first input is bfloat16, on instruction sets that can
// multiply bfloat16 (cpu.Kernels.BF16). Its weights are float32 even then: see Weighted.
type NativeProduct interface {
	// BFloat16Scratch returns the floats of working memory that such a launch needs.
	BFloat16Scratch(in []tensor.Shape, out tensor.Shape, threads int) int
}

// Preparer is a kernel that repacks its weights before it multiplies. Where the weights
// stay the same for many runs, as in sampling, a plan lets it do so once.
type Preparer interface {
	// Prepared returns the size of the repacked weights, and the working memory of a
	// launch that is given them, both in floats. BFloat16 activations mean a launch as a
	// NativeProduct.
	Prepared(in []tensor.Shape, out tensor.Shape, activations number.Type, threads int) (floats, scratch int)
}

// Launch is the operands of one kernel launch.
type Launch struct {
	In  []Operand
	Out Operand

	// What the plan fused with the kernel: only a Fuser is given any. Data is nil where
	// nothing was fused.
	Add      Operand // same shape as Out: out = kernel + add
	PerImage Operand // (images, channels): out = kernel + perImage[image]

	// Prepared is the repacked weights (see Preparer); if nil, the launch repacks them
	// itself. A launch with Preparing set repacks them and does nothing else.
	Prepared  []float32
	Preparing bool

	Scratch []float32 // as many floats as Scratch asked for; contents undefined
	Threads int       // most workers the pool will have
	Cut     *Cut      // nil: the kernel's own
	Trains  bool      // no picture depends on it: how sums are rounded may follow the number of images
}

// Kernel is what the engine needs to plan an operator and to run it on the CPU.
type Kernel interface {
	fmt.Stringer
	// Cost of one launch with these shapes.
	Cost(in []tensor.Shape, out tensor.Shape) Cost
	// Scratch returns how many floats of working memory a launch needs.
	Scratch(in []tensor.Shape, out tensor.Shape, threads int) int
	// CPU binds the kernel to its operands. What it returns allocates nothing
	// and its result does not depend on the number of threads.
	CPU(l Launch) func(p *cpu.Pool)
}

// Mixed is a kernel whose Cost already counts the bytes of its operands by their actual
// element types. The Cost of other kernels counts float32 throughout.
type Mixed interface{ Mixed() }

// Epilogue says what a kernel can add to its result before it writes it.
type Epilogue struct{ Add, PerImage bool }

// Fuser is a kernel with an epilogue.
type Fuser interface{ Fuses() Epilogue }

// Joint is a kernel that can compute one of its inputs itself, because it reads the same
// tensors as the kernel that makes that input. They are then read from memory once.
type Joint interface {
	// Joined returns the kernel that computes both: this kernel's result, and its input i,
	// which maker computes from the first inputs of this kernel. Nil: it cannot.
	Joined(i int, maker Kernel) Kernel
}

// Summing is the gradient of weights, which can sum the rows of one of its inputs on the way: the gradient of a bias.
type Summing interface {
	// Summed returns the kernel that computes both, and of which input the sums are. They are behind its
	// other inputs. Alone makes them for itself.
	Summed(alone RowSum) (both Kernel, of int)
}

// Widening is the gradient of weights, of which several of the same input 0, whose inputs 1 lie side by side, can be made at once.
type Widening interface {
	Kernel
	// Widened returns the kernel that makes n of them, all of one shape. Its inputs are those that the first has, but for input 1, which
	// is all of theirs; then of each other its result, and its inputs behind input 1. Nil: there is none.
	Widened(n int) Kernel
}

// RowSum is a kernel whose result may be the sums of its input's rows, and nothing else.
type RowSum interface {
	Kernel
	SumsRows() bool
}

// Tallying is a kernel that can sum its result over the pixels of each image.
type Tallying interface {
	// Tallied returns the kernel that computes both. The sums are behind its inputs. Alone makes them for itself. Nil: it cannot.
	Tallied(alone PixelSum) Kernel
}

// PixelSum is a kernel whose result may be the sums of its input over the pixels of each image, and nothing else.
type PixelSum interface {
	Kernel
	SumsPixels() bool
}

// Chained is a kernel whose results are added up where several layers read the same.
type Chained interface {
	// Chained returns the kernel that makes the sum of n of them, from the inputs of all, one after the other.
	Chained(n int) Kernel
}

// Stacking is a product of input 0 with weights (input 1), of which several can be one, whose weights are put side by side.
type Stacking interface {
	// Stacks says how: wide, products of the same input 0 whose results lie side by side, and biases (input 2) with
	// them; or those whose inputs 0 lie side by side, and whose results are added up.
	Stacks() (wide bool)
}

// Absorber is a kernel into which the kernel that makes one of its inputs can be fused.
type Absorber interface {
	// Absorbs returns the fused kernel, which takes the maker's inputs in place of input
	// i. Nil: it cannot. In are the shapes of this kernel's inputs.
	Absorbs(i int, maker Kernel, in []tensor.Shape) Kernel
}

// Finisher is a kernel into which the kernel that reads its result can be fused.
type Finisher interface {
	// Finishes returns the fused kernel, which has the same inputs and computes the
	// reader's result. Nil: it cannot. In are the shapes of these inputs.
	Finishes(reader Kernel, in []tensor.Shape) Kernel
}

// Signature is the part of a Gorgonia operation that is the same for all of
// ours. Operators embed it; its Name, with every attribute that distinguishes
// two operations, is their identity in the graph.
type Signature struct {
	Name  string
	Ranks []int // rank of each input
	Rank  int   // rank of the output; 0 is a scalar
}

func typeOf(rank int, of hm.Type) hm.Type {
	if rank == 0 {
		return of
	}
	return gorgonia.TensorType{Dims: rank, Of: of}
}

// Arity returns the number of inputs.
func (s Signature) Arity() int { return len(s.Ranks) }

// Type returns the operation's type, the same element type throughout.
func (s Signature) Type() hm.Type {
	a := hm.TypeVariable('a')
	ts := make([]hm.Type, 0, len(s.Ranks)+1)
	for _, r := range s.Ranks {
		ts = append(ts, typeOf(r, a))
	}
	return hm.NewFnType(append(ts, typeOf(s.Rank, a))...)
}

// ReturnsPtr reports that results are fresh values.
func (Signature) ReturnsPtr() bool { return false }

// CallsExtern reports that no foreign code is called.
func (Signature) CallsExtern() bool { return false }

// OverwritesInput reports that no input is overwritten.
func (Signature) OverwritesInput() int { return -1 }

// WriteHash writes the operation's identity.
func (s Signature) WriteHash(h hash.Hash) { fmt.Fprintf(h, "fluxion.%s", s.Name) }

// Hashcode returns a hash of the operation's identity.
func (s Signature) Hashcode() uint32 {
	h := fnv.New32a()
	s.WriteHash(h)
	return h.Sum32()
}

func (s Signature) String() string { return s.Name }

// Scratch of a kernel that needs none.
func (Signature) Scratch([]tensor.Shape, tensor.Shape, int) int { return 0 }

// Apply adds an operation to the graph. It panics when shapes do not fit, as
// graph builders here do; nets.Build turns that into an error.
func Apply(op gorgonia.Op, in ...*gorgonia.Node) *gorgonia.Node {
	n, err := gorgonia.ApplyOp(op, in...)
	if err != nil {
		panic(fmt.Errorf("%v: %w", op, err))
	}
	return n
}

// Shapes reads the shapes that Gorgonia hands to InferShape.
func Shapes(in []gorgonia.DimSizer) ([]tensor.Shape, error) { return gorgonia.DimSizersToShapes(in) }

// Traffic is the bytes of float32 operands, each touched once.
func Traffic(out tensor.Shape, in ...tensor.Shape) int64 {
	n := int64(out.TotalSize())
	for _, s := range in {
		n += int64(s.TotalSize())
	}
	return 4 * n
}

// taskFloats is the work of one task of an elementwise kernel: long enough to
// hide the hand-over, short enough to balance.
const taskFloats = 32 << 10

// ByRows cuts a matrix of rows×cols into tasks of whole rows for elementwise
// kernels, whose results do not depend on the cut.
func ByRows(rows, cols int) (tasks, perTask int) {
	perTask = max(1, taskFloats/max(1, cols))
	return (rows + perTask - 1) / perTask, perTask
}

// Rows returns rows [from, from+n) of a matrix, fewer at its end.
func Rows[T cpu.Element](m cpu.MatrixOf[T], from, n int) cpu.MatrixOf[T] {
	n = min(n, m.Rows-from)
	return cpu.MatrixOf[T]{Data: m.Data[from*m.Pitch:], Rows: n, Cols: m.Cols, Pitch: m.Pitch}
}

// RowLoop binds an elementwise kernel: f is called for ranges of rows of the output.
func RowLoop(out cpu.Matrix, f func(k *cpu.Kernels, from, n int)) func(*cpu.Pool) {
	tasks, per := ByRows(out.Rows, out.Cols)
	var k *cpu.Kernels
	task := func(t, _ int) { f(k, t*per, min(per, out.Rows-t*per)) }
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(tasks, task)
	}
}

// Reached returns the windows of a row that have a pixel of the image at a place of
// theirs: of windows one every stride pixels, the first pad pixels outside of it, those
// ox with 0 ≤ ox·stride − pad + place < width.
func Reached(windows, width, stride, pad, place int) (first, end int) {
	if width-1+pad-place < 0 {
		return 0, 0
	}
	return max(0, (pad-place+stride-1)/stride), min(windows, (width-1+pad-place)/stride+1)
}
