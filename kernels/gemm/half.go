package gemm

import (
	"unsafe"

	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
)

// Half is a view of rows of bfloat16, Pitch elements apart. Nil Data: none.
type Half struct {
	Data  []uint16
	Pitch int
}

// at is the address of an element.
func (h Half) at(row, col int) uintptr { return addressHalf(h.Data[row*h.Pitch+col:]) }

func addressHalf(s []uint16) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

// HalfWeights are Weights in bfloat16.
type HalfWeights struct {
	Data                              []uint16
	TapStride, DepthStride, ColStride int
}

// HalfProduct is a Product of bfloat16 for instruction sets that multiply it
// (cpu.Kernels.Half). Sums are float32, whole in one register: they are exact
// enough for a result that keeps 8 bits. Bias and PerImage are float32.
type HalfProduct struct {
	Geometry
	Depth, Width int
	In, Out, Add Half
	W            HalfWeights
	Bias         []float32
	PerImage     cpu.Matrix
	Scratch      []float32 // HalfProductScratch floats
	Threads      int
}

// HalfProductScratch is the working memory of a product, in floats: the packed
// weights, a pair in each, and the biases of every image.
func HalfProductScratch(images, taps, depth, width int) int {
	return ProductScratch(images, taps, pairsOf(depth), width)
}

// pairsOf is how many pairs hold n elements.
func pairsOf(n int) int { return (n + 1) / 2 }

// pairsPacked is how many rows of pairs are interleaved at a time.
const pairsPacked = 32

type halfWorker struct {
	tile   cpu.TileHalf
	a, b   []uintptr
	rows   [2 * pairsPacked]uintptr
	square [tileRows * maxWidth]float32
}

type halfProduct struct {
	HalfProduct
	kernels     *cpu.Kernels
	zeros       []uint16
	packed      []float32 // pairs
	biases      []float32 // one row of width for each image, or one for all
	imageTiles  int       // row tiles of an image
	workers     []halfWorker
	pack, tiles func(task, worker int)
}

// Bind returns the product as a function that allocates nothing.
func (g HalfProduct) Bind() func(*cpu.Pool) {
	p := &halfProduct{HalfProduct: g}
	size := g.Taps * pairsOf(g.Depth) * roundUp(g.Width, 16)
	p.packed, p.biases = g.Scratch[:size], g.Scratch[size:]
	p.zeros = make([]uint16, max(g.Depth, maxWidth))
	p.imageTiles = (g.Rows + tileRows - 1) / tileRows
	p.workers = make([]halfWorker, g.Threads)
	for i := range p.workers {
		p.workers[i].a = make([]uintptr, g.Taps*tileRows)
		p.workers[i].b = make([]uintptr, g.Taps)
	}
	p.pack, p.tiles = p.packTap, p.run
	return func(pool *cpu.Pool) {
		p.kernels = pool.Kernels()
		sumBiases(p.biases, p.Bias, p.PerImage, p.Images, p.Width)
		pool.Run(panels(p.kernels, p.Width)*p.Taps, p.pack)
		pool.Run(panels(p.kernels, p.Width)*p.blocks(), p.tiles)
	}
}

func (p *halfProduct) blocks() int { return (p.Images*p.imageTiles + blockTiles - 1) / blockTiles }

// panel returns the columns of a panel that exist, those it is padded to, and its packed weights.
func (p *halfProduct) panel(i int) (valid, padded int, packed []float32) {
	valid, padded = panelWidth(p.kernels, p.Width, i)
	return valid, padded, p.packed[i*p.kernels.TileCols*p.Taps*pairsOf(p.Depth):]
}

