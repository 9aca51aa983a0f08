package scheduler

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// python writes a value as Python's json.dumps with indent 2 does, one level
// down: floats keep a point or an exponent, infinities are words.
func python(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "null"
		}
		return python(v.Elem())
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Float64:
		return pythonFloat(v.Float())
	case reflect.Slice:
		if v.IsNil() {
			return "null"
		}
		if v.Len() == 0 {
			return "[]"
		}
		items := make([]string, v.Len())
		for i := range items {
			items[i] = "    " + python(v.Index(i))
		}
		return "[\n" + strings.Join(items, ",\n") + "\n  ]"
	default: // int, bool
		return fmt.Sprint(v.Interface())
	}
}

func pythonFloat(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	case math.IsNaN(v):
		return "NaN"
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e16) {
		format = 'e'
	}
	s := strconv.FormatFloat(v, format, -1, 64)
	if format == 'f' && !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// infinity stands for Python's Infinity in JSON: the nearest number that JSON
// can say, which readFloats turns back.
const infinity = "1.7976931348623157e308"

// json replaces what Python writes and JSON lacks, outside of strings: the
// infinities by the largest numbers, NaN by null.
func withoutInfinities(data []byte) []byte {
	var out bytes.Buffer
	for len(data) > 0 {
		switch {
		case data[0] == '"':
			end := 1
			for end < len(data) && data[end] != '"' {
				if data[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(data))
			out.Write(data[:end])
			data = data[end:]
		case bytes.HasPrefix(data, []byte("Infinity")):
			out.WriteString(infinity)
			data = data[len("Infinity"):]
		case bytes.HasPrefix(data, []byte("NaN")):
			out.WriteString("null")
			data = data[len("NaN"):]
		default:
			out.WriteByte(data[0])
			data = data[1:]
		}
	}
	return out.Bytes()
}

// restoreInfinity undoes withoutInfinities on a decoded number.
func restoreInfinity(v reflect.Value) {
	if v.Kind() == reflect.Float64 && math.Abs(v.Float()) == math.MaxFloat64 {
		v.SetFloat(math.Inf(int(math.Copysign(1, v.Float()))))
	}
}
