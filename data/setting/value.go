package setting

import (
	"encoding"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Value is a variable that holds a setting, of one of the types that Of, Optional, Text
// and Names take.
type Value interface {
	Kind() string   // of what it holds, by the names of flags: string, int, …
	Get() any       // what it holds
	Put(any)        // sets it to what read, readFlag or Get return
	String() string // as read takes it

	read(value any) (any, error)
	readFlag(text string) (any, error)
}

// scalar is a type of one value.
type scalar interface {
	string | bool | int | int64 | uint64 | float64
}

// Of is a variable of one value.
func Of[T scalar](p *T) Value { return one[T]{p} }

type one[T scalar] struct{ p *T }

func (v one[T]) Kind() string                      { return fmt.Sprintf("%T", *v.p) }
func (v one[T]) Get() any                          { return *v.p }
func (v one[T]) Put(x any)                         { *v.p = x.(T) }
func (v one[T]) String() string                    { return fmt.Sprint(*v.p) }
func (v one[T]) read(value any) (any, error)       { return parsed[T](value, 10) }
func (v one[T]) readFlag(text string) (any, error) { return parsed[T](text, 0) }

// Images is a variable that counts images. What says it may count steps instead, as in
// 1000steps, each of as many images as the batch has when it is put there.
func Images[T int64 | float64](p *T, batch *int) Value { return images[T]{one[T]{p}, batch} }

// Steps is a number of images in steps, until it is put into a variable.
type Steps int64

type images[T int64 | float64] struct {
	one[T]
	batch *int
}

func (v images[T]) countsSteps() {}

func (v images[T]) Put(x any) {
	steps, ok := x.(Steps)
	if !ok {
		v.one.Put(x)
		return
	}
	n := int64(math.MaxInt64) // which is out of every range
	if steps <= Steps(n)/Steps(max(1, *v.batch)) {
		n = int64(steps) * int64(*v.batch)
	}
	*v.p = T(n)
}

func (v images[T]) read(value any) (any, error) { return v.steps(value, v.one.read) }

func (v images[T]) readFlag(text string) (any, error) {
	return v.steps(text, func(any) (any, error) { return v.one.readFlag(text) })
}

// steps reads a number of steps, or else one of images.
func (v images[T]) steps(value any, other func(any) (any, error)) (any, error) {
	text, is := value.(string)
	number, counts := strings.CutSuffix(strings.TrimSpace(text), "steps")
	if !is || !strings.Contains(text, "step") {
		return other(value)
	}
	x, err := parsed[int64](strings.TrimSpace(number), 10)
	if err != nil || !counts {
		return nil, fmt.Errorf("%q, want a whole number before steps, as in 1000steps", text)
	}
	return Steps(x.(int64)), nil
}

// Optional is a number that may be nil, which is what it is as long as nobody sets it.
func Optional(p **float64) Value { return optional{p} }

type optional struct{ p **float64 }

func (v optional) Kind() string { return "float64" }

func (v optional) Get() any {
	if *v.p == nil {
		return nil
	}
	return **v.p
}

func (v optional) Put(x any) {
	*v.p = nil
	if x, ok := x.(float64); ok {
		*v.p = &x
	}
}

func (v optional) String() string {
	if *v.p == nil {
		return ""
	}
	return fmt.Sprint(**v.p)
}

func (v optional) read(value any) (any, error)       { return parsed[float64](value, 10) }
func (v optional) readFlag(text string) (any, error) { return parsed[float64](text, 10) }

// textual is a type that reads and writes itself.
type textual[T any] interface {
	*T
	encoding.TextUnmarshaler
	fmt.Stringer
}

// Text is a variable of a type with a text of its own, such as a list of numbers.
func Text[T any, P textual[T]](p P) Value { return text[T, P]{p} }

type text[T any, P textual[T]] struct{ p P }

func (v text[T, P]) Kind() string   { return "string" }
func (v text[T, P]) Get() any       { return *v.p }
func (v text[T, P]) Put(x any)      { *v.p = x.(T) }
func (v text[T, P]) String() string { return v.p.String() }

func (v text[T, P]) read(value any) (any, error) {
	var x T
	err := P(&x).UnmarshalText([]byte(listed(value)))
	return x, err
}

func (v text[T, P]) readFlag(text string) (any, error) { return v.read(text) }

// Names is a list of names, between commas in text.
func Names(p *[]string) Value { return names{p} }

type names struct{ p *[]string }

func (v names) Kind() string   { return "stringSlice" }
func (v names) Get() any       { return *v.p }
func (v names) Put(x any)      { *v.p = x.([]string) }
func (v names) String() string { return strings.Join(*v.p, ",") }

func (v names) read(value any) (any, error) {
	list := []string{}
	switch value := value.(type) {
	case []string:
		return value, nil
	case []any:
		for _, x := range value {
			name, err := parsed[string](x, 10)
			if err != nil {
				return nil, err
			}
			list = append(list, name.(string))
		}
		return list, nil
	}
	line, err := parsed[string](value, 10)
	if err != nil || line == "" {
		return list, err
	}
	if list, err = csv.NewReader(strings.NewReader(line.(string))).Read(); err != nil {
		return nil, fmt.Errorf("%q is no list of names between commas", line)
	}
	return list, nil
}

func (v names) readFlag(text string) (any, error) { return v.read(text) }

// parsed reads one value; a base of 0 is that of the number's own prefix.
func parsed[T scalar](value any, base int) (x any, err error) {
	switch reflect.ValueOf(value).Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return nil, fmt.Errorf("%v is not one value", value)
	}
	text := fmt.Sprint(value)
	var zero T
	switch any(zero).(type) {
	case string:
		return text, nil
	case bool:
		x, err = strconv.ParseBool(text)
	case int:
		var n int64
		n, err = strconv.ParseInt(whole(text), base, strconv.IntSize)
		x = int(n)
	case int64:
		x, err = strconv.ParseInt(whole(text), base, 64)
	case uint64:
		x, err = strconv.ParseUint(whole(text), base, 64)
	case float64:
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return nil, fmt.Errorf("%q, want a finite number", text)
		}
		x = f
	}
	if err != nil {
		return nil, badValue(text, fmt.Sprintf("%T", zero), err)
	}
	return x, nil
}

