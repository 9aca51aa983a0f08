package sim

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

type parser struct {
	tokens []token
	at     int
	src    *source
	scope  *scope
	fn     *function
}

// parseError carries an error up to parse; it never leaves the package.
type parseError struct{ err error }

// parse reads a PTX module.
func parse(name, text string) (src *source, err error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, fmt.Errorf("sim: module %s: %w", name, err)
	}
	p := &parser{tokens: tokens, scope: newScope(nil)}
	p.src = &source{name: name, lines: strings.Split(text, "\n")}
	defer func() {
		if e, ok := recover().(parseError); ok {
			src, err = nil, fmt.Errorf("sim: module %s: %w", name, e.err)
		}
	}()
	for p.at < len(p.tokens) {
		p.directive()
	}
	return p.src, nil
}

func (p *parser) fail(format string, args ...any) {
	line := len(p.src.lines)
	if p.at < len(p.tokens) {
		line = p.tokens[p.at].line
	}
	panic(parseError{fmt.Errorf("line %d: %s: %q", line, fmt.Sprintf(format, args...), p.src.text(line))})
}

func (p *parser) peek() string {
	if p.at >= len(p.tokens) {
		return ""
	}
	return p.tokens[p.at].text
}

func (p *parser) line() int {
	if p.at >= len(p.tokens) {
		return len(p.src.lines)
	}
	return p.tokens[p.at].line
}

func (p *parser) next() string {
	t := p.peek()
	if t == "" {
		p.fail("unexpected end")
	}
	p.at++
	return t
}

func (p *parser) accept(text string) bool {
	if p.peek() == text {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.fail("expected %q, found %q", text, p.peek())
	}
}

// directive reads one declaration of module scope.
func (p *parser) directive() {
	linkage := ""
	for {
		switch t := p.peek(); t {
		case ".target":
			p.next()
			p.src.target = p.peek()
			p.skipLine()
			return
		case ".version", ".address_size", ".file":
			p.skipLine()
			return
		case ".section":
			p.skipBlock()
			return
		case ".visible", ".extern", ".weak", ".common":
			linkage = t
			p.at++
		case ".global", ".const", ".shared":
			v := p.variable()
			v.extern = linkage == ".extern"
			p.scope.variables[v.name] = v
			p.src.variables = append(p.src.variables, v)
			p.expect(";")
			return
		case ".entry", ".func":
			p.function()
			return
		case ".pragma":
			p.at += 2
			p.expect(";")
			return
		default:
			p.fail("directive %q is not known", t)
		}
	}
}

func (p *parser) skipLine() {
	for line := p.line(); p.at < len(p.tokens) && p.line() == line; {
		p.at++
	}
}

// skipBlock passes over a section of debug information.
func (p *parser) skipBlock() {
	for p.next() != "{" {
	}
	for depth := 1; depth > 0; {
		switch p.next() {
		case "{":
			depth++
		case "}":
			depth--
		}
	}
}

// typeBytes gives the size of a fundamental type, written with its dot.
func typeBytes(t string) (int, bool) {
	switch t {
	case ".b8", ".u8", ".s8":
		return 1, true
	case ".b16", ".u16", ".s16", ".f16", ".bf16":
		return 2, true
	case ".b32", ".u32", ".s32", ".f32", ".f16x2", ".bf16x2", ".tf32":
		return 4, true
	case ".b64", ".u64", ".s64", ".f64":
		return 8, true
	case ".b128":
		return 16, true
	}
	return 0, false
}

// variable reads `.space .align n .v4 .type name[count] = {…}` up to its end.
func (p *parser) variable() *variable {
	v := &variable{line: p.line(), space: p.next()[1:]}
	vector := 1
	for v.element == 0 {
		switch t := p.next(); t {
		case ".align":
			v.align = int(p.integer())
		case ".v2":
			vector = 2
		case ".v4":
			vector = 4
		case ".ptr", ".global", ".const", ".shared", ".local", ".attribute", ".managed":
			// what a pointer parameter points to: a hint for the optimiser
		default:
			n, ok := typeBytes(t)
			if !ok {
				p.at--
				p.fail("type %q is not known", t)
			}
			v.element = n
		}
	}
	for p.peek() == ".ptr" || p.peek() == ".global" || p.peek() == ".const" || p.peek() == ".align" {
		if p.next() == ".align" {
			p.integer()
		}
	}
	v.name = p.next()
	v.bytes = v.element * vector
	for p.accept("[") {
		if p.accept("]") {
			v.bytes = 0
			continue
		}
		v.bytes *= int(p.integer())
		p.expect("]")
	}
	if v.align == 0 {
		v.align = v.element * vector
	}
	if p.accept("=") {
		p.initial(v)
		if v.bytes == 0 {
			v.bytes = len(v.data)
		}
		if len(v.data) > v.bytes {
			p.fail("variable %s has more initial values than elements", v.name)
		}
		v.data = append(v.data, make([]byte, v.bytes-len(v.data))...)
	}
	return v
}

func (p *parser) initial(v *variable) {
	if p.accept("{") {
		for !p.accept("}") {
			p.initial(v)
			p.accept(",")
		}
		return
	}
	word := p.peek()
	if c := word[0]; c == '_' || c == '$' || c == '%' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		p.at++
		ref := reference{at: len(v.data), symbol: word}
		if word == "generic" {
			p.expect("(")
			ref.symbol = p.next()
			p.expect(")")
		}
		if p.accept("+") {
			ref.add = p.integer()
		}
		if v.element != 8 {
			p.fail("variable %s holds an address in less than 64 bits", v.name)
		}
		v.refs = append(v.refs, ref)
		v.data = append(v.data, make([]byte, 8)...)
		return
	}
	o := p.number()
	value := o.value
	if o.kind == isFloat64 && v.element == 4 {
		value = uint64(math.Float32bits(float32(math.Float64frombits(value))))
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], value)
	v.data = append(v.data, b[:v.element]...)
}

func (p *parser) integer() int64 {
	o := p.number()
	if o.kind != isInteger {
		p.fail("expected an integer")
	}
	return int64(o.value)
}

// number reads an integer or floating constant with its sign.
func (p *parser) number() operand {
	negative := p.accept("-")
	t := p.next()
	o, ok := constant(t)
	if !ok {
		p.at--
		p.fail("%q is not a number", t)
	}
	if negative {
		switch o.kind {
		case isInteger:
			o.value = -o.value
		case isFloat32:
			o.value ^= 1 << 31
		case isFloat64:
			o.value ^= 1 << 63
		}
	}
	return o
}

func constant(t string) (operand, bool) {
	if t == "WARP_SZ" {
		return operand{kind: isInteger, value: 32}, true
	}
	if t == "" || t[0] < '0' || t[0] > '9' {
		return operand{}, false
	}
	lower := strings.ToLower(t)
	switch {
	case strings.HasPrefix(lower, "0f") && len(t) == 10:
		v, err := strconv.ParseUint(t[2:], 16, 32)
		return operand{kind: isFloat32, value: v}, err == nil
	case strings.HasPrefix(lower, "0d") && len(t) == 18:
		v, err := strconv.ParseUint(t[2:], 16, 64)
		return operand{kind: isFloat64, value: v}, err == nil
	case !strings.HasPrefix(lower, "0x") && strings.ContainsAny(lower, ".e"):
		v, err := strconv.ParseFloat(t, 64)
		return operand{kind: isFloat64, value: math.Float64bits(v)}, err == nil
	}
	v, err := strconv.ParseUint(strings.TrimRight(lower, "u"), 0, 64)
	return operand{kind: isInteger, value: v}, err == nil
}
