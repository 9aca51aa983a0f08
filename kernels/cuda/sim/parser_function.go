package sim

import (
	"strconv"
	"strings"
)

// function reads an .entry or .func: header and body.
func (p *parser) function() {
	fn := &function{line: p.line(), entry: p.next() == ".entry", cluster: [3]int{1, 1, 1}}
	p.scope = newScope(p.scope)
	outer := p.scope.outer
	defer func() { p.scope, p.fn = outer, nil }()
	p.fn = fn
	if p.peek() == "(" {
		fn.results = p.formals()
	}
	fn.name = p.next()
	if p.peek() == "(" {
		fn.params = p.formals()
	}
	for p.peek() != "{" {
		switch p.next() {
		case ";": // a declaration: its body comes later in the module
			return
		case ".maxntid", ".reqntid":
			fn.maxBlock = int(p.integer())
			for p.accept(",") {
				fn.maxBlock *= int(p.integer())
			}
		case ".reqnctapercluster":
			fn.cluster[0] = int(p.integer())
			for i := 1; p.accept(","); i++ {
				fn.cluster[min(i, 2)] = int(p.integer())
			}
			if min(fn.cluster[0], fn.cluster[1], fn.cluster[2]) < 1 {
				p.fail("clusters of %v blocks", fn.cluster)
			}
		case ".minnctapersm":
			fn.minBlocks = int(p.integer())
		case ".maxnctapersm", ".maxnreg":
			p.integer()
		case ".noreturn", ".explicitcluster":
		case ".pragma":
			p.next()
			p.expect(";")
		default:
			p.at--
			p.fail("directive %q is not known", p.peek())
		}
	}
	p.next()
	p.block()
	p.src.functions = append(p.src.functions, fn)
}

func (p *parser) formals() []*variable {
	var list []*variable
	p.expect("(")
	for !p.accept(")") {
		switch p.peek() {
		case ".param", ".reg":
			v := p.variable()
			v.space = "param"
			p.scope.variables[v.name] = v
			list = append(list, v)
		default:
			p.fail("expected a parameter, found %q", p.peek())
		}
		p.accept(",")
	}
	return list
}

// block reads statements up to the closing brace.
func (p *parser) block() {
	for {
		switch t := p.peek(); {
		case t == "{":
			p.next()
			p.scope = newScope(p.scope)
			p.block()
			p.scope = p.scope.outer
		case t == "}":
			p.next()
			return
		case t == ";":
			p.next()
		case t == ".reg":
			p.next()
			p.registers()
		case t == ".local" || t == ".param" || t == ".shared" || t == ".global" || t == ".const":
			v := p.variable()
			p.scope.variables[v.name] = v
			switch t {
			case ".shared":
				p.fn.shared = append(p.fn.shared, v)
			case ".local", ".param":
				p.fn.locals = append(p.fn.locals, v)
			default:
				p.src.variables = append(p.src.variables, v)
			}
			p.expect(";")
		case t == ".loc":
			p.skipLine()
		case t == ".pragma":
			p.at += 2
			p.expect(";")
		case p.at+1 < len(p.tokens) && p.tokens[p.at+1].text == ":":
			p.label()
		case t == "":
			p.fail("function %s has no end", p.fn.name)
		default:
			p.statement()
		}
	}
}

func (p *parser) label() {
	name := p.next()
	p.next()
	switch p.peek() {
	case ".branchtargets":
		p.next()
		for !p.accept(";") {
			p.scope.targets[name] = append(p.scope.targets[name], p.next())
			p.accept(",")
		}
	case ".callprototype", ".calltargets":
		p.fail("indirect calls (%s) are not known", p.peek())
	default:
		p.scope.labels[name] = len(p.fn.body)
	}
}

func (p *parser) registers() {
	if p.peek() == ".v2" || p.peek() == ".v4" {
		p.fail("vector registers are not known")
	}
	t := p.next()
	r := register{file: words}
	if t == ".pred" {
		r.file, r.bits = predicates, 1
	} else if n, ok := typeBytes(t); ok && n <= 8 {
		r.bits = 8 * n
		if n == 8 {
			r.file = doubles
		}
	} else {
		p.fail("register type %q is not known", t)
	}
	for !p.accept(";") {
		name := p.next()
		if p.accept("<") {
			n := int(p.integer())
			p.expect(">")
			for i := range n {
				p.register(name+strconv.Itoa(i), r)
			}
		} else {
			p.register(name, r)
		}
		p.accept(",")
	}
}

func (p *parser) register(name string, r register) {
	r.name = name
	p.scope.registers[name] = &r
	p.fn.registers = append(p.fn.registers, &r)
}

func (p *parser) statement() {
	s := &statement{line: p.line(), scope: p.scope}
	if p.accept("@") {
		s.unless = p.accept("!")
		name := p.next()
		s.guard = p.scope.register(name)
		if s.guard == nil || s.guard.file != predicates {
			p.fail("%s is not a predicate", name)
		}
	}
	s.line = p.line()
	s.opcode = p.next()
	s.parts = strings.Split(s.opcode, ".")
	for !p.accept(";") {
		s.operands = append(s.operands, p.operand())
		if p.accept("|") {
			s.paired = true
		} else if !p.accept(",") && p.peek() != ";" {
			p.fail("unexpected %q", p.peek())
		}
	}
	p.fn.body = append(p.fn.body, s)
}

func (p *parser) operand() operand {
	switch t := p.peek(); {
	case t == "{" || t == "(":
		closing := map[string]string{"{": "}", "(": ")"}[p.next()]
		o := operand{kind: isVector}
		for !p.accept(closing) {
			o.list = append(o.list, p.operand())
			p.accept(",")
		}
		return o
	case t == "[":
		p.next()
		o := operand{kind: isMemory}
		for !p.accept("]") {
			o.list = append(o.list, p.operand())
			p.accept(",")
		}
		if len(o.list) == 0 {
			p.fail("an address is empty")
		}
		o.offset = o.list[0].offset
		return o
	case t == "!":
		p.next()
		o := p.operand()
		o.negate = true
		return o
	case t == "-" || t != "" && t[0] >= '0' && t[0] <= '9':
		return p.number()
	case t == "_":
		p.next()
		return operand{kind: isSink}
	}
	t := p.next()
	if o, ok := constant(t); ok {
		return o
	}
	o := operand{kind: isSymbol, symbol: t}
	if r := p.scope.register(t); r != nil {
		o.kind, o.reg = isRegister, r
	} else if t[0] == '%' {
		o.kind = isSpecial
	}
	// An offset: [%r1+4], symbol+4, [%r1+-4].
	if p.accept("+") {
		o.offset = p.integer()
	} else if p.peek() == "-" && o.kind != isSpecial {
		o.offset = p.integer()
	}
	return o
}
