// Package gemm multiplies matrices with the micro-kernels of package cpu. The rows of the
// left operand are found through a table of addresses, so that a convolution is an
// ordinary product: no im2col and no padded copy.
//
// Long sums are split into chunks of at most chunkTerms, which keeps float32 accurate. The
// order of the sums depends on the shapes alone: results have the same bits for every
// number of threads.
package gemm

import (
	"unsafe"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
)

const (
	tileRows   = cpu.TileRows
	chunkTerms = 640 // products summed in one register before they join the rest
	blockTiles = 32  // row tiles of one task: enough to keep a panel of weights busy
	maxWidth   = 64  // widest tile of any instruction set
)

// Geometry says which rows of the input meet in each row of the output. Images
// are alike; row r of an image's output takes, for tap i, row Source[i*Rows+r]
// of the same image's input, or zeros where that is negative.
type Geometry struct {
	Images, Rows, InRows, Taps int
	Source                     []int32 // nil: one tap, the identity
}

// Dense is the geometry of an ordinary matrix product with this many rows.
func Dense(rows int) Geometry {
	return Geometry{Images: 1, Rows: rows, InRows: rows, Taps: 1}
}

// Weights is the right operand: element (tap, k, j) lies at
// Data[tap*TapStride + k*DepthStride + j*ColStride]. One of the last two strides is 1.
type Weights struct {
	Data                              []float32
	TapStride, DepthStride, ColStride int
}

// Product is out[r][j] = Σ_tap Σ_k in[source(tap, r)][k]·w[tap][k][j] + bias[j] + perImage[image][j] + add[r][j].
type Product struct {
	Geometry
	Depth, Width int
	In, Out      cpu.Matrix
	W            Weights
	Bias         []float32  // nil: none
	PerImage     cpu.Matrix // Data nil: none
	Add          cpu.Matrix // Data nil: none
	Packing
	Scratch []float32 // ProductScratch floats, less ProductPacked if Packed is not nil
	Threads int
	Cut     *kernels.Cut
}

// Packing says where the packed weights of a product are.
type Packing struct {
	Packed []float32 // nil: in the working memory, and packed in every run
	Only   bool      // they are packed in a run, and nothing else is done
}

// Runs packs where that is due, and says whether anything else is to be done.
func (p Packing) Runs(pack func()) bool {
	if p.Only || p.Packed == nil {
		pack()
	}
	return !p.Only
}

// ProductPacked is the packed weights of a product, in floats.
func ProductPacked(taps, depth, width int) int { return taps * depth * roundUp(width, 16) }

