// Package durabletest has disks that fail or lose power, for the tests of whoever
// writes through package durable.
package durabletest

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"fluxion/data/durable"
)

// Failing is a disk whose n-th sync fails, counted from 0, as if it were broken
// there.
func Failing(n int) durable.Disk {
	var syncs atomic.Int64
	return durable.Disk{Sync: func(path string) error {
		if syncs.Add(1) == int64(n)+1 {
			return &fs.PathError{Op: "sync", Path: path, Err: syscall.EIO}
		}
		return nil // what a disk does when it is well is not what is tested
	}}
}

// Loss is what a power loss does to what was not synced.
type Loss int

const (
	Nothing  Loss = iota // all is there, as after a kill
	Contents             // names are there, files that were not synced are empty
	Names                // names that were not synced are as they were before, too
)

// Losses are all of them.
var Losses = []Loss{Nothing, Contents, Names}

func (l Loss) String() string { return [...]string{"nothing", "contents", "names"}[l] }

// Power is a disk that remembers what was synced, so that it can say what is left
// after a power loss. Those who write side by side take turns.
type Power struct {
	t     *testing.T
	turn  sync.Mutex
	nodes []*node
	Each  func() // is called before every sync and every rename
}

// node is a file or folder, whatever its name is now.
type node struct {
	info  os.FileInfo
	data  []byte           // of a file, when it was synced last
	names map[string]*node // in a folder, then
}

// NewPower returns a disk that is cut off from power by Lose.
func NewPower(t *testing.T) *Power { return &Power{t: t, Each: func() {}} }

// Disk is what is given to package durable.
func (p *Power) Disk() durable.Disk {
	return durable.Disk{
		Sync: func(path string) error {
			p.turn.Lock()
			defer p.turn.Unlock()
			p.Each()
			p.sync(path)
			return nil
		},
		Rename: func(old, new string) error {
			p.turn.Lock()
			defer p.turn.Unlock()
			p.Each()
			return os.Rename(old, new)
		},
	}
}

// of finds the node that bears a name now.
func (p *Power) of(path string) *node {
	info, err := os.Stat(path)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, n := range p.nodes {
		if os.SameFile(n.info, info) {
			return n
		}
	}
	f, err := os.Open(path) // stays open, so that the system gives its number to no other file
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { f.Close() })
	n := &node{info: info}
	p.nodes = append(p.nodes, n)
	return n
}

func (p *Power) sync(path string) {
	n := p.of(path)
	if !n.info.IsDir() {
		n.data = p.read(path)
		return
	}
	n.names = map[string]*node{}
	for _, e := range p.entries(path) {
		n.names[e.Name()] = p.of(filepath.Join(path, e.Name()))
	}
}

func (p *Power) read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

func (p *Power) entries(path string) []os.DirEntry {
	list, err := os.ReadDir(path)
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// Lose writes to a new folder what is left of another after a power loss now: within
// Each, or while nobody writes.
func (p *Power) Lose(from, to string, loss Loss) {
	p.lose(p.of(from), from, to, loss)
}

// lose restores a node that lies at path now; with names lost it may lie elsewhere.
func (p *Power) lose(n *node, path, to string, loss Loss) {
	if !n.info.IsDir() {
		data := n.data
		if loss == Nothing {
			data = p.read(path)
		}
		if err := os.WriteFile(to, data, 0o666); err != nil {
			p.t.Fatal(err)
		}
		return
	}
	if err := os.Mkdir(to, 0o777); err != nil {
		p.t.Fatal(err)
	}
	if loss == Names {
		for name, child := range n.names {
			p.lose(child, "", filepath.Join(to, name), loss)
		}
		return
	}
	for _, e := range p.entries(path) {
		child := filepath.Join(path, e.Name())
		p.lose(p.of(child), child, filepath.Join(to, e.Name()), loss)
	}
}
