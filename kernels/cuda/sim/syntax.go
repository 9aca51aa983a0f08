package sim

// What the parser makes of PTX text: variables, functions, statements. Register
// names and scopes are resolved while parsing; everything else is left to decode.

// source is a parsed module.
type source struct {
	name      string
	target    string // of .target
	lines     []string
	variables []*variable // of module scope
	functions []*function
}

// text is a line of the module without the blanks around it, for messages.
func (s *source) text(line int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	return trim(s.lines[line-1])
}

// variable is a declaration in a state space: .global, .const, .shared, .local or .param.
type variable struct {
	name    string
	space   string
	element int // bytes of one element
	bytes   int
	align   int
	data    []byte // initial value, nil if none
	refs    []reference
	extern  bool // .extern: dynamic shared memory has no size
	line    int
	offset  uint64 // where the layout put it within shared, local or parameter memory
	index   int    // among those of the module
}

// reference is an address inside an initial value.
type reference struct {
	at     int // byte offset within the variable
	symbol string
	add    int64
}

// file says which register file holds a register.
type file uint8

const (
	predicates file = iota // one bit a lane
	words                  // 32 bits a lane; narrower types are kept zero-extended
	doubles                // 64 bits a lane
)

type register struct {
	name string
	file file
	bits int // as declared: 1, 8, 16, 32, 64
	slot int
}

type operandKind uint8

const (
	isRegister operandKind = iota
	isInteger
	isFloat32 // 0f…: value holds the bits
	isFloat64 // 0d… or decimal: value holds the bits
	isSpecial // %tid.x and the like
	isSymbol  // variable, label or function, with an offset
	isVector
	isMemory // [base+offset]: list[0] is the base
	isSink   // _
)

type operand struct {
	kind   operandKind
	reg    *register
	negate bool // !p
	value  uint64
	symbol string
	offset int64
	list   []operand
}

// statement is one instruction.
type statement struct {
	line     int
	guard    *register
	unless   bool // @!p
	opcode   string
	parts    []string // the opcode at its dots
	operands []operand
	paired   bool // the first two operands were written a|b
	scope    *scope
}

// has tells whether the opcode carries a modifier.
func (s *statement) has(modifier string) bool {
	for _, p := range s.parts[1:] {
		if p == modifier {
			return true
		}
	}
	return false
}

// scope is a pair of braces.
type scope struct {
	outer     *scope
	registers map[string]*register
	variables map[string]*variable
	labels    map[string]int // index of the statement that follows
	targets   map[string][]string
}

func newScope(outer *scope) *scope {
	return &scope{outer, map[string]*register{}, map[string]*variable{}, map[string]int{}, map[string][]string{}}
}

func (s *scope) register(name string) *register {
	for ; s != nil; s = s.outer {
		if r := s.registers[name]; r != nil {
			return r
		}
	}
	return nil
}

func (s *scope) variable(name string) *variable {
	for ; s != nil; s = s.outer {
		if v := s.variables[name]; v != nil {
			return v
		}
	}
	return nil
}

func (s *scope) label(name string) (int, bool) {
	for ; s != nil; s = s.outer {
		if at, ok := s.labels[name]; ok {
			return at, true
		}
	}
	return 0, false
}

func (s *scope) branchTargets(name string) []string {
	for ; s != nil; s = s.outer {
		if t, ok := s.targets[name]; ok {
			return t
		}
	}
	return nil
}

// function is an .entry or a .func.
type function struct {
	name      string
	entry     bool
	line      int
	params    []*variable
	results   []*variable
	locals    []*variable // .local, and .param of calls
	shared    []*variable // static .shared
	registers []*register
	body      []*statement
	maxBlock  int    // .maxntid, .reqntid: threads; 0 if not said
	minBlocks int    // .minnctapersm
	cluster   [3]int // .reqnctapercluster
}
