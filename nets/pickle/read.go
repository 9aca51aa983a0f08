// Package pickle reads the tensors of PyTorch's files, .pth, .pt, .bin and .pkl: what
// torch.save wrote, today's and before 1.6, TorchScript archives, and dictionaries of
// numpy arrays. Nothing of a pickle is ever run: see fluxion/data/pickle.
package pickle

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"fluxion/data/pickle"
	"fluxion/nets/safetensors"
)

// File is an open file. Its tensors' bytes are not in memory, but for numpy's.
type File struct {
	Name    string
	Tensors []safetensors.Tensor // in the order of the file; within a dictionary or a module, names are joined by points

	r     io.ReaderAt
	views map[string]view
}

// view is where a tensor's numbers are.
type view struct {
	safetensors.Tensor
	at      io.ReaderAt
	from    int64 // byte of the first number
	strides []int64
}

// Open opens a file and reads what it says of its tensors.
func Open(path string) (*File, error) {
	f, size, err := safetensors.OpenFile(path)
	if err != nil {
		return nil, err
	}
	file, err := NewFile(f, size, path)
	if err != nil {
		f.Close()
	}
	return file, err
}

// legacyMagic is the number with which files of PyTorch before 1.6 begin, as LONG1 of protocol 2.
var legacyMagic = []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")

// NewFile reads from r, which holds size bytes; errors call it name.
func NewFile(r io.ReaderAt, size int64, name string) (*File, error) {
	f := &File{Name: name, r: r, views: map[string]view{}}
	head := make([]byte, min(size, int64(len(legacyMagic))))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), head); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var err error
	switch {
	case bytes.HasPrefix(head, []byte("PK")):
		err = f.archive(size)
	case bytes.Equal(head, legacyMagic):
		err = f.legacy(size)
	default:
		err = f.plain(size)
	}
	if err == nil && len(f.Tensors) == 0 {
		err = errors.New("holds no tensors")
	}
	if err != nil {
		return nil, &safetensors.FormatError{File: name, Problem: err.Error()}
	}
	return f, nil
}

// Close closes the file under it.
func (f *File) Close() error {
	if c, ok := f.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// archive reads a zip: the pickle in data.pkl, each storage an entry without compression.
func (f *File) archive(size int64) error {
	z, err := zip.NewReader(f.r, size)
	if err != nil {
		return fmt.Errorf("its zip directory cannot be read: %w", err)
	}
	entries := map[string]*zip.File{}
	root := ""
	for _, e := range z.File {
		entries[e.Name] = e
		if path.Base(e.Name) == "data.pkl" && strings.Count(e.Name, "/") <= 1 {
			root = path.Dir(e.Name)
		}
	}
	data := entries[path.Join(root, "data.pkl")]
	if data == nil {
		return errors.New("is a zip without data.pkl, so no file of PyTorch's")
	}
	if order := entries[path.Join(root, "byteorder")]; order != nil {
		if text, err := readEntry(order, 16); err != nil || strings.TrimSpace(string(text)) != "little" {
			return fmt.Errorf("byteorder is %.16q; want little", text)
		}
	}
	// stored is where an entry lies, and its bytes: no more than the file has.
	stored := func(e *zip.File) (at, bytes int64, err error) {
		at, err = e.DataOffset()
		bytes = int64(e.UncompressedSize64)
		switch {
		case err != nil:
		case e.Method != zip.Store:
			err = errors.New("is compressed, which PyTorch never does")
		case bytes < 0 || at > size-bytes:
			err = pickle.ErrShort
		}
		return at, bytes, err
	}
	at, bytes, err := stored(data)
	if err != nil {
		return fmt.Errorf("data.pkl: %w", err)
	}
	places := map[*pickle.Storage]int64{}
	made := map[string]*pickle.Storage{}
	value, err := pickle.Load(bufio.NewReader(io.NewSectionReader(f.r, at, bytes)), func(id any) (any, error) {
		s, err := pickle.StorageOf(id)
		if err != nil || made[s.Key] != nil {
			return again(made, s), err
		}
		e := entries[path.Join(root, "data", s.Key)]
		if e == nil {
			return nil, fmt.Errorf("storage %.40q is not in the archive", s.Key)
		}
		at, bytes, err := stored(e)
		if err != nil {
			return nil, fmt.Errorf("storage %.40q: %w", s.Key, err)
		}
		if s.Count > bytes/int64(pickle.Widths[s.Dtype]) {
			return nil, fmt.Errorf("storage %.40q has %d bytes of %d numbers of %s: the file was cut short", s.Key, bytes, s.Count, s.Dtype)
		}
		made[s.Key], places[s] = s, at
		return s, nil
	})
	if err != nil {
		return err
	}
	return f.name(value, places)
}

// again is a storage that was met before, by its number.
func again(made map[string]*pickle.Storage, s *pickle.Storage) any {
	if s == nil {
		return nil
	}
	return made[s.Key]
}

func readEntry(e *zip.File, most int64) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, most))
}

// counter counts the bytes that were taken from a file.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// legacy reads five pickles, one after the other: magic, version, system, the object,
// the keys of its storages; and then these, each a count and its numbers.
func (f *File) legacy(size int64) error {
	c := &counter{r: io.NewSectionReader(f.r, 0, size)}
	r := bufio.NewReader(c)
	made := map[string]*pickle.Storage{}
	places := map[*pickle.Storage]int64{}
	var values [5]any
	for i := range values {
		var err error
		values[i], err = pickle.Load(r, func(id any) (any, error) {
			s, err := pickle.StorageOf(id)
			if err != nil || made[s.Key] != nil {
				return again(made, s), err
			}
			made[s.Key] = s
			return s, nil
		})
		if err != nil {
			return err
		}
	}
	if values[1] != any(int64(1001)) {
		return fmt.Errorf("is of protocol %s; want 1001", pickle.Kind(values[1]))
	}
	keys, ok := values[4].(*pickle.List)
	if !ok {
		return fmt.Errorf("its storages are %s; want a list", pickle.Kind(values[4]))
	}
	at := c.n - int64(r.Buffered())
	for _, k := range keys.Items {
		key, _ := k.(string)
		s := made[key]
		if s == nil {
			return fmt.Errorf("storage %.40q belongs to no tensor", key)
		}
		var count [8]byte
		if _, err := io.ReadFull(io.NewSectionReader(f.r, at, 8), count[:]); err != nil {
			return pickle.ErrShort
		}
		bytes := s.Count * int64(pickle.Widths[s.Dtype])
		if n := binary.LittleEndian.Uint64(count[:]); n != uint64(s.Count) || s.Count > size || bytes > size-at-8 {
			return fmt.Errorf("storage %.40q has %d numbers of %d in %d bytes: the file was cut short", key, n, s.Count, size-at-8)
		}
		places[s] = at + 8
		at += 8 + bytes
	}
	for key, s := range made {
		if _, ok := places[s]; !ok {
			return fmt.Errorf("storage %.40q is not in the file", key)
		}
	}
	return f.name(values[3], places)
}

// plain reads a pickle of numpy arrays.
func (f *File) plain(size int64) error {
	value, err := pickle.Load(bufio.NewReader(io.NewSectionReader(f.r, 0, size)), func(any) (any, error) {
		return nil, errors.New("a storage outside of a file of PyTorch's")
	})
	if err != nil {
		return fmt.Errorf("%w; want a file that torch.save wrote, or a pickle of arrays", err)
	}
	return f.name(value, nil)
}
