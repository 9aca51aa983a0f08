// Package parquet reads columns of parquet files, a page at a time: what sets of images
// are stored as. Headers of pages are read once, so a row is found without those before
// it; nothing larger than what a header's file can hold is made.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Type of a column's values.
type Type int64

// The types that are read; others are of no image and of no label.
const (
	Boolean   Type = 0
	Int32     Type = 1
	Int64     Type = 2
	Float     Type = 4
	Double    Type = 5
	ByteArray Type = 6
)

// width of a value, in bytes; 0 if each has its own, −1 if it is not read.
func (t Type) width() int {
	switch t {
	case Boolean: // as unpacked from its bit
		return 1
	case Int32, Float:
		return 4
	case Int64, Double:
		return 8
	case ByteArray:
		return 0
	}
	return -1
}

// Column is a column of all row groups.
type Column struct {
	Path     string // within structs joined by points
	Type     Type
	Unsigned bool // of integers
	Number   bool // its values are numbers, not dates or what else is written as such
	Repeated bool // its rows are lists, which ReadNumbers alone reads

	depth  int // definition level of a value that is there
	lists  int // lists that a value lies in
	listed int // definition level of an element, there or not, of the innermost
	chunks []chunk
}

// chunk is a column of a row group.
type chunk struct {
	codec            int64
	at               int64 // first page
	bytes            int64 // of all pages, as they are stored
	values, firstRow int64
	rows             int64 // of the group
}

// File is an open file.
type File struct {
	Rows    int64
	Columns []*Column
	Meta    map[string]string // what its writer says of it

	r    io.ReaderAt
	size int64
}

// Limits of a file.
const (
	MaxRows     = 10_000_000
	maxValues   = 1 << 28 // of a column of lists
	maxFooter   = 64 << 20
	longestName = 1 << 10
	maxPage     = 256 << 20 // of a page, also unpacked
)

const magic = "PAR1"

// NewFile reads the footer of a file of so many bytes.
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	var tail [8]byte
	if size < 12 {
		return nil, errShort
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(tail[4:]) == "PARE" {
		return nil, errors.New("it is encrypted")
	}
	if string(tail[4:]) != magic {
		return nil, errors.New("it does not end as a parquet file does: it was cut short, or is none")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > size-12 || n > maxFooter {
		return nil, fmt.Errorf("its footer has %d of %d bytes; want at most %d MiB", n, size, maxFooter>>20)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-8-n); err != nil {
		return nil, err
	}
	meta, err := (&compact{b: footer}).structure(0)
	if err != nil {
		return nil, fmt.Errorf("its footer cannot be read: %w", err)
	}
	f := &File{Rows: meta.number(3), Meta: map[string]string{}, r: r, size: size}
	if f.Rows < 0 || f.Rows > MaxRows {
		return nil, fmt.Errorf("it has %d rows; want at most %d", f.Rows, MaxRows)
	}
	for _, pair := range meta.list(5) {
		if p, ok := pair.(fields); ok {
			f.Meta[p.text(1)] = p.text(2)
		}
	}
	if err := f.schema(meta.list(2)); err != nil {
		return nil, err
	}
	return f, f.rowGroups(meta.list(4))
}

// schema finds the columns: the leaves of a tree that is listed depth first.
func (f *File) schema(list []any) error {
	if len(list) == 0 {
		return errors.New("it has no schema")
	}
	at := 1
	var walk func(children int64, path []string, depth, lists, listed int) error
	walk = func(children int64, path []string, depth, lists, listed int) error {
		if len(path) > deepest {
			return errDeep
		}
		for range children {
			if at >= len(list) {
				return errShort
			}
			e, _ := list[at].(fields)
			at++
			name, below, within, element := e.text(4), depth, lists, listed
			switch e.number(3) {
			case 1: // optional
				below++
			case 2: // repeated
				below, within = below+1, within+1
				element = below
			}
			here := append(path[:len(path):len(path)], name)
			if len(name) > longestName {
				return fmt.Errorf("a column has a name of %d bytes; want at most %d", len(name), longestName)
			}
			if n := e.number(5); n > 0 {
				if err := walk(n, here, below, within, element); err != nil {
					return err
				}
				continue
			}
			kind, there := e[1].(int64)
			if !there {
				kind = -1
			}
			c := &Column{Path: strings.Join(here, "."), Type: Type(kind), Repeated: within > 0, depth: below, lists: within, listed: element}
			c.Number, c.Unsigned = numeric(c.Type, e)
			f.Columns = append(f.Columns, c)
		}
		return nil
	}
	root, _ := list[0].(fields)
	return walk(root.number(5), nil, 0, 0, 0)
}

// numeric says whether values of a type are numbers by what the schema says besides of a column:
// dates, times and decimals are integers, too.
func numeric(t Type, e fields) (number, unsigned bool) {
	const firstUnsigned, firstSigned, last = 11, 15, 18 // ConvertedType
	const integer = 10                                  // LogicalType
	switch t {
	case Boolean, Float, Double:
		return true, false
	case Int32, Int64:
	default:
		return false, false
	}
	as, said := e[6].(int64)
	if said && (as < firstUnsigned || as > last) {
		return false, false
	}
	if logical := e.of(10); len(logical) > 0 && logical[integer] == nil {
		return false, false
	}
	return true, said && as < firstSigned
}

func (f *File) rowGroups(list []any) error {
	rows := int64(0)
	for _, g := range list {
		group, _ := g.(fields)
		columns := group.list(1)
		if len(columns) != len(f.Columns) {
			return fmt.Errorf("a row group has %d columns of %d", len(columns), len(f.Columns))
		}
		n := group.number(3)
		if n < 0 || n > f.Rows-rows {
			return fmt.Errorf("row groups have more than the %d rows", f.Rows)
		}
		for i, c := range columns {
			column, _ := c.(fields)
			meta := column.of(3)
			if column.text(1) != "" {
				return errors.New("its columns lie in other files")
			}
			at := meta.number(9)
			if d := meta.number(11); d > 0 && d < at {
				at = d
			}
			k := chunk{codec: meta.number(4), at: at, bytes: meta.number(7), values: meta.number(5), firstRow: rows, rows: n}
			if k.at < 4 || k.bytes < 0 || k.at > f.size-k.bytes || k.values < 0 {
				return fmt.Errorf("column %q lies outside of the file", f.Columns[i].Path)
			}
			f.Columns[i].chunks = append(f.Columns[i].chunks, k)
		}
		rows += n
	}
	if rows != f.Rows {
		return fmt.Errorf("row groups have %d of %d rows", rows, f.Rows)
	}
	return nil
}

// Find returns the column of a path, nil if there is none.
func (f *File) Find(path string) *Column {
	for _, c := range f.Columns {
		if c.Path == path {
			return c
		}
	}
	return nil
}
