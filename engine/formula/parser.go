package formula

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// parser reads a formula by recursive descent:
//
//	sum     = product { ("+" | "-") product }
//	product = signed { ("*" | "/") signed }
//	signed  = ("+" | "-") signed | power
//	power   = atom [ ("^" | "**") signed ]
//	atom    = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
type parser struct {
	variables []string
	tokens    []string
	depth     int
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
)

// scan cuts a text into numbers, names and signs.
func (p *parser) scan(text string) error {
	if len(text) > MaxLength {
		return fmt.Errorf("has %d bytes, want at most %d", len(text), MaxLength)
	}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		n := 1
		switch {
		case strings.Contains(digits+".", text[:1]):
			n = number(text)
		case strings.Contains(letters, text[:1]):
			n = span(text, letters+digits)
		case strings.HasPrefix(text, "**"):
			n = 2
		case !strings.Contains("+-*/^(),", text[:1]):
			return fmt.Errorf("does not know %q; %s", []rune(text)[0], usable(p.variables))
		}
		p.tokens = append(p.tokens, text[:n])
		text = text[n:]
	}
	return nil
}

// span is how many of the first bytes are of a set.
func span(text, set string) int { return len(text) - len(strings.TrimLeft(text, set)) }

// number is the length of the number that a text begins with: 12, 1.5, .5e-3.
func number(text string) int {
	n := span(text, digits+".")
	if n == len(text) || text[n] != 'e' && text[n] != 'E' {
		return n
	}
	sign := n + 1
	if sign < len(text) && strings.Contains("+-", text[sign:sign+1]) {
		sign++
	}
	if exponent := span(text[sign:], digits); exponent > 0 {
		return sign + exponent
	}
	return n
}

// next is the token in front, "" at the end.
func (p *parser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

// take drops the token in front if it is one of these, and returns it.
func (p *parser) take(tokens ...string) string {
	t := p.next()
	if t == "" || !slices.Contains(tokens, t) {
		return ""
	}
	p.tokens = p.tokens[1:]
	return t
}

func (p *parser) unexpected(want string) error {
	if t := p.next(); t != "" {
		return fmt.Errorf("has %q where %s should be; %s", shown(t), want, usable(p.variables))
	}
	return fmt.Errorf("ends where %s should be", want)
}

func (p *parser) whole() (node, error) {
	value, err := p.sum()
	if err == nil && p.next() != "" {
		err = p.unexpected("an operation")
	}
	return value, err
}

func (p *parser) sum() (node, error) {
	value, err := p.product()
	for err == nil {
		operation := p.take("+", "-")
		if operation == "" {
			return value, nil
		}
		var right node
		right, err = p.product()
		value = binary(operation, value, right)
	}
	return nil, err
}

func (p *parser) product() (node, error) {
	value, err := p.signed()
	for err == nil {
		operation := p.take("*", "/")
		if operation == "" {
			return value, nil
		}
		var right node
		right, err = p.signed()
		value = binary(operation, value, right)
	}
	return nil, err
}

func (p *parser) signed() (node, error) {
	if p.depth++; p.depth > MaxDepth { // all that nests comes by here
		return nil, fmt.Errorf("nests deeper than %d parentheses, calls, signs and powers", MaxDepth)
	}
	defer func() { p.depth-- }()
	switch p.take("+", "-") {
	case "+":
		return p.signed()
	case "-":
		value, err := p.signed()
		return func(v []float64) float64 { return -value(v) }, err
	}
	base, err := p.atom()
	if err != nil || p.take("^", "**") == "" {
		return base, err
	}
	exponent, err := p.signed()
	return binary("^", base, exponent), err
}

func binary(operation string, a, b node) node {
	switch operation {
	case "+":
		return func(v []float64) float64 { return a(v) + b(v) }
	case "-":
		return func(v []float64) float64 { return a(v) - b(v) }
	case "*":
		return func(v []float64) float64 { return a(v) * b(v) }
	case "/":
		return func(v []float64) float64 { return a(v) / b(v) }
	}
	return func(v []float64) float64 { return math.Pow(a(v), b(v)) }
}

func (p *parser) atom() (node, error) {
	token := p.next()
	switch {
	case p.take("(") != "":
		value, err := p.sum()
		if err == nil && p.take(")") == "" {
			err = p.unexpected(`")"`)
		}
		return value, err
	case token != "" && strings.Contains(digits+".", token[:1]):
		p.take(token)
		x, err := strconv.ParseFloat(token, 64)
		if errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("has the number %s, which is too large", shown(token))
		}
		if err != nil {
			return nil, fmt.Errorf("has %q, which is no number", shown(token))
		}
		return func([]float64) float64 { return x }, nil
	case token != "" && strings.Contains(letters, token[:1]):
		p.take(token)
		if p.take("(") != "" {
			return p.call(token)
		}
		if i := slices.Index(p.variables, token); i >= 0 {
			return func(v []float64) float64 { return v[i] }, nil
		}
		if token == "pi" {
			return func([]float64) float64 { return math.Pi }, nil
		}
		return nil, fmt.Errorf("does not know %q; %s", shown(token), usable(p.variables))
	}
	return nil, p.unexpected("a number")
}

// call reads the arguments of a function, whose parenthesis is open.
func (p *parser) call(name string) (node, error) {
	f, fold := functions[name], folds[name]
	if f == nil && fold == nil {
		return nil, fmt.Errorf("does not know the function %q; %s", shown(name), usable(p.variables))
	}
	var arguments []node
	for {
		value, err := p.sum()
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, value)
		if p.take(",") == "" {
			break
		}
	}
	if p.take(")") == "" {
		return nil, p.unexpected(`")"`)
	}
	if f != nil {
		if len(arguments) != 1 {
			return nil, fmt.Errorf("gives %s %d numbers, want one", name, len(arguments))
		}
		return func(v []float64) float64 { return f(arguments[0](v)) }, nil
	}
	return func(v []float64) float64 {
		x := arguments[0](v)
		for _, a := range arguments[1:] {
			x = fold(x, a(v))
		}
		return x
	}, nil
}
