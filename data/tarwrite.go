package data

import (
	"archive/tar"
	"errors"
	"io"
)

// shardText is the key of a shard's text in the global header of pax (POSIX.1-2008), which
// readers of tars pass over.
const shardText = "FLUXION.text"

// Shard is a tar that is written as WebDataset has it. Its bytes depend on what is in it alone.
type Shard struct{ w *tar.Writer }

// NewShard begins a shard with a text about it, which ReadTarText gives back.
func NewShard(w io.Writer, text string) (Shard, error) {
	s := Shard{tar.NewWriter(w)}
	return s, s.w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{shardText: text}})
}

// Add adds a file.
func (s Shard) Add(name string, content []byte) error {
	if err := s.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	_, err := s.w.Write(content)
	return err
}

// Close ends the shard.
func (s Shard) Close() error { return s.w.Close() }

// ReadTarText reads the text of a shard, "" of any other tar.
func ReadTarText(path string) (text string, err error) {
	err = readTar(path, func(r *tar.Reader) error {
		h, err := r.Next()
		if err == nil && h.Typeflag == tar.TypeXGlobalHeader {
			text = h.PAXRecords[shardText]
		}
		return err
	})
	return text, err
}

// EachInTar calls visit with the files of a tar in order, to its end or an error of visit's.
func EachInTar(path string, visit func(name string, content io.Reader) error) error {
	var ended error
	err := readTar(path, func(r *tar.Reader) error {
		for {
			h, err := r.Next()
			if err != nil {
				return err
			}
			if h.Typeflag != tar.TypeReg {
				continue
			}
			if ended = visit(h.Name, r); ended != nil {
				return nil
			}
		}
	})
	return errors.Join(ended, err)
}

// readTar reads of a tar, perhaps to its end.
func readTar(path string, read func(*tar.Reader) error) error {
	f, err := openRegular(path)
	if err != nil {
		return &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	if err := read(tar.NewReader(f)); err != nil && !errors.Is(err, io.EOF) {
		return &Error{Path: path, Problem: "is not a whole tar", Err: err}
	}
	return nil
}
