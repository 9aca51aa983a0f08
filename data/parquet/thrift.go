package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Thrift's compact protocol, as far as parquet needs it. Values are int64, []byte,
// []any and fields; what is a bool is 0 or 1, what is a double is left out.

// fields are those of a struct, by number.
type fields map[int16]any

func (f fields) number(id int16) int64 {
	n, _ := f[id].(int64)
	return n
}

func (f fields) text(id int16) string {
	b, _ := f[id].([]byte)
	return string(b)
}

func (f fields) list(id int16) []any {
	l, _ := f[id].([]any)
	return l
}

func (f fields) of(id int16) fields {
	s, _ := f[id].(fields)
	return s
}

var (
	errShort = errors.New("it ends in the middle")
	errDeep  = errors.New("its values lie in each other too deep")
)

const deepest = 24

// mostValues is more than files of many columns and row groups say of themselves.
const mostValues = 2 << 20

// compact reads values from the beginning of b. Whatever lengths are announced, no more is
// made than there are bytes, nor than mostValues.
type compact struct {
	b    []byte
	at   int
	made int // values
}

func (c *compact) byte() (byte, error) {
	if c.at >= len(c.b) {
		return 0, errShort
	}
	c.at++
	return c.b[c.at-1], nil
}

func (c *compact) unsigned() (uint64, error) {
	n, width := binary.Uvarint(c.b[c.at:])
	if width == 0 {
		return 0, errShort
	}
	if width < 0 {
		return 0, errors.New("a number is too large")
	}
	c.at += width
	return n, nil
}

func (c *compact) zigzag() (int64, error) {
	n, err := c.unsigned()
	return int64(n>>1) ^ -int64(n&1), err
}

func (c *compact) bytes(n uint64) ([]byte, error) {
	if n > uint64(len(c.b)-c.at) {
		return nil, errShort
	}
	c.at += int(n)
	return c.b[c.at-int(n) : c.at], nil
}

// structure reads a struct to its end.
func (c *compact) structure(depth int) (fields, error) {
	if depth > deepest {
		return nil, errDeep
	}
	f := fields{}
	id := int16(0)
	for {
		head, err := c.byte()
		if err != nil || head == 0 {
			return f, err
		}
		if delta := head >> 4; delta != 0 {
			id += int16(delta)
		} else {
			n, err := c.zigzag()
			if err != nil {
				return nil, err
			}
			id = int16(n)
		}
		v, err := c.value(head&15, depth, false)
		if err != nil {
			return nil, err
		}
		f[id] = v
	}
}

// The types of the protocol.
const (
	isTrue = iota + 1
	isFalse
	isByte
	isI16
	isI32
	isI64
	isDouble
	isBinary
	isList
	isSet
	isMap
	isStruct
)

func (c *compact) value(kind byte, depth int, inList bool) (any, error) {
	if c.made++; c.made > mostValues {
		return nil, fmt.Errorf("it says more than %d things of itself", mostValues)
	}
	switch kind {
	case isTrue, isFalse:
		if inList { // there a bool has its own byte
			b, err := c.byte()
			return int64(b & 1), err
		}
		return int64(2 - kind), nil
	case isByte:
		b, err := c.byte()
		return int64(int8(b)), err
	case isI16, isI32, isI64:
		return c.zigzag()
	case isDouble:
		_, err := c.bytes(8)
		return nil, err
	case isBinary:
		n, err := c.unsigned()
		if err != nil {
			return nil, err
		}
		return c.bytes(n)
	case isList, isSet:
		return c.listed(depth + 1)
	case isStruct:
		return c.structure(depth + 1)
	}
	return nil, fmt.Errorf("a value of type %d", kind)
}

func (c *compact) listed(depth int) (any, error) {
	if depth > deepest {
		return nil, errDeep
	}
	head, err := c.byte()
	if err != nil {
		return nil, err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = c.unsigned(); err != nil {
			return nil, err
		}
	}
	if n > uint64(len(c.b)-c.at) { // an element has a byte or more
		return nil, errShort
	}
	list := []any{}
	for range n {
		v, err := c.value(head&15, depth, true)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}
