package pyjson

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
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
	for _, text := range []string{"", "[]", "null", "{", `{"a":1} x`, `{"a":1}{}`, `{"a":Inf}`, `{"a":"`, `{"a":"\`} {
		if v, err := Unmarshal([]byte(text)); err == nil || !strings.Contains(err.Error(), "JSON object") {
			t.Errorf("%q gives %v, %v; want an error", text, v, err)
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
