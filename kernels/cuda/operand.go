package cuda

// Bytes of an operand's elements, without the gaps between its rows.
func (o Operand) Bytes() int { return o.Rows * o.Cols * o.Type.Size() }

// View is struct View of group.cuh: where an operand lies, as an argument of a kernel.
func (o Operand) View() []byte { return Args(o.Address, uint64(o.Pitch)) }

// Vectors reports whether groups of n elements of every operand can be read and
// written together: whether each begins where a group's bytes, or 16 of them if it
// has more, may begin, and rows are whole groups. Operands whose Address is 0 do not count.
func Vectors(n int, operands ...Operand) bool {
	for _, o := range operands {
		if o.Address == 0 {
			continue
		}
		piece := min(16, n*o.Type.Size())
		if o.Cols%n != 0 || int(o.Address%Address(piece)) != 0 || o.Rows > 1 && o.Pitch*o.Type.Size()%piece != 0 {
			return false
		}
	}
	return true
}

// Flat returns operands of equal shape as single rows if none of them has gaps, so
// that elementwise kernels see long rows and edges once; else as they are.
func Flat(operands ...Operand) []Operand {
	for _, o := range operands {
		if o.Address != 0 && o.Rows > 1 && o.Pitch != o.Cols {
			return operands
		}
	}
	flat := make([]Operand, len(operands))
	for i, o := range operands {
		o.Rows, o.Cols, o.Pitch = 1, o.Rows*o.Cols, o.Rows*o.Cols
		flat[i] = o
	}
	return flat
}
