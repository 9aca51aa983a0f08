package object

import "sync"

const (
	blockSize = 128 << 10
	mostKept  = 256 // blocks of all files
)

// blocks are pieces of files that were read, the newest last.
type blocks struct {
	sync.Mutex
	of    map[blockKey][]byte
	order []blockKey
}

type blockKey struct {
	f *File
	n int64
}

// kept is what is kept of all files, as an operating system does it.
var kept = blocks{of: map[blockKey][]byte{}}

// block is the n-th of a file.
func (b *blocks) block(f *File, n int64) ([]byte, error) {
	key := blockKey{f, n}
	b.Lock()
	block := b.of[key]
	b.Unlock()
	if block != nil {
		return block, nil
	}
	block = make([]byte, min(blockSize, f.size-n*blockSize))
	if err := f.fetch(block, n*blockSize); err != nil {
		return nil, err
	}
	b.Lock()
	defer b.Unlock()
	if b.of[key] == nil {
		if len(b.order) == mostKept {
			delete(b.of, b.order[0])
			b.order = b.order[1:]
		}
		b.order = append(b.order, key)
	}
	b.of[key] = block
	return block, nil
}

// forget drops what is kept of a file.
func (b *blocks) forget(f *File) {
	b.Lock()
	defer b.Unlock()
	left := b.order[:0:0]
	for _, key := range b.order {
		if key.f == f {
			delete(b.of, key)
		} else {
			left = append(left, key)
		}
	}
	b.order = left
}
