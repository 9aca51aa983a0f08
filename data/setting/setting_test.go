package setting

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// pair is a type with a text of its own.
type pair [2]string

func (p pair) String() string { return p[0] + "," + p[1] }

func (p *pair) UnmarshalText(text []byte) error {
	a, b, ok := strings.Cut(string(text), ",")
	if !ok {
		return errors.New("want two")
	}
	*p = pair{a, b}
	return nil
}

// TestRead: values of files and text are taken as they are, or refused with what would
// be right; nothing is rounded or wrapped.
func TestRead(t *testing.T) {
	var (
		text    string
		on      bool
		n       int
		long    int64
		seed    uint64
		x       float64
		nothing *float64
		list    []string
		two     pair
		batch   = 8
	)
	for _, c := range []struct {
		to    Value
		value any
		want  string // text of the variable, or what the error says behind "!"
	}{
		{Of(&text), "a b", "a b"}, {Of(&text), 1.5, "1.5"}, {Of(&text), []any{"a"}, "![a] is not one value"},
		{Of(&on), true, "true"}, {Of(&on), "1", "true"}, {Of(&on), "yes", `!"yes", want true or false`},
		{Of(&n), 8, "8"}, {Of(&n), "1e5", "100000"}, {Of(&n), "8.5", `!"8.5", want a whole number`}, {Of(&n), 8.5, `!"8.5", want a whole number`}, {Of(&n), "010", "10"},
		{Of(&n), "0x10", `!"0x10", want a whole number`}, {Of(&n), "", `!"", want a whole number`},
		{Of(&long), "9223372036854775807", "9223372036854775807"}, {Of(&long), "9223372036854775808", `!"9223372036854775808" is out of range, want a whole number`},
		{Of(&seed), uint64(math.MaxUint64), "18446744073709551615"}, {Of(&seed), "-1", `!"-1", want a whole number from 0 to 2^64-1`},
		{Of(&x), "1e-3", "0.001"}, {Of(&x), 3, "3"}, {Of(&x), math.Inf(1), `!"+Inf", want a finite number`}, {Of(&x), "nan", `!"nan", want a finite number`}, {Of(&x), "1e999", `!"1e999" is out of range, want a number`},
		{Optional(&nothing), 0, "0"}, {Optional(&nothing), "x", `!"x", want a number`},
		{Names(&list), "a,b", "a,b"}, {Names(&list), []any{"a", 2}, "a,2"}, {Names(&list), "", ""}, {Names(&list), []any{[]any{}}, "![] is not one value"}, {Names(&list), "a\"b", `!"a\"b" is no list of names between commas`},
		{Images(&long, &batch), "1000steps", "8000"}, {Images(&long, &batch), " 1e3 steps", "8000"}, {Images(&long, &batch), 3, "3"}, {Images(&long, &batch), "x steps", `!"x steps", want a whole number before steps, as in 1000steps`},
		{Images(&long, &batch), "9223372036854775807steps", "9223372036854775807"}, {Images(&long, &batch), "3step", `!"3step", want a whole number before steps, as in 1000steps`}, {Images(&x, &batch), "5steps", "40"}, {Images(&x, &batch), 0.5, "0.5"},
		{Text(&two), "1,2", "1,2"}, {Text(&two), []any{1, 1e5}, "1,100000"}, {Text(&two), 1, "!want two"},
	} {
		err := Setting{Value: c.to}.Assign(c.value)
		if problem, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || err.Error() != problem {
				t.Errorf("%v in a %s: %v, want %s", c.value, c.to.Kind(), err, problem)
			}
		} else if err != nil || c.to.String() != c.want {
			t.Errorf("%v in a %s: %s, %v; want %s", c.value, c.to.Kind(), c.to, err, c.want)
		}
	}
	if got, err := (Setting{Value: Of(&n)}).ReadFlag("0x10"); got != 16 || err != nil {
		t.Errorf("a flag of 0x10: %v, %v", got, err)
	}
	if Optional(&nothing).Put(nil); nothing != nil || Optional(&nothing).Get() != nil {
		t.Error("an optional number is something again")
	}
}

// TestRanges: what is on the edge of a range is in it or not, as its text says.
func TestRanges(t *testing.T) {
	up := math.Nextafter
	for text, c := range map[string]struct {
		r   Range
		in  []any
		out []any
	}{
		"1 to 3":                {Within(1, 3, ""), []any{1, int64(3), Steps(3)}, []any{0, int64(4), 2.0, Steps(0)}},
		"0 (all) or more":       {AtLeast(0, "0 (all) or more"), []any{0, int64(math.MaxInt64)}, []any{-1, int64(math.MinInt64)}},
		"1 to 9007199254740992": {Within(1, 1<<53, ""), []any{int64(1 << 53)}, []any{int64(1<<53 + 1)}},
		"a positive number":     {Positive, []any{up(0, 1)}, []any{0.0, -1.0, math.NaN(), math.Inf(1)}},
		"0 or more":             {NotNegative(""), []any{0.0, Steps(1)}, []any{Steps(-1), up(0, -1), math.NaN(), math.Inf(1)}},
		"a share":               {Share("a share"), []any{0.0, 1.0}, []any{up(1, 2), up(0, -1), math.NaN()}},
		"a share below 1":       {BelowOne("a share below 1"), []any{0.0, up(1, 0)}, []any{1.0, math.NaN()}},
	} {
		s := Setting{Range: c.r}
		for _, x := range c.in {
			if err := s.Check(x); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		for _, x := range c.out {
			if err := s.Check(x); err == nil || !strings.Contains(err.Error(), "want "+text) && !strings.Contains(err.Error(), "finite") {
				t.Errorf("%s: %v of %v", text, err, x)
			}
		}
	}
	s := Setting{Range: OneOf("colour", []string{"red", "blue"})}
	if err := s.Check("rad"); err == nil || err.Error() != `unknown colour "rad": did you mean "red"? there are red, blue` {
		t.Error(err)
	}
	if err := s.Check("blue"); err != nil {
		t.Error(err)
	}
}

// TestUsage: the help of a flag is help, range and unit.
func TestUsage(t *testing.T) {
	for want, s := range map[string]Setting{
		"how many":                    {Help: "how many"},
		"how many; images":            {Help: "how many", Unit: "images"},
		"how many; 1 to 3 images":     {Help: "how many", Unit: "images", Range: Within(1, 3, "")},
		"how much; a positive number": {Help: "how much", Range: Positive},
	} {
		if got := s.Usage(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
