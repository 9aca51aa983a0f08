package gemm

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

var every = flag.Bool("every", false, "run every combination of TestConformance, not a set that covers pairs (scripts/conformance.sh)")

// A combination is one way to ask for a product: a value of each of the dimensions below.
type combination struct {
	of     number.Type
	kind   Kind
	access access
	tile   tile
	groups *groupTile // of the kernels by wgmma, or none
	walk   pattern
	sharing
	group int // columns of a group of statistics that are left, or of TN the sums of b's columns; 0: none
	add   bool
	image bool // a vector for each image
	// How operands lie, and what else is asked for: what -every takes in turn.
	bias   bool
	ragged bool // channels that are no multiple of a vector
	gap    bool // between rows
	single bool // a float32 result of bf16 operands
}

// sharing is how blocks share a sum.
type sharing struct {
	splits   int
	together bool // without a second pass
	whole    int  // tiles that nobody shares
	across   bool // shares go from tile to tile, so many and some more for each tile
}

var sharings = []sharing{{1, false, 0, false}, {2, false, 0, false}, {3, false, 0, false}, {2, true, 1, false}, {3, true, 0, false}, {0, false, 0, true}, {2, false, 0, true}}

// pattern is how pixels meet, as convolutions of package conv ask for it.
type pattern struct {
	name   string
	kinds  []Kind
	y, x   func(n int) Axis // for a grid of n
	stride int
	turned bool // taps go backwards
	every  int  // distance of the result's pixels
	skip   int  // distance of the taps that they meet
	side   int
	heads  bool // products side by side instead
}

var patterns = []pattern{
	{name: "1×1", kinds: []Kind{NN, NT, TN}, y: Along, x: Along, stride: 1, every: 1, skip: 1, side: 1},
	{name: "heads", kinds: []Kind{NN, NT, TN}, y: Along, x: Along, stride: 1, every: 1, skip: 1, side: 1, heads: true},
	{name: "3×3", kinds: []Kind{NN, TN}, y: taps(3, -1), x: taps(3, -1), stride: 1, every: 1, skip: 1, side: 3},
	{name: "3×3 turned", kinds: []Kind{NT}, y: taps(3, 1), x: taps(3, 1), stride: 1, turned: true, every: 1, skip: 1, side: 3},
	{name: "3×3 stride 2", kinds: []Kind{NN, TN}, y: apart(3, 0), x: apart(3, 0), stride: 2, every: 1, skip: 1, side: 3},
	{name: "1×1 stride 2", kinds: []Kind{NN, TN}, y: apart(1, 0), x: apart(1, 0), stride: 2, every: 1, skip: 1, side: 1},
	{name: "3×3 stride 2, even rows, odd columns", kinds: []Kind{NT}, y: half(0, 3), x: half(1, 3), stride: 1, turned: true, every: 2, skip: 2, side: 3},
	{name: "1×1 stride 2, no taps", kinds: []Kind{NT}, y: half(1, 1), x: half(0, 1), stride: 1, turned: true, every: 2, skip: 2, side: 1},
	{name: "2×2 of an enlarged image", kinds: []Kind{NN}, y: enlarged(0), x: enlarged(1), stride: 1, every: 2, skip: 1, side: 2},
	{name: "4×4 stride 2", kinds: []Kind{NT, TN}, y: apart(4, -1), x: apart(4, -1), stride: 2, every: 1, skip: 1, side: 4},
}

func taps(n, origin int) func(int) Axis {
	return func(grid int) Axis { return Axis{Grid: grid, Source: grid, Origin: origin, Taps: n, Out: grid} }
}

func apart(n, origin int) func(int) Axis {
	return func(grid int) Axis { return Axis{Grid: grid, Source: 2 * grid, Origin: origin, Taps: n, Out: grid} }
}

// half is the gradient of every second input pixel, from first on, of a convolution of so many taps a side.
func half(first, side int) func(int) Axis {
	return func(grid int) Axis {
		return Axis{Grid: grid, Source: grid, Taps: (side - first + 1) / 2, FirstTap: first, Out: 2 * grid, OutOrigin: first}
	}
}

