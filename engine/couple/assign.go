package couple

import "math"

// Assign returns the permutation that makes Σ cost[i,to[i]] least, of n×n finite costs. Of
// equal ones it takes lower numbers first, so that it is the same on every machine. It
// grows shortest augmenting paths, row by row, in O(n³): R. Jonker, A. Volgenant, "A
// shortest augmenting path algorithm for dense and sparse linear assignment problems"
// (1987), without its initialisation.
func Assign(n int, cost []float64) (to []int) {
	const free = -1
	rows, columns := make([]float64, n), make([]float64, n) // dual variables
	of := make([]int, n)                                    // row of a column
	for j := range of {
		of[j] = free
	}
	least, before, done := make([]float64, n), make([]int, n), make([]bool, n)
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
	to = make([]int, n)
	for j, i := range of {
		to[i] = j
	}
	return to
}
