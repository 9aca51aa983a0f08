package amx

import "encoding/binary"

// MaxLength of an instruction, in bytes.
const MaxLength = 15

// Decode reads the instruction at the beginning of code. It says no to everything that
// is none of ours, or that the manual lets raise #UD whatever the state. Prefixes of
// segment and address size in front of one are not known here.
func Decode(code []byte) (i Instruction, ok bool) {
	d := decoder{code: code}
	i, ok = d.instruction()
	return i, ok && !d.short
}

// decoder reads bytes, and zeros behind the last.
type decoder struct {
	code  []byte
	at    int
	short bool
}

func (d *decoder) byte() int {
	if d.at >= len(d.code) {
		d.short = true
		return 0
	}
	d.at++
	return int(d.code[d.at-1])
}

func (d *decoder) displacement(bytes int) int64 {
	var b [4]byte
	for i := range bytes {
		b[i] = byte(d.byte())
	}
	switch bytes {
	case 1:
		return int64(int8(b[0]))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b[:])))
	}
	return 0
}

// VEX prefixes that stand for one of the older.
const (
	none = iota
	p66
	pF3
	pF2
)

// instruction reads C4, ¬R ¬X ¬B and the map of opcodes 0F 38, W ¬vvvv L pp, opcode,
// ModRM, and what of an address follows. All of ours have W and L of 0.
func (d *decoder) instruction() (i Instruction, ok bool) {
	if d.byte() != 0xc4 {
		return i, false
	}
	second, third, opcode, modrm := d.byte(), d.byte(), d.byte(), d.byte()
	if second&31 != 2 || third&0x84 != 0 {
		return i, false
	}
	r, x, b := ^second>>7&1, ^second>>6&1, ^second>>5&1
	vvvv, pp := ^third>>3&15, third&3
	mod, reg, rm := modrm>>6, modrm>>3&7+r*8, modrm&7
	if mod == 3 {
		rm += b * 8
	}
	i.Base, i.Index = NoRegister, NoRegister
	switch {
	case opcode == 0x5c:
		i.Operation, i.Tile, i.First, i.Second = MultiplyBFloat16, reg, rm, vvvv
		distinct := reg != rm && reg != vvvv && rm != vvvv
		ok = pp == pF3 && mod == 3 && distinct && reg < 8 && rm < 8 && vvvv < 8
	case vvvv != 0:
	case opcode == 0x49 && mod == 3:
		i.Operation, i.Tile = Zero, reg
		ok = pp == pF2 && rm == 0 && reg < 8
		if pp == none {
			i.Operation, ok = Release, rm == 0 && reg == 0
		}
	case opcode == 0x49:
		i.Operation = LoadConfig
		if pp == p66 {
			i.Operation = StoreConfig
		}
		d.address(&i, mod, rm, x, b)
		ok = pp <= p66 && reg == 0
	case opcode == 0x4b && mod != 3 && rm == 4:
		i.Operation, i.Tile = [...]Operation{p66: LoadOnce, pF3: Store, pF2: Load}[pp], reg
		d.address(&i, mod, rm, x, b)
		ok = pp != none && reg < 8
	}
	i.Length = d.at
	return i, ok
}

// address reads SIB and displacement of an operand in memory.
func (d *decoder) address(i *Instruction, mod, rm, x, b int) {
	i.Base, i.Scale = rm+b*8, 1
	if rm == 4 {
		sib := d.byte()
		i.Scale, i.Base = 1<<(sib>>6), sib&7+b*8
		if index := sib>>3&7 + x*8; index != 4 {
			i.Index = index
		}
		if mod == 0 && sib&7 == 5 {
			i.Base, i.Displacement = NoRegister, d.displacement(4)
			return
		}
	}
	switch {
	case mod == 0 && rm == 5:
		i.Base, i.Displacement = RIP, d.displacement(4)
	case mod == 1:
		i.Displacement = d.displacement(1)
	case mod == 2:
		i.Displacement = d.displacement(4)
	}
}