func enlarged(parity int) func(int) Axis {
	return func(grid int) Axis {
		return Axis{Grid: grid, Source: grid, Origin: parity - 1, Taps: 2, Out: 2 * grid, OutOrigin: parity}
	}
}

func (c combination) String() string {
	name := choice{tile: c.tile}.function(c.kind, c.access, c.of)
	if c.groups != nil {
		name = c.groups.function(c.kind)
	}
	s := fmt.Sprintf("%s, %s, %d splits", name, c.walk.name, c.splits)
	for _, flag := range []struct {
		set  bool
		name string
	}{
		{c.sharing.across, "across tiles"}, {c.together, fmt.Sprintf("added up by the last of them from tile %d on", c.whole)}, {c.add, "addend"}, {c.image, "per image"}, {c.bias, "bias"}, {c.ragged, "ragged"}, {c.gap, "gap"}, {c.single, "float32 result"},
	} {
		if flag.set {
			s += ", " + flag.name
		}
	}
	if c.sums() {
		s += ", column sums"
	} else if c.group > 0 {
		s += fmt.Sprintf(", statistics of %d columns", c.group)
	}
	return s
}

// asked says whether anything asks for such a product.
func (c combination) asked() bool {
	measured := c.kind == NN && c.of == number.BFloat16 && c.access != gatherB && (c.splits == 1 || c.together) && c.walk.every == 1
	switch {
	case !slices.Contains(c.walk.kinds, c.kind),
		c.across && (!c.pair() || c.walk.heads),
		c.together && (c.of != number.BFloat16 || c.kind == TN || c.access != direct || c.groups != nil),
		c.walk.heads && (c.splits > 1 || c.add || c.image || c.bias || c.group > 0),
		c.image && c.kind == TN, // no row of the result is of an image
		c.sums() && c.group != 4,
		c.group > 0 && !c.sums() && (!measured || c.ragged || c.single), // see Chunks
		c.single && c.of == number.Float32,
		c.groups != nil && (c.walk.heads || c.walk.y(8).Taps*c.walk.x(8).Taps == 0 || c.groups.tall && (c.walk.y(8).Taps != tallTaps || c.walk.stride != 1)):
		return false
	}
	return true
}

// pair says that blocks of such products are two groups of threads.
func (c combination) pair() bool {
	return c.of == number.BFloat16 && c.kind == TN && c.access == direct && c.groups == nil
}

// sums says that the columns of b are summed.
func (c combination) sums() bool { return c.kind == TN && c.group > 0 }

// levels are the values of a combination as numbers, one for each dimension.
type levels [10]int

// combinations are all that are asked for, with their values as numbers.
func combinations() (all []combination, values []levels) {
	flags := []bool{false, true}
	of := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	function := 0
	for _, t := range []number.Type{number.Float32, number.BFloat16} {
		for _, kind := range []Kind{NN, NT, TN} {
			for _, a := range []access{direct, gatherB, gather} {
				if a == gatherB && (t == number.Float32 || kind == NT) {
					continue
				}
				tiles := tilesOf(t, a)
				groups := make([]*groupTile, len(tiles))
				if t == number.BFloat16 && a == direct {
					for _, g := range slices.Concat(hopperTiles, hopperPairs) {
						if slices.Contains(g.kinds, kind) {
							tiles, groups = append(tiles, tile{m: g.m, n: groupWidth}), append(groups, &g)
						}
					}
				}
				for i, tile := range tiles {
					function++
					for w, walk := range patterns {
						for s, sharing := range sharings {
							for _, group := range []int{0, 4, 16} {
								for rest := range 1 << 6 {
									flag := func(i int) bool { return flags[rest>>i&1] }
									c := combination{t, kind, a, tile, groups[i], walk, sharing, group, flag(0), flag(1), flag(2), flag(3), flag(4), flag(5)}
									if c.asked() {
										all = append(all, c)
										values = append(values, levels{function, w, s, group, of(c.add), of(c.image), of(c.bias), of(c.ragged), of(c.gap), of(c.single)})
									}
								}
							}
						}
					}
				}
			}
		}
	}
	return all, values
}

