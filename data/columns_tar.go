package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// toldBy is what a file of a sample tells of it: its column, or, of a .json, −1 for all that its
// fields are; ok is false where it tells nothing that is asked for.
func (c *columnNumbers) toldBy(ending string) (column int, ok bool) {
	if ending == ".json" {
		return -1, true
	}
	if c.columns == nil {
		return 0, ending == ".cls"
	}
	name := strings.TrimPrefix(ending, ".")
	for i, column := range c.columns {
		if rest, cut := strings.CutPrefix(name, column); cut && slices.Contains([]string{"", ".txt", ".cls", ".npy"}, rest) {
			return i, true
		}
	}
	if ext := path.Ext(name); ext == ".npy" || ext == ".txt" || ext == ".cls" || name == "cls" || name == "npy" {
		c.see(name)
	}
	return 0, false
}

// sample is what is told of a sample: a list of numbers for each column, nil where there is none.
type sample [][]float32

// mark is all of it, no numbers where a column has none.
func (s sample) mark() (m mark) {
	for _, of := range s {
		if of == nil {
			return mark{}
		}
		m.numbers = append(m.numbers, of...)
	}
	return m
}

// newColumnNumbers are columns of a WebDataset: those asked for, or that of the labels.
func newColumnNumbers(columns []string) *columnNumbers {
	c := &columnNumbers{columns: columns, called: columns}
	if columns == nil {
		c.called = labelColumns[:1]
	}
	c.widths = make([]int, len(c.called))
	return c
}

// ofSamples are the numbers of pictures by what was told of their samples.
func (c *columnNumbers) ofSamples(f *files, told map[string]sample) (*Numbers, error) {
	for i, n := range c.widths {
		if n == 0 {
			return nil, c.missing(c.called[i])
		}
	}
	images := make([]mark, len(f.entries))
	for i, e := range f.entries {
		images[i] = told[key(e.path)].mark()
	}
	return c.numbers(f, images)
}

// tell takes what a file of a sample tells of it: a number, or some with spaces or commas between,
// an array of NumPy, or fields of JSON.
func (c *columnNumbers) tell(s sample, column int, name string, text []byte) error {
	if column < 0 {
		return c.tellFields(s, text)
	}
	if bytes.HasPrefix(text, []byte(npyMagic)) {
		values, err := smallArray(name, text)
		if err == nil {
			s[column], err = finite(values, nil)
		}
		if err == nil {
			err = c.width(column, len(s[column]))
		}
		return err
	}
	var values []float64
	for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' }) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil || len(values) == maxNumbers {
			return fmt.Errorf("has %.40q; want a number, or at most %d", word, maxNumbers)
		}
		values = append(values, v)
	}
	of, err := finite(values, nil)
	if err != nil {
		return err
	}
	s[column] = of
	return c.width(column, len(of))
}

// tellFields takes those fields of an object that are asked for, unless a file told them.
func (c *columnNumbers) tellFields(s sample, text []byte) error {
	v, err := value(json.NewDecoder(bytes.NewReader(text)))
	if err != nil {
		return fmt.Errorf("is no JSON of a sample: %w", err)
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	parse := labelParser{numbers: true}
	for name, v := range fields {
		column := slices.Index(c.wanted(), name)
		if column < 0 {
			if _, err := parse.label("", v); err == nil && v != nil {
				c.see(name)
			}
			continue
		}
		if c.columns == nil {
			if column > slices.IndexFunc(labelColumns, func(n string) bool { return fields[n] != nil }) {
				continue
			}
			column = 0
		}
		m, err := parse.label(name, v)
		if err != nil {
			return err
		}
		if s[column] == nil {
			s[column] = m.numbers
		}
		if err := c.width(column, len(m.numbers)); err != nil {
			return err
		}
	}
	return nil
}

// smallArray are the elements of an array of NumPy.
func smallArray(name string, text []byte) (values []float64, err error) {
	r := bytes.NewReader(text)
	h, err := readNpyHeader(name, r)
	if err != nil {
		return nil, err
	}
	n, ok := h.elements()
	if !ok || n > maxNumbers || n*int64(h.size) != int64(r.Len()) {
		return nil, fmt.Errorf("has an array of shape %s in %d bytes; want one of at most %d numbers", h.shapeText(), r.Len(), maxNumbers)
	}
	for at := h.bytes; len(values) < int(n); at += int64(h.size) {
		if h.kind == 'f' {
			values = append(values, h.float(text[at:]))
			continue
		}
		whole, ok := h.integer(text[at:])
		if !ok {
			return nil, errors.New("holds a number that is too large")
		}
		values = append(values, float64(whole))
	}
	return values, nil
}