// ProductScratch is the working memory of a product, in floats: the packed
// weights and the biases of every image.
func ProductScratch(images, taps, depth, width int) int {
	return ProductPacked(taps, depth, width) + images*roundUp(width, 16)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

func address(s []float32) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

// workspace is what one worker needs to call a micro-kernel without allocating.
type workspace struct {
	tile   cpu.Tile
	tileT  cpu.TileT
	a, b   []uintptr
	square [tileRows * maxWidth]float32
}

// product is a Product bound to its addresses.
type product struct {
	Product
	kernels     *cpu.Kernels
	zeros       []float32
	packed      []float32
	biases      []float32 // one row of width for each image, or one for all
	imageTiles  int       // row tiles of an image
	chunk       int       // depth of a chunk
	block       int       // row tiles of a task
	workers     []workspace
	pack, tiles func(task, worker int)
}

// Bind returns the product as a function that allocates nothing.
func (g Product) Bind() func(*cpu.Pool) {
	p := &product{Product: g}
	if p.packed, p.biases = g.Packed, g.Scratch; p.packed == nil {
		n := ProductPacked(g.Taps, g.Depth, g.Width)
		p.packed, p.biases = g.Scratch[:n], g.Scratch[n:]
	}
	p.zeros = make([]float32, g.Depth)
	p.imageTiles = (g.Rows + tileRows - 1) / tileRows
	p.chunk = max(16, chunkTerms/g.Taps/16*16)
	p.workers = make([]workspace, g.Threads)
	for i := range p.workers {
		p.workers[i].a = make([]uintptr, g.Taps*tileRows)
		p.workers[i].b = make([]uintptr, g.Taps)
	}
	p.pack = func(panel, _ int) { packPanel(p.kernels, p.packed, p.W, p.Taps, p.Depth, p.Width, panel) }
	p.tiles = p.run
	return func(pool *cpu.Pool) {
		p.kernels = pool.Kernels()
		if !p.Runs(func() { pool.Run(panels(p.kernels, p.Width), p.pack) }) {
			return
		}
		p.block = p.Cut.Of(kernels.TileSize{Rows: blockTiles}, kernels.TileSize{Rows: p.Images * p.imageTiles}).Rows
		sumBiases(p.biases, p.Bias, p.PerImage, p.Images, p.Width)
		pool.Run(panels(p.kernels, p.Width)*p.blocks(), p.tiles)
	}
}

func (p *product) blocks() int {
	return ceil(p.Images*p.imageTiles, p.block)
}

func panels(k *cpu.Kernels, width int) int { return (width + k.TileCols - 1) / k.TileCols }

// panelWidth returns the columns of a panel that exist and the columns it is padded to.
func panelWidth(k *cpu.Kernels, width, panel int) (valid, padded int) {
	valid = min(k.TileCols, width-panel*k.TileCols)
	return valid, roundUp(valid, k.Lanes)
}

// packPanel lays the columns of one panel out as [tap][depth][columns], zero padded.
func packPanel(k *cpu.Kernels, packed []float32, w Weights, taps, depth, width, panel int) {
	valid, padded := panelWidth(k, width, panel)
	dst := packed[panel*k.TileCols*taps*depth:]
	first := panel * k.TileCols
	for tap := range taps {
		src := w.Data[tap*w.TapStride+first*w.ColStride:]
		to := dst[tap*depth*padded : (tap+1)*depth*padded]
		if w.ColStride == 1 {
			for i := range depth {
				row := to[i*padded : (i+1)*padded]
				copy(row, src[i*w.DepthStride:][:valid])
				clear(row[valid:])
			}
			continue
		}
		k.Transpose(address(to), 4*padded, address(src), 4*w.ColStride, valid, depth)
	}
}

// sumBiases writes the biases of a product: a row for each image, or one for all.
func sumBiases(sums, bias []float32, perImage cpu.Matrix, images, width int) {
	if perImage.Data == nil {
		copy(sums, bias)
		return
	}
	for n := range images {
		row := sums[n*width : (n+1)*width]
		copy(row, perImage.Row(n))
		for j, b := range bias {
			row[j] += b
		}
	}
}

// run computes one block of row tiles against one panel of weights.
func (p *product) run(task, worker int) {
	panel, block := task/p.blocks(), task%p.blocks()
	valid, padded := panelWidth(p.kernels, p.Width, panel)
	packed := p.packed[panel*p.kernels.TileCols*p.Taps*p.Depth:]
	w := &p.workers[worker]
	t := &w.tile
	t.A, t.B = unsafe.SliceData(w.a), unsafe.SliceData(w.b)
	t.Width, t.BPitch = padded, 4*padded
	last := min((block+1)*p.block, p.Images*p.imageTiles)
	for k0 := 0; k0 < p.Depth; k0 += p.chunk {
		t.Depth = min(p.chunk, p.Depth-k0)
		for tile := block * p.block; tile < last; tile++ {
			image, row := tile/p.imageTiles, tile%p.imageTiles*tileRows
			t.Rows = min(tileRows, p.Rows-row)
			p.gather(w, image, row, k0)
			for i, tap := range w.b[:t.Taps] {
				w.b[i] = address(packed) + uintptr(4*padded)*(tap*uintptr(p.Depth)+uintptr(k0))
			}
			p.store(w, image, image*p.Rows+row, panel*p.kernels.TileCols, valid, k0 > 0)
		}
	}
}

// gather lists the taps that touch the image in this tile, and the addresses of
// their rows.
func (p *product) gather(w *workspace, image, row, k0 int) {
	pitch := uintptr(4 * p.In.Pitch)
	base := address(p.In.Data) + uintptr(image*p.InRows)*pitch + uintptr(4*k0)
	w.tile.Taps = p.Geometry.gather(w.a, w.b, findRows, tileRows, row, w.tile.Rows, base, pitch, address(p.zeros))
}

// gather writes, for each tap, the addresses of the input rows that output rows
// [row, row+rows) need, as many as a tile has, and the number of the tap. The image begins
// at base. Taps that need only padding are left out; it returns how many are left. find
// computes the addresses, as findRows does.
func (g Geometry) gather(a, b []uintptr, find finder, tileRows, row, rows int, base, pitch, zero uintptr) int {
	if g.Source == nil {
		b[0] = 0
		for i := range tileRows {
			a[i] = base + uintptr(row+min(i, rows-1))*pitch
		}
		return 1
	}
	taps := 0
	for tap := range g.Taps {
		source := g.Source[tap*g.Rows+row:][:rows]
		a := a[taps*tileRows:][:tileRows]
		if !find(a, source, base, pitch, zero) {
			continue
		}
		for i := rows; i < tileRows; i++ {
			a[i] = a[0]
		}
		b[taps] = uintptr(tap)
		taps++
	}
	return taps
}

type finder func(to []uintptr, source []int32, base, pitch, elsewhere uintptr) bool

// findRows is cpu.BF16.Addresses in Go.
func findRows(to []uintptr, source []int32, base, pitch, elsewhere uintptr) bool {
	any := false
	for i, s := range source {
		to[i] = elsewhere
		if s >= 0 {
			to[i], any = base+uintptr(s)*pitch, true
		}
	}
	return any
}

// store runs the micro-kernel and puts its tile at (row, col) of the output.
func (p *product) store(w *workspace, image, row, col, valid int, accumulate bool) {
	t := &w.tile
	var bias []float32
	if p.PerImage.Data != nil {
		bias = p.biases[image*p.Width+col:]
	} else if p.Bias != nil {
		bias = p.biases[col:]
	}
	out := p.Out.Data[row*p.Out.Pitch+col:]
	t.Accumulate, t.Bias, t.Add = 0, 0, 0
	if valid == t.Width {
		t.C, t.CPitch = address(out), 4*p.Out.Pitch
		if accumulate {
			t.Accumulate = 1
		} else {
			if bias != nil {
				t.Bias = address(bias)
			}
			if p.Add.Data != nil {
				t.Add, t.AddPitch = address(p.Add.Data[row*p.Add.Pitch+col:]), 4*p.Add.Pitch
			}
		}
		p.kernels.Tile(t)
		return
	}
	// A tile wider than what is left of the row goes through memory of ours.
	t.C, t.CPitch = address(w.square[:]), 4*maxWidth
	p.kernels.Tile(t)
	for i := range t.Rows {
		from, to := w.square[i*maxWidth:][:valid], out[i*p.Out.Pitch:][:valid]
		for j, x := range from {
			switch {
			case accumulate:
				to[j] += x
				continue
			case bias != nil:
				x += bias[j]
			}
			if p.Add.Data != nil {
				x += p.Add.Data[(row+i)*p.Add.Pitch+col+j]
			}
			to[j] = x
		}
	}
}
