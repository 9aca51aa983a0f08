package collective

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// groups are those that tests run in, by name: of goroutines, and of sockets, as processes
// have them, of one machine or of a network.
func groups(t *testing.T, world int) map[string][]Group {
	t.Helper()
	all := map[string][]Group{"goroutines": Local(world)}
	dir, address := t.TempDir(), free(t)
	for name, join := range map[string]func(r int) (Group, error){
		"sockets": func(r int) (Group, error) { return meet(inFolder(dir, r, world), ignore) },
		"network": func(r int) (Group, error) { return meetAt(atAddress(address, r, world), ignore) },
	} {
		met := make([]Group, world)
		each(t, met, func(r int, _ Group) (err error) {
			met[r], err = join(r)
			return err
		})
		all[name] = met
	}
	return all
}

func inFolder(dir string, rank, world int) launch {
	return launch{by: Variable, place: dir, rank: rank, world: world, wait: meeting}
}

func atAddress(address string, rank, world int) launch {
	return launch{by: torch, place: address, address: address, rank: rank, world: world, wait: gathering}
}

func ignore(string) {}

// free is an address of this machine where nobody answers.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// each runs f as every rank at the same time.
func each(t *testing.T, all []Group, f func(r int, g Group) error) {
	t.Helper()
	var ranks sync.WaitGroup
	for r, g := range all {
		ranks.Go(func() {
			if err := f(r, g); err != nil {
				t.Errorf("rank %d: %v", r, err)
			}
		})
	}
	ranks.Wait()
}

// TestGroups: what every rank gives comes to all, whatever its length, also nothing.
func TestGroups(t *testing.T) {
	for world := 1; world <= 5; world++ {
		for name, all := range groups(t, world) {
			t.Run(fmt.Sprintf("%d %s", world, name), func(t *testing.T) {
				each(t, all, conform)
			})
		}
	}
}

// conform is what every link must do, as one of its ranks.
func conform(r int, g Group) error {
	own := bytes.Repeat([]byte{byte(r + 1)}, r*100_000)
	gathered, err := g.Gather(own)
	if err != nil {
		return err
	}
	for q, b := range gathered {
		if !bytes.Equal(b, bytes.Repeat([]byte{byte(q + 1)}, q*100_000)) {
			return fmt.Errorf("%d bytes of %d, or others than it gave", len(b), q)
		}
	}
	text, err := BroadcastValue(g, fmt.Sprintf("from %d", r))
	if err != nil || text != "from 0" {
		return fmt.Errorf("rank 0 told %q, %v", text, err)
	}
	for _, n := range []int{0, 1, pageFloats, 3*pageFloats + 17, 100_003} {
		want := make([]float32, n)
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		for i := range want {
			want[i] = rng.Float32()
		}
		x := make([]float32, n)
		if g.Rank == 0 {
			copy(x, want)
		}
		if err := g.BroadcastFloats(x); err != nil || !slices.Equal(x, want) {
			return fmt.Errorf("%d numbers are not those of rank 0, %v", n, err)
		}
		for _, c := range []struct{ unit, chunk int }{{1, n}, {16, 40_000}, {pageFloats, 3 * pageFloats}, {1 << 16, 1 << 18}} {
			parts := g.Parts(n, c.unit, c.chunk)
			others := func() { // are forgotten
				for i := range len(parts.Borders) - 1 {
					if i%g.World != r {
						clear(x[parts.Borders[i]:parts.Borders[i+1]])
					}
				}
			}
			others()
			if err := g.CollectFloats(x, parts); err != nil || r == 0 && !slices.Equal(x, want) {
				return fmt.Errorf("the parts of %d numbers are not all collected, %v", n, err)
			}
			if r > 0 {
				clear(x)
			}
			if err := g.ScatterFloats(x, parts); err != nil {
				return err
			}
			others()
			if err := g.GatherFloats(x, parts); err != nil || !slices.Equal(x, want) {
				return fmt.Errorf("the parts of %d numbers are not all there, %v", n, err)
			}
		}
	}
	if err := g.Barrier(); err != nil {
		return err
	}
	return g.Close(false)
}

