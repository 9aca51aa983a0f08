package data

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Size of images in pixels; the zero Size is none that is asked for. As a text it is the side of
// a square, or HEIGHTxWIDTH.
type Size struct{ Height, Width int }

// Square is the size of squares of a side.
func Square(side int) Size { return Size{side, side} }

func (s Size) String() string {
	if s.Height == s.Width {
		return strconv.Itoa(s.Height)
	}
	return fmt.Sprintf("%dx%d", s.Height, s.Width)
}

var between = strings.NewReplacer("×", "x", "X", "x")

// UnmarshalText reads a side, or HEIGHTxWIDTH. Two sides with a comma between them are refused: other
// programs mean width and height by that.
func (s *Size) UnmarshalText(text []byte) error {
	side := func(text string) (int, error) { return strconv.Atoi(strings.TrimSpace(text)) }
	if n, err := side(string(text)); err == nil {
		*s = Square(n)
		return nil
	}
	first, second, both := strings.Cut(between.Replace(string(text)), "x")
	height, err := side(first)
	width, as := side(second)
	if !both || err != nil || as != nil || height <= 0 || width <= 0 {
		return fmt.Errorf("%q, want a whole number, or HEIGHTxWIDTH, as in 48x32", text)
	}
	*s = Size{height, width}
	return nil
}

// MarshalJSON writes the side of a square as a number.
func (s Size) MarshalJSON() ([]byte, error) {
	if s.Height == s.Width {
		return json.Marshal(s.Height)
	}
	return json.Marshal(s.String())
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Size) UnmarshalJSON(text []byte) error {
	return s.UnmarshalText([]byte(strings.Trim(string(text), `"`)))
}

// most is the longer side.
func (s Size) most() int { return max(s.Height, s.Width) }

// check refuses what no image is brought to.
func (s Size) check() error {
	if min(s.Height, s.Width) < 0 || s.most() > MaxSide || (s.Height == 0) != (s.Width == 0) {
		return fmt.Errorf("size %v asked for, want positive sides, %d at most", s, MaxSide)
	}
	return nil
}
