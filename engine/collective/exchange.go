package collective

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// Exchange sends send[r] to every other rank r and fills recv[r] with what that one sends
// here. Either may be nil, or hold nothing for a rank.
func (g Group) Exchange(send, recv [][]byte) error {
	if g.World == 1 {
		return nil
	}
	if g.lost != nil {
		return g.lost
	}
	blank := func(all [][]byte) [][]byte {
		if all == nil {
			return make([][]byte, g.World)
		}
		return all
	}
	send, recv = blank(send), blank(recv)
	for r, b := range send {
		if r != g.Rank {
			g.sent += int64(len(b))
		}
	}
	if err := g.link.Exchange(send, recv, g.watch()); err != nil {
		return g.Fail(err)
	}
	return nil
}

// watch returns what is asked every beat or so of the wait for others: why it is over.
func (g Group) watch() func(missing []int, waited time.Duration) error {
	told := false
	return func(missing []int, waited time.Duration) error {
		for _, r := range missing {
			if q := g.link.Quiet(r); q >= silence {
				return &LostError{r, fmt.Errorf("it has shown no sign of life for %.0f s, as if it, or its machine, were stopped", q.Seconds())}
			}
		}
		l := g.limit
		if l.End > 0 && waited >= l.End {
			return &LostError{missing[0], fmt.Errorf("%s not answered for %.0f s", verb(missing, "it has", "with others, it has"), waited.Seconds())}
		}
		if l.Name > 0 && waited >= l.Name && !told && l.Tell != nil {
			told = true
			l.Tell(fmt.Sprintf("waiting for %s since %.0f s", names(missing), waited.Seconds()))
		}
		return nil
	}
}

// Await waits for something that all processes do together and that the link knows nothing
// of, such as work of their devices. Where one of them is lost, or failed says so, it calls
// abort, which has to end the wait. bytes are those that this process sends by it.
func (g Group) Await(bytes int64, wait, failed func() error, abort func()) error {
	if g.lost != nil {
		return g.lost
	}
	g.sent += bytes
	done := make(chan error, 1)
	go func() { done <- wait() }()
	var others []int
	for r := range g.World {
		if r != g.Rank {
			others = append(others, r)
		}
	}
	watch, begin := g.watch(), time.Now()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	var broken error
	for {
		select {
		case err := <-done:
			return g.Fail(err)
		case <-tick.C:
		}
		lost := watch(others, time.Since(begin))
		if broken == nil {
			if broken = failed(); broken != nil {
				begin = time.Now()
			}
		}
		if lost == nil && broken != nil && time.Since(begin) > silence+2*beat {
			lost = &LostError{-1, broken} // which one nobody knows
		}
		if lost != nil {
			abort()
			return g.Fail(errors.Join(lost, broken, <-done))
		}
	}
}

func verb(ranks []int, one, more string) string {
	if len(ranks) == 1 {
		return one
	}
	return more
}

// names are processes as a user is told them.
func names(ranks []int) string {
	var all []string
	for _, r := range ranks {
		all = append(all, fmt.Sprint(r))
	}
	return "process " + strings.Join(all, ", ") + " of the group"
}

// Gather returns what each rank gives, by rank.
func (g Group) Gather(own []byte) ([][]byte, error) {
	all := make([][]byte, g.World)
	all[g.Rank] = own
	if g.World == 1 {
		return all, nil
	}
	sizes := make([][]byte, g.World)
	for r := range sizes {
		sizes[r] = make([]byte, 8)
	}
	size := binary.LittleEndian.AppendUint64(nil, uint64(len(own)))
	if err := g.Exchange(slices.Repeat([][]byte{size}, g.World), sizes); err != nil {
		return nil, err
	}
	for r := range all {
		if r != g.Rank {
			n := binary.LittleEndian.Uint64(sizes[r])
			if n > mostGathered {
				return nil, g.Fail(&LostError{r, fmt.Errorf("it sends %d bytes where %d are the most", n, int64(mostGathered))})
			}
			all[r] = make([]byte, n)
		}
	}
	return all, g.Exchange(slices.Repeat([][]byte{own}, g.World), all)
}

