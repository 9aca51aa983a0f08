package gemm

import (
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// problem is a product with operands in the memory of a simulated GPU.
type problem struct {
	CUDA
	a, b []float64
	want []float64
}

// draw places operands with values for a product; all but the operands are set.
func draw(g *kerneltest.GPU, p CUDA, of number.Type, value func() float64) problem {
	values := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = value()
		}
		return v
	}
	source := p.Images * p.Y.Source * p.X.Source
	q := problem{CUDA: p, a: values(source * p.Depth)}
	q.A = g.Matrix(of, source, p.Depth, 0, q.a)
	rows, cols := p.taps()*p.Depth, p.Width
	switch p.Kind {
	case NT:
		rows, cols = p.taps()*p.Width, p.Depth
	case TN:
		rows = p.pixels()
	}
	q.b = values(rows * cols)
	q.B = g.Matrix(of, rows, cols, 0, q.b)
	q.Out = g.Empty(number.Float32, p.rows(), p.Width, 0)
	q.multiply()
	return q
}

// multiply is what product.cuh says, in float64.
func (q *problem) multiply() {
	q.want = make([]float64, q.rows()*q.Width)
	for pixel := range q.pixels() {
		image, y, x := pixel/(q.Y.Grid*q.X.Grid), pixel/q.X.Grid%q.Y.Grid, pixel%q.X.Grid
		for tap := range q.taps() {
			ty, tx := tap/q.X.Taps, tap%q.X.Taps
			sy, sx := q.Stride*y+q.Y.Origin+q.Direction*ty, q.Stride*x+q.X.Origin+q.Direction*tx
			if sy < 0 || sy >= q.Y.Source || sx < 0 || sx >= q.X.Source {
				continue
			}
			a := q.a[((image*q.Y.Source+sy)*q.X.Source+sx)*q.Depth:][:q.Depth]
			weights := (q.Y.FirstTap+q.TapStep*ty)*q.Side + q.X.FirstTap + q.TapStep*tx
			for c, e := range a {
				for j := range q.Width {
					switch q.Kind {
					case NN:
						q.want[pixel*q.Width+j] += e * q.b[(weights*q.Depth+c)*q.Width+j]
					case NT:
						q.want[pixel*q.Width+j] += e * q.b[(weights*q.Width+j)*q.Depth+c]
					case TN:
						q.want[(tap*q.Depth+c)*q.Width+j] += e * q.b[pixel*q.Width+j]
					}
				}
			}
		}
	}
}

// Every function that was compiled, on a problem that leaves an edge of its tile
// in each direction, alone and with its sums shared: whole numbers, so exactly.
func TestEveryFunctionIsExact(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	g := kerneltest.NewGPU(t, 1)
	rng := rand.New(rand.NewPCG(7, 8))
	run := map[string]bool{}
	for of, module := range modules {
		for _, kind := range []Kind{NN, NT, TN} {
			for _, a := range []access{direct, gatherB, gather} {
				if a == gatherB && (of == number.Float32 || kind == NT) {
					continue
				}
				for _, tile := range tilesOf(of, a) {
					for _, splits := range []int{1, 3} {
						p := edges(kind, tile)
						if splits > 1 {
							p.Width = 8 // less than a tile
						}
						q := draw(g, p, of, func() float64 { return float64(rng.IntN(9) - 4) })
						c := lay(q.CUDA, a, tile)
						if c.pair {
							c = c.inTiles(splits)
							q.Scratch = g.Alloc(max(1, q.left(c)))
						} else if c.splits, c.splitSteps = splits, ceil(c.steps, splits); splits > 1 {
							q.Scratch = g.Alloc(4 * splits * q.rows() * roundUp(q.Width, 4))
						}
						calls := q.bind(c, a)
						for _, call := range calls {
							run[call.Function] = true
						}
						n := g.Run(calls...)
						t.Logf("%s, %d splits of %d steps", calls[0].Function, splits, c.splitSteps)
						if n.BankConflicts != 0 {
							t.Errorf("%d bank conflicts in %d accesses to shared memory", n.BankConflicts, n.SharedRequests)
						}
						for i, x := range g.Values(q.Out) {
							if float64(x) != q.want[i] {
								t.Fatalf("row %d, column %d is %v, want %v", i/q.Width, i%q.Width, x, q.want[i])
							}
						}
					}
				}
			}
		}
		for _, m := range regexp.MustCompile(`\.entry (\w+)`).FindAllStringSubmatch(module.PTX(), -1) {
			if !run[m[1]] {
				t.Errorf("%s was never run", m[1])
			}
		}
	}
}

