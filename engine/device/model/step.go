package model

import (
	"cmp"
	"fmt"
	"strings"

	"fluxion/data/stable"
	"fluxion/engine/plan"
	"fluxion/kernels/cuda"
)

// Launch is what is said of launches of a plan that are alike.
type Launch struct {
	Operator string   `json:"operator"`
	Operands string   `json:"operands"`
	Times    int      `json:"times"`
	Kernels  int      `json:"kernels"`      // of each
	Function string   `json:"function"`     // that takes longest
	Bytes    int64    `json:"bytes"`        // of each: operands once, and what its kernels hand to each other
	Handed   int64    `json:"handed_bytes"` // of these, what its kernels hand to each other
	Memory   float64  `json:"memory_bytes"` // of all: those that the second cache does not serve
	Bounds   Bounds   `json:"bounds"`       // of all
	Parts    []Bounds `json:"-"`
}

// Step is a plan on a card.
type Step struct {
	Card     cuda.Card
	Kernels  int   // launches of functions
	Bytes    int64 // operands once, and what kernels hand to each other
	Ideal    int64 // operands once
	Memory   float64
	FLOPs    int64
	Bounds   Bounds
	Launches []Launch // the longest first
}

// Step walks through a plan, the number-th of those that were counted, twice; the second walk
// counts, for a step begins with what the last one left in the second cache.
func (c *Counts) Step(card cuda.Card, number int, p *plan.Plan) (Step, error) {
	w := walk{room: l2Share * float64(card.L2), touched: map[place]float64{}, waiting: map[int][]plan.Launch{}}
	for range 2 {
		s, err := c.walk(card, &w, number, p)
		if err != nil {
			return Step{}, err
		}
		if w.again {
			return s, nil
		}
		w.again = true
	}
	panic("unreachable")
}

func (c *Counts) walk(card cuda.Card, w *walk, number int, p *plan.Plan) (Step, error) {
	s := Step{Card: card}
	alike := map[int]int{} // distinct launch → place in s.Launches
	for i, l := range p.Launches {
		d := &c.Distinct[c.Of[number][i]]
		at, ok := alike[c.Of[number][i]]
		if !ok {
			at = len(s.Launches)
			alike[c.Of[number][i]] = at
			h := handed(l, d.Calls)
			s.Launches = append(s.Launches, Launch{Operator: l.Kernel.String(), Operands: Operands(l), Kernels: len(d.Calls), Bytes: IdealBytes(l) + h, Handed: h})
		}
		row := &s.Launches[at]
		row.Times++
		memory := w.misses(i, l, d.Calls)
		sectors := 0.0
		for _, call := range d.Calls {
			sectors += float64(call.Counters.GlobalLoads.Sectors + call.Counters.GlobalStores.Sectors)
		}
		longest := 0.0
		for _, call := range d.Calls {
			share := float64(call.Counters.GlobalLoads.Sectors+call.Counters.GlobalStores.Sectors) / max(1, sectors)
			again := reread(card, call, l)
			b, err := Estimate(card, call, memory*share+again)
			if err != nil {
				return Step{}, err
			}
			row.Memory += memory*share + again
			row.Bounds.add(b, 1)
			if b.Seconds > longest {
				longest = b.Seconds
				row.Function, row.Bounds.Blocks, row.Bounds.Held, row.Bounds.Waves = call.Function, b.Blocks, b.Held, b.Waves
			}
		}
		s.Ideal += IdealBytes(l)
	}
	for _, l := range s.Launches {
		s.Kernels += l.Times * l.Kernels
		s.Bytes += int64(l.Times) * l.Bytes
		s.Memory += l.Memory
		s.Bounds.add(l.Bounds, 1)
	}
	s.FLOPs = p.Cost().FLOPs
	stable.Sort(s.Launches, func(a, b Launch) int { return cmp.Compare(b.Bounds.Seconds, a.Bounds.Seconds) })
	return s, nil
}

// handed is the bytes that the kernels of a launch write for each other and read: what they
// store beyond the result.
func handed(l plan.Launch, calls []Call) int64 {
	if l.Scratch.Bytes == 0 {
		return 0
	}
	stored, left := int64(0), int64(0)
	for _, c := range calls {
		left += int64(c.Split.Left)
		stored += c.Counters.GlobalStores.Bytes
	}
	if left == 0 {
		left = max(0, stored-int64(bytesOf(l.Out)))
	}
	return 2 * left
}

