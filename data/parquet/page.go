package parquet

import (
	"errors"
	"fmt"
	"io"
)

// Page is a page of a column: the values of some rows that follow each other.
type Page struct {
	First, Rows int64
	At          int64 // of its bytes, behind its header

	column     *Column
	codec      int64
	packed     int64 // bytes as stored
	bytes      int64 // unpacked
	encoding   int64
	second     bool  // of version 2: levels apart, and not packed
	levels     int64 // their bytes
	plain      bool  // of version 2: values are not packed
	dictionary *Page
}

// The kinds and encodings of pages.
const (
	dataPage       = 0
	dictionaryPage = 2
	dataPage2      = 3

	encodedPlain = 0
	encodedOld   = 2 // by a dictionary, as first written
	encodedNew   = 8
)

// headerBytes are read of a page for its header, more if it does not end in them.
var headerBytes = [...]int64{1 << 10, 64 << 10, 16 << 20}

// Pages reads the headers of a column's pages.
func (f *File) Pages(c *Column) (pages []*Page, err error) {
	if c.Repeated {
		return nil, fmt.Errorf("column %q holds lists, which are not read", c.Path)
	}
	for _, k := range c.chunks {
		if k.values != k.rows {
			return nil, fmt.Errorf("column %q has %d values in %d rows", c.Path, k.values, k.rows)
		}
		var dictionary *Page
		first, end := k.firstRow, k.at+k.bytes
		for at := k.at; at < end && first-k.firstRow < k.values; {
			head, n, err := f.header(at, end)
			if err != nil {
				return nil, fmt.Errorf("column %q: a page's header: %w", c.Path, err)
			}
			p := &Page{First: first, At: at + n, column: c, codec: k.codec, bytes: head.number(2), packed: head.number(3), dictionary: dictionary}
			if p.packed < 0 || p.bytes < 0 || max(p.packed, p.bytes) > maxPage || p.packed > end-p.At {
				return nil, fmt.Errorf("column %q: a page of %d bytes, unpacked %d, of %d that are left; want at most %d MiB", c.Path, p.packed, p.bytes, end-p.At, maxPage>>20)
			}
			switch kind := head.number(1); kind {
			case dataPage:
				h := head.of(5)
				p.Rows, p.encoding = h.number(1), h.number(2)
			case dataPage2:
				h := head.of(8)
				p.Rows, p.encoding, p.second, p.levels = h.number(1), h.number(4), true, h.number(5)
				packed, said := h[7].(int64)
				p.plain = said && packed == 0
				if h.number(6) != 0 || p.levels < 0 || p.levels > min(p.packed, p.bytes) {
					return nil, fmt.Errorf("column %q: a page with levels of %d bytes", c.Path, p.levels)
				}
			case dictionaryPage:
				h := head.of(7)
				p.Rows = h.number(1)
				dictionary = p
			default:
				p.Rows = 0
			}
			if p.Rows < 0 || p.Rows > MaxRows || p != dictionary && p.Rows > k.firstRow+k.values-first {
				return nil, fmt.Errorf("column %q: a page of %d values, more than there are", c.Path, p.Rows)
			}
			if p != dictionary && p.Rows > 0 {
				pages = append(pages, p)
				first += p.Rows
			}
			at = p.At + p.packed
		}
		if first-k.firstRow != k.values {
			return nil, fmt.Errorf("column %q: pages have %d of %d values", c.Path, first-k.firstRow, k.values)
		}
	}
	return pages, nil
}

// header reads that of a page, and says how many bytes it has.
func (f *File) header(at, end int64) (fields, int64, error) {
	for _, n := range headerBytes {
		b := make([]byte, min(n, end-at))
		if _, err := f.r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		c := compact{b: b}
		head, err := c.structure(0)
		if errors.Is(err, errShort) && int64(len(b)) < end-at {
			continue
		}
		return head, int64(c.at), err
	}
	return nil, 0, errors.New("it does not end")
}

// Values are those of a page: a value for each row, nil where there is none. They share
// memory with each other. Those of fixed width are little-endian.
func (f *File) Values(p *Page) ([][]byte, error) {
	dictionary, err := f.dictionary(p)
	if err != nil {
		return nil, fmt.Errorf("column %q: its dictionary: %w", p.column.Path, err)
	}
	list, err := f.values(p, dictionary)
	if err != nil {
		return nil, fmt.Errorf("column %q: rows %d to %d: %w", p.column.Path, p.First, p.First+p.Rows-1, err)
	}
	return list, nil
}

func (f *File) dictionary(p *Page) ([][]byte, error) {
	if p.encoding != encodedOld && p.encoding != encodedNew {
		return nil, nil
	}
	d := p.dictionary
	if d == nil {
		return nil, errors.New("it is not there")
	}
	b, err := f.unpacked(d)
	if err != nil {
		return nil, err
	}
	return plain(b, d.Rows, p.column.Type.width())
}

// unpacked reads the bytes of a page that is packed as a whole.
func (f *File) unpacked(p *Page) ([]byte, error) {
	b := make([]byte, p.packed)
	if _, err := f.r.ReadAt(b, p.At); err != nil {
		return nil, err
	}
	if !p.second {
		return unpack(p.codec, b, p.bytes)
	}
	if p.plain {
		return b, nil
	}
	values, err := unpack(p.codec, b[p.levels:], p.bytes-p.levels)
	return append(b[:p.levels:p.levels], values...), err
}

func (f *File) values(p *Page, dictionary [][]byte) ([][]byte, error) {
	b, err := f.unpacked(p)
	if err != nil {
		return nil, err
	}
	there, b, err := p.present(b)
	if err != nil {
		return nil, err
	}
	n := p.Rows
	if there != nil {
		n = 0
		for _, t := range there {
			if t {
				n++
			}
		}
	}
	var list [][]byte
	switch p.encoding {
	case encodedPlain:
		list, err = plain(b, n, p.column.Type.width())
	case encodedOld, encodedNew:
		list, err = chosen(b, n, dictionary)
	default:
		err = fmt.Errorf("values of encoding %d, which is not read; write them again, plain or with a dictionary", p.encoding)
	}
	if err != nil || there == nil {
		return list, err
	}
	spread := make([][]byte, p.Rows)
	for i, t := range there {
		if t {
			spread[i], list = list[0], list[1:]
		}
	}
	return spread, nil
}

// present says which rows have a value, nil if all have, and returns what follows.
func (p *Page) present(b []byte) ([]bool, []byte, error) {
	if p.column.depth == 0 {
		return nil, b[p.levels:], nil
	}
	var levels, rest []byte
	if p.second {
		levels, rest = b[:p.levels], b[p.levels:]
	} else {
		n, err := prefixed(b)
		if err != nil {
			return nil, nil, err
		}
		levels, rest = b[4:4+n], b[4+n:]
	}
	there := make([]bool, 0, p.Rows)
	err := runs(levels, bitsFor(p.column.depth), p.Rows, func(level uint32) error {
		there = append(there, int(level) == p.column.depth)
		return nil
	})
	return there, rest, err
}
