package pyjson

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"fluxion/data/durable/durabletest"
)

// The right column is what repr printed in Python 3.11.
func TestRepr(t *testing.T) {
	for _, c := range []struct {
		x    float64
		want string
	}{
		{0, "0.0"}, {math.Copysign(0, -1), "-0.0"}, {1, "1.0"}, {-2.5, "-2.5"}, {0.1, "0.1"}, {1e-4, "0.0001"}, {1e-5, "1e-05"},
		{1e-6, "1e-06"}, {1.5e-7, "1.5e-07"}, {9.9e-5, "9.9e-05"}, {1e15, "1000000000000000.0"}, {1e16, "1e+16"},
		{123456789012345680, "1.2345678901234568e+17"}, {1e100, "1e+100"}, {5e-324, "5e-324"}, {1.0 / 3, "0.3333333333333333"},
		{math.Inf(1), "Infinity"}, {math.Inf(-1), "-Infinity"}, {math.NaN(), "NaN"},
	} {
		if got := Repr(c.x); got != c.want {
			t.Errorf("Repr(%g) is %s, want %s", c.x, got, c.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	text := `{
  "_x": "a\"\\\n\u00e9\ud83d\ude00\u007f",
  "empty": [],
  "floats": [
    1.0,
    -Infinity,
    1e-06
  ],
  "ints": [
    1,
    -9223372036854775808
  ],
  "nested": {
    "a": {},
    "b": [
      [
        null,
        true
      ]
    ]
  },
  "text": "Infinity, NaN \"NaN\""
}
`
	v, err := Unmarshal([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(Marshal(v)); got != text {
		t.Errorf("got\n%s, want\n%s", got, text)
	}
	if got := v["floats"].([]any); !reflect.DeepEqual(got, []any{1.0, math.Inf(-1), 1e-6}) {
		t.Errorf("floats are %v", got)
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"": "is empty, want an object", " \n": "is empty, want an object", "[]": "is a list, want an object", "null": "is null, want an object", "3": "is a number, want an object",
		"{": "cut short", `{"a":"`: "cut short", `{"a":"\`: "cut short", `{"a":1} x`: "goes on behind", `{"a":1}{}`: "goes on behind",
		"{\n\"a\":Inf}": "line 2: invalid character 'I'",
	} {
		v, err := Unmarshal([]byte(text))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Problem, want) {
			t.Errorf("%q gives %v, %v; want an error with %q", text, v, err, want)
		}
	}
}

// What encoding/json says in Go's words is said in the file's.
func TestDecode(t *testing.T) {
	type state struct {
		Images int64    `json:"images"`
		Loss   float64  `json:"loss"`
		Names  []string `json:"names"`
	}
	for text, want := range map[string]string{
		`{"images": "3"}`: "key images is a string, want a whole number", `{"images": 1e99}`: "key images is 1e99, want a whole number",
		`{"names": {}}`: "key names is an object, want a list", `{"names": [1]}`: "key names is a number, want a string",
		`{"loss": 1e999}`: "key loss is 1e999, want a number", `null`: "is null, want an object", `[]`: "is a list, want an object", ``: "is empty", `{"images": 3`: "cut short",
		`{"loss": NaN}`: "line 1: invalid character 'N'", `{} {}`: "line 1: invalid character '{' after",
	} {
		var s state
		err := Decode([]byte(text), &s)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "json") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
		if err := In("f.json", err); !strings.HasPrefix(err.Error(), "f.json: ") {
			t.Errorf("error %v without its file", err)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	long, pipe := filepath.Join(dir, "long.json"), filepath.Join(dir, "pipe.json")
	if err := errors.Join(os.WriteFile(long, nil, 0o666), os.Truncate(long, 1<<40), durabletest.Pipe(pipe)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "is a folder", long: "longer than", pipe: "pipe", filepath.Join(dir, "none.json"): "no such file"} {
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}

// FuzzUnmarshal: nothing makes the reader panic, and what it takes is read back
// the same from what is written.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"a": [1e400, -Infinity, {"b": null}], "c": [8, 1e-7, true], "d": "\u00e9\ud83d\ude00"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Unmarshal(data)
		if err != nil {
			return
		}
		first := Marshal(v)
		again, err := Unmarshal(first)
		if err != nil {
			t.Fatalf("%v in what was written:\n%s", err, first)
		}
		if second := Marshal(again); !bytes.Equal(second, first) {
			t.Fatalf("written again\n%s\nit is\n%s", first, second)
		}
	})
}
