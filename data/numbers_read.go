package data

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// ReadNumbers reads a file of labels that are numbers, in its order, whatever images it
// names: a line each of a table, without a column of names, too; or the elements of a list.
func ReadNumbers(path string) (*Numbers, error) {
	r, err := openLabels(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	parse := &labelParser{numbers: true}
	marks, err := parse.read(path, r)
	if err != nil {
		return nil, asData(err, path)
	}
	n, err := newNumbers(parse.names, marks)
	return n, asData(err, path)
}

// numbersOfFile are those of a file for the images of a set.
func numbersOfFile(file string, d Dataset) (*Numbers, []string, error) {
	r, err := openLabels(file)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	return matchNumbers(file, r, d)
}

// matchNumbers gives the images of a set the numbers that a file has of them: in their order,
// where it names none.
func matchNumbers(file string, r io.Reader, d Dataset) (n *Numbers, notes []string, err error) {
	parse := &labelParser{numbers: true}
	marks, err := parse.read(file, r)
	switch {
	case err != nil:
		return nil, nil, err
	case !parse.places:
		marks, notes, err = matchMarks(marks, d.Len(), func(i int) string { return NameOf(d, i) })
	case len(marks) != d.Len():
		err = fmt.Errorf("names no images, and has %s for %s; want as many, or a column such as file_name", count(len(marks), "label"), count(d.Len(), "image"))
	}
	if err != nil {
		return nil, nil, err
	}
	n, err = newNumbers(parse.names, marks)
	return n, notes, err
}

// row takes the columns of a table beside that of images as numbers; where one is empty the
// image has none.
func (p *labelParser) row(row []string, image int) (mark, error) {
	m := mark{}
	for i, cell := range row {
		cell = strings.TrimSpace(cell)
		switch {
		case i == image:
			m.image = strings.Clone(cell)
			continue
		case cell == "":
			return mark{image: m.image}, nil
		}
		v, err := strconv.ParseFloat(cell, 64)
		x, ok := number(v)
		if err != nil || !ok {
			return m, fmt.Errorf("has %.40q in column %d; want columns of numbers beside that of names", cell, 1+i)
		}
		m.numbers = append(m.numbers, x)
	}
	return m, nil
}

// table reads a table of numbers: a column of names, if there is one, and others of numbers,
// which are called what the first line says, if it says no numbers itself.
func (p *labelParser) table(c *csv.Reader, first []string) (marks []mark, err error) {
	image := column(first, imageColumns...)
	said := func(cell string) bool { _, err := strconv.ParseFloat(strings.TrimSpace(cell), 64); return err == nil }
	switch {
	case image < 0 && (len(first) == 1 || said(first[0])): // numbers alone
		p.places = true
	case image < 0:
		image = 0
	}
	if slices.ContainsFunc(slices.Delete(slices.Clone(first), max(image, 0), image+1), said) {
		return p.rows(c, first, image)
	}
	if i := slices.Index(first, ""); i >= 0 {
		return nil, fmt.Errorf("has no name for column %d in its first line; want names for all, or none", 1+i)
	}
	p.names = slices.Delete(first, max(image, 0), image+1)
	return p.rows(c, nil, image)
}

// rows reads the lines of a table; first is one of them that was read, or nil.
func (p *labelParser) rows(c *csv.Reader, first []string, image int) (marks []mark, err error) {
	for len(marks) <= maxFiles {
		row := first
		if first = nil; row == nil {
			if row, err = c.Read(); errors.Is(err, io.EOF) {
				return marks, nil
			}
			if err != nil {
				return nil, err
			}
		}
		m, err := p.row(row, image)
		line, _ := c.FieldPos(0)
		if err == nil && p.names != nil && len(m.numbers) > 0 && len(m.numbers) != len(p.names) {
			err = fmt.Errorf("has %d numbers for %d columns", len(m.numbers), len(p.names))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d %w", line, err)
		}
		if image < 0 {
			m.image = strconv.Itoa(len(marks))
		}
		marks = append(marks, m)
	}
	return marks, nil
}

// label takes a value of JSON as numbers: one, a list of them, or null.
func (p *labelParser) label(image string, label any) (mark, error) {
	m := mark{image: image}
	list, ok := label.([]any)
	if !ok && label != nil {
		list = []any{label}
	}
	for _, e := range list {
		v := 0.0
		switch e := e.(type) {
		case bool:
			if e {
				v = 1
			}
		case json.Number:
			v, _ = e.Float64() // of what is too large an infinity
		default:
			return m, fmt.Errorf("has the label %.60q of %.60q; want a number, or a list of numbers", fmt.Sprint(label), image)
		}
		x, ok := number(v)
		if !ok {
			return m, fmt.Errorf("has %v of %.60q; want numbers of float32", e, image)
		}
		m.numbers = append(m.numbers, x)
	}
	return m, nil
}

// isNumbers cuts the prefix of labels that are numbers from a value of Options.Labels.
func isNumbers(labels string) (file string, ok bool) {
	if labels == NumberLabels {
		return "", true
	}
	return strings.CutPrefix(labels, NumberLabels+":")
}
