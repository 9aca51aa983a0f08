package data

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// labelParser reads files of labels.
type labelParser struct {
	numbers bool     // labels are numbers, and not classes
	names   []string // of the numbers, where the file says
	places  bool     // they are those of images in their order, which have no names
}

// csv reads a table: columns of images and labels by the names in its first line, or
// two columns without names.
func (p *labelParser) csv(r io.Reader, tabs bool) (marks []mark, err error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.ReuseRecord, c.LazyQuotes = -1, true, true
	if tabs {
		c.Comma = '\t'
	}
	row, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	row[0] = strings.TrimPrefix(row[0], "\ufeff")
	if p.numbers {
		return p.table(c, slices.Clone(row))
	}
	image, label := column(row, imageColumns...), column(row, labelColumns...)
	switch named := image >= 0; {
	case named && label < 0 && len(row) == 2:
		label = 1 - image
	case named && label < 0 || !named && len(row) != 2:
		return nil, fmt.Errorf("its columns are %.200q; want one of names, such as file_name, and one called label", row)
	case !named:
		image, label = 0, 1
		marks = append(marks, mark{image: row[0], label: labelText(row[1])})
	}
	for len(marks) <= maxFiles {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return marks, nil
		}
		if err != nil {
			return nil, err
		}
		if max(image, label) >= len(row) {
			line, _ := c.FieldPos(0)
			return nil, fmt.Errorf("line %d has %d columns", line, len(row))
		}
		marks = append(marks, mark{image: strings.Clone(row[image]), label: strings.Clone(labelText(row[label]))})
	}
	return marks, nil
}

// json reads {"labels": [[image, label], …]} as EDM has it, {image: label, …}, a list
// of pairs or of objects, or such objects in lines.
func (p *labelParser) json(r io.Reader) ([]mark, error) {
	d := json.NewDecoder(r)
	first, err := d.Token()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch first {
	case json.Delim('['):
		return p.pairs(d)
	case json.Delim('{'):
		return p.objects(d)
	}
	return nil, errors.New(`want {"labels": [[image, label], …]}`)
}

// maxLabelValue bounds an image's label in JSON, in bytes.
const maxLabelValue = 1 << 20

// value reads one value.
func value(d *json.Decoder) (v any, err error) {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	if len(raw) > maxLabelValue {
		return nil, fmt.Errorf("a value of %d bytes; want a label", len(raw))
	}
	number := json.NewDecoder(bytes.NewReader(raw))
	number.UseNumber()
	err = number.Decode(&v)
	return v, err
}

// pairs reads the elements of a list.
func (p *labelParser) pairs(d *json.Decoder) (marks []mark, err error) {
	for d.More() && len(marks) <= maxFiles {
		element, err := value(d)
		if err != nil {
			return nil, err
		}
		m, err := p.element(element, len(marks))
		if err != nil {
			return nil, err
		}
		marks = append(marks, m)
	}
	_, err = d.Token()
	return marks, err
}

// element reads a pair or an object; of numbers also a label alone, of the image at its place.
func (p *labelParser) element(element any, place int) (mark, error) {
	switch e := element.(type) {
	case []any:
		if len(e) == 2 {
			if image, ok := e[0].(string); ok {
				return p.mark(image, e[1])
			}
		}
		if p.numbers {
			p.places = true
			return p.label(strconv.Itoa(place), e)
		}
	case json.Number:
		if p.numbers {
			p.places = true
			return p.label(strconv.Itoa(place), e)
		}
	case map[string]any:
		if image, ok := field(e, imageColumns).(string); ok {
			return p.mark(image, field(e, labelColumns))
		}
	}
	return mark{}, errors.New(`an element is no [image, label], nor {"file_name": …, "label": …}`)
}

// field of an object by the names that it goes by.
func field(object map[string]any, names []string) any {
	for _, n := range names {
		if v, ok := object[n]; ok {
			return v
		}
	}
	return nil
}

// mark takes a value of JSON as a label.
func (p *labelParser) mark(image string, label any) (mark, error) {
	if p.numbers {
		return p.label(image, label)
	}
	switch l := label.(type) {
	case nil:
		return mark{image: image}, nil
	case string:
		return mark{image: image, label: labelText(l)}, nil
	case bool:
		return mark{image: image, label: fmt.Sprint(l)}, nil
	case json.Number:
		if text := labelText(l.String()); !strings.ContainsAny(text, ".eE") {
			return mark{image: image, label: text}, nil
		}
	}
	return mark{}, &vectorError{image}
}

// objects reads the fields of an object, and of those that follow it.
func (p *labelParser) objects(d *json.Decoder) (marks []mark, err error) {
	for len(marks) <= maxFiles {
		fields := map[string]any{}
		for d.More() && len(fields) <= maxFiles {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			if key == "labels" && len(fields) == 0 {
				if marks, done, err := p.listed(d); done || err != nil {
					return marks, err
				}
				return nil, nil // null: there are no labels
			}
			if fields[key.(string)], err = value(d); err != nil {
				return nil, err
			}
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
		if image, ok := field(fields, imageColumns).(string); ok {
			m, err := p.mark(image, field(fields, labelColumns))
			if err != nil {
				return nil, err
			}
			marks = append(marks, m)
		} else {
			for image, label := range fields {
				m, err := p.mark(image, label)
				if err != nil {
					return nil, err
				}
				marks = append(marks, m)
			}
		}
		next, err := d.Token()
		if errors.Is(err, io.EOF) {
			return marks, nil
		}
		if err != nil || next != json.Delim('{') {
			return nil, errors.Join(err, errors.New("something follows that is no object"))
		}
	}
	return marks, nil
}

// listed reads the list that follows; done is false where it is null.
func (p *labelParser) listed(d *json.Decoder) (marks []mark, done bool, err error) {
	first, err := d.Token()
	switch {
	case err != nil:
		return nil, false, err
	case first == json.Delim('['):
		marks, err = p.pairs(d)
		return marks, true, err
	case first == nil:
		return nil, false, nil
	}
	return nil, false, errors.New(`"labels" is no list; want [[image, label], …], or null`)
}

// jsonLabel is the label of an object that says more of an image, "" if it says none.
func jsonLabel(text []byte) (string, error) {
	v, err := value(json.NewDecoder(bytes.NewReader(text)))
	if err != nil {
		return "", err
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return "", nil
	}
	m, err := (&labelParser{}).mark("", field(fields, labelColumns))
	if err != nil {
		return "", nil // several numbers: not a class
	}
	return m.label, nil
}
