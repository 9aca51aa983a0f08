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

// BF16 is a view of rows of bfloat16, Pitch elements apart. Nil Data: none.
type BF16 struct {
	Data  []uint16
	Pitch int
}

// at is the address of an element.
func (h BF16) at(row, col int) uintptr { return addressBF16(h.Data[row*h.Pitch+col:]) }

func addressBF16(s []uint16) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

// BF16Product is a Product of bfloat16 for instruction sets that multiply it
// (cpu.Kernels.BF16). Each sum is made in one float32 register, without chunks, which is
// exact enough for a result of 8 bits. Bias and PerImage are float32. So are the weights:
// they are packed at each use anyway and rounded then, which saves the memory of a copy in
// bfloat16.
type BF16Product struct {
	Geometry
	Depth, Width int
	In, Out, Add BF16
	// Order is the rows of an image's output in the order in which Source lists them: those
	// that meet the same taps share tiles if they are side by side. Nil: as they lie.
	Order    []int32
	W        Weights
	Bias     []float32
	PerImage cpu.Matrix
	Packing
	Scratch []float32 // BF16ProductScratch floats, less BF16ProductPacked if Packed is not nil
	Threads int
	Cut     *kernels.Cut
}

// Alike returns the geometry with rows that meet the same taps side by side, and which
// rows they are, as BF16Product.Order.
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

// BF16ProductPacked is the packed weights of a product, a pair in each float.
func BF16ProductPacked(taps, depth, width int) int {
	return ProductPacked(taps, cpu.PairRows(depth), width)
}

// BF16ProductScratch is the working memory of a product, in floats: the packed
// weights, a pair in each, the biases of every image, and that of the tiles.
func BF16ProductScratch(images, taps, depth, width, threads int) int {
	return ProductScratch(images, taps, cpu.PairRows(depth), width) + threads*cpu.BF16Work(taps, depth)
}

const (
	// pairsPacked is how many rows of pairs are interleaved at a time.
	pairsPacked = 32
	// Weights of the panels of a task, in bytes, that stay in a core's cache.
	groupBytes = 1 << 20
	// Rows of the output of a task, at most, and tasks of a thread, at least.
	bf16BlockRows   = 192
	tasksPerThread  = 4
	groupsPerThread = 2
)

type bf16Worker struct {
	tile   cpu.TileBF16
	a, b   []uintptr
	taps   []uintptr
	places [cpu.MaxBF16Rows]int // rows of the output
	rows   [2 * pairsPacked]uintptr
	round  [2 * pairsPacked * cpu.MaxBF16Cols]uint16 // weights that are being packed
	square [cpu.MaxBF16Rows * cpu.MaxBF16Cols]float32
	work   []float32
}

type bf16Product struct {
	BF16Product
	kernels      *cpu.Kernels
	bf16         *cpu.BF16
	zeros        []uint16
	packed       []float32 // pairs
	biases       []float32 // one row of width for each image, or one for all
	imageTiles   int       // row tiles of an image
	block, group int       // row tiles and panels of a task
	workers      []bf16Worker
	pack, tiles  func(task, worker int)
}

