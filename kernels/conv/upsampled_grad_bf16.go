package conv

import (
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
)

// The gradient of the weights of an upsampling convolution, in bfloat16: squares of the
// small image and of the output's gradient are transformed, 9 matrix products sum over all
// squares, and their results are transformed back into 3×3 weights. Each rounding error is
// passed on to the next number that is rounded (cpu.BF16Squares).

const (
	repeatedChunk = 512 // squares transformed together, about: a place of them stays in a cache
	repeatedTask  = 16  // of them transformed by a task
)

// upsampledBF16Grad says whether the gradient is computed so where the instruction set
// has it. It depends on the shape alone.
func (s size) upsampledBF16Grad() bool { return s.upsampled && s.winogradBF16() }

// upsampledBF16Grad is the gradient of the weights, bound to its operands.
type upsampledBF16Grad struct {
	squares
	depth, width int
	x, grad      gemm.BF16
	sum          cpu.Matrix

	kernels        *cpu.Kernels
	steps          *cpu.BF16Squares
	chunk          int      // squares
	first          int      // square of the chunk in hand
	joins          bool     // its products join those of the chunks before
	v, z           []uint16 // of every place
	sums           []float32
	outside        []uint16 // a row of pixels
	workers        []upsampledGradWorker
	products       []func(*cpu.Pool)
	transform, end func(task, worker int)
}

type upsampledGradWorker struct {
	in, out [maxPlaces]uintptr
	lines   cpu.BF16Lines
}

// gradChunk is how many squares are transformed together: all chunks are alike, and the
// last is filled up with zeros.
func (s squares) gradChunk() int { return ceil(s.count(), ceil(s.count(), repeatedChunk)) }

func (s squares) upsampledGradSizes(depth, width, threads int) (v, z, sums, product int) {
	bf16 := func(columns int) int { return s.places * (roundUp((s.gradChunk()*columns+1)/2, 16) + gap) }
	return bf16(depth), bf16(width), roundUp(s.places*depth*width, 16), gemm.BF16TransposedScratch(s.gradChunk(), 1, depth, width, threads)
}

func (s squares) upsampledGradScratch(depth, width, threads int) int {
	v, z, sums, product := s.upsampledGradSizes(depth, width, threads)
	return v + z + sums + product
}

// bind returns the gradient as a function that allocates nothing.
func (w *upsampledBF16Grad) bind(scratch []float32, threads int) func(*cpu.Pool) {
	v, z, sums, product := w.upsampledGradSizes(w.depth, w.width, threads)
	take := func(n int) []float32 {
		part := scratch[:n:n]
		scratch = scratch[n:]
		return part
	}
	w.chunk = w.gradChunk()
	w.v, w.z, w.sums = asBF16(take(v)), asBF16(take(z)), take(sums)
	own := take(product)
	w.outside = make([]uint16, max(w.in.w*w.x.Pitch, w.out.w*w.grad.Pitch))
	w.workers = make([]upsampledGradWorker, threads)
	for p := range w.places {
		w.products = append(w.products, gemm.BF16Transposed{
			Geometry: gemm.Dense(w.chunk), Depth: w.depth, Width: w.width,
			In: gemm.BF16{Data: w.v[p*w.vPlace():], Pitch: w.depth}, Grad: gemm.BF16{Data: w.z[p*w.zPlace():], Pitch: w.width},
			Out:        cpu.Matrix{Data: w.sums[p*w.depth*w.width:], Rows: w.depth, Cols: w.width, Pitch: w.width},
			Accumulate: &w.joins, Scratch: own, Threads: threads,
		}.Bind())
	}
	w.transform, w.end = w.transformTask, w.endTask
	return func(p *cpu.Pool) {
		w.kernels, w.steps = p.Kernels(), w.bf16Of(p.Kernels().BF16)
		for w.first = 0; w.first < w.count(); w.first += w.chunk {
			w.joins = w.first > 0
			p.Run(ceil(w.chunk, repeatedTask), w.transform)
			for _, product := range w.products {
				product(p)
			}
		}
		p.Run(ceil(w.depth, gradRows), w.end)
	}
}

func (w *upsampledBF16Grad) vPlace() int { return len(w.v) / w.places }
func (w *upsampledBF16Grad) zPlace() int { return len(w.z) / w.places }

// transformTask transforms some squares of the image and of the gradient.
func (w *upsampledBF16Grad) transformTask(task, worker int) {
	t := &w.workers[worker]
	begin := task * repeatedTask
	end := min(begin+repeatedTask, w.chunk)
	last := min(end, w.count()-w.first)
	w.squaresOf(t, w.in, w.x, w.depth, begin, last, w.v, w.vPlace(), w.steps.Input)
	w.squaresOf(t, w.out, w.grad, w.width, begin, last, w.z, w.zPlace(), w.steps.OutputGrad)
	for p := range w.places {
		if from := max(begin, last); from < end {
			clear(w.v[p*w.vPlace()+from*w.depth : p*w.vPlace()+end*w.depth])
			clear(w.z[p*w.zPlace()+from*w.width : p*w.zPlace()+end*w.width])
		}
	}
}

// squaresOf transforms squares [begin, last) of the chunk, so many columns wide.
func (w *upsampledBF16Grad) squaresOf(t *upsampledGradWorker, v view, m gemm.BF16, columns, begin, last int, to []uint16, place int, step func(*cpu.BF16Lines)) {
	l := &t.lines
	*l = cpu.BF16Lines{In: &t.in[0], Out: &t.out[0], InPitch: 2 * v.step * m.Pitch, OutPitch: 2 * columns, Columns: columns}
	for i := begin; i < last; i += l.Count {
		l.Count = w.together(v, w.first+i, w.first+last)
		w.bf16Pixels(t.in[:], v, m, 0, w.first+i, addressBF16(w.outside), uintptr(2*m.Pitch))
		for p := range w.places {
			t.out[p] = addressBF16(to[p*place+i*columns:])
		}
		step(l)
	}
}

// endTask turns the sums of some input channels into gradients of weights.
func (w *upsampledBF16Grad) endTask(task, worker int) {
	t := &w.workers[worker]
	for c := task * gradRows; c < min((task+1)*gradRows, w.depth); c++ {
		for p := range w.places {
			t.in[p] = address(w.sums[(p*w.depth+c)*w.width:])
		}
		for tap := range 9 {
			t.out[tap] = address(w.sum.Data[(tap*w.depth+c)*w.sum.Pitch:])
		}
		w.of(w.kernels).WeightsGrad(&t.in[0], &t.out[0], w.width)
	}
}
