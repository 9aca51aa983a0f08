//go:build mpi && (linux || darwin)

package collective

import (
	"errors"
	"time"
	"unsafe"
)

const (
	beatBytes = requestBytes + 8 // its request and its one byte
	beatTag   = 2
	// What a beat says.
	runs, leaves = 0, 1
)

// beating is the beats in one direction between this process and another. Like all that the
// library is given they lie in the arena.
type beating struct {
	peer    int
	receive bool
	request unsafe.Pointer
	says    *byte
	moving  bool
	last    bool // none follows
}

// beginPulses lays the beats out in memory.
func (m *library) beginPulses(memory []byte) {
	for r := range m.processes {
		for direction := range 2 {
			if at := memory[(2*r+direction)*beatBytes:]; r != m.rank {
				m.pulses = append(m.pulses, &beating{peer: r, receive: direction == 1, request: unsafe.Pointer(&at[0]), says: &at[requestBytes]})
			}
		}
	}
}

// beat sends one to all others, and hears theirs. One that the library does not move is
// missed, as that of a process that is gone is.
func (m *library) beat() {
	if m.pulse == nil {
		return // the library has not begun
	}
	m.beats.Add(1)
	for _, b := range m.pulses {
		if b.receive {
			m.hearAll(b)
		} else if done, err := m.moved(b); done && err == nil && !b.last {
			*b.says = runs
			_ = m.move(b)
		}
	}
}

// hearAll takes all beats of a process that have come.
func (m *library) hearAll(b *beating) {
	for !b.last {
		moving := b.moving
		if done, err := m.moved(b); !done || err != nil {
			return
		}
		if moving {
			m.hear(b.peer)
			b.last = *b.says == leaves
		}
		if b.last || m.move(b) != nil {
			return
		}
	}
}

// move begins to send or receive a beat.
func (m *library) move(b *beating) error {
	b.moving = true
	if b.receive {
		return m.check("MPI_Irecv", m.irecv(unsafe.Pointer(b.says), 1, m.octet, int32(b.peer), beatTag, m.world, b.request))
	}
	return m.check("MPI_Isend", m.isend(unsafe.Pointer(b.says), 1, m.octet, int32(b.peer), beatTag, m.world, b.request))
}

// moved says whether none is on its way.
func (m *library) moved(b *beating) (bool, error) {
	if !b.moving {
		return true, nil
	}
	flag := unsafe.Add(b.request, flagAt)
	err := m.check("MPI_Test", m.test(b.request, flag, m.statusIgnore))
	if err == nil && *(*int32)(flag) != 0 {
		b.moving = false
	}
	return !b.moving, err
}

// endPulses sends the last beat, and hears that of all others: MPI ends when nothing is on
// its way any more.
func (m *library) endPulses() error {
	for begin := time.Now(); ; time.Sleep(longestNap) {
		left := false
		for _, b := range m.pulses {
			if b.receive {
				m.hearAll(b)
				left = left || !b.last
				continue
			}
			done, err := m.moved(b)
			if err != nil {
				return err
			}
			if done && !b.last {
				*b.says, b.last, done = leaves, true, false
				if err := m.move(b); err != nil {
					return err
				}
			}
			left = left || !done
		}
		if !left {
			return nil
		}
		if time.Since(begin) > leaving {
			return errors.New("another process does not leave the group")
		}
	}
}