// Bind returns the product as a function that allocates nothing.
func (g BF16Product) Bind() func(*cpu.Pool) {
	p := &bf16Product{BF16Product: g}
	rest := g.Scratch
	part := func(n int) []float32 {
		x := rest[:n]
		rest = rest[n:]
		return x
	}
	if p.packed = g.Packed; p.packed == nil {
		p.packed = part(BF16ProductPacked(g.Taps, g.Depth, g.Width))
	}
	p.biases = part(g.Images * roundUp(g.Width, 16))
	p.zeros = make([]uint16, max(g.Depth, 2*cpu.MaxBF16Cols)) // of a row, or of weights in float32
	p.workers = make([]bf16Worker, g.Threads)
	for i := range p.workers {
		p.workers[i].a = make([]uintptr, g.Taps*cpu.MaxBF16Rows)
		p.workers[i].b = make([]uintptr, g.Taps)
		p.workers[i].taps = make([]uintptr, g.Taps)
		p.workers[i].work = part(cpu.BF16Work(g.Taps, g.Depth))
	}
	p.pack, p.tiles = p.packTap, p.run
	return func(pool *cpu.Pool) {
		p.kernels, p.bf16 = pool.Kernels(), pool.Kernels().BF16
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
func (p *bf16Product) cut() {
	p.imageTiles = ceil(p.Rows, p.bf16.Rows)
	most := groupBytes / (4 * p.panelSize())
	p.group = ceil(p.panels(), ceil(p.panels(), max(1, most)))
	tiles := p.Images * p.imageTiles
	p.block = evenBlock(tiles, p.groups(), p.Threads, bf16BlockRows/p.bf16.Rows)
	for p.group > 1 && p.groups()*p.blocks() < groupsPerThread*p.Threads {
		p.group = ceil(p.group, 2)
	}
	b := p.Cut.Of(kernels.TileSize{Rows: p.block, Columns: p.group}, kernels.TileSize{Rows: p.Images * p.imageTiles, Columns: p.panels()})
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

func (p *bf16Product) panels() int { return ceil(p.Width, p.bf16.Cols) }
func (p *bf16Product) groups() int { return ceil(p.panels(), p.group) }
func (p *bf16Product) blocks() int { return ceil(p.Images*p.imageTiles, p.block) }

// panelSize is the pairs of the packed weights of a whole panel.
func (p *bf16Product) panelSize() int { return p.bf16.Cols * p.Taps * cpu.PairRows(p.Depth) }

// panel returns the columns of a panel that exist, those it is padded to, and its packed weights.
func (p *bf16Product) panel(i int) (valid, padded int, packed []float32) {
	valid = min(p.bf16.Cols, p.Width-i*p.bf16.Cols)
	return valid, roundUp(valid, p.kernels.Lanes), p.packed[i*p.panelSize():]
}

// packTap lays one tap of the columns of one panel out as [depth/2][columns][2], with
// zeros behind the last row and column.
func (p *bf16Product) packTap(task, worker int) {
	panel, tap := task/p.Taps, task%p.Taps
	valid, padded, packed := p.panel(panel)
	pairs := cpu.PairRows(p.Depth)
	to := packed[tap*pairs*padded:][:pairs*padded]
	from := p.W.Data[tap*p.W.TapStride+panel*p.bf16.Cols*p.W.ColStride:]
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
				p.bf16.Narrow(w.round[j*2*pairsPacked:][:depth], rows[j*p.W.ColStride:])
			}
			PackPairs(p.kernels, part, w.round[:], depth, valid, padded, 2*pairsPacked)
			continue
		}
		for i := range w.rows {
			if w.rows[i] = addressBF16(p.zeros); i < depth {
				w.rows[i] = address(rows[i*p.W.DepthStride:])
			}
		}
		p.bf16.PairsRounded(address(part), 4*padded, &w.rows[0], 0, len(part)/padded, valid)
	}
}

// PackPairs writes pair i of column j, which lies at from[j*stride+2i], to
// pairs[i*padded+j], and zeros where there is none.
func PackPairs(k *cpu.Kernels, pairs []float32, from []uint16, depth, valid, padded, stride int) {
	rows := ceil(depth, 2)
	k.Transpose(address(pairs), 4*padded, addressBF16(from), 2*stride, valid, rows)
	if depth%2 == 1 {
		last := asBF16(pairs[(rows-1)*padded:][:roundUp(valid, k.Lanes)])
		for i := 1; i < len(last); i += 2 {
			last[i] = 0
		}
	}
	clear(pairs[rows*padded:])
}

