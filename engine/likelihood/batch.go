package likelihood

import (
	"context"
	"iter"

	"fluxion/engine/process"
)

// question is what an image wants to know of the network at one point: its output for z,
// and along each of some directions e the number eᵀ (∂y/∂input) e. Without directions,
// there may be several states, each at a point of its own.
type question struct {
	points []process.Point
	z      [][]float64
	class  float32
	probes int // directions; 0: states
	probe  func(k int, e []float32)

	// The answer: an output for each state, a number for each direction.
	y      [][]float32
	v      [][]float32 // and what it says of variances, where it is asked for them
	traces []float64

	asked, answered int // rows
}

// rows are those of a batch that the question takes.
func (q *question) rows() int { return max(q.probes, len(q.z)) }

// at is the state that a row has.
func (q *question) at(row int) int { return min(row, len(q.z)-1) }

// asker is one image on its way: it yields questions, and goes on when they are answered.
type asker struct {
	question *question
	next     func() (*question, bool)
	stop     func()
}

// asking is a place of a batch: whose it is, and which of its rows.
type asking struct {
	of  *asker
	row int
}

// answer runs askers until all are done. There are as many at once as fill a batch, so
// that images may ask whenever their solvers want, and memory does not grow with their
// number. After is told the rows of every batch.
func (n *network) answer(ctx context.Context, askers iter.Seq[iter.Seq[*question]], after func(rows int) error) error {
	more, stop := iter.Pull(askers)
	defer stop()
	var open []*asker
	defer func() {
		for _, a := range open {
			a.stop()
		}
	}()
	for waiting := 0; ; {
		for waiting < n.Batch {
			image, ok := more()
			if !ok {
				break
			}
			a := &asker{}
			a.next, a.stop = iter.Pull(image)
			if a.question, ok = a.next(); ok {
				open = append(open, a)
				waiting += a.question.rows()
			}
		}
		if len(open) == 0 {
			return nil
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var batch []asking
		for _, a := range open {
			for ; len(batch) < n.Batch && a.question.asked < a.question.rows(); a.question.asked++ {
				n.ask(len(batch), a.question)
				batch = append(batch, asking{a, a.question.asked})
			}
		}
		if err := n.run(); err != nil {
			return err
		}
		for i, b := range batch {
			n.tell(i, b)
		}
		still := open[:0]
		for _, a := range open {
			if q := a.question; q.answered == q.rows() {
				waiting -= q.rows()
				var ok bool
				if a.question, ok = a.next(); !ok {
					continue
				}
				waiting += a.question.rows()
			}
			still = append(still, a)
		}
		clear(open[len(still):])
		open = still
		if err := after(len(batch)); err != nil {
			return err
		}
	}
}

// ask writes the next row of a question to place i of the batch.
func (n *network) ask(i int, q *question) {
	size, state := n.dims(), q.at(q.asked)
	point := q.points[state]
	input := row(n.input, i, size)
	for k, v := range q.z[state] {
		input[k] = float32(point.Input * v)
	}
	n.time[i] = float32(point.NetworkTime)
	for k := range n.classes {
		n.class[i*n.classes+k] = q.class
	}
	if q.probes > 0 {
		q.probe(q.asked, row(n.along, i, size))
	}
}

// tell answers a row from place i of the batch.
func (n *network) tell(i int, b asking) {
	q, size := b.of.question, n.dims()
	if q.probes == 0 || b.row == 0 {
		q.y[b.row] = append(q.y[b.row][:0], row(n.outputs, i, size)...)
	}
	if n.spreads != nil {
		q.v[b.row] = append(q.v[b.row][:0], row(n.spreads, i, size)...)
	}
	if q.probes > 0 {
		sum := 0.0
		e := row(n.along, i, size)
		for k, g := range row(n.products, i, size) {
			if e[k] != 0 {
				sum += float64(e[k]) * float64(g)
			}
		}
		q.traces[b.row] = sum
	}
	q.answered++
}
