package metric

import (
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// tile is the side of a block of products: small enough for one thread of the
// library, so that the threads are ours and each product has one fixed order.
const tile = 128

// Products hands out all products of rows of a with rows of b, tile by tile: those of
// rows [i, i+h) with [j, j+w), in a matrix whose rows are tile apart. The tiles of one
// stripe of rows come in order and to one thread; stripes come in any order.
func products(a, b Features, visit func(i, h, j, w int, p []float64)) {
	n := a.Len()
	var next atomic.Int64
	var threads sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+tile-1)/tile) {
		threads.Go(func() {
			p := make([]float64, tile*tile)
			left, right := make([]float64, tile*a.Dim), make([]float64, tile*a.Dim)
			for i := int(next.Add(tile)) - tile; i < n; i = int(next.Add(tile)) - tile {
				h := min(tile, n-i)
				wide(left, a.Values[i*a.Dim:(i+h)*a.Dim])
				for j := 0; j < b.Len(); j += tile {
					w := min(tile, b.Len()-j)
					wide(right, b.Values[j*a.Dim:(j+w)*a.Dim])
					blas64.Gemm(blas.NoTrans, blas.Trans, 1,
						blas64.General{Rows: h, Cols: a.Dim, Stride: a.Dim, Data: left},
						blas64.General{Rows: w, Cols: a.Dim, Stride: a.Dim, Data: right},
						0, blas64.General{Rows: h, Cols: w, Stride: tile, Data: p})
					visit(i, h, j, w, p)
				}
			}
		})
	}
	threads.Wait()
}

func wide(to []float64, from []float32) {
	for i, v := range from {
		to[i] = float64(v)
	}
}

// sumOf adds, over all pairs of rows of a and b, what f makes of their product. The
// order is fixed: within a stripe of rows, then over stripes.
func sumOf(a, b Features, f func(i, j int, product float64) float64) float64 {
	stripes := make([]float64, (a.Len()+tile-1)/tile)
	products(a, b, func(i, h, j, w int, p []float64) {
		sum := 0.0
		for k := range h {
			for l, v := range p[k*tile:][:w] {
				sum += f(i+k, j+l, v)
			}
		}
		stripes[i/tile] += sum
	})
	total := 0.0
	for _, s := range stripes {
		total += s
	}
	return total
}

// distances hands out all squared distances between rows of a and of b, as products
// does. Differences of like rows are taken one by one where the product cannot tell.
func distances(a, b Features, visit func(i, h, j, w int, d []float64)) {
	na, nb := norms(a), norms(b)
	products(a, b, func(i, h, j, w int, p []float64) {
		for k := range h {
			row := p[k*tile:][:w]
			for l, product := range row {
				whole := na[i+k] + nb[j+l]
				if row[l] = whole - 2*product; row[l] < 1e-9*whole {
					row[l] = apart(a.Row(i+k), b.Row(j+l))
				}
			}
		}
		visit(i, h, j, w, p)
	})
}

func norms(f Features) []float64 {
	n := make([]float64, f.Len())
	for i := range n {
		for _, v := range f.Row(i) {
			n[i] += float64(v) * float64(v)
		}
	}
	return n
}

// apart is the squared distance of two rows.
func apart(a, b []float32) float64 {
	sum := 0.0
	for i, v := range a {
		d := float64(v) - float64(b[i])
		sum += d * d
	}
	return sum
}
