package nets

import (
	"cmp"
	"hash/fnv"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"fluxion/kernels/philox"

	"gorgonia.org/tensor"
)

// Param is one weight tensor. All of them live in one flat buffer, each in the
// layout that the graph wants.
type Param struct {
	Name   string       // as in diffusers
	Stored []int        // shape in a file: conv OIHW, linear (out,in)
	Shape  tensor.Shape // shape in the graph: conv HWIO, linear (in,out), others the same
	Init   Init
	Offset int // floats from the start of the flat buffer, a multiple of 16

	Fixed  bool // it is no weight: training leaves it as it begins
	Unit   int  // rows that count in the size of a column, by which training divides it behind each step; 0: it does not
	matrix bool // a convolution or linear map, whose axes a file has in reverse
}

// Size is the number of floats.
func (p Param) Size() int { return p.Shape.TotalSize() }

// Init is how a parameter begins: a constant, plus a uniform number between
// −Uniform and Uniform, plus a normal one of standard deviation Normal.
type Init struct{ Constant, Uniform, Normal float32 }

// align is a cache line of floats: every parameter starts on one.
const align = 16

// FlatSize is the length of the flat buffer.
func FlatSize(params []Param) int {
	if len(params) == 0 {
		return 0
	}
	return params[len(params)-1].End()
}

// Count is the number of weights, without the gaps of the flat buffer.
func Count(params []Param) int {
	n := 0
	for _, p := range params {
		n += p.Size()
	}
	return n
}

// MostWeights is the largest network that is taken from a file: 64 GiB of float32.
const MostWeights = 1 << 34

// Initialise fills flat buffers, all with the same, the first weights of a seed. Each
// parameter's numbers are addressed by its name, so a network that shares a
// layer with another begins with the same layer.
func Initialise(params []Param, seed uint64, flats ...[]float32) {
	// Two threads do not meet in a huge page: the system would clear it for both.
	const part = 1 << 19
	size := FlatSize(params)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (size+part-1)/part) {
		workers.Go(func() {
			for from := int(next.Add(part)) - part; from < size; from = int(next.Add(part)) - part {
				initialise(params, seed, flats, from, min(from+part, size))
			}
		})
	}
	workers.Wait()
}

// initialise fills part of the flat buffers, gaps with zeros, piece by piece: each is
// in the cache when it is copied to the next buffer.
func initialise(params []Param, seed uint64, flats [][]float32, from, to int) {
	const piece = 1 << 14
	at, _ := slices.BinarySearchFunc(params, from, func(p Param, from int) int { return cmp.Compare(p.End(), from+1) })
	for from < to {
		p := params[at]
		values := min(p.Offset+p.Size(), to, from+piece) - from
		w := flats[0][from:min(p.End(), to, from+piece)]
		if values > 0 {
			p.fill(w[:values], from-p.Offset, seed)
		}
		clear(w[max(values, 0):])
		for _, flat := range flats[1:] {
			copy(flat[from:], w)
		}
		if from += len(w); from == p.End() {
			at++
		}
	}
}

// End is where the gap behind the parameter ends in the flat buffer: the next one begins there.
func (p Param) End() int { return p.Offset + (p.Size()+align-1)/align*align }

// fill makes values first, first+1, … of the parameter.
func (p Param) fill(w []float32, first int, seed uint64) {
	if rest := philox.MaxValues - first%philox.MaxValues; len(w) > rest { // of this request
		p.fill(w[rest:], first+rest, seed)
		w = w[:rest]
	}
	h := fnv.New64a()
	h.Write([]byte(p.Name))
	step, first := uint32(first/philox.MaxValues), first%philox.MaxValues
	switch i := p.Init; {
	case i.Uniform != 0:
		philox.UniformAt(w, first, i.Constant, i.Uniform, seed, philox.Init, h.Sum64(), step)
	case i.Normal != 0:
		philox.NormalAt(w, first, seed, philox.Init, h.Sum64(), step)
		for k := range w {
			w[k] = i.Constant + float32(i.Normal*w[k])
		}
	default:
		for k := range w {
			w[k] = i.Constant
		}
	}
}

// Folded are weights of the parameters that are wanted, of those of a network that has more:
// what that adds to the output of an affine map becomes part of its bias.
func Folded(has, wants []Param, weights []float32, bias string, added []float32) []float32 {
	byName := map[string]Param{}
	for _, p := range has {
		byName[p.Name] = p
	}
	flat := make([]float32, FlatSize(wants))
	for _, p := range wants {
		copy(flat[p.Offset:], weights[byName[p.Name].Offset:][:p.Size()])
		if p.Name == bias {
			for i, x := range added {
				flat[p.Offset+i] += x
			}
		}
	}
	return flat
}

// Hidden is a convolution or linear map between hidden layers as a matrix of the flat
// buffer, inputs by outputs; the first layer and the last are none, nor are tables.
func (p Param) Hidden() (rows, columns int, ok bool) {
	if !p.matrix || slices.Contains(ends, p.Name) {
		return 0, 0, false
	}
	out, in, pixels := p.axes()
	return pixels * in, out, true
}

// axes reads the parameter as (out, in, pixels) in a file, which is the reverse,
// (pixels, in, out), in the graph.
func (p Param) axes() (out, in, pixels int) {
	if !p.matrix {
		return 1, p.Size(), 1
	}
	return p.Stored[0], p.Stored[1], p.Size() / (p.Stored[0] * p.Stored[1])
}

// ToStored copies a parameter out of the flat buffer into the layout of a file.
func ToStored(p Param, flat, dst []float32) {
	out, in, pixels := p.axes()
	w := flat[p.Offset : p.Offset+p.Size()]
	for o := range out {
		for i := range in {
			for x := range pixels {
				dst[(o*in+i)*pixels+x] = w[(x*in+i)*out+o]
			}
		}
	}
}

// FromStored copies a parameter from the layout of a file into the flat buffer.
func FromStored(p Param, src, flat []float32) {
	out, in, pixels := p.axes()
	w := flat[p.Offset : p.Offset+p.Size()]
	for o := range out {
		for i := range in {
			for x := range pixels {
				w[(x*in+i)*out+o] = src[(o*in+i)*pixels+x]
			}
		}
	}
}