// covering is a set in which any two values of two dimensions meet, if they meet in any combination.
// Those that bring the most new pairs come first: nearly as few as can be, and the same every time.
func covering(values []levels) (chosen []int) {
	const most = 32 // values of a dimension
	n := len(levels{})
	met := make([]bool, n*n*most*most)
	order := rand.New(rand.NewPCG(15, 16)).Perm(len(values))
	fresh := make([]int, 0, n*n)
	for least := n * (n - 1) / 2; least > 0; least-- {
		for _, at := range order {
			fresh = fresh[:0]
			for i, a := range values[at] {
				for j, b := range values[at][:i] {
					if pair := ((i*n+j)*most+a)*most + b; !met[pair] {
						fresh = append(fresh, pair)
					}
				}
			}
			if len(fresh) < least {
				continue
			}
			chosen = append(chosen, at)
			for _, pair := range fresh {
				met[pair] = true
			}
		}
	}
	return chosen
}

// whole is every combination of the dimensions that change what a kernel computes; each is asked for
// with one way to lie in memory, which are taken in turn.
func whole(values []levels) (chosen []int) {
	type key [6]int
	alike := map[key][]int{}
	var keys []key
	for i, v := range values {
		k := key(v[:6])
		if alike[k] == nil {
			keys = append(keys, k)
		}
		alike[k] = append(alike[k], i)
	}
	for n, k := range keys {
		chosen = append(chosen, alike[k][n*5%len(alike[k])])
	}
	return chosen
}

// Every function is held against float64 over all that it may be asked for: taps and strides, sums that are
// shared, addends, vectors of images, statistics. Values are whole numbers, so results are exact. Pairs of
// values are covered here; scripts/conformance.sh runs the whole.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	all, values := combinations()
	chosen := covering(values)
	if *every {
		chosen = whole(values)
	}
	t.Logf("%d of %d combinations", len(chosen), len(all))
	for n, at := range chosen {
		t.Run(all[at].String(), func(t *testing.T) { all[at].check(t, uint64(n)) })
	}
}

// trial is a combination with operands.
type trial struct {
	combination
	CUDA
	choice
	parts []problem // one for each head of each image, or one
	add   []float64 // of rows as they lie in the result
	image []float64
	bias  []float64
	left  cuda.Operand // statistics
}

func (c combination) check(t *testing.T, seed uint64) {
	g := kerneltest.NewGPU(t, seed)
	if c.groups != nil {
		g.NeedsHopper()
	}
	q := c.trial(g, rand.New(rand.NewPCG(seed, 17)))
	g.Run(q.bind(q.choice, c.access)...)
	for i := range q.parts {
		q.compare(t, g, i)
	}
	switch {
	case c.sums():
		q.compareSums(t, g)
	case c.group > 0:
		q.compareStatistics(t, g)
	}
}

const before = -77 // in the result where nothing is to be written

