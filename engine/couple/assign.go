package couple

import "math"

// assignment is the memory of Assign.
type assignment struct {
	rows, columns, least []float64
	of, before, to       []int
	done                 []bool
}

// Assign returns the permutation that makes Σ cost[i,to[i]] least, of n×n finite costs. Of
// equal ones it takes lower numbers first, so that it is the same on every machine. It
// grows shortest augmenting paths, row by row, in O(n³): R. Jonker, A. Volgenant, "A
// shortest augmenting path algorithm for dense and sparse linear assignment problems"
// (1987), without its initialisation.
func Assign(n int, cost []float64) (to []int) { return new(assignment).assign(n, cost) }

// assign is Assign; the result is valid until the next call.
func (a *assignment) assign(n int, cost []float64) (to []int) {
	const free = -1
	a.resize(n)
	rows, columns, of := a.rows, a.columns, a.of // dual variables; row of a column
	for j := range of {
		rows[j], columns[j], of[j] = 0, 0, free
	}
	least, before, done := a.least, a.before, a.done
	for first := range n {
		for j := range n {
			least[j], before[j], done[j] = math.Inf(1), free, false
		}
		row, column := first, free // the path ends at this row
		for {
			delta, next := math.Inf(1), free
			for j := range n {
				if done[j] {
					continue
				}
				if c := cost[row*n+j] - rows[row] - columns[j]; c < least[j] {
					least[j], before[j] = c, column
				}
				if least[j] < delta {
					delta, next = least[j], j
				}
			}
			rows[first] += delta
			for j := range n {
				if done[j] {
					rows[of[j]] += delta
					columns[j] -= delta
				} else {
					least[j] -= delta
				}
			}
			column, done[next] = next, true
			if row = of[column]; row == free {
				break
			}
		}
		for column != free { // turn the path round
			if before[column] == free {
				of[column] = first
			} else {
				of[column] = of[before[column]]
			}
			column = before[column]
		}
	}
	for j, i := range of {
		a.to[i] = j
	}
	return a.to
}

func (a *assignment) resize(n int) {
	if cap(a.of) < n {
		*a = assignment{
			rows: make([]float64, n), columns: make([]float64, n), least: make([]float64, n),
			of: make([]int, n), before: make([]int, n), to: make([]int, n), done: make([]bool, n),
		}
	}
	a.rows, a.columns, a.least = a.rows[:n], a.columns[:n], a.least[:n]
	a.of, a.before, a.to, a.done = a.of[:n], a.before[:n], a.to[:n], a.done[:n]
}
