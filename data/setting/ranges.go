package setting

import (
	"fmt"
	"math"
)

// span is the numbers between two, without these where they are outside.
type span struct {
	least, most                   float64
	leastIsOutside, mostIsOutside bool
}

func (r Range) over(s span) Range {
	r.span = &s
	return r
}

// Within is the whole numbers between two, both included; text tells them, "" as they are.
func Within(least, most int64, text string) Range {
	if text == "" {
		text = fmt.Sprintf("%d to %d", least, most)
	}
	return Range{Text: text, span: &span{least: float64(least), most: float64(most)}, Holds: func(value any) bool {
		switch n := value.(type) {
		case int:
			return least <= int64(n) && int64(n) <= most
		case int64:
			return least <= n && n <= most
		case Steps: // of a batch of one or more
			return least <= int64(n) && int64(n) <= most
		}
		return false
	}}
}

// AtLeast is the whole numbers from one on.
func AtLeast(least int64, text string) Range {
	if text == "" {
		text = fmt.Sprintf("%d or more", least)
	}
	return Within(least, math.MaxInt64, text)
}

// Numbers is those that satisfy a condition. NaN satisfies none.
func Numbers(text string, holds func(x float64) bool) Range {
	return Range{Text: text, Holds: func(value any) bool {
		if n, steps := value.(Steps); steps {
			return holds(float64(n))
		}
		x, ok := value.(float64)
		return ok && holds(x)
	}}
}

// Positive is the numbers above 0.
var Positive = Numbers("a positive number", func(x float64) bool { return x > 0 }).over(span{0, math.Inf(1), true, false})

// NotNegative is the numbers from 0 on; text tells them, "" as they are.
func NotNegative(text string) Range {
	if text == "" {
		text = "0 or more"
	}
	return Numbers(text, func(x float64) bool { return x >= 0 }).over(span{least: 0, most: math.Inf(1)})
}

// Share is the numbers from 0 to 1, both included.
func Share(text string) Range {
	return Numbers(text, func(x float64) bool { return x >= 0 && x <= 1 }).over(span{least: 0, most: 1})
}

// BelowOne is the numbers from 0 to 1, without 1.
func BelowOne(text string) Range {
	return Numbers(text, func(x float64) bool { return x >= 0 && x < 1 }).over(span{0, 1, false, true})
}

// OneOf is the names of a list; a kind says in errors what they name.
func OneOf(kind string, names []string) Range { return Range{Names: names, kind: kind} }

// WithParameters is the same where parameters may stand behind a name: NAME:parameter=value,…
func (r Range) WithParameters() Range {
	r.Spec = true
	return r
}
