package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"fluxion/data/stable"
	"fluxion/nets/pyjson"
)

// parseHeader reads the JSON of a header whose file has this many data bytes.
func parseHeader(file string, header []byte, data int64) ([]Tensor, map[string]string, error) {
	fault := func(tensor, format string, args ...any) error {
		return &FormatError{file, tensor, fmt.Sprintf(format, args...)}
	}
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, fault("", "the header does not begin with {")
	}
	var tensors []Tensor
	var metadata map[string]string
	seen := map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(header))
	d.Token() // the brace
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, nil, fault("", "the header is not JSON: %s", pyjson.Explain(err))
		}
		name, _ := key.(string)
		if seen[name] {
			return nil, nil, fault(name, "is there twice, want unique names")
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := d.Decode(&metadata); err != nil {
				return nil, nil, fault("", "__metadata__ is not an object of strings: %s", pyjson.Explain(err))
			}
			continue
		}
		var entry struct {
			Dtype   *Dtype  `json:"dtype"`
			Shape   *[]int  `json:"shape"`
			Offsets []int64 `json:"data_offsets"`
		}
		if err := d.Decode(&entry); err != nil {
			return nil, nil, fault(name, "its header entry cannot be read: %s", pyjson.Explain(err))
		}
		if entry.Dtype == nil || entry.Shape == nil || len(entry.Offsets) != 2 {
			return nil, nil, fault(name, "its header entry lacks dtype, shape or two data_offsets")
		}
		t := Tensor{Name: name, Dtype: *entry.Dtype, Shape: *entry.Shape, offset: entry.Offsets[0]}
		if t.Dtype.rank() < 0 {
			return nil, nil, fault(name, "has the unknown dtype %q", t.Dtype)
		}
		if _, ok := t.elements(); !ok {
			return nil, nil, fault(name, "has the impossible shape %v", t.Shape)
		}
		if !t.whole() {
			return nil, nil, fault(name, "is %s%v, which does not fill its last byte", t.Dtype, t.Shape)
		}
		if begin, end := entry.Offsets[0], entry.Offsets[1]; begin < 0 || end < begin || end-begin != t.Size() {
			return nil, nil, fault(name, "has data_offsets [%d,%d], want %d bytes for %s%v", begin, end, t.Size(), t.Dtype, t.Shape)
		}
		tensors = append(tensors, t)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, fault("", "the header is not JSON: %s", pyjson.Explain(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, fault("", "the header goes on behind its closing brace, want spaces only")
	}
	if err := tile(tensors, data, fault); err != nil {
		return nil, nil, err
	}
	return tensors, metadata, nil
}

// tile sorts tensors by offset and checks that they cover the data exactly.
func tile(tensors []Tensor, data int64, fault func(tensor, format string, args ...any) error) error {
	// Of two with the same offset one is empty and comes first.
	stable.Sort(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.Size(), b.Size()))
	})
	end := int64(0)
	for _, t := range tensors {
		switch {
		case t.offset < end:
			return fault(t.Name, "begins at byte %d of the data, inside the tensor before it, which ends at %d", t.offset, end)
		case t.offset > end:
			return fault(t.Name, "begins at byte %d of the data, which leaves a hole after %d", t.offset, end)
		case t.Size() > data-end:
			return fault(t.Name, "ends at byte %d of the data, but the file has only %d: it was cut short", end+t.Size(), data)
		}
		end += t.Size()
	}
	if end != data {
		return fault("", "has %d bytes of data, but its tensors end at %d", data, end)
	}
	return nil
}

// layOut sorts tensors as the reference implementation does, widest type first,
// then by name, and gives them their offsets.
func layOut(tensors []Tensor) ([]Tensor, int64) {
	tensors = slices.Clone(tensors)
	stable.Sort(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.Dtype.rank(), a.Dtype.rank()), cmp.Compare(a.Name, b.Name))
	})
	end := int64(0)
	for i := range tensors {
		tensors[i].offset = end
		end += tensors[i].Size()
	}
	return tensors, end
}

// header writes the header of tensors that were laid out, with its length in
// front and spaces up to a multiple of eight behind.
func header(tensors []Tensor, metadata map[string]string) []byte {
	b := append(make([]byte, 8, 8+128*(len(tensors)+1)), '{')
	if metadata != nil {
		b = append(b, `"__metadata__":{`...)
		keys := make([]string, 0, len(metadata))
		for k := range metadata {
			keys = append(keys, k)
		}
		slices.Sort(keys) // the reference leaves the order to its hash map
		for i, k := range keys {
			b = appendString(separate(b, i), k)
			b = appendString(append(b, ':'), metadata[k])
		}
		b = append(b, '}')
	}
	for i, t := range tensors {
		if i > 0 || metadata != nil {
			b = append(b, ',')
		}
		b = appendString(b, t.Name)
		b = fmt.Appendf(b, `:{"dtype":"%s","shape":[`, t.Dtype)
		for j, n := range t.Shape {
			b = fmt.Appendf(separate(b, j), "%d", n)
		}
		b = fmt.Appendf(b, `],"data_offsets":[%d,%d]}`, t.offset, t.offset+t.Size())
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	putLength(b, len(b)-8)
	return b
}

func separate(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

// appendString quotes as Rust's serde_json does: only what JSON demands.
func appendString(b []byte, s string) []byte {
	short := map[byte]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}
	b = append(b, '"')
	for i := range len(s) {
		if e, ok := short[s[i]]; ok {
			b = append(b, '\\', e)
		} else if s[i] < ' ' {
			b = fmt.Appendf(b, `\u%04x`, s[i])
		} else {
			b = append(b, s[i])
		}
	}
	return append(b, '"')
}
