package couple

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"fluxion/engine/process"
	"fluxion/kernels/philox"
)

// sinkhorn draws the noise of each image from the plan of entropic optimal transport: M.
// Cuturi, "Sinkhorn Distances" (2013), in logarithms. With an absolute reg of 2σ² its pairs
// are those of a Schrödinger bridge of noise σ (A. Tong et al., "Simulation-Free
// Schrödinger Bridges via Score and Flow Matching", 2023).
type sinkhorn struct {
	reg, absolute float64 // one of them is 0
	groups
	transportPlan
}

const (
	mostRounds = 1000
	within     = 1e-3 // what may be missing of the noise's shares, all together
)

func newSinkhorn(parameter string) (Coupling, error) {
	p, err := process.ParseParameters("coupling", "sinkhorn", parameter, process.Parameters{"reg": 0, "absolute": 0})
	if err != nil {
		return nil, err
	}
	c := &sinkhorn{reg: p["reg"], absolute: p["absolute"]}
	if parameter == "" {
		c.reg = 0.05
	}
	if (c.reg > 0) == (c.absolute > 0) || c.reg < 0 || c.absolute < 0 || math.IsInf(c.reg+c.absolute, 0) {
		return nil, fmt.Errorf("coupling sinkhorn:%s: want a positive reg, times the mean cost |ε − x|², or a positive absolute one, as in sinkhorn:reg=0.05 or sinkhorn:absolute=0.5", parameter)
	}
	return c, nil
}

func (c *sinkhorn) String() string {
	if c.reg > 0 {
		return fmt.Sprintf("sinkhorn:reg=%g", c.reg)
	}
	return fmt.Sprintf("sinkhorn:absolute=%g", c.absolute)
}

// Multiplies says yes.
func (*sinkhorn) Multiplies() bool { return true }

// Pair draws the noise of each image by its own address, which is that of a number in
// [0,1).
func (c *sinkhorn) Pair(s Step) (short error) {
	reg := c.absolute
	for _, g := range c.part(s, true) {
		n := len(g.images)
		c.resize(n)
		mean := 0.0
		for k, i := range g.images {
			for l, j := range g.noise {
				d := max(0, s.Products.Distance(i, j))
				c.cost[k*n+l] = d
				mean += d / float64(n*n)
			}
		}
		if c.reg > 0 {
			reg = c.reg * mean
		}
		if missing := c.solve(reg, mostRounds, within); !(missing <= within) {
			short = fmt.Errorf("after %d rounds %.2g of the plan is not where it should be; a larger reg converges sooner", mostRounds, missing)
		}
		for k, i := range g.images {
			u := philox.Uniform64(s.Seed, philox.Couple, uint64(s.At[i]), 0)
			c.drawn[k] = g.addresses[c.draw(k, u)]
		}
		for k, i := range g.images {
			s.Noise[i] = c.drawn[k]
		}
	}
	return short
}

// transportPlan is exp((f_i + g_j − C_ij)/reg), whose rows sum to 1 and whose columns
// nearly do: n² times that of equal shares.
type transportPlan struct {
	n            int
	cost         []float64 // n×n; solve leaves the logarithms of the plan
	rows, column []float64 // potentials over reg
	next         []float64 // of columns
	drawn        []int64
}

func (p *transportPlan) resize(n int) {
	p.n = n
	p.cost, p.rows, p.column = slices.Grow(p.cost[:0], n*n)[:n*n], slices.Grow(p.rows[:0], n)[:n], slices.Grow(p.column[:0], n)[:n]
	p.next, p.drawn = slices.Grow(p.next[:0], n)[:n], slices.Grow(p.drawn[:0], n)[:n]
}

// solve balances rows and columns in turn, and returns what columns then lack of their
// shares, as a part of all; rows have theirs.
func (p *transportPlan) solve(reg float64, most int, within float64) (missing float64) {
	n := p.n
	clear(p.rows)
	clear(p.column)
	for k := range p.cost {
		p.cost[k] /= -reg
	}
	missing = math.Inf(1)
	for round := range most {
		spread(n, func(j int) { p.next[j] = -logSum(p.cost[j:], n, p.rows, n) })
		if round > 0 {
			missing = 0
			for j, next := range p.next {
				missing += math.Abs(1-math.Exp(p.column[j]-next)) / float64(n)
			}
			if missing <= within {
				break
			}
		}
		copy(p.column, p.next)
		spread(n, func(i int) { p.rows[i] = -logSum(p.cost[i*n:], 1, p.column, n) })
	}
	for k := range p.cost {
		p.cost[k] += p.rows[k/n] + p.column[k%n]
	}
	return missing
}

// share is the part of image i that noise j has.
func (p *transportPlan) share(i, j int) float64 { return math.Exp(p.cost[i*p.n+j]) }

// draw is the noise of image i at a number in [0,1).
func (p *transportPlan) draw(i int, u float64) int {
	sum := 0.0
	for j := range p.n {
		if sum += p.share(i, j); u < sum {
			return j
		}
	}
	return p.n - 1
}

// logSum is ln Σ_k exp(x[k·step] + y[k]), without overflow.
func logSum(x []float64, step int, y []float64, n int) float64 {
	top := math.Inf(-1)
	for k := range n {
		top = max(top, x[k*step]+y[k])
	}
	sum := 0.0
	for k := range n {
		sum += math.Exp(x[k*step] + y[k] - top)
	}
	return top + math.Log(sum)
}

// spread calls f for each of n, on all processors.
func spread(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), (n+31)/32)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		})
	}
	group.Wait()
}
