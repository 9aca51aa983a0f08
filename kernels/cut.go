package kernels

// Blocking is how much of a launch's work makes a task, as far as no bit of the
// result depends on it: rows of the output (or squares, strips or queries of it, or
// input channels of a weight gradient), and what lies across them: panels of columns,
// or taps of a weight gradient. Units are the kernel's. 0 is what the kernel takes by
// itself.
type Blocking struct {
	Rows    int `json:"rows,omitempty"`
	Columns int `json:"columns,omitempty"`
}

// Cut is the Blocking of a launch. It may be set between runs. A kernel whose
// blocking matters asks it in each run (Of), and so tells what there is to choose
// from. Nil leaves all to the kernel.
type Cut struct {
	Blocking
	usual, most Blocking
}

// Of returns the blocking of a run, of one that is usual, within 1 and the most
// that the working memory has room for.
func (c *Cut) Of(usual, most Blocking) Blocking {
	if c == nil {
		return usual
	}
	usual = Blocking{min(usual.Rows, most.Rows), min(usual.Columns, most.Columns)}
	c.usual, c.most = usual, most
	return Blocking{within(c.Rows, usual.Rows, most.Rows), within(c.Columns, usual.Columns, most.Columns)}
}

func within(n, usual, most int) int {
	if n <= 0 {
		return usual
	}
	return max(1, min(n, most))
}

// Usual is what the kernel took by itself in the last run; zero if it did not ask.
func (c *Cut) Usual() Blocking { return c.usual }

// Others lists blockings that may be better than the usual one: a number of it
// halved and doubled, rows also twice.
func (c *Cut) Others() []Blocking {
	var list []Blocking
	known := map[int]bool{c.usual.Rows: true}
	for _, n := range []int{c.usual.Rows / 4, c.usual.Rows / 2, 2 * c.usual.Rows, 4 * c.usual.Rows} {
		if n = within(n, c.usual.Rows, c.most.Rows); !known[n] {
			known[n] = true
			list = append(list, Blocking{n, c.usual.Columns})
		}
	}
	known = map[int]bool{c.usual.Columns: true}
	for _, n := range []int{c.usual.Columns / 2, 2 * c.usual.Columns} {
		if n = within(n, c.usual.Columns, c.most.Columns); !known[n] {
			known[n] = true
			list = append(list, Blocking{c.usual.Rows, n})
		}
	}
	return list
}