// wanted says what a kind of setting or flag takes.
var wanted = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint64": "a whole number from 0 to 2^64-1", "float64": "a number", "bool": "true or false",
}

// badValue says why text is no value of a kind, of which strconv's error is the cause.
func badValue(text, kind string, cause error) error {
	if errors.Is(cause, strconv.ErrRange) {
		return fmt.Errorf("%q is out of range, want %s", text, wanted[kind])
	}
	if want := wanted[kind]; want != "" {
		return fmt.Errorf("%q, want %s", text, want)
	}
	return fmt.Errorf("%q cannot be read", text)
}

// BadFlag is why the text of a flag that is no setting cannot be read.
func BadFlag(text, kind string, cause error) error { return badValue(text, kind, cause) }

// listed writes a list of a file, or what text has between commas, as a list of whole numbers.
func listed(value any) string {
	all, ok := value.([]any)
	if !ok {
		for part := range strings.SplitSeq(fmt.Sprint(value), ",") {
			all = append(all, part)
		}
	}
	var parts []string
	for _, x := range all {
		parts = append(parts, whole(strings.TrimSpace(fmt.Sprint(x))))
	}
	return strings.Join(parts, ",")
}

// whole writes 1e5 as 100000, and leaves what is no such number.
func whole(text string) string {
	const exact = 1 << 53
	if x, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, "eE") && !strings.ContainsAny(text, "xX") && x == math.Trunc(x) && math.Abs(x) <= exact {
		return strconv.FormatInt(int64(x), 10)
	}
	return text
}
