// Package pyjson reads and writes JSON as Python's json module does and as the
// configuration files of diffusers are laid out: whole numbers and floats are
// kept apart, NaN and ±Infinity are numbers, and the bytes written are those of
// json.dumps(value, indent=2, sort_keys=True) + "\n".
//
// A value is nil, bool, string, int64, float64, []any or map[string]any; an int
// can be written too.
package pyjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Unmarshal reads one JSON object. Errors are *Error.
func Unmarshal(data []byte) (map[string]any, error) {
	quoted := quoteNonFinite(data)
	d := json.NewDecoder(bytes.NewReader(quoted))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, explain(quoted, err, "an object")
	}
	if object == nil {
		return nil, &Error{Problem: "is null, want an object"}
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, &Error{Problem: "goes on behind the closing brace"}
	}
	return numbers(object).(map[string]any), nil
}

// Go's decoder refuses Python's three non-finite numbers; they pass it as
// strings that no configuration has.
var nonFinite = []struct {
	literal string
	value   float64
}{{"-Infinity", math.Inf(-1)}, {"Infinity", math.Inf(1)}, {"NaN", math.NaN()}}

const mark = "\x00number:"

func quoteNonFinite(data []byte) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(data); i++ {
		if data[i] == '"' {
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			continue
		}
		for _, n := range nonFinite {
			if bytes.HasPrefix(data[i:], []byte(n.literal)) {
				out = append(append(out, data[done:i]...), `"\u0000number:`+n.literal+`"`...)
				i += len(n.literal) - 1
				done = i + 1
				break
			}
		}
	}
	return append(out, data[done:]...)
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64() // beyond the range it is ±Inf, as in Python
		return f
	case string:
		for _, n := range nonFinite {
			if v == mark+n.literal {
				return n.value
			}
		}
	}
	return v
}

// Marshal writes an object. It panics on a type that is not a value of this
// package, which is a mistake in the program.
func Marshal(object map[string]any) []byte {
	return append(appendValue(nil, object, "\n"), '\n')
}

func appendValue(b []byte, v any, newline string) []byte {
	inner := newline + "  "
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return append(b, Repr(v)...)
	case string:
		return appendString(b, v)
	case []any:
		if len(v) == 0 {
			return append(b, "[]"...)
		}
		for i, e := range v {
			b = append(append(b, "[,"[min(i, 1)]), inner...)
			b = appendValue(b, e, inner)
		}
		return append(append(b, newline...), ']')
	case map[string]any:
		if len(v) == 0 {
			return append(b, "{}"...)
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			b = append(append(b, "{,"[min(i, 1)]), inner...)
			b = append(appendString(b, k), ": "...)
			b = appendValue(b, v[k], inner)
		}
		return append(append(b, newline...), '}')
	}
	panic(fmt.Sprintf("pyjson: no JSON for a %T", v))
}

// Repr writes a float as Python does: the shortest digits that read back the
// same, an exponent below 1e-4 and from 1e16 on, and always a point or exponent.
func Repr(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 0):
		return strings.TrimPrefix(strconv.FormatFloat(x, 'f', -1, 64), "+") + "inity"
	case x != 0 && (math.Abs(x) < 1e-4 || math.Abs(x) >= 1e16):
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

var escapes = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\f': `\f`, '\b': `\b`}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch e := escapes[r]; {
		case e != "":
			b = append(b, e...)
		case r >= ' ' && r <= '~':
			b = append(b, byte(r))
		case r >= 0x10000:
			hi, lo := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, hi, lo)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return append(b, '"')
}
