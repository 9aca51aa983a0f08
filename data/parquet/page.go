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
	repeats    int64 // of them those of repetition, which come first
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
	encodedRuns  = 3
	encodedNew   = 8
)

// headerBytes are read of a page for its header, more if it does not end in them.
var headerBytes = [...]int64{1 << 10, 64 << 10, 16 << 20}

// Pages reads the headers of a column's pages.
func (f *File) Pages(c *Column) (pages []*Page, err error) {
	if c.Repeated {
		return nil, fmt.Errorf("column %q holds lists, where one value of each row is wanted", c.Path)
	}
	return f.pages(c)
}

// pages are those of a column of any kind; in one of lists First and Rows count values.
func (f *File) pages(c *Column) (pages []*Page, err error) {
	total := int64(0)
	for _, k := range c.chunks {
		if k.values != k.rows && !c.Repeated {
			return nil, fmt.Errorf("column %q has %d values in %d rows", c.Path, k.values, k.rows)
		}
		if total += k.values; k.values > maxValues || total > maxValues {
			return nil, fmt.Errorf("column %q has more than %d values", c.Path, maxValues)
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
				p.Rows, p.encoding, p.second, p.repeats = h.number(1), h.number(4), true, h.number(6)
				p.levels = h.number(5) + p.repeats
				packed, said := h[7].(int64)
				p.plain = said && packed == 0
				if p.repeats < 0 || p.repeats > 0 && !c.Repeated || p.levels < p.repeats || p.levels > min(p.packed, p.bytes) {
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
	levels, b, err := p.level(b, p.column.depth, p.levels)
	if err != nil {
		return nil, err
	}
	return p.values(b, p.column.there(levels), dictionary)
}

// values are those of what follows the levels of a page, nil where none is there.
func (p *Page) values(b []byte, there []bool, dictionary [][]byte) (list [][]byte, err error) {
	n := p.Rows
	if there != nil {
		n = 0
		for _, t := range there {
			if t {
				n++
			}
		}
	}
	switch kind := p.column.Type; {
	case kind == Boolean && (p.encoding == encodedPlain || p.encoding == encodedRuns):
		list, err = bools(b, n, p.encoding == encodedRuns)
	case p.encoding == encodedPlain:
		list, err = plain(b, n, kind.width())
	case p.encoding == encodedOld || p.encoding == encodedNew:
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

// level reads the levels of a page up to the largest, nil if that is 0, and returns what follows.
// In a page of version 2 they have so many bytes.
func (p *Page) level(b []byte, largest int, size int64) (levels, rest []byte, err error) {
	if largest == 0 {
		return nil, b[size:], nil
	}
	if !p.second {
		if size, err = prefixed(b); err != nil {
			return nil, nil, err
		}
		b = b[4:]
	}
	levels = make([]byte, 0, p.Rows)
	err = runs(b[:size], bitsFor(largest), p.Rows, func(level uint32) error {
		levels = append(levels, byte(level))
		return nil
	})
	return levels, b[size:], err
}

// there says which values are, nil if all are.
func (c *Column) there(levels []byte) []bool {
	if levels == nil {
		return nil
	}
	there := make([]bool, len(levels))
	for i, l := range levels {
		there[i] = int(l) == c.depth
	}
	return there
}
