//go:build mpi && (linux || darwin)

package collective

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// TestMPI does as one of the processes that a launcher has started what every link must do,
// and sends more than a piece: scripts/mpi.sh starts it.
func TestMPI(t *testing.T) {
	if l, err := launched(os.Getenv); err != nil || l.by == "" {
		t.Skipf("no launcher of several processes: scripts/mpi.sh has some; %v", err)
	}
	g, err := Open(func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("process %d of %d, %d of its machine, by %s", g.Rank, g.World, g.LocalRank, g.About())
	own := bytes.Repeat([]byte{byte(g.Rank + 1)}, 3*mostChunk+5+g.Rank)
	all, err := g.Gather(own)
	if err != nil {
		t.Fatal(err)
	}
	for r, b := range all {
		if !bytes.Equal(b, bytes.Repeat([]byte{byte(r + 1)}, 3*mostChunk+5+r)) {
			t.Errorf("%d bytes of process %d, or others than it gave", len(b), r)
		}
	}
	if err := g.Agree(nil); err != nil {
		t.Error(err)
	}
	if err := conform(g.Rank, g); err != nil { // which leaves the group
		t.Error(fmt.Errorf("process %d: %w", g.Rank, err))
	}
}

// TestShortVersion: what libraries say of themselves in pages is told in a few words.
func TestShortVersion(t *testing.T) {
	for text, want := range map[string]string{
		"Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4": "Open MPI v4.1.4",
		"MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr  7": "MPICH Version: 4.0.2",
		"Intel(R) MPI Library 2021.19 for Linux* OS\n":           "Intel(R) MPI Library 2021.19 for Linux* OS",
	} {
		if got := shortVersion(text); got != want {
			t.Errorf("%q is told as %q, want %q", text, got, want)
		}
	}
}