// trial lays operands out: a tile and some more of the result, some steps of the sum.
func (c combination) trial(g *kerneltest.GPU, rng *rand.Rand) *trial {
	grid := [2]int{9, 8} // 144 pixels
	images := 2
	if c.group > 0 && !c.sums() || c.groups != nil { // whole strips, and boxes
		grid, images = [2]int{8, 8}, 3
	}
	p := CUDA{Kind: c.kind, Depth: 40, Width: c.tile.n + 16, Walk: Walk{
		Images: images, Y: c.walk.y(grid[0]), X: c.walk.x(grid[1]), Stride: c.walk.stride, Direction: 1, TapStep: c.walk.skip, OutStep: c.walk.every, Side: c.walk.side,
	}}
	if c.walk.turned {
		p.Direction = -1
	}
	switch {
	case c.kind != TN && p.taps() == 1:
		p.Depth = 72
	case c.kind == TN && (c.access != gather || p.taps() == 1):
		p.Depth = c.tile.m + 8
	case c.kind == TN: // taps and channels are one axis
		p.Depth = 10
	}
	if c.ragged {
		p.Depth, p.Width = p.Depth-3, p.Width-5
		if c.groups != nil { // results leave in vectors
			p.Width++
		}
	}
	count, heads := 1, 1
	if c.walk.heads {
		p.Images, p.Batch.Images, p.Batch.Heads = 1, images, 2
		count, heads = images, 2
	}
	q := &trial{combination: c, CUDA: p}
	draw := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(rng.IntN(9) - 4)
		}
		return v
	}
	result := number.Float32
	if c.of == number.BFloat16 && !c.single {
		result = number.BFloat16
	}
	bRows, bCols := p.Side*p.Side*p.Depth, p.Width
	switch c.kind {
	case NT:
		bRows, bCols = p.Side*p.Side*p.Width, p.Depth
	case TN:
		bRows = p.pixels()
	}
	outRows := p.rows()
	if c.kind != TN {
		outRows = p.Images * p.Y.Out * p.X.Out
	}
	var aStep, bStep, outStep int
	q.A, q.Batch.A, aStep = c.place(g, c.of, count, heads, p.Images*p.Y.Source*p.X.Source, p.Depth)
	q.B, q.Batch.B, bStep = c.place(g, c.of, count, heads, bRows, bCols)
	q.Out, q.Batch.Out, outStep = c.place(g, result, count, heads, outRows, p.Width)
	if !c.walk.heads {
		q.Batch = Batch{}
	}
	for image := range count {
		for head := range heads {
			part := problem{CUDA: q.CUDA, a: draw(p.Images * p.Y.Source * p.X.Source * p.Depth), b: draw(bRows * bCols)}
			part.A, part.B, part.Out = at(q.A, image, head, aStep), at(q.B, image, head, bStep), at(q.Out, image, head, outStep)
			g.Fill(part.A, part.a)
			g.Fill(part.B, part.b)
			if p.OutStep > 1 {
				g.Fill(part.Out, slices.Repeat([]float64{before}, outRows*p.Width))
			}
			part.multiply()
			q.parts = append(q.parts, part)
		}
	}
	q.lend(g, draw, outRows)
	q.choice = lay(q.CUDA, c.access, c.tile)
	if c.groups != nil {
		q.choice, _ = c.groups.lay(q.CUDA)
	}
	if tiles := q.across * q.down; c.pair() {
		if q.choice = q.inTiles(max(1, c.splits)); c.sharing.across {
			q.choice = q.acrossTiles(max(1, c.splits*tiles+tiles/2))
		}
		q.Scratch = g.Alloc(max(1, q.CUDA.left(q.choice)))
		return q
	}
	q.choice.splitSteps = max(1, ceil(q.steps, c.splits))
	q.choice.splits = max(1, ceil(q.steps, q.splitSteps))
	if q.choice.together = c.sharing.together; c.sharing.together {
		q.choice.whole = c.sharing.whole
		q.Scratch = g.Alloc(4 * q.m * q.n * (q.blocks() - q.choice.whole))
	} else if rows := q.shared(q.choice) + q.columnParts(q.choice); rows > 0 {
		q.Scratch = g.Alloc(4 * rows * roundUp(q.Width, 4))
	}
	return q
}

// lend gives a trial what is added to its result and what is left of it.
func (q *trial) lend(g *kerneltest.GPU, draw func(int) []float64, rows int) {
	gap := 0
	if q.gap {
		gap = 4
	}
	if q.combination.add {
		q.add = draw(rows * q.Width)
		q.Add = g.Matrix(q.of, rows, q.Width, gap, q.add)
	}
	if q.combination.image {
		q.image = draw(q.Images * q.Width)
		q.PerImage = g.Matrix(number.Float32, q.Images, q.Width, gap, q.image)
	}
	if q.combination.bias {
		q.bias = draw(q.Width)
		q.Bias = g.Vector(number.Float32, q.bias).Address
	}
	switch {
	case q.sums():
		q.left = g.Empty(number.Float32, 1, q.Width, 0)
		q.Sums = q.left.Address
	case q.group > 0:
		q.Partials = cuda.Partials{Groups: q.Width / q.group, Chunks: q.Y.Grid * q.X.Grid / strip}
		q.left = g.Empty(number.Float32, q.Images*q.Partials.Chunks*3, q.Partials.Groups, 0)
		q.Partials.Address = q.left.Address
	}
}

