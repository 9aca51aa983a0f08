package train

import (
	"fluxion/engine/collective"
	"fluxion/engine/plan"
	"fluxion/kernels/pointwise"
)

// Orders in which the gradients of a step's micro-batches are added. Up to three
// micro-batches have the same bits in both.
const (
	// inTree is a binary tree over the micro-batch's number, which has the same bits
	// however many processes share the micro-batches.
	inTree = "tree"
	// inTurn is from the first to the last: that of runs that began before there was
	// the other.
	inTurn = "sequential"
)

var accumulations = []string{inTree, inTurn}

// node is the sum of micro-batches index<<level up to (index+1)<<level.
type node struct{ level, index int }

// tree is the sums on the way to the root of the tree, none of which is complete:
// each is a buffer, by its place from 0 on.
type tree []node

// push puts a sum that follows those on the stack on top of it, and joins the two on
// top for as long as they are the two halves of a node. It returns how often.
func (t *tree) push(n node) (joins int) {
	for ; len(*t) > 0; joins++ {
		top := (*t)[len(*t)-1]
		if top.level != n.level || top.index^1 != n.index {
			break
		}
		n = node{n.level + 1, n.index / 2}
		*t = (*t)[:len(*t)-1]
	}
	*t = append(*t, n)
	return joins
}

// addition makes a sum: buffer to becomes itself and the buffer above it, or, by the
// gradients of the micro-batch at hand, what it was with them, or they alone.
type addition struct {
	to     int
	source source
}

type source int

const (
	first     source = iota // a sum begins with the gradients
	gradients               // they join it
	above                   // the next sum joins it
)

// share is the micro-batches from one up to, but not including, another, of so many in a
// step.
type share struct{ first, end, of int }

// shareOf is what this process takes of a step.
func shareOf(g collective.Group, of int) share {
	first, end := g.Share(of)
	return share{first, end, of}
}

func (s share) whole() bool { return s.end-s.first == s.of }

// additions are those that follow each micro-batch of a share. The last of a whole step
// leaves one sum, in buffer 0: those that no other half was found for are joined from the
// top down. That of a part leaves the largest nodes that it has all of, from buffer 0 on.
func additions(order string, s share) [][]addition {
	all := make([][]addition, s.end-s.first)
	var t tree
	for i := range all {
		depth := len(t)
		joins := t.push(node{0, s.first + i})
		if order == inTurn {
			t, joins = tree{{0, 0}}, min(i, 1)
		} else if s.whole() && i == s.of-1 {
			joins = depth
		}
		if joins == 0 {
			all[i] = []addition{{depth, first}}
			continue
		}
		all[i] = []addition{{depth - 1, gradients}}
		for to := depth - 2; to >= depth-joins; to-- {
			all[i] = append(all[i], addition{to, above})
		}
	}
	return all
}

// nodes are those that the micro-batches of a share are joined to.
func (s share) nodes() tree {
	var t tree
	for i := s.first; i < s.end; i++ {
		t.push(node{0, i})
	}
	return t
}

// sumBuffers is how many sums of a share there are at once: the logarithm of the
// micro-batches, or about twice that of a part.
func sumBuffers(order string, s share) (most int) {
	if s.of == 1 {
		return 0 // the gradients are the sum
	}
	for _, list := range additions(order, s) {
		most = max(most, list[0].to+1)
	}
	return most
}

// compileSums makes the plans of the additions, and the list of those that follow
// each micro-batch.
func (s *Step) compileSums(flat plan.Options) error {
	numbers := map[addition]int{}
	for _, list := range additions(s.Accumulation, shareOf(s.group(), s.Accumulate)) {
		var after []int
		for _, a := range list {
			if _, ok := numbers[a]; !ok {
				flat.After = []plan.Stage{s.adding(a, 0, 0)}
				p, err := plan.Compile(flat)
				if err != nil {
					return err
				}
				numbers[a] = len(s.sums)
				s.sums = append(s.sums, p)
			}
			after = append(after, numbers[a])
		}
		s.additions = append(s.additions, after)
	}
	return nil
}

// adding is an addition of so many elements from one on; n = 0: of all.
func (s *Step) adding(a addition, from, n int) plan.Stage {
	of := func(b *plan.Buffer) plan.Ref { return plan.Ref{Buffer: b, From: from, N: n} }
	sum := of(s.Buffers.Sums[a.to])
	switch a.source {
	case first:
		return plan.Stage{Kernel: pointwise.NewCopy(1), In: []plan.Ref{of(s.Buffers.Gradients)}, Out: sum}
	case above:
		return plan.Stage{Kernel: pointwise.NewAdd(1), In: []plan.Ref{sum, of(s.Buffers.Sums[a.to+1])}, Out: sum}
	}
	return plan.Stage{Kernel: pointwise.NewAdd(1), In: []plan.Ref{sum, of(s.Buffers.Gradients)}, Out: sum}
}