// packTap lays one tap of the columns of one panel out as [depth/2][columns][2], zero padded.
func (p *halfProduct) packTap(task, worker int) {
	panel, tap := task/p.Taps, task%p.Taps
	valid, padded, packed := p.panel(panel)
	pairs := pairsOf(p.Depth)
	to := packed[tap*pairs*padded:][:pairs*padded]
	from := p.W.Data[tap*p.W.TapStride+panel*p.kernels.TileCols*p.W.ColStride:]
	if p.W.ColStride != 1 {
		packPairs(unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(to))), len(to)), from, p.Depth, valid, padded, p.W.ColStride)
		return
	}
	rows := &p.workers[worker].rows
	for first := 0; first < pairs; first += pairsPacked {
		n := min(pairsPacked, pairs-first)
		for i := range 2 * n {
			if k := 2*first + i; k < p.Depth {
				rows[i] = addressHalf(from[k*p.W.DepthStride:])
			} else {
				rows[i] = addressHalf(p.zeros)
			}
		}
		p.kernels.Half.Pairs(address(to[first*padded:]), 4*padded, &rows[0], n, valid)
	}
}

// packPairs writes pair i of column j, which lies at from[j*stride+2i], to
// to[i*padded+j], in blocks that fit the cache.
func packPairs(to []uint32, from []uint16, depth, valid, padded, stride int) {
	const block = 32
	if valid < padded {
		clear(to)
	}
	for k0 := 0; k0 < depth; k0 += block {
		n := min(block, depth-k0)
		for j := range valid {
			column := from[j*stride+k0:][:n]
			at := k0/2*padded + j
			for ; len(column) > 1; column = column[2:] {
				to[at] = uint32(column[0]) | uint32(column[1])<<16
				at += padded
			}
			if len(column) == 1 {
				to[at] = uint32(column[0])
			}
		}
	}
}

// run computes one block of row tiles against one panel of weights.
func (p *halfProduct) run(task, worker int) {
	panel, block := task/p.blocks(), task%p.blocks()
	valid, padded, packed := p.panel(panel)
	w := &p.workers[worker]
	t := &w.tile
	*t = cpu.TileHalf{A: unsafe.SliceData(w.a), B: unsafe.SliceData(w.b), Depth: p.Depth, BPitch: 4 * padded, Width: padded}
	pitch := uintptr(2 * p.In.Pitch)
	for tile := block * blockTiles; tile < min((block+1)*blockTiles, p.Images*p.imageTiles); tile++ {
		image, row := tile/p.imageTiles, tile%p.imageTiles*tileRows
		t.Rows = min(tileRows, p.Rows-row)
		base := addressHalf(p.In.Data) + uintptr(image*p.InRows)*pitch
		t.Taps = p.gather(w.a, w.b, row, t.Rows, base, pitch, addressHalf(p.zeros))
		for i, tap := range w.b[:t.Taps] {
			w.b[i] = address(packed) + uintptr(4*padded*pairsOf(p.Depth))*tap
		}
		p.store(w, image, image*p.Rows+row, panel*p.kernels.TileCols, valid)
	}
}

// store runs the micro-kernel and puts its tile at (row, col) of the output.
func (p *halfProduct) store(w *halfWorker, image, row, col, valid int) {
	t := &w.tile
	var bias []float32
	if p.PerImage.Data != nil {
		bias = p.biases[image*p.Width+col:]
	} else if p.Bias != nil {
		bias = p.biases[col:]
	}
	if valid == t.Width {
		t.C, t.CPitch = p.Out.at(row, col), 2*p.Out.Pitch
		if bias != nil {
			t.Bias = address(bias)
		}
		if p.Add.Data != nil {
			t.Add, t.AddPitch = p.Add.at(row, col), 2*p.Add.Pitch
		}
		p.kernels.Half.Tile(t)
		return
	}
	// A tile wider than what is left of the row goes through memory of ours.
	t.C, t.CPitch, t.Float32 = address(w.square[:]), 4*maxWidth, 1
	p.kernels.Half.Tile(t)
	for i := range t.Rows {
		to := p.Out.Data[(row+i)*p.Out.Pitch+col:][:valid]
		for j, x := range w.square[i*maxWidth:][:valid] {
			if bias != nil {
				x += bias[j]
			}
			if p.Add.Data != nil {
				x += number.Widen(p.Add.Data[(row+i)*p.Add.Pitch+col+j])
			}
			to[j] = number.Narrow(x)
		}
	}
}