// place makes room for matrices side by side, for each head of each image, so that kernels that read vectors can.
func (c combination) place(g *kerneltest.GPU, of number.Type, images, heads, rows, cols int) (o cuda.Operand, strides [2]int, step int) {
	gap := 0
	if c.gap {
		gap = 8
	}
	step = roundUp(cols, 8)
	if c.access == gather && c.ragged {
		step, gap = cols, gap/8*5
	}
	o = g.Empty(of, images*rows, heads*step, gap)
	o.Rows, o.Cols = rows, cols
	return o, [2]int{rows * o.Pitch, step}, step
}

// at is the matrix of a head of an image.
func at(o cuda.Operand, image, head, step int) cuda.Operand {
	o.Address += cuda.Address((image*o.Rows*o.Pitch + head*step) * o.Type.Size())
	return o
}

// compare holds the result of a part against its sums and what is added to them.
func (q *trial) compare(t *testing.T, g *kerneltest.GPU, part int) {
	p := &q.parts[part]
	want := slices.Repeat([]float64{before}, p.Out.Rows*q.Width)
	for row := range q.rows() {
		to, image := row, 0
		if q.Kind != TN {
			y, x := row/q.X.Grid%q.Y.Grid, row%q.X.Grid
			image = row / (q.Y.Grid * q.X.Grid)
			to = (image*q.Y.Out+y*q.OutStep+q.Y.OutOrigin)*q.X.Out + x*q.OutStep + q.X.OutOrigin
		}
		for j := range q.Width {
			x := p.want[row*q.Width+j]
			if q.add != nil {
				x += q.add[to*q.Width+j]
			}
			if q.image != nil {
				x += q.image[image*q.Width+j]
			}
			if q.bias != nil {
				x += q.bias[j]
			}
			want[to*q.Width+j] = x
		}
	}
	one := p.Out
	one.Rows = 1
	for row := range p.Out.Rows {
		for j, x := range g.Values(one) {
			w := float32(want[row*q.Width+j])
			if one.Type == number.BFloat16 {
				w = number.Round(w)
			}
			if x != w {
				t.Fatalf("part %d, row %d, column %d is %v, want %v", part, row, j, x, w)
			}
		}
		one.Address += cuda.Address(one.Pitch * one.Type.Size())
	}
	if !q.walk.heads {
		g.Values(p.Out) // nothing was written between rows
	}
}

func (q *trial) compareSums(t *testing.T, g *kerneltest.GPU) {
	want := make([]float64, q.Width)
	for i, x := range q.parts[0].b {
		want[i%q.Width] += x
	}
	for j, x := range g.Values(q.left) {
		if float64(x) != want[j] {
			t.Errorf("the sum of column %d is %v, want %v", j, x, want[j])
		}
	}
}

func (q *trial) compareStatistics(t *testing.T, g *kerneltest.GPU) {
	out, moments := g.Values(q.Out), g.Values(q.left)
	for chunk := range q.Images * q.Partials.Chunks {
		for group := range q.Partials.Groups {
			want := statistics(out[chunk*strip*q.Width:][:strip*q.Width], q.Width, group*q.group, q.group)
			for i := range want {
				if x := float64(moments[(chunk*3+i)*q.Partials.Groups+group]); math.Abs(x-want[i]) > 1e-5*(math.Abs(want[i])+math.Sqrt(want[2]/want[0])) {
					t.Errorf("statistic %d of chunk %d, group %d is %v, want %v", i, chunk, group, x, want[i])
				}
			}
		}
	}
}