// edges is a convolution of two images with taps that are not a square, a tile and
// some more of the result.
func edges(kind Kind, t tile) CUDA {
	p := CUDA{Kind: kind, Depth: 40, Width: t.n + 8, Walk: Walk{
		Images: 2, Stride: 1, Direction: 1, TapStep: 1, OutStep: 1, Side: 1,
		Y: Axis{Grid: 9, Source: 8, Origin: -1, Taps: 2, Out: 9},
		X: Along(t.m / 16),
	}}
	p.X.Grid, p.X.Out = p.X.Grid+1, p.X.Out+1
	if kind == TN {
		p.Depth = t.m + 8
	}
	return p
}

// Convolutions of preset cifar, on one image: no bank conflicts, and no more work
// for the tensor cores than tiles at the edges make.
func TestConvolutionsOfCifar(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	g := kerneltest.NewSimulator(t, 1)
	for _, s := range [][4]int{{32, 3, 128, 3}, {32, 128, 128, 3}, {32, 128, 3, 3}, {16, 256, 256, 3}, {16, 512, 256, 1}, {8, 512, 256, 3}, {4, 256, 256, 3}} {
		for _, kind := range []Kind{NN, NT, TN} {
			p := convolution(kind, 1, s[0], s[1], s[2], s[3])
			zeros := func(rows, cols int) cuda.Operand {
				return g.Matrix(number.BFloat16, rows, cols, 0, make([]float64, rows*cols))
			}
			rows := p.taps() * p.Depth
			switch kind {
			case NT:
				rows = p.taps() * p.Width
				p.B = zeros(rows, p.Depth)
			case TN:
				p.B = zeros(p.pixels(), p.Width)
			default:
				p.B = zeros(rows, p.Width)
			}
			p.A = zeros(p.pixels(), p.Depth)
			p.Out = g.Empty(p.Out.Type, p.rows(), p.Width, 0)
			if n := p.ScratchBytes(); n > 0 {
				p.Scratch = g.Alloc(n)
			}
			calls := p.Calls()
			n := g.Run(calls...)
			work := 2 * p.pixels() * p.taps() * p.Depth * p.Width
			t.Logf("%d×%d %d→%d %d×%d %s: %.2f of the products needed, %.1f instructions for one of mma, %.1f and %.1f sectors a load and store",
				s[0], s[0], s[1], s[2], s[3], s[3], calls[0].Function, float64(n.TensorFLOPs)/float64(work),
				float64(instructions(n))/float64(n.Instructions[sim.Tensor]), n.GlobalLoads.SectorsPerRequest(), n.GlobalStores.SectorsPerRequest())
			if n.BankConflicts != 0 {
				t.Errorf("%d bank conflicts in %d accesses to shared memory", n.BankConflicts, n.SharedRequests)
			}
			c := choose(p, p.access())
			if most := 2 * c.across * c.n * c.down * c.m * c.steps * 32; n.TensorFLOPs != int64(most) {
				t.Errorf("%d FLOPs of mma, want the %d of the tiles", n.TensorFLOPs, most)
			}
		}
	}
}

func instructions(n sim.Counters) int64 {
	sum := int64(0)
	for _, i := range n.Instructions {
		sum += i
	}
	return sum
}

// Sums of thousands of terms stay within the budgets: 1e-6 in float32, and what is
// far below the rounding of a result to bf16 on tensor cores.
func TestLongSums(t *testing.T) {
	g := kerneltest.NewGPU(t, 1)
	rng := rand.New(rand.NewPCG(9, 10))
	for of, budget := range map[number.Type]float64{number.Float32: 1e-6, number.BFloat16: 1e-5} {
		for _, kind := range []Kind{NN, NT, TN} {
			p := CUDA{Kind: kind, Walk: DenseWalk(1, 3), Depth: 3000, Width: 8}
			if kind == TN {
				p.Walk, p.Depth = DenseWalk(1, 3000), 8
			}
			q := draw(g, p, of, func() float64 {
				if x := float32(rng.NormFloat64()); of == number.Float32 {
					return float64(x)
				} else {
					return float64(number.Round(x))
				}
			})
			c := lay(q.CUDA, direct, tilesOf(of, direct)[0])
			if !c.pair {
				c.splits, c.splitSteps = 1, c.steps
			}
			g.Run(q.bind(c, direct)...)
			diff, norm := 0.0, 0.0
			for i, x := range g.Values(q.Out) {
				diff += (float64(x) - q.want[i]) * (float64(x) - q.want[i])
				norm += q.want[i] * q.want[i]
			}
			e := math.Sqrt(diff / norm)
			t.Logf("%v in %v: relative error %.3g", kind, of, e)
			if !(e <= budget) {
				t.Errorf("want at most %g", budget)
			}
		}
	}
}