// place is where an operand begins.
type place struct {
	buffer *plan.Buffer
	offset int
}

// walk knows what the second cache holds: what was touched within so many bytes.
type walk struct {
	room    float64
	moved   float64 // bytes so far
	touched map[place]float64
	waiting map[int][]plan.Launch // that run with a later one, by its number
	again   bool
}

// touch says how many of n bytes come from memory, or go there.
func (w *walk) touch(t plan.Tensor, write bool) float64 {
	n := float64(bytesOf(t))
	at := place{t.Buffer, t.Offset}
	last, known := w.touched[at]
	w.moved += n
	w.touched[at] = w.moved
	if known && !write && w.moved-last <= w.room {
		return 0
	}
	return n
}

// misses is the bytes of launch i that the second cache does not serve. What is written goes to
// memory some time.
func (w *walk) misses(i int, l plan.Launch, calls []Call) float64 {
	n := 0.0
	if l.Later > 0 && l.From == 0 {
		w.waiting[l.Later] = append(w.waiting[l.Later], l)
	} else {
		n += w.operands(l)
	}
	for _, l := range w.waiting[i] {
		n += w.operands(l)
	}
	delete(w.waiting, i)
	// What kernels hand to each other goes to memory some time, too, and comes back if the second cache does not hold it until it is read.
	scratch := float64(handed(l, calls))
	if scratch/2 <= w.room {
		scratch /= 2
	}
	n += scratch
	w.moved += scratch
	// No kernel moves more than it asks for: one that looks rows up in a table, say.
	asked := 0.0
	for _, c := range calls {
		asked += 32 * float64(c.Counters.GlobalLoads.Sectors+c.Counters.GlobalStores.Sectors)
	}
	return min(n, asked)
}

func (w *walk) operands(l plan.Launch) float64 {
	n := 0.0
	in := l.In
	if l.Measured {
		in = in[1:]
	}
	for _, t := range in {
		n += w.touch(t, false)
	}
	for _, t := range []*plan.Tensor{l.Add, l.PerImage} {
		if t != nil {
			n += w.touch(*t, false)
		}
	}
	return n + w.touch(l.Out, true)
}

// reread is the bytes that a product fetches from memory again: tap after tap it reads the same
// chunk of the pixels, and where the second cache does not hold that of all blocks that run, it is gone.
// A norm that goes over its images twice does so too, where those that run are more than the cache holds.
func reread(c cuda.Card, call Call, l plan.Launch) float64 {
	held, _ := call.Occupancy(c.Assembly)
	room := l2Share * float64(c.L2)
	if again := twice(call, l); again > 0 {
		blocks := call.Grid[0] * call.Grid[1]
		set := again * float64(min(held*c.Multiprocessors, blocks)) / float64(blocks)
		return again * max(0, 1-room/max(1, set))
	}
	var kind string
	var m, n int
	if k, _ := fmt.Sscanf(strings.ReplaceAll(call.Function, "_", " "), "gemm %s %dx%d", &kind, &m, &n); k != 3 || kind == "tn" || len(l.In) < 2 {
		return 0
	}
	channels, width := l.In[0].Cols(), l.Out.Cols()
	depth := channels // rows of the weights for each tap
	if kind == "nt" {
		depth = width
	}
	taps := l.In[1].Rows() / depth
	if taps < 2 || held == 0 || strings.Contains(call.Function, "_gather_bf16") {
		return 0
	}
	across := (width + n - 1) / n
	running := min(held*c.Multiprocessors, call.Grid[0]) / across
	const chunk = 128 // bytes, as in product.cuh
	set := float64(running * m * min(chunk, channels*l.In[0].Type.Size()))
	if set > room {
		return float64((taps-1)*bytesOf(l.In[0])) * (1 - room/set)
	}
	return 0
}

// twice is the bytes that a norm's kernel reads two times.
func twice(call Call, l plan.Launch) float64 {
	switch f := call.Function; {
	case strings.HasPrefix(f, "groupnorm_normalise") && l.Partials.Chunks == 0:
		return float64(bytesOf(l.In[0]))
	case strings.HasPrefix(f, "groupnorm_whole_grad"):
		return 2 * float64(bytesOf(l.In[0]))
	}
	return 0
}
