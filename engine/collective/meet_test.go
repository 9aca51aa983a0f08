package collective

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// joinedBy joins processes of those ranks, the last of which come when the others have joined,
// or, where these fail, a while after them, and returns what each was told.
func joinedBy(ranks, late []int, whole bool, join func(rank int) (Group, error)) []error {
	errs, groups := make([]error, len(ranks)+len(late)), make([]Group, len(ranks)+len(late))
	var all sync.WaitGroup
	for i, r := range append(append([]int(nil), ranks...), late...) {
		if i == len(ranks) && whole {
			all.Wait()
		} else if i == len(ranks) {
			time.Sleep(beat)
		}
		all.Go(func() {
			groups[i], errs[i] = join(r)
		})
	}
	all.Wait()
	for i, g := range groups {
		if errs[i] == nil {
			_ = g.Close(true)
		}
	}
	return errs
}

// short is a launch whose processes do not wait for each other for long.
func short(l launch) launch {
	l.wait = 20 * time.Second
	return l
}

// TestOddOnes: two processes of one rank, and those of another number of processes, are named
// at once, with whom they are; a process that comes when the group is whole is told alone.
func TestOddOnes(t *testing.T) {
	for _, c := range []struct {
		name        string
		ranks, late []int
		world       func(rank int) int
		whole       bool
		want        string
	}{
		{"twice", []int{0, 1, 1}, nil, func(int) int { return 3 }, false, "rank 1 is there twice: pid "},
		{"the first twice", []int{0, 0}, nil, func(int) int { return 2 }, false, "rank 0 is there twice: pid "},
		{"the first twice, before others", []int{0, 0}, []int{1}, func(int) int { return 3 }, false, "rank 0 is there twice: pid "},
		{"another number", []int{0, 2}, nil, func(r int) int { return r + 1 }, false, "process 2 of 3, and pid "},
		{"too late", []int{0, 1}, []int{1}, func(int) int { return 2 }, true, "rank 1 is there twice: pid "},
		{"too late, the first", []int{0, 1}, []int{0}, func(int) int { return 2 }, true, "rank 0 is there twice: pid "},
	} {
		c.world = func(f func(int) int) func(int) int { // the first of another number is one of two
			return func(r int) int { return max(2, f(r)) }
		}(c.world)
		dir, address := t.TempDir(), free(t)
		for kind, join := range map[string]func(r int) (Group, error){
			"folder":  func(r int) (Group, error) { return meet(short(inFolder(dir, r, c.world(r))), ignore) },
			"network": func(r int) (Group, error) { return meetAt(short(atAddress(address, r, c.world(r))), ignore) },
		} {
			t.Run(c.name+" "+kind, func(t *testing.T) {
				t.Parallel()
				begin := time.Now()
				for i, err := range joinedBy(c.ranks, c.late, c.whole, join) {
					if c.whole && i < len(c.ranks) {
						if err != nil {
							t.Errorf("process %d: %v", i, err)
						}
					} else if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), " on ") {
						t.Errorf("process %d: %v", i, err)
					}
				}
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

// TestFirstTwice: who believes to be the first, on another machine than where the others look
// for it, is told, and so is the other.
func TestFirstTwice(t *testing.T) {
	address := free(t)
	errs := joinedBy([]int{0, -1}, nil, false, func(r int) (Group, error) {
		if r == 0 {
			return meetAt(short(atAddress(address, 0, 2)), ignore)
		}
		e := newEncounter("tcp", short(atAddress(address, 0, 2)), ignore)
		l, err := net.Listen("tcp", "127.0.0.1:0") // the same port of another machine
		if err != nil {
			return Group{}, err
		}
		for c := net.Conn(nil); c == nil; { // until the other is there
			if c, err = net.Dial("tcp", address); err == nil {
				_ = c.Close()
			}
		}
		e.at = l.(*net.TCPListener)
		return e.meet()
	})
	for i, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "rank 0 is there twice") {
			t.Errorf("first %d: %v", i, err)
		}
	}
}

// TestAgain: a process that has ended while others were awaited may be started again.
func TestAgain(t *testing.T) {
	dir := t.TempDir()
	var first, again sync.WaitGroup
	first.Go(func() {
		g, err := meet(inFolder(dir, 0, 3), ignore)
		if err != nil {
			t.Error(err)
			return
		}
		_ = g.Close(true)
	})
	e := newEncounter("unix", launch{rank: 1, world: 3, place: dir, address: filepath.Join(dir, "0"), wait: meeting}, ignore)
	if err := e.call(e.first, 0, ofData); err != nil {
		t.Fatal(err)
	}
	_ = e.peers[0].Close()
	for r := 1; r < 3; r++ {
		again.Go(func() {
			g, err := meet(inFolder(dir, r, 3), ignore)
			if err != nil {
				t.Error(r, err)
				return
			}
			_ = g.Close(true)
		})
	}
	again.Wait()
	first.Wait()
}

// TestAbsent: all that wait for a process are told which did not come, in how long.
func TestAbsent(t *testing.T) {
	dir, address := t.TempDir(), free(t)
	for kind, join := range map[string]func(r int) (Group, error){
		"folder": func(r int) (Group, error) {
			l := inFolder(dir, r, 4)
			l.wait = time.Second
			return meet(l, ignore)
		},
		"network": func(r int) (Group, error) {
			l := atAddress(address, r, 4)
			l.wait = time.Second
			return meetAt(l, ignore)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for r, err := range joinedBy([]int{0, 1}, nil, false, join) {
				var lost *LostError
				if !errors.As(err, &lost) || !strings.Contains(err.Error(), "process 2, 3 of the group did not come in 1 s: 2 of 4 processes are at ") {
					t.Errorf("process %d: %v", r, err)
				}
			}
			_, err := join(1)
			var lost *LostError
			if !errors.As(err, &lost) || lost.Rank != 0 || !strings.Contains(err.Error(), "it did not come to ") {
				t.Errorf("without the first: %v", err)
			}
		})
	}
}

// TestMeetingEnds: who opens a connection and says nothing, or something else, does not keep the
// others, who say what they wait for.
func TestMeetingEnds(t *testing.T) {
	l := launch{world: 2, place: "here", address: free(t), wait: 3 * beat}
	told := ""
	e := newEncounter("tcp", l, func(text string) { told = text })
	at, err := net.Listen("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	e.at, e.word = at.(*net.TCPListener), time.Now().Add(beat/10)
	for _, text := range []string{"", "GET / HTTP/1.1\r\nHost: none\r\n\r\n"} {
		c, err := net.Dial("tcp", l.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(beat / 5)
	var lost *LostError
	if err := e.answer(kinds); !errors.As(err, &lost) {
		t.Errorf("waiting for who says nothing: %v", err)
	}
	if want := "1 of 2 processes are at here; waiting for process 1 of the group, for 2 s at most"; told != want {
		t.Errorf("told %q, want %q", told, want)
	}
}

// TestFolders: a folder in which nobody can meet is refused.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, strings.Repeat("a", longestPath))
	for place, want := range map[string]string{filepath.Join(dir, "none"): "make it first", file: "there is no folder", long: "want another folder"} {
		if _, err := meet(inFolder(place, 0, 2), ignore); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", place, err)
		}
	}
}
