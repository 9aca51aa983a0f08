package nets

// nearest returns the candidate with the fewest single-letter edits to word.
func nearest(word string, candidates []string) string {
	best, fewest := "", int(^uint(0)>>1)
	for _, c := range candidates {
		if d := edits(word, c); d < fewest {
			best, fewest = c, d
		}
	}
	return best
}

// edits is the Levenshtein distance, one row at a time.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
