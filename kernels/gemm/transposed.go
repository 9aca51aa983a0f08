package gemm

import (
	"unsafe"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
)

const (
	blockRows   = 256 // rows summed in one register before they join the rest
	groupTiles  = 8   // tiles of input channels that share a task and the addresses of a block
	enoughTasks = 8
)

// Transposed is out[tap][i][j] = Σ_r in[source(tap, r)][i]·grad[r][j]: the weight
// gradient of a Product. Out is a matrix of taps·depth rows and width columns.
//
// Memory behind the last row of In and Grad must be readable for 64 floats.
type Transposed struct {
	Geometry
	Depth, Width  int
	In, Grad, Out cpu.Matrix
	Threads       int
	Cut           *kernels.Cut
}

type transposed struct {
	Transposed
	kernels     *cpu.Kernels
	zeros       []float32
	group, taps int // tiles and taps of a task
	accumulate  bool
	workers     []workspace
	tiles       func(task, worker int)
}

// Bind returns the product as a function that allocates nothing.
func (g Transposed) Bind() func(*cpu.Pool) {
	t := &transposed{Transposed: g, zeros: make([]float32, g.Depth+tileRows), workers: make([]workspace, g.Threads)}
	for i := range t.workers {
		t.workers[i].a = make([]uintptr, blockRows)
	}
	t.tiles = t.run
	return func(pool *cpu.Pool) {
		t.kernels = pool.Kernels()
		t.partition(panels(t.kernels, t.Width), enoughTasks)
		pool.Run(panels(t.kernels, t.Width)*t.groups()*t.tapGroups(), t.tiles)
	}
}

// partition makes tasks as large as can be while there are enough of them; across
// is how many each of them is cut into already.
func (t *transposed) partition(across, enough int) {
	t.group, t.taps = groupTiles, t.Taps
	count := func() int { return across * t.groups() * t.tapGroups() }
	for count() < enough && t.taps > 1 {
		t.taps = (t.taps + 1) / 2
	}
	for count() < enough && t.group > 1 {
		t.group /= 2
	}
	b := t.Cut.Of(kernels.TileSize{Rows: t.group, Columns: t.taps}, kernels.TileSize{Rows: ceil(t.Depth, tileRows), Columns: t.Taps})
	t.group, t.taps = b.Rows, b.Columns
}

func (t *transposed) groups() int {
	tiles := (t.Depth + tileRows - 1) / tileRows
	return (tiles + t.group - 1) / t.group
}

func (t *transposed) tapGroups() int { return (t.Taps + t.taps - 1) / t.taps }

// run computes one panel of columns of one group of input channels for some taps.
func (t *transposed) run(task, worker int) {
	groups := t.groups()
	group, task := task%groups, task/groups
	tap0, panel := task%t.tapGroups()*t.taps, task/t.tapGroups()
	valid, padded := panelWidth(t.kernels, t.Width, panel)
	col := panel * t.kernels.TileCols
	w := &t.workers[worker]
	k := &w.tileT
	k.A, k.Width, k.BPitch = unsafe.SliceData(w.a), padded, 4*t.Grad.Pitch
	last := min((group+1)*t.group*tileRows, t.Depth)
	for r0 := 0; r0 < t.Images*t.Rows; r0 += blockRows {
		k.Depth = min(blockRows, t.Images*t.Rows-r0)
		k.B = address(t.Grad.Data[r0*t.Grad.Pitch+col:])
		for tap := tap0; tap < min(tap0+t.taps, t.Taps); tap++ {
			t.gather(w.a[:k.Depth], r0, tap)
			for i := group * t.group * tileRows; i < last; i += tileRows {
				k.AOffset, k.Rows = 4*i, min(tileRows, t.Depth-i)
				t.store(w, tap*t.Depth+i, col, valid, t.accumulate || r0 > 0)
			}
		}
	}
}

// gather finds the input row that meets each output row from r0 on.
func (t *transposed) gather(a []uintptr, r0, tap int) {
	t.rows(a, findRows, r0, tap, address(t.In.Data), uintptr(4*t.In.Pitch), address(t.zeros))
}

// rows writes the addresses of the rows of the input, which begins at base, that
// meet each row of the output from r0 on through a tap.
func (g Geometry) rows(a []uintptr, find finder, r0, tap int, base, pitch, zero uintptr) {
	if g.Source == nil {
		for i := range a {
			a[i] = base + uintptr(r0+i)*pitch
		}
		return
	}
	for len(a) > 0 {
		image, row := r0/g.Rows, r0%g.Rows
		n := min(len(a), g.Rows-row)
		origin := base + uintptr(image*g.InRows)*pitch
		find(a, g.Source[tap*g.Rows+row:][:n], origin, pitch, zero)
		a, r0 = a[n:], r0+n
	}
}

func (t *transposed) store(w *workspace, row, col, valid int, accumulate bool) {
	k := &w.tileT
	out := t.Out.Data[row*t.Out.Pitch+col:]
	k.Accumulate = 0
	if valid == k.Width {
		k.C, k.CPitch = address(out), 4*t.Out.Pitch
		if accumulate {
			k.Accumulate = 1
		}
		t.kernels.TileT(k)
		return
	}
	k.C, k.CPitch = address(w.square[:]), 4*maxWidth
	t.kernels.TileT(k)
	for i := range k.Rows {
		from, to := w.square[i*maxWidth:][:valid], out[i*t.Out.Pitch:][:valid]
		for j, x := range from {
			if accumulate {
				x += to[j]
			}
			to[j] = x
		}
	}
}