// Statistics that a product leaves are those of the values it wrote.
func TestPartials(t *testing.T) {
	const images, groups = 2, 6
	g := kerneltest.NewGPU(t, 1)
	rng := rand.New(rand.NewPCG(13, 14))
	for _, a := range []access{direct, gather} {
		for _, tile := range tilesOf(number.BFloat16, a) {
			for _, per := range []int{4, 16} {
				p := convolution(NN, images, 8, 8, groups*per, 1)
				p.Y.Grid, p.Y.Source, p.Y.Out = 16, 16, 16 // 16×8 pixels: two strips
				q := draw(g, p, number.BFloat16, rng.NormFloat64)
				q.Out = g.Empty(number.BFloat16, p.rows(), p.Width, 0)
				q.Bias = g.Vector(number.Float32, slices.Repeat([]float64{100}, p.Width)).Address // far from 0 are squares lost
				q.Partials = cuda.Partials{Groups: groups, Chunks: q.Chunks(groups)}
				if q.Partials.Chunks != 2 {
					t.Fatalf("%d chunks, want 2", q.Partials.Chunks)
				}
				left := g.Empty(number.Float32, images*q.Partials.Chunks*3, groups, 0)
				q.Partials.Address = left.Address
				c := lay(q.CUDA, a, tile)
				c.splits, c.splitSteps = 1, c.steps
				g.Run(q.bind(c, a)...)
				out, moments := g.Values(q.Out), g.Values(left)
				for chunk := range images * q.Partials.Chunks {
					for group := range groups {
						want := statistics(out[chunk*strip*p.Width:][:strip*p.Width], p.Width, group*per, per)
						for i := range want {
							if x := float64(moments[(chunk*3+i)*groups+group]); math.Abs(x-want[i]) > 1e-5*want[i] {
								t.Errorf("%s, groups of %d: statistic %d of chunk %d, group %d is %v, want %v",
									c.function(NN, a, number.BFloat16), per, i, chunk, group, x, want[i])
							}
						}
					}
				}
			}
		}
	}
}

// statistics are the count, mean and squared distances of columns of a matrix.
func statistics(matrix []float32, width, first, columns int) [3]float64 {
	var values []float64
	sum := 0.0
	for at := first; at < len(matrix); at += width {
		for _, x := range matrix[at : at+columns] {
			values = append(values, float64(x))
			sum += float64(x)
		}
	}
	mean, squares := sum/float64(len(values)), 0.0
	for _, x := range values {
		squares += (x - mean) * (x - mean)
	}
	return [3]float64{float64(len(values)), mean, squares}
}

// Products side by side, in the heads of images that lie in one matrix.
func TestBatch(t *testing.T) {
	const images, heads, pixels, dim = 2, 3, 10, 8
	g := kerneltest.NewGPU(t, 1)
	rng := rand.New(rand.NewPCG(11, 12))
	x := make([]float64, images*pixels*2*heads*dim) // q and k of every head side by side
	for i := range x {
		x[i] = float64(rng.IntN(9) - 4)
	}
	for _, of := range []number.Type{number.Float32, number.BFloat16} {
		m := g.Matrix(of, images*pixels, 2*heads*dim, 0, x)
		q, k := m, m
		k.Address += cuda.Address(heads * dim * of.Size())
		out := g.Empty(number.Float32, images*heads*pixels, pixels, 0)
		strides := [2]int{pixels * m.Pitch, dim}
		g.Run(CUDA{
			Kind: NT, Walk: DenseWalk(1, pixels), Depth: dim, Width: pixels, A: q, B: k, Out: out,
			Batch: Batch{Images: images, Heads: heads, A: strides, B: strides, Out: [2]int{heads * pixels * pixels, pixels * pixels}},
		}.Calls()...)
		for at, got := range g.Values(out) {
			n, h, i, j := at/(heads*pixels*pixels), at/(pixels*pixels)%heads, at/pixels%pixels, at%pixels
			want := 0.0
			for c := range dim {
				want += x[(n*pixels+i)*2*heads*dim+h*dim+c] * x[(n*pixels+j)*2*heads*dim+(heads+h)*dim+c]
			}
			if float64(got) != want {
				t.Fatalf("%v: image %d, head %d, %d·%d is %v, want %v", of, n, h, i, j, got, want)
			}
		}
	}
}