// run computes one block of row tiles against one group of panels of weights.
func (p *bf16Product) run(task, worker int) {
	group, block := task/p.blocks(), task%p.blocks()
	w := &p.workers[worker]
	t := &w.tile
	*t = cpu.TileBF16{A: unsafe.SliceData(w.a), B: unsafe.SliceData(w.b), Depth: p.Depth, BPanel: 4 * p.panelSize(), Work: address(w.work)}
	pitch := uintptr(2 * p.In.Pitch)
	for tile := block * p.block; tile < min((block+1)*p.block, p.Images*p.imageTiles); tile++ {
		image, row := tile/p.imageTiles, tile%p.imageTiles*p.bf16.Rows
		t.Rows = min(p.bf16.Rows, p.Rows-row)
		base := addressBF16(p.In.Data) + uintptr(image*p.InRows)*pitch
		t.Taps = p.gather(w.a, w.taps, p.bf16.Addresses, p.bf16.Rows, row, t.Rows, base, pitch, addressBF16(p.zeros))
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
func (p *bf16Product) store(w *bf16Worker, image, panel int) {
	last, most := min(panel+p.group, p.panels()), p.bf16.Panels
	if p.Order != nil {
		most = 1
	}
	valid, padded, _ := p.panel(last - 1)
	if valid < p.bf16.Cols {
		last--
	}
	for ; panel < last; panel += most {
		p.tile(w, panel, min(most, last-panel)*p.bf16.Cols, image)
	}
	switch {
	case valid < padded:
		p.partial(w, last, image)
	case valid < p.bf16.Cols:
		p.tile(w, last, valid, image)
	}
}

// at lets the tile begin in a panel, and returns the biases from there on.
func (p *bf16Product) at(w *bf16Worker, panel, image int) (bias []float32) {
	_, padded, packed := p.panel(panel)
	w.tile.BPitch = 4 * padded
	for i, tap := range w.taps[:w.tile.Taps] {
		w.b[i] = address(packed) + uintptr(4*padded*cpu.PairRows(p.Depth))*tap
	}
	switch {
	case p.PerImage.Data != nil:
		return p.biases[image*p.Width+panel*p.bf16.Cols:]
	case p.Bias != nil:
		return p.biases[panel*p.bf16.Cols:]
	}
	return nil
}

// tile computes as many columns from a panel on, whole vectors, in place, or in memory
// of ours where rows are in another order.
func (p *bf16Product) tile(w *bf16Worker, panel, width, image int) {
	t, col := &w.tile, panel*p.bf16.Cols
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
	p.bf16.Tile(t)
}

// scattered computes columns of rows in any order.
func (p *bf16Product) scattered(w *bf16Worker, col, width int) {
	t := &w.tile
	out, add := asBF16(w.square[:len(w.square)/2]), asBF16(w.square[len(w.square)/2:])
	t.C, t.CPitch = addressBF16(out), 2*cpu.MaxBF16Cols
	if p.Add.Data != nil {
		t.Add, t.AddPitch = addressBF16(add), t.CPitch
		for i, row := range w.places[:t.Rows] {
			copy(add[i*cpu.MaxBF16Cols:], p.Add.Data[row*p.Add.Pitch+col:][:width])
		}
	}
	p.bf16.Tile(t)
	for i, row := range w.places[:t.Rows] {
		copy(p.Out.Data[row*p.Out.Pitch+col:][:width], out[i*cpu.MaxBF16Cols:])
	}
}

// partial computes a panel that is not whole vectors wide.
func (p *bf16Product) partial(w *bf16Worker, panel, image int) {
	t, col := &w.tile, panel*p.bf16.Cols
	bias := p.at(w, panel, image)
	valid, padded, _ := p.panel(panel)
	t.Width, t.Float32, t.Bias, t.Add = padded, 1, 0, 0
	t.C, t.CPitch = address(w.square[:]), 4*cpu.MaxBF16Cols
	p.bf16.Tile(t)
	for i, row := range w.places[:t.Rows] {
		to := p.Out.Data[row*p.Out.Pitch+col:][:valid]
		for j, x := range w.square[i*cpu.MaxBF16Cols:][:valid] {
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