// TestParts: pieces follow each other, leave nothing out, and end where they are to; all
// ranks have about as many numbers.
func TestParts(t *testing.T) {
	for world := 1; world <= 7; world++ {
		for _, n := range []int{0, 1, pageFloats - 1, pageFloats, 100*pageFloats + 3} {
			for _, chunk := range []int{1, 16 * pageFloats, n} {
				p := Group{World: world}.Parts(n, pageFloats, chunk)
				if (len(p.Borders)-1)%world != 0 || p.Borders[0] != 0 || p.Borders[len(p.Borders)-1] != n || !slices.IsSorted(p.Borders) {
					t.Errorf("%d ranks have the parts %d of %d", world, p.Borders, n)
				}
				for _, at := range p.Borders {
					if at < n && at%pageFloats != 0 {
						t.Errorf("a piece of %d numbers ends at %d", n, at)
					}
				}
				total := 0
				for r := range world {
					size := p.Size(r)
					if total += size; size > n/world+pageFloats {
						t.Errorf("rank %d of %d has %d of %d numbers", r, world, size, n)
					}
				}
				if total != n {
					t.Errorf("%d ranks have %d of %d numbers", world, total, n)
				}
			}
		}
	}
}

// TestSent: what a rank sends is counted, and that is no more than a ring would send.
func TestSent(t *testing.T) {
	const n = 1 << 16
	each(t, Local(4), func(r int, g Group) error {
		if err := g.GatherFloats(make([]float32, n), g.Parts(n, pageFloats, n)); err != nil {
			return err
		}
		if want := int64(3 * n / 4 * 4); g.Sent() != want {
			return fmt.Errorf("%d bytes sent, want %d", g.Sent(), want)
		}
		return nil
	})
}

// TestLost: of a rank that goes all others learn, and nothing is exchanged any more.
func TestLost(t *testing.T) {
	for name, all := range groups(t, 3) {
		t.Run(name, func(t *testing.T) {
			each(t, all, func(r int, g Group) error {
				if r == 1 {
					return g.Close(true)
				}
				err := g.Barrier()
				var lost *LostError
				if !errors.As(err, &lost) {
					return fmt.Errorf("rank 1 is gone, and %v", err)
				}
				if again := g.Barrier(); !errors.Is(again, err) || !errors.Is(g.Lost(), err) {
					return fmt.Errorf("then %v", again)
				}
				if lost.Rank != 1 {
					return fmt.Errorf("rank %d is named", lost.Rank)
				}
				return g.Close(true)
			})
		})
	}
}

// TestHangs: a rank that does not answer is told of, and then taken for lost, by name.
func TestHangs(t *testing.T) {
	all := Local(3)
	release := make(chan struct{})
	var told sync.Map
	each(t, all, func(r int, g Group) error {
		if r == 1 {
			<-release
			return nil
		}
		g.SetLimit(Limit{Tell: func(text string) { told.Store(r, text) }, Name: time.Second, End: 2 * time.Second})
		err := g.Barrier()
		if r == 0 {
			defer close(release)
		}
		var lost *LostError
		if !errors.As(err, &lost) {
			return fmt.Errorf("rank 1 hangs, and %v", err)
		}
		text, _ := told.Load(r)
		if r == 0 && (lost.Rank != 1 || !strings.Contains(fmt.Sprint(text), "process 1 of")) {
			return fmt.Errorf("%v, told before: %v", err, text)
		}
		return nil
	})
}

