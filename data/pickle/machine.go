// Package pickle reads pickles. A pickle is a program; of its instructions and functions
// only those are known that numbers need: dictionaries, arrays of numpy, tensors of
// PyTorch. Nothing is ever run.
package pickle

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode"
)

// The values that a pickle makes. Others are nil, bool, int64, *big.Int, float64,
// string and []byte.
type (
	Tuple []any
	List  struct{ Items []any }
	// Dict keeps its order. Keys that are no strings are kept by their position alone.
	Dict struct {
		Keys   []any
		Values []any
	}
	// Object is something with attributes, a module of TorchScript.
	Object struct{ Attributes any }
	// Global is a name of Python's.
	Global struct{ module, name string }
)

func (g Global) String() string { return g.module + "." + g.name }

// mark is what MARK puts on the stack.
type mark struct{}

// machine runs the instructions that data need. It calls nothing but the few
// constructors of this package.
type machine struct {
	r          *bufio.Reader
	at         int64 // bytes read
	encoded    int64 // bytes made by encode
	ran        int   // instructions
	stack      []any
	memo       map[uint32]any
	persistent func(id any) (any, error)
}

// A pickle is bounded: the bytes of its longest string and name, and its instructions.
const (
	limit        = 1 << 28
	longest      = 1 << 12
	instructions = 1 << 21
)

// Load runs one pickle, from its first instruction to STOP. persistent makes
// what lies outside of it.
func Load(r *bufio.Reader, persistent func(id any) (any, error)) (_ any, err error) {
	m := machine{r: r, memo: map[uint32]any{}, persistent: persistent}
	for {
		op, err := m.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' {
			return m.pop()
		}
		if m.ran++; m.ran > instructions {
			return nil, fmt.Errorf("a pickle of more than %d instructions; want tensors alone", instructions)
		}
		if err := m.run(op); err != nil {
			return nil, fmt.Errorf("at byte %d of the pickle: %w", m.at, err)
		}
	}
}

