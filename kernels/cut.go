package kernels

// TileSize is how much of a launch's output one task computes. The result has the same
// bits whatever it is. Rows counts rows of the output (in some kernels squares, strips
// or queries, in weight gradients input channels), Columns what lies across them (panels
// of columns, in weight gradients taps). The unit of both is the kernel's. 0 leaves the
// choice to the kernel.
type TileSize struct {
	Rows    int `json:"rows,omitempty"`
	Columns int `json:"columns,omitempty"`
}

// Cut holds the TileSize of a launch, which autotuning may set between runs. A kernel
// whose speed depends on it calls Of in each run, and tells by that call which sizes
// there are. Nil leaves the choice to the kernel.
type Cut struct {
	TileSize
	usual, most TileSize
}

// Of returns the tile size of this run: the one that is set, or else the kernel's usual
// one; at least 1 and at most what the working memory has room for.
func (c *Cut) Of(usual, most TileSize) TileSize {
	if c == nil {
		return usual
	}
	usual = TileSize{min(usual.Rows, most.Rows), min(usual.Columns, most.Columns)}
	c.usual, c.most = usual, most
	return TileSize{within(c.Rows, usual.Rows, most.Rows), within(c.Columns, usual.Columns, most.Columns)}
}

func within(n, usual, most int) int {
	if n <= 0 {
		return usual
	}
	return max(1, min(n, most))
}

// Usual is what the kernel took by itself in the last run; zero if it did not ask.
func (c *Cut) Usual() TileSize { return c.usual }

// Others lists the tile sizes that autotuning compares with the usual one: a quarter,
// half, twice and four times its rows, half and twice its columns.
func (c *Cut) Others() []TileSize {
	var list []TileSize
	known := map[int]bool{c.usual.Rows: true}
	for _, n := range []int{c.usual.Rows / 4, c.usual.Rows / 2, 2 * c.usual.Rows, 4 * c.usual.Rows} {
		if n = within(n, c.usual.Rows, c.most.Rows); !known[n] {
			known[n] = true
			list = append(list, TileSize{n, c.usual.Columns})
		}
	}
	known = map[int]bool{c.usual.Columns: true}
	for _, n := range []int{c.usual.Columns / 2, 2 * c.usual.Columns} {
		if n = within(n, c.usual.Columns, c.most.Columns); !known[n] {
			known[n] = true
			list = append(list, TileSize{c.usual.Rows, n})
		}
	}
	return list
}
