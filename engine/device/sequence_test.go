package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/cuda"
)

// uncaptured is a stream of which the driver makes no graph.
type uncaptured struct{ cuda.Stream }

func (uncaptured) Capture(func() error) (cuda.Graph, error) {
	return nil, &cuda.Error{Call: "cuStreamEndCapture", Result: cuda.StreamCaptureUnsupported}
}

// TestSequence: kernels and exchanges in one graph do what they do one by one, by the parameters of each
// time; where one process gets no graph, none has one.
func TestSequence(t *testing.T) {
	const times = 4
	run := func(t *testing.T, by string, open func(m member, d *CUDA), graph bool) (all [2][]float32) {
		t.Setenv(NCCLVariable, by)
		members(t, 2, ownGPU, func(m member) (err error) {
			d := m.device.(*CUDA)
			open(m, d)
			a := newAdder(t, d.Target(), 1)
			memory, err := d.Alloc(plan.Union(a.plan.Sizes, plan.Sizes{a.grads: a.grads.Bytes(), a.sum: a.sum.Bytes()}))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, memory.Free()) }()
			program, err := d.Load(a.plan, memory, a.plan.Place(a.total))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, program.Free()) }()
			peers, err := NewPeers(d, m.group)
			if err != nil {
				return err
			}
			total, grads := make([]float32, adderWidth), make([]float32, 48)
			for i := range grads {
				grads[i] = float32(100*m.group.Rank + i)
			}
			if err := errors.Join(program.Write(a.plan.Place(a.total), total), memory.Write(a.grads, 0, grads)); err != nil {
				return err
			}
			other := 1 - m.group.Rank
			send, recv := make([][]Part, 2), make([][]Part, 2)
			send[other], recv[other] = []Part{{a.sum, 0, 8}}, []Part{{a.grads, 4, 8}} // which the next time are copied to sum
			var s Sequence
			for i := range times {
				a.fed.Set(float32(i))
				if err := s.Run(peers, func() error { return errors.Join(Run(program), Exchange(peers, memory, send, recv)) }); err != nil {
					return err
				}
				if err := program.Read(a.plan.Place(a.total), total); err != nil || total[0] != float32(i*(i+1)/2) {
					return fmt.Errorf("the total is %v after %d times, %w", total[0], i+1, err)
				}
			}
			if (s.graph != nil) != graph {
				return fmt.Errorf("there is a graph: %v, want %v", s.graph != nil, graph)
			}
			if sent := m.group.Sent(); by != "" && sent < times*8*4 {
				return fmt.Errorf("%d bytes are counted", sent)
			}
			all[m.group.Rank] = grads
			return errors.Join(memory.Read(a.grads, 0, grads), s.Free(), peers.Close())
		})
		return all
	}
	plain := func(member, *CUDA) {}
	want := run(t, "", plain, false)
	for _, c := range []struct {
		name  string
		open  func(m member, d *CUDA)
		graph bool
		note  string
	}{
		{"in a graph", plain, true, ""},
		{"kernel by kernel", func(_ member, d *CUDA) { d.singly = true }, false, ""},
		{"no graph in one", func(m member, d *CUDA) {
			if m.group.Rank == 1 {
				d.stream = uncaptured{d.stream}
			}
		}, false, "does not make a graph of exchanges by simulated NCCL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lock sync.Mutex
			var notes []string
			got := run(t, "sim", func(m member, d *CUDA) {
				c.open(m, d)
				d.note = func(text string) {
					lock.Lock()
					defer lock.Unlock()
					if strings.Contains(text, "exchanges") { // and of steps, which have none either
						notes = append(notes, text)
					}
				}
			}, c.graph)
			for r := range got {
				if !slices.Equal(got[r], want[r]) {
					t.Errorf("process %d has %v, want %v", r, got[r], want[r])
				}
			}
			if (c.note == "") != (notes == nil) || c.note != "" && !strings.Contains(notes[0], c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}
