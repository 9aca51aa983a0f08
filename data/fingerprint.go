package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Fingerprint tells whether a data set is the one it was, wherever it lies, without
// decoding a picture.
type Fingerprint struct {
	Images  int      `json:"images"`
	Classes []string `json:"classes"`
	Counts  []int    `json:"class_images"` // of each class; the others have none
	Digest  string   `json:"digest"`       // of names and sizes in order, or of all there is
	Sums    string   `json:"sums"`         // of checksums, "" where they would have to be computed
}

// digest is SHA-256 in hexadecimal.
func digest(write func(hash.Hash)) string {
	h := sha256.New()
	write(h)
	return hex.EncodeToString(h.Sum(nil))
}

// Fingerprint is made of names behind the folders that all pictures share, and of
// sizes; in a zip of checksums, too.
func (f *files) Fingerprint() Fingerprint {
	p := Fingerprint{Images: len(f.entries), Classes: f.classes, Counts: make([]int, len(f.classes))}
	sizes := f.sizes()
	p.Digest = digest(func(h hash.Hash) {
		for i, e := range f.entries {
			if e.label >= 0 {
				p.Counts[e.label]++
			}
			fmt.Fprintf(h, "%q %d\n", strings.SplitN(e.path, "/", f.shared+1)[f.shared], sizes[i])
			if f.apart {
				fmt.Fprintln(h, e.label)
			}
		}
	})
	if in := f.entries[0].in; in != nil {
		if _, kept := in.sum(); kept {
			p.Sums = digest(func(h hash.Hash) {
				for _, e := range f.entries {
					crc, _ := e.in.sum()
					fmt.Fprintf(h, "%08x\n", crc)
				}
			})
		}
	}
	return p
}

// sizes of the files in bytes; −1 where that is not known. Disks across a network
// answer slowly, but many at once.
func (f *files) sizes() []int64 {
	sizes := make([]int64, len(f.entries))
	var group errgroup.Group
	workers := 4 * runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < len(sizes); i += workers {
				sizes[i] = f.size(f.entries[i])
			}
			return nil
		})
	}
	_ = group.Wait() // sizes cannot fail
	return sizes
}

func (f *files) size(e entry) int64 {
	if e.in != nil {
		return e.in.size()
	}
	info, err := os.Stat(f.root + filepath.FromSlash(e.path))
	if err != nil {
		return -1
	}
	return info.Size()
}

// Fingerprint is made of the first images: the others are drawn alike.
func (g *glyphs) Fingerprint() Fingerprint {
	p := Fingerprint{Images: g.Len(), Classes: g.classes, Counts: make([]int, len(g.classes))}
	for c := range p.Counts {
		p.Counts[c] = (g.Len() - c + len(g.classes) - 1) / len(g.classes)
	}
	p.Digest = digest(func(h hash.Hash) {
		pixels := make([]byte, glyphSide*glyphSide*3)
		for i := range p.Classes {
			g.draw(i, pixels)
			h.Write(pixels)
		}
	})
	return p
}
