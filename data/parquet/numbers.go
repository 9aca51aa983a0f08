package parquet

import (
	"encoding/binary"
	"fmt"
	"math"
)

// ReadNumbers reads a column of numbers, a row at a time: one, or those of a list, of which most
// may be in a row. Where a row, or an element of its list, is null there are none. take must not
// keep what it is given.
func (f *File) ReadNumbers(c *Column, most int, take func(row int64, numbers []float64) error) error {
	if !c.Number || c.lists > 1 {
		return fmt.Errorf("column %q holds no numbers, nor lists of them", c.Path)
	}
	pages, err := f.pages(c)
	if err != nil {
		return err
	}
	r := rows{take: take, most: most, end: f.Rows, row: -1}
	for _, p := range pages {
		if err := f.numbers(p, &r); err != nil {
			return fmt.Errorf("column %q: %w", c.Path, err)
		}
	}
	if err := r.flush(); err != nil {
		return fmt.Errorf("column %q: %w", c.Path, err)
	}
	if r.row != f.Rows-1 {
		return fmt.Errorf("column %q has values of %d rows of %d", c.Path, r.row+1, f.Rows)
	}
	return nil
}

// rows gathers the values of rows; a list may go on from one page to the next.
type rows struct {
	take    func(row int64, numbers []float64) error
	most    int
	row     int64 // the last one that began
	end     int64
	numbers []float64
	null    bool // an element is
}

func (r *rows) flush() error {
	if r.row < 0 {
		return nil
	}
	if r.null {
		r.numbers = r.numbers[:0]
	}
	return r.take(r.row, r.numbers)
}

// begin begins the next row.
func (r *rows) begin() error {
	if err := r.flush(); err != nil {
		return err
	}
	if r.row++; r.row >= r.end {
		return fmt.Errorf("there are values of more than %d rows", r.end)
	}
	r.numbers, r.null = r.numbers[:0], false
	return nil
}

func (r *rows) add(c *Column, v []byte) error {
	if len(r.numbers) == r.most {
		return fmt.Errorf("row %d has more than %d numbers", r.row, r.most)
	}
	x := 0.0
	if r.null = r.null || v == nil; v != nil {
		x = c.number(v)
	}
	r.numbers = append(r.numbers, x)
	return nil
}

// numbers gives rows the values of a page.
func (f *File) numbers(p *Page, r *rows) error {
	dictionary, err := f.dictionary(p)
	if err != nil {
		return err
	}
	b, err := f.unpacked(p)
	if err != nil {
		return err
	}
	repeats, b, err := p.level(b, p.column.lists, p.repeats)
	if err != nil {
		return err
	}
	levels, b, err := p.level(b, p.column.depth, p.levels-p.repeats)
	if err != nil {
		return err
	}
	values, err := p.values(b, p.column.there(levels), dictionary)
	if err != nil {
		return err
	}
	for i, v := range values {
		if repeats == nil || repeats[i] == 0 {
			err = r.begin()
		} else if r.row < 0 {
			err = fmt.Errorf("its first row goes on with another")
		}
		if err == nil && (v != nil || int(levels[i]) >= p.column.listed) { // what is below is an empty list, or none
			err = r.add(p.column, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// number is a value as one.
func (c *Column) number(v []byte) float64 {
	switch c.Type {
	case Boolean:
		return float64(v[0])
	case Float:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v)))
	case Double:
		return math.Float64frombits(binary.LittleEndian.Uint64(v))
	case Int32:
		n := binary.LittleEndian.Uint32(v)
		if c.Unsigned {
			return float64(n)
		}
		return float64(int32(n))
	}
	n := binary.LittleEndian.Uint64(v)
	if c.Unsigned {
		return float64(n)
	}
	return float64(int64(n))
}