// TestSilence: a process that shows no sign of life is lost, however long others may take,
// and those that learn of it from another name the same.
func TestSilence(t *testing.T) {
	release := make(chan struct{})
	each(t, groups(t, 3)["sockets"], func(r int, g Group) error {
		link := g.link.(*sockets)
		for _, c := range link.pulses {
			if r == 1 && c != nil {
				_ = c.Close() // it beats no more
			}
		}
		if err := g.Barrier(); err != nil {
			return err
		}
		switch r {
		case 0:
			defer close(release)
			time.Sleep(beat) // until the last beat has come
			link.heard[1].Add(-int64(silence / beat))
		case 1:
			<-release
			return nil
		}
		err := g.Barrier()
		var lost *LostError
		if want := []string{"no sign of life", "", "process 0 says so"}[r]; !errors.As(err, &lost) || lost.Rank != 1 || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("rank 1 is silent, and %v", err)
		}
		return nil
	})
}

// TestAwait: what processes wait for beside the link is watched: it ends when it is done, and is
// ended where a process shows no sign of life, by its name.
func TestAwait(t *testing.T) {
	release := make(chan struct{})
	each(t, groups(t, 2)["sockets"], func(r int, g Group) error {
		none := func() error { return nil }
		if err := g.Await(100, none, none, nil); err != nil || g.Sent() != 100 {
			return fmt.Errorf("done, and %v after %d bytes", err, g.Sent())
		}
		for _, c := range g.link.(*sockets).pulses {
			if r == 1 && c != nil {
				_ = c.Close() // it beats no more
			}
		}
		if err := g.Barrier(); err != nil {
			return err
		}
		if r == 1 {
			<-release
			return nil
		}
		defer close(release)
		time.Sleep(beat) // until the last beat has come
		g.link.(*sockets).heard[1].Add(-int64(silence / beat))
		aborted := make(chan struct{})
		err := g.Await(0, func() error { <-aborted; return errors.New("ended") }, none, func() { close(aborted) })
		var lost *LostError
		if !errors.As(err, &lost) || lost.Rank != 1 || !strings.Contains(err.Error(), "ended") || !errors.Is(g.Lost(), err) {
			return fmt.Errorf("rank 1 is silent, and %v", err)
		}
		if again := g.Await(0, none, none, nil); !errors.Is(again, err) {
			return fmt.Errorf("then %v", again)
		}
		return nil
	})
}

// TestBeats: processes that do nothing together for longer than a silence are not lost.
func TestBeats(t *testing.T) {
	if testing.Short() {
		t.Skip("as long as a silence")
	}
	each(t, groups(t, 3)["sockets"], func(_ int, g Group) error {
		time.Sleep(silence + 2*beat)
		if err := g.Barrier(); err != nil {
			return err
		}
		for r := range g.World {
			if q := g.link.Quiet(r); r != g.Rank && q >= silence/2 {
				return fmt.Errorf("process %d is quiet for %v", r, q)
			}
		}
		return g.Close(false)
	})
}

// TestTooLong: what a process sends that nobody can take is its loss for all that follows.
func TestTooLong(t *testing.T) {
	each(t, Local(2), func(r int, g Group) error {
		if r == 1 {
			size := binary.LittleEndian.AppendUint64(nil, mostGathered+1)
			return g.Exchange([][]byte{size, nil}, [][]byte{make([]byte, 8), nil})
		}
		_, err := g.Gather(nil)
		var lost *LostError
		if !errors.As(err, &lost) || lost.Rank != 1 || !errors.Is(g.Lost(), err) || !errors.Is(g.Barrier(), err) {
			return fmt.Errorf("%v, and then %v", err, g.Lost())
		}
		return nil
	})
}

// TestAgree: where one fails, none goes on, and all say whose fault it is.
func TestAgree(t *testing.T) {
	fault := errors.New("no such\nfile")
	each(t, Local(3), func(r int, g Group) error {
		if err := g.Agree(nil); err != nil {
			return err
		}
		var own error
		if r == 2 {
			own = fault
		}
		err := g.Agree(own)
		var peer *PeerError
		if r == 2 && !errors.Is(err, fault) || r != 2 && (!errors.As(err, &peer) || peer.Rank != 2 || peer.Text != "no such; file") {
			return fmt.Errorf("agreed on %v", err)
		}
		return g.Barrier() // they are in step all the same
	})
}
