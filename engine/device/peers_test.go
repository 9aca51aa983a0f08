package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"fluxion/engine/collective"
	"fluxion/engine/plan"
	"fluxion/kernels/cuda/simdriver"
	"fluxion/kernels/number"
)

// member is a process of a group, with its device.
type member struct {
	group  collective.Group
	device Device
	memory Memory
	buffer *plan.Buffer
}

const memberFloats = 1000

// members runs f as so many processes.
func members(t *testing.T, world int, open func() (Device, error), f func(m member) error) {
	t.Helper()
	var ranks sync.WaitGroup
	for _, g := range collective.Local(world) {
		ranks.Go(func() {
			d, err := open()
			if err != nil {
				t.Error(err)
				return
			}
			b := &plan.Buffer{Name: "numbers", Type: number.Float32, Size: memberFloats}
			memory, err := d.Alloc(plan.Sizes{b: b.Bytes()})
			if err != nil {
				t.Error(err)
				return
			}
			if err := f(member{g, d, memory, b}); err != nil {
				t.Errorf("process %d: %v", g.Rank, err)
			}
			if err := errors.Join(memory.Free(), d.Close(), g.Close(false)); err != nil {
				t.Errorf("process %d: %v", g.Rank, err)
			}
		})
	}
	ranks.Wait()
}

func oneCPU() (Device, error) { return NewCPU(1, "portable") }

// ownGPU is a simulated GPU that no other process knows of.
func ownGPU() (Device, error) { return NewCUDA(simdriver.New(simdriver.Options{}).Direct(), 0) }

// TestPeers: parts come to where they are to, whatever moves them, and nothing else changes.
func TestPeers(t *testing.T) {
	for _, c := range []struct {
		name, nccl, about string
		open              func() (Device, error)
	}{
		{"CPUs", "", "the memory of the host", oneCPU},
		{"GPUs", "", "the memory of the host", ownGPU},
		{"GPUs by NCCL", "sim", "simulated NCCL", ownGPU},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(NCCLVariable, c.nccl)
			members(t, 3, c.open, func(m member) error {
				p, err := NewPeers(m.device, m.group)
				if err != nil {
					return err
				}
				if p.About() != c.about {
					return fmt.Errorf("by %s", p.About())
				}
				rank := m.group.Rank
				want := make([]float32, memberFloats)
				for i := range want {
					want[i] = float32(1000*rank + i)
				}
				if err := m.memory.Write(m.buffer, 0, want); err != nil {
					return err
				}
				// Rank r sends rank q two parts, which it finds in the same place.
				send, recv := make([][]Part, 3), make([][]Part, 3)
				parts := func(from, to int) []Part {
					at := 300*from + 100*to
					return []Part{{m.buffer, at, 10 + to}, {m.buffer, at + 50, 1 + from}}
				}
				for q := range 3 {
					if q == rank {
						continue
					}
					send[q], recv[q] = parts(rank, q), parts(q, rank)
					for _, part := range recv[q] {
						for i := range part.N {
							want[part.From+i] = float32(1000*q + part.From + i)
						}
					}
				}
				for range 2 {
					if err := Exchange(p, m.memory, send, recv); err != nil {
						return err
					}
				}
				got := make([]float32, memberFloats)
				if err := m.memory.Read(m.buffer, 0, got); err != nil {
					return err
				}
				if !slices.Equal(got, want) {
					return errors.New("other numbers than were sent")
				}
				// What had begun at a mark is there behind it.
				for i := range 2 {
					at := 900 + 40*i
					sends, recvs := make([][]Part, 3), make([][]Part, 3)
					for q := range 3 {
						if q != rank {
							sends[q], recvs[q] = []Part{{m.buffer, at + 10*rank, 10}}, []Part{{m.buffer, at + 10*q, 10}}
						}
					}
					if err := errors.Join(p.Begin(m.memory, sends, recvs), p.Mark()); err != nil {
						return err
					}
				}
				for i := range 2 {
					if err := p.Reach(i); err != nil {
						return err
					}
					for q := range 3 {
						got, at := make([]float32, 1), 909+40*i+10*q
						if err := m.memory.Read(m.buffer, at, got); err != nil || got[0] != float32(1000*q+at) {
							return fmt.Errorf("at mark %d %v has come from process %d, %w", i, got, q, err)
						}
					}
				}
				if err := p.Finish(); err != nil {
					return err
				}
				if sent := m.group.Sent(); c.nccl != "" && sent < 2*4*(20+2) {
					return fmt.Errorf("%d bytes are counted", sent)
				}
				return p.Close()
			})
		})
	}
}

// TestPeersRefused: processes that would not exchange in the same way are refused.
func TestPeersRefused(t *testing.T) {
	t.Setenv(NCCLVariable, "sim")
	open := func() func() (Device, error) { // the first that asks has a CPU
		var once sync.Once
		return func() (d Device, err error) {
			f := ownGPU
			once.Do(func() { f = oneCPU })
			return f()
		}
	}()
	members(t, 2, open, func(m member) error {
		if _, err := NewPeers(m.device, m.group); err == nil || !strings.Contains(err.Error(), "want the same FLUXION_NCCL") {
			return fmt.Errorf("by two ways: %w", err)
		}
		return nil
	})
	t.Setenv(NCCLVariable, "/nowhere/libnccl.so.2")
	members(t, 2, ownGPU, func(m member) error {
		if _, err := NewPeers(m.device, m.group); err == nil || !strings.Contains(err.Error(), "want sim for simulated GPUs, and for them alone") {
			return fmt.Errorf("a simulated GPU by NCCL: %w", err)
		}
		return nil
	})
}

// TestPeerLost: who waits for a process that is gone does not wait for ever.
func TestPeerLost(t *testing.T) {
	if testing.Short() {
		t.Skip("as long as a process may be silent")
	}
	t.Setenv(NCCLVariable, "sim")
	members(t, 2, ownGPU, func(m member) error {
		p, err := NewPeers(m.device, m.group)
		if err != nil {
			return err
		}
		if m.group.Rank == 1 {
			_ = m.group.Fail(errors.New("it leaves"))
			return p.Close()
		}
		part := []Part{{m.buffer, 0, 5}}
		err = Exchange(p, m.memory, nil, [][]Part{nil, part})
		var lost *collective.LostError
		if !errors.As(err, &lost) || !errors.Is(m.group.Lost(), err) {
			return fmt.Errorf("the wait ends with %w", err)
		}
		return p.Close()
	})
}