// mostGathered bounds what a rank may give to Gather, in bytes: what hooks of a run keep is
// the most of it.
const mostGathered = 4 << 30

// Barrier waits for all ranks.
func (g Group) Barrier() error {
	recv := make([][]byte, g.World)
	for r := range recv {
		recv[r] = make([]byte, 1)
	}
	return g.Exchange(slices.Repeat([][]byte{{0}}, g.World), recv)
}

// Broadcast returns what rank 0 gives. What the others give means nothing.
func (g Group) Broadcast(own []byte) ([]byte, error) {
	if g.Rank > 0 {
		own = nil
	}
	all, err := g.Gather(own)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// BroadcastFloats brings those of rank 0 to all: a part to each, and from there to all,
// so that nobody sends much more than they are.
func (g Group) BroadcastFloats(x []float32) error {
	parts := g.Parts(len(x), pageFloats, len(x))
	if err := g.ScatterFloats(x, parts); err != nil {
		return err
	}
	return g.GatherFloats(x, parts)
}

// pageFloats are those of a page of memory.
const pageFloats = 1 << 10

// ScatterFloats brings to every rank its part of those of rank 0.
func (g Group) ScatterFloats(x []float32, parts Parts) error {
	for chunk := range parts.Chunks() {
		send, recv := make([][]byte, g.World), make([][]byte, g.World)
		if g.Rank > 0 {
			recv[0] = Bytes(parts.Of(x, chunk, g.Rank))
		} else {
			send = parts.bytes(x, chunk)
		}
		if err := g.Exchange(send, recv); err != nil {
			return err
		}
	}
	return nil
}

// CollectFloats brings the parts of all to rank 0.
func (g Group) CollectFloats(x []float32, parts Parts) error {
	for chunk := range parts.Chunks() {
		send, recv := make([][]byte, g.World), make([][]byte, g.World)
		if g.Rank > 0 {
			send[0] = Bytes(parts.Of(x, chunk, g.Rank))
		} else {
			recv = parts.bytes(x, chunk)
		}
		if err := g.Exchange(send, recv); err != nil {
			return err
		}
	}
	return nil
}

// GatherFloats brings the parts of all to all.
func (g Group) GatherFloats(x []float32, parts Parts) error {
	for chunk := range parts.Chunks() {
		recv := parts.bytes(x, chunk)
		if err := g.Exchange(slices.Repeat([][]byte{recv[g.Rank]}, g.World), recv); err != nil {
			return err
		}
	}
	return nil
}

// Bytes are numbers as they lie in memory.
func Bytes(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// GatherValues returns a value of each rank, by rank.
func GatherValues[T any](g Group, own T) ([]T, error) {
	var text bytes.Buffer
	if err := gob.NewEncoder(&text).Encode(&own); err != nil {
		return nil, err
	}
	all, err := g.Gather(text.Bytes())
	if err != nil {
		return nil, err
	}
	values := make([]T, g.World)
	for r, b := range all {
		if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&values[r]); err != nil {
			return nil, g.Fail(&LostError{r, fmt.Errorf("what it sends cannot be read: %w", err)})
		}
	}
	return values, nil
}

// BroadcastValue returns the value of rank 0.
func BroadcastValue[T any](g Group, own T) (T, error) {
	var text bytes.Buffer
	if g.Rank == 0 {
		if err := gob.NewEncoder(&text).Encode(&own); err != nil {
			return own, err
		}
	}
	b, err := g.Broadcast(text.Bytes())
	if err != nil {
		return own, err
	}
	var value T
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&value); err != nil {
		return own, g.Fail(&LostError{0, fmt.Errorf("what it sends cannot be read: %w", err)})
	}
	return value, nil
}

// Agree returns err, or what another process failed with: all go on, or none does.
func (g Group) Agree(err error) error {
	if g.World == 1 || errors.Is(err, g.Lost()) && err != nil {
		return err
	}
	text := ""
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	all, lost := g.Gather([]byte(text))
	if err != nil || lost != nil {
		return errors.Join(err, lost)
	}
	for r, text := range all {
		if len(text) > 0 {
			return &PeerError{r, string(text)}
		}
	}
	return nil
}
