package collective

// Parts are those of a vector that the ranks own. It is cut into chunks that follow each
// other, and of each every rank has a piece, in the order of ranks: what is known of a chunk
// can go to all its owners at once.
type Parts struct {
	World int
	// Borders are where pieces begin and end: piece i, which is of rank i%World, has the
	// numbers from Borders[i] up to, not including, Borders[i+1].
	Borders []int
}

// Parts of n numbers in chunks of about so many, of which all ranks have about as many.
// Pieces end at multiples of unit.
func (g Group) Parts(n, unit, chunk int) Parts {
	units, each := (n+unit-1)/unit, max(1, chunk/(unit*g.World))*g.World // units of a chunk: as many of all ranks
	p := Parts{g.World, []int{0}}
	for from := 0; from < max(1, units); from += each {
		of := min(each, units-from)
		for r := range g.World {
			p.Borders = append(p.Borders, min(n, (from+of*(r+1)/g.World)*unit))
		}
	}
	return p
}

// Chunks is their number.
func (p Parts) Chunks() int { return (len(p.Borders) - 1) / p.World }

// Chunk is where one begins and ends.
func (p Parts) Chunk(chunk int) (from, to int) {
	return p.Borders[chunk*p.World], p.Borders[(chunk+1)*p.World]
}

// Piece is that of a rank of a chunk.
func (p Parts) Piece(chunk, rank int) (from, to int) {
	i := chunk*p.World + rank
	return p.Borders[i], p.Borders[i+1]
}

// Of is the numbers of a piece.
func (p Parts) Of(x []float32, chunk, rank int) []float32 {
	from, to := p.Piece(chunk, rank)
	return x[from:to]
}

// Size is how many numbers a rank has.
func (p Parts) Size(rank int) (n int) {
	for chunk := range p.Chunks() {
		from, to := p.Piece(chunk, rank)
		n += to - from
	}
	return n
}

func (p Parts) bytes(x []float32, chunk int) [][]byte {
	all := make([][]byte, p.World)
	for r := range all {
		all[r] = Bytes(p.Of(x, chunk, r))
	}
	return all
}
