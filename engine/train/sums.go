package train

import (
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

// additions are those that follow each of n micro-batches. The last leaves one sum, in
// buffer 0: those that no other half was found for are joined from the top down.
func additions(order string, n int) [][]addition {
	all := make([][]addition, n)
	var t tree
	for i := range n {
		depth := len(t)
		joins := t.push(node{0, i})
		if order == inTurn {
			t, joins = tree{{0, 0}}, min(i, 1)
		} else if i == n-1 {
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

// sumBuffers is how many sums of n micro-batches there are at once: the logarithm of n.
func sumBuffers(order string, n int) (most int) {
	if n == 1 {
		return 0 // the gradients are the sum
	}
	for _, list := range additions(order, n) {
		most = max(most, list[0].to+1)
	}
	return most
}

// compileSums makes the plans of the additions, and the list of those that follow
// each micro-batch.
func (s *Step) compileSums(flat plan.Options) error {
	numbers := map[addition]int{}
	for _, list := range additions(s.Accumulation, s.Accumulate) {
		var after []int
		for _, a := range list {
			if _, ok := numbers[a]; !ok {
				sum := plan.Ref{Buffer: s.Buffers.Sums[a.to]}
				stage := plan.Stage{Kernel: pointwise.NewAdd(1), In: []plan.Ref{sum, {Buffer: s.Buffers.Gradients}}, Out: sum}
				switch a.source {
				case first:
					stage.Kernel, stage.In = pointwise.NewCopy(1), stage.In[1:]
				case above:
					stage.In[1] = plan.Ref{Buffer: s.Buffers.Sums[a.to+1]}
				}
				flat.After = []plan.Stage{stage}
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