func (m *machine) run(op byte) error {
	switch op {
	case 0x80: // PROTO
		_, err := m.byte()
		return err
	case 0x95: // FRAME
		_, err := m.take(8)
		return err
	case '(':
		m.push(mark{})
		return nil
	case 'q', 'r', 'h', 'j', 0x94:
		return m.remember(op)
	case 'N', 0x88, 0x89, 'J', 'K', 'M', 0x8a, 'G':
		return m.number(op)
	case 'X', 0x8c, 0x8d, 'B', 'C', 0x8e, 'T', 'U':
		return m.text(op)
	case '}', ']', ')', 't', 0x85, 0x86, 0x87, 's', 'u', 'a', 'e':
		return m.collect(op)
	case 'c', 0x93:
		return m.global(op)
	case 'R', 0x81, 'b', 'Q':
		return m.build(op)
	}
	return &InstructionError{op}
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, errStack
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// pops as many values as there are places, the last one first.
func (m *machine) pops(to ...*any) error {
	for _, p := range slices.Backward(to) {
		v, err := m.pop()
		if err != nil {
			return err
		}
		*p = v
	}
	return nil
}

// popMark takes what lies above the last mark, and the mark.
func (m *machine) popMark() ([]any, error) {
	for i, v := range slices.Backward(m.stack) {
		if v == any(mark{}) {
			items := slices.Clone(m.stack[i+1:])
			m.stack = m.stack[:i]
			return items, nil
		}
	}
	return nil, errStack
}

func (m *machine) byte() (byte, error) {
	b, err := m.r.ReadByte()
	if err != nil {
		return 0, ErrShort
	}
	m.at++
	return b, nil
}

// take reads n bytes. What a length announces is not made before it is there.
func (m *machine) take(n int64) ([]byte, error) {
	if n < 0 || n > limit {
		return nil, fmt.Errorf("a string of %d bytes; want at most %d", n, limit)
	}
	var b []byte
	for int64(len(b)) < n {
		at := len(b)
		b = append(b, make([]byte, min(n-int64(at), 1<<16))...)
		if _, err := io.ReadFull(m.r, b[at:]); err != nil {
			return nil, ErrShort
		}
	}
	m.at += n
	return b, nil
}

func (m *machine) line() (string, error) {
	var b []byte
	for {
		c, err := m.byte()
		switch {
		case err != nil:
			return "", err
		case c == '\n':
			return string(b), nil
		case len(b) == longest:
			return "", fmt.Errorf("a name of more than %d bytes", len(b))
		}
		b = append(b, c)
	}
}

func (m *machine) length(width int64) (int64, error) {
	b, err := m.take(width)
	if err != nil {
		return 0, err
	}
	var wide [8]byte
	copy(wide[:], b)
	n := binary.LittleEndian.Uint64(wide[:])
	if n > math.MaxInt64 {
		return 0, fmt.Errorf("a length of %d", n)
	}
	return int64(n), nil
}

func (m *machine) remember(op byte) error {
	var key int64
	var err error
	switch op {
	case 'q', 'h':
		key, err = m.length(1)
	case 'r', 'j':
		key, err = m.length(4)
	default: // MEMOIZE
		key = int64(len(m.memo))
	}
	if err != nil {
		return err
	}
	if op == 'h' || op == 'j' {
		v, ok := m.memo[uint32(key)]
		if !ok {
			return fmt.Errorf("nothing was remembered as %d", key)
		}
		m.push(v)
		return nil
	}
	v, err := m.pop()
	if err == nil {
		m.push(v)
		m.memo[uint32(key)] = v
	}
	return err
}

func (m *machine) number(op byte) error {
	var b []byte
	var err error
	switch op {
	case 'N':
		m.push(nil)
	case 0x88:
		m.push(true)
	case 0x89:
		m.push(false)
	case 'J':
		if b, err = m.take(4); err == nil {
			m.push(int64(int32(binary.LittleEndian.Uint32(b))))
		}
	case 'K', 'M':
		var n int64
		if n, err = m.length(map[byte]int64{'K': 1, 'M': 2}[op]); err == nil {
			m.push(n)
		}
	case 'G':
		if b, err = m.take(8); err == nil {
			m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
	case 0x8a: // LONG1: two's complement, little-endian
		var n int64
		if n, err = m.length(1); err == nil {
			if b, err = m.take(n); err == nil {
				m.push(long(b))
			}
		}
	}
	return err
}

func long(b []byte) any {
	b = slices.Clone(b)
	slices.Reverse(b)
	v := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if v.IsInt64() {
		return v.Int64()
	}
	return v
}

func (m *machine) text(op byte) error {
	n, err := m.length(map[byte]int64{'X': 4, 0x8c: 1, 0x8d: 8, 'B': 4, 'C': 1, 0x8e: 8, 'T': 4, 'U': 1}[op])
	if err != nil {
		return err
	}
	b, err := m.take(n)
	switch op {
	case 'X', 0x8c, 0x8d:
		m.push(string(b))
	default:
		m.push(b)
	}
	return err
}

func (m *machine) collect(op byte) error {
	switch op {
	case '}':
		m.push(&Dict{})
	case ']':
		m.push(&List{})
	case ')':
		m.push(Tuple{})
	case 't':
		items, err := m.popMark()
		m.push(Tuple(items))
		return err
	case 0x85, 0x86, 0x87:
		n := int(op - 0x84)
		if len(m.stack) < n {
			return errStack
		}
		items := slices.Clone(m.stack[len(m.stack)-n:])
		m.stack = m.stack[:len(m.stack)-n]
		m.push(Tuple(items))
	case 's', 'u':
		return m.set(op)
	case 'a', 'e':
		return m.append(op)
	}
	return nil
}

func (m *machine) set(op byte) error {
	items := make([]any, 2)
	err := error(nil)
	if op == 's' {
		err = m.pops(&items[0], &items[1])
	} else {
		items, err = m.popMark()
	}
	if err != nil {
		return err
	}
	v, err := m.pop()
	d, ok := v.(*Dict)
	if err != nil || !ok || len(items)%2 != 0 {
		return fmt.Errorf("%d keys and values for %s", len(items), Kind(v))
	}
	for i := 0; i < len(items); i += 2 {
		d.Keys, d.Values = append(d.Keys, items[i]), append(d.Values, items[i+1])
	}
	m.push(d)
	return nil
}

func (m *machine) append(op byte) error {
	items := make([]any, 1)
	err := error(nil)
	if op == 'a' {
		err = m.pops(&items[0])
	} else {
		items, err = m.popMark()
	}
	if err != nil {
		return err
	}
	v, err := m.pop()
	l, ok := v.(*List)
	if err != nil || !ok {
		return fmt.Errorf("%d items for %s", len(items), Kind(v))
	}
	l.Items = append(l.Items, items...)
	m.push(l)
	return nil
}

func (m *machine) global(op byte) error {
	var module, name any
	var err error
	if op == 'c' {
		if module, err = m.line(); err == nil {
			name, err = m.line()
		}
	} else {
		err = m.pops(&module, &name)
	}
	if err != nil {
		return err
	}
	if !isName(module) || !isName(name) {
		return fmt.Errorf("a name of %s and %s", Kind(module), Kind(name))
	}
	g := Global{module.(string), name.(string)}
	if !g.known() {
		return &ProgramError{Name: g.String()}
	}
	m.push(g)
	return nil
}

// isName says whether a value can be a part of a name, and of a message.
func isName(v any) bool {
	s, ok := v.(string)
	return ok && len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (m *machine) build(op byte) error {
	var made any
	var a, b any
	var err error
	switch op {
	case 'Q':
		if err = m.pops(&a); err == nil {
			made, err = m.persistent(a)
		}
	case 'R':
		if err = m.pops(&a, &b); err == nil {
			made, err = construct(a, b)
		}
		// A string may be named again and again: what is made of strings is no more than was read.
		if b, ok := made.([]byte); ok {
			if m.encoded += int64(len(b)); m.encoded > m.at {
				return fmt.Errorf("%d bytes are made of the %d that were read", m.encoded, m.at)
			}
		}
	case 0x81: // NEWOBJ
		if err = m.pops(&a, &b); err == nil {
			g, ok := a.(Global)
			if !ok || !g.script() {
				return fmt.Errorf("a new object of %s", Kind(a))
			}
			made = &Object{}
		}
	case 'b':
		if err = m.pops(&a, &b); err == nil {
			made, err = a, state(a, b)
		}
	}
	if err != nil {
		return err
	}
	m.push(made)
	return nil
}
