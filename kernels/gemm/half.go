package gemm

import (
	"cmp"
	"math"
	"slices"
	"unsafe"

	"fluxion/kernels"
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

// HalfProduct is a Product of bfloat16 for instruction sets that multiply it
// (cpu.Kernels.Half). Sums are float32, whole in one register: they are exact
// enough for a result that keeps 8 bits. Bias and PerImage are float32, and so are
// the weights, which are rounded where they are packed: they are packed at each use
// anyway, and a copy of them in bfloat16 would be as large as half of them.
type HalfProduct struct {
	Geometry
	Depth, Width int
	In, Out, Add Half
	// Order is the rows of an image's output in the order in which Source lists them: those
	// that meet the same taps share tiles if they are side by side. Nil: as they lie.
	Order    []int32
	W        Weights
	Bias     []float32
	PerImage cpu.Matrix
	Packing
	Scratch []float32 // HalfProductScratch floats, less HalfProductPacked if Packed is not nil
	Threads int
	Cut     *kernels.Cut
}

// Alike returns the geometry with rows that meet the same taps side by side, and which
// rows they are, as HalfProduct.Order.
func (g Geometry) Alike() (Geometry, []int32) {
	order, meets := make([]int32, g.Rows), make([]uint64, g.Rows)
	for r := range order {
		order[r] = int32(r)
	}
	for i, source := range g.Source {
		if source >= 0 {
			meets[i%g.Rows] |= 1 << (i / g.Rows % 64)
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(meets[a], meets[b]) })
	listed := g.Source
	g.Source = make([]int32, 0, len(listed))
	for tap := range g.Taps {
		for _, r := range order {
			g.Source = append(g.Source, listed[tap*g.Rows+int(r)])
		}
	}
	return g, order
}

// HalfProductPacked is the packed weights of a product, a pair in each float.
func HalfProductPacked(taps, depth, width int) int {
	return ProductPacked(taps, cpu.PairRows(depth), width)
}

// HalfProductScratch is the working memory of a product, in floats: the packed
// weights, a pair in each, the biases of every image, and that of the tiles.
func HalfProductScratch(images, taps, depth, width, threads int) int {
	return ProductScratch(images, taps, cpu.PairRows(depth), width) + threads*cpu.HalfWork(taps, depth)
}

const (
	// pairsPacked is how many rows of pairs are interleaved at a time.
	pairsPacked = 32
	// Weights of the panels of a task, in bytes, that stay in a core's cache.
	groupBytes = 1 << 20
	// Rows of the output of a task, at most, and tasks of a thread, at least.
	halfBlockRows   = 192
	tasksPerThread  = 4
	groupsPerThread = 2
)

type halfWorker struct {
	tile   cpu.TileHalf
	a, b   []uintptr
	taps   []uintptr
	places [cpu.MaxHalfRows]int // rows of the output
	rows   [2 * pairsPacked]uintptr
	round  [2 * pairsPacked * cpu.MaxHalfCols]uint16 // weights that are being packed
	square [cpu.MaxHalfRows * cpu.MaxHalfCols]float32
	work   []float32
}

type halfProduct struct {
	HalfProduct
	kernels      *cpu.Kernels
	half         *cpu.Half
	zeros        []uint16
	packed       []float32 // pairs
	biases       []float32 // one row of width for each image, or one for all
	imageTiles   int       // row tiles of an image
	block, group int       // row tiles and panels of a task
	workers      []halfWorker
	pack, tiles  func(task, worker int)
}

// Bind returns the product as a function that allocates nothing.
func (g HalfProduct) Bind() func(*cpu.Pool) {
	p := &halfProduct{HalfProduct: g}
	rest := g.Scratch
	part := func(n int) []float32 {
		x := rest[:n]
		rest = rest[n:]
		return x
	}
	if p.packed = g.Packed; p.packed == nil {
		p.packed = part(HalfProductPacked(g.Taps, g.Depth, g.Width))
	}
	p.biases = part(g.Images * roundUp(g.Width, 16))
	p.zeros = make([]uint16, max(g.Depth, 2*cpu.MaxHalfCols)) // of a row, or of weights in float32
	p.workers = make([]halfWorker, g.Threads)
	for i := range p.workers {
		p.workers[i].a = make([]uintptr, g.Taps*cpu.MaxHalfRows)
		p.workers[i].b = make([]uintptr, g.Taps)
		p.workers[i].taps = make([]uintptr, g.Taps)
		p.workers[i].work = part(cpu.HalfWork(g.Taps, g.Depth))
	}
	p.pack, p.tiles = p.packTap, p.run
	return func(pool *cpu.Pool) {
		p.kernels, p.half = pool.Kernels(), pool.Kernels().Half
		if !p.Runs(func() { pool.Run(p.panels()*p.Taps, p.pack) }) {
			return
		}
		p.cut()
		sumBiases(p.biases, p.Bias, p.PerImage, p.Images, p.Width)
		pool.Run(p.groups()*p.blocks(), p.tiles)
	}
}

// cut makes tasks of as many panels, which share the search for their rows, as the
// cache holds, and of fewer where there would be too few tasks.
func (p *halfProduct) cut() {
	p.imageTiles = ceil(p.Rows, p.half.Rows)
	most := groupBytes / (4 * p.panelSize())
	p.group = ceil(p.panels(), ceil(p.panels(), max(1, most)))
	tiles := p.Images * p.imageTiles
	p.block = evenBlock(tiles, p.groups(), p.Threads, halfBlockRows/p.half.Rows)
	for p.group > 1 && p.groups()*p.blocks() < groupsPerThread*p.Threads {
		p.group = ceil(p.group, 2)
	}
	b := p.Cut.Of(kernels.Blocking{Rows: p.block, Columns: p.group}, kernels.Blocking{Rows: p.Images * p.imageTiles, Columns: p.panels()})
	p.block, p.group = b.Rows, b.Columns
}

// evenBlock returns how many tiles, at most so many, a task takes of each of some groups:
// such that there are enough tasks, and that the threads end together.
func evenBlock(tiles, groups, threads, most int) int {
	most = max(1, min(most, tiles*groups/(tasksPerThread*threads)))
	best, least := most, math.MaxInt
	for block := most; block > most/2; block-- {
		full := tiles / block * groups
		idle := ceil(full, threads)*threads - full // threads in the last round, for what is left of each group
		longest := ceil(full, threads)*block + tiles%block*ceil(max(0, groups-idle), threads)
		if longest < least {
			best, least = block, longest
		}
	}
	return best
}

func (p *halfProduct) panels() int { return ceil(p.Width, p.half.Cols) }
func (p *halfProduct) groups() int { return ceil(p.panels(), p.group) }
func (p *halfProduct) blocks() int { return ceil(p.Images*p.imageTiles, p.block) }

// panelSize is the pairs of the packed weights of a whole panel.
func (p *halfProduct) panelSize() int { return p.half.Cols * p.Taps * cpu.PairRows(p.Depth) }

// panel returns the columns of a panel that exist, those it is padded to, and its packed weights.
func (p *halfProduct) panel(i int) (valid, padded int, packed []float32) {
	valid = min(p.half.Cols, p.Width-i*p.half.Cols)
	return valid, roundUp(valid, p.kernels.Lanes), p.packed[i*p.panelSize():]
}

// packTap lays one tap of the columns of one panel out as [depth/2][columns][2], with
// zeros behind the last row and column.
func (p *halfProduct) packTap(task, worker int) {
	panel, tap := task/p.Taps, task%p.Taps
	valid, padded, packed := p.panel(panel)
	pairs := cpu.PairRows(p.Depth)
	to := packed[tap*pairs*padded:][:pairs*padded]
	from := p.W.Data[tap*p.W.TapStride+panel*p.half.Cols*p.W.ColStride:]
	w := &p.workers[worker]
	for first := 0; first < pairs; first += pairsPacked {
		part, depth := to[first*padded:min(pairs, first+pairsPacked)*padded], min(2*pairsPacked, p.Depth-2*first)
		if depth <= 0 {
			clear(part)
			continue
		}
		rows := from[2*first*p.W.DepthStride:]
		if p.W.ColStride != 1 {
			for j := range valid {
				p.half.Narrow(w.round[j*2*pairsPacked:][:depth], rows[j*p.W.ColStride:])
			}
			PackPairs(p.kernels, part, w.round[:], depth, valid, padded, 2*pairsPacked)
			continue
		}
		for i := range w.rows {
			if w.rows[i] = addressHalf(p.zeros); i < depth {
				w.rows[i] = address(rows[i*p.W.DepthStride:])
			}
		}
		p.half.PairsRounded(address(part), 4*padded, &w.rows[0], 0, len(part)/padded, valid)
	}
}

// PackPairs writes pair i of column j, which lies at from[j*stride+2i], to
// pairs[i*padded+j], and zeros where there is none.
func PackPairs(k *cpu.Kernels, pairs []float32, from []uint16, depth, valid, padded, stride int) {
	rows := ceil(depth, 2)
	k.Transpose(address(pairs), 4*padded, addressHalf(from), 2*stride, valid, rows)
	if depth%2 == 1 {
		last := halves(pairs[(rows-1)*padded:][:roundUp(valid, k.Lanes)])
		for i := 1; i < len(last); i += 2 {
			last[i] = 0
		}
	}
	clear(pairs[rows*padded:])
}

// run computes one block of row tiles against one group of panels of weights.
func (p *halfProduct) run(task, worker int) {
	group, block := task/p.blocks(), task%p.blocks()
	w := &p.workers[worker]
	t := &w.tile
	*t = cpu.TileHalf{A: unsafe.SliceData(w.a), B: unsafe.SliceData(w.b), Depth: p.Depth, BPanel: 4 * p.panelSize(), Work: address(w.work)}
	pitch := uintptr(2 * p.In.Pitch)
	for tile := block * p.block; tile < min((block+1)*p.block, p.Images*p.imageTiles); tile++ {
		image, row := tile/p.imageTiles, tile%p.imageTiles*p.half.Rows
		t.Rows = min(p.half.Rows, p.Rows-row)
		base := addressHalf(p.In.Data) + uintptr(image*p.InRows)*pitch
		t.Taps = p.gather(w.a, w.taps, p.half.Addresses, p.half.Rows, row, t.Rows, base, pitch, addressHalf(p.zeros))
		for i := range t.Rows {
			if w.places[i] = image*p.Rows + row + i; p.Order != nil {
				w.places[i] = image*p.Rows + int(p.Order[row+i])
			}
		}
		p.store(w, image, group*p.group)
	}
}

// store computes one row tile of the group of panels from this one on. The last of
// them may be narrower, and if it is not whole vectors wide, goes through memory of ours.
func (p *halfProduct) store(w *halfWorker, image, panel int) {
	last, most := min(panel+p.group, p.panels()), p.half.Panels
	if p.Order != nil {
		most = 1
	}
	valid, padded, _ := p.panel(last - 1)
	if valid < p.half.Cols {
		last--
	}
	for ; panel < last; panel += most {
		p.tile(w, panel, min(most, last-panel)*p.half.Cols, image)
	}
	switch {
	case valid < padded:
		p.partial(w, last, image)
	case valid < p.half.Cols:
		p.tile(w, last, valid, image)
	}
}

// at lets the tile begin in a panel, and returns the biases from there on.
func (p *halfProduct) at(w *halfWorker, panel, image int) (bias []float32) {
	_, padded, packed := p.panel(panel)
	w.tile.BPitch = 4 * padded
	for i, tap := range w.taps[:w.tile.Taps] {
		w.b[i] = address(packed) + uintptr(4*padded*cpu.PairRows(p.Depth))*tap
	}
	switch {
	case p.PerImage.Data != nil:
		return p.biases[image*p.Width+panel*p.half.Cols:]
	case p.Bias != nil:
		return p.biases[panel*p.half.Cols:]
	}
	return nil
}

// tile computes as many columns from a panel on, whole vectors, in place, or in memory
// of ours where rows are in another order.
func (p *halfProduct) tile(w *halfWorker, panel, width, image int) {
	t, col := &w.tile, panel*p.half.Cols
	bias := p.at(w, panel, image)
	t.Width, t.Float32 = width, 0
	t.Bias, t.Add = 0, 0
	if bias != nil {
		t.Bias = address(bias)
	}
	if p.Order != nil {
		p.scattered(w, col, width)
		return
	}
	row := w.places[0]
	t.C, t.CPitch = p.Out.at(row, col), 2*p.Out.Pitch
	if p.Add.Data != nil {
		t.Add, t.AddPitch = p.Add.at(row, col), 2*p.Add.Pitch
	}
	p.half.Tile(t)
}

// scattered computes columns of rows in any order.
func (p *halfProduct) scattered(w *halfWorker, col, width int) {
	t := &w.tile
	out, add := halves(w.square[:len(w.square)/2]), halves(w.square[len(w.square)/2:])
	t.C, t.CPitch = addressHalf(out), 2*cpu.MaxHalfCols
	if p.Add.Data != nil {
		t.Add, t.AddPitch = addressHalf(add), t.CPitch
		for i, row := range w.places[:t.Rows] {
			copy(add[i*cpu.MaxHalfCols:], p.Add.Data[row*p.Add.Pitch+col:][:width])
		}
	}
	p.half.Tile(t)
	for i, row := range w.places[:t.Rows] {
		copy(p.Out.Data[row*p.Out.Pitch+col:][:width], out[i*cpu.MaxHalfCols:])
	}
}

// partial computes a panel that is not whole vectors wide.
func (p *halfProduct) partial(w *halfWorker, panel, image int) {
	t, col := &w.tile, panel*p.half.Cols
	bias := p.at(w, panel, image)
	valid, padded, _ := p.panel(panel)
	t.Width, t.Float32, t.Bias, t.Add = padded, 1, 0, 0
	t.C, t.CPitch = address(w.square[:]), 4*cpu.MaxHalfCols
	p.half.Tile(t)
	for i, row := range w.places[:t.Rows] {
		to := p.Out.Data[row*p.Out.Pitch+col:][:valid]
		for j, x := range w.square[i*cpu.MaxHalfCols:][:valid] {
			if bias != nil {
				x += bias[j]
			}
			if p.Add.Data != nil {
				x += number.Widen(p.Add.Data[row*p.Add.Pitch+col+j])
			}
			to[j] = number.Narrow(x)
		}
	}
}
