package amx

import (
	"encoding/binary"
	"errors"
	"math"
)

// Size of palette 1: what there is to configure.
const (
	names    = 8
	rows     = 16
	rowBytes = 64
)

// Faults of an instruction. The state is as before it.
var (
	ErrUndefined  = errors.New("#UD")
	ErrProtection = errors.New("#GP")
)

// Memory is that of a program. It fails where there is none. Rows are stride bytes apart.
type Memory interface {
	Read(address, stride uint64, rows [][]byte) error
	Write(address, stride uint64, rows [][]byte) error
}

// Tiles is the state of a thread. Its zero value is the initial state.
type Tiles struct {
	configured bool
	config     [64]byte // as LDTILECFG read it
	tiles      [names][rows][rowBytes]byte
}

// size of a tile; (0, 0) where it is not configured.
func (t *Tiles) size(tile int) (rows, columnBytes int) {
	return int(t.config[48+tile]), int(binary.LittleEndian.Uint16(t.config[16+2*tile:]))
}

// valid says whether an instruction may use a tile.
func (t *Tiles) valid(tile int) bool {
	n, b := t.size(tile)
	return t.configured && n > 0 && b > 0
}

// Execute runs an instruction at an address; registers are those of its operand.
func (t *Tiles) Execute(i Instruction, m Memory, register func(n int) uint64) error {
	switch i.Operation {
	case Release:
		*t = Tiles{}
		return nil
	case LoadConfig:
		var config [64]byte
		if err := m.Read(address(i, register, true), 0, [][]byte{config[:]}); err != nil {
			return err
		}
		return t.configure(config)
	case StoreConfig:
		return m.Write(address(i, register, true), 0, [][]byte{t.config[:]})
	}
	if !t.valid(i.Tile) {
		return ErrUndefined
	}
	switch i.Operation {
	case Zero:
		t.tiles[i.Tile], t.config[1] = [rows][rowBytes]byte{}, 0
		return nil
	case MultiplyBFloat16:
		return t.multiply(i)
	}
	return t.move(i, m, register)
}

func address(i Instruction, register func(n int) uint64, index bool) uint64 {
	a := uint64(i.Displacement)
	switch i.Base {
	case NoRegister:
	case RIP:
		a += register(RIP) + uint64(i.Length)
	default:
		a += register(i.Base)
	}
	if index && i.Index != NoRegister {
		a += register(i.Index) * uint64(i.Scale)
	}
	return a
}

// configure checks and sets a configuration. Tiles are zero after it.
func (t *Tiles) configure(config [64]byte) error {
	palette := config[0]
	if palette == 0 {
		*t = Tiles{}
		return nil
	}
	next := Tiles{configured: true, config: config}
	wrong := palette > 1 || config[1] > 0 && config[1] >= rows
	for _, reserved := range [][]byte{config[2:16], config[16+2*names : 48], config[48+names:]} {
		for _, b := range reserved {
			wrong = wrong || b != 0
		}
	}
	for tile := range names {
		n, b := next.size(tile)
		wrong = wrong || n > rows || b > rowBytes || (n == 0) != (b == 0)
	}
	if wrong {
		return ErrProtection
	}
	*t = next
	return nil
}

// move loads or stores a tile, its rows Index·Scale bytes apart, from the row on where
// one that was interrupted goes on. A load zeroes what is behind them.
func (t *Tiles) move(i Instruction, m Memory, register func(n int) uint64) error {
	start := int(t.config[1])
	n, b := t.size(i.Tile)
	at, stride := address(i, register, false), uint64(0)
	if i.Index != NoRegister {
		stride = register(i.Index) * uint64(i.Scale)
	}
	at += uint64(start) * stride
	if i.Operation == Store {
		if err := m.Write(at, stride, part(&t.tiles[i.Tile], start, n, b)); err != nil {
			return err
		}
		t.config[1] = 0
		return nil
	}
	var tile [rows][rowBytes]byte
	copy(tile[:start], t.tiles[i.Tile][:])
	if err := m.Read(at, stride, part(&tile, start, n, b)); err != nil {
		return err
	}
	t.tiles[i.Tile], t.config[1] = tile, 0
	return nil
}

// part is the rows of a tile from start on.
func part(tile *[rows][rowBytes]byte, start, n, b int) [][]byte {
	var list [][]byte
	for r := start; r < n; r++ {
		list = append(list, tile[r][:b])
	}
	return list
}

// multiply adds to Tile the products of pairs: for every row of First and column of
// Second, the even elements are summed, the odd ones, then both, then the tile.
func (t *Tiles) multiply(i Instruction) error {
	m, columns := t.size(i.Tile)
	m1, depth := t.size(i.First)
	depth2, columns2 := t.size(i.Second)
	if !t.valid(i.First) || !t.valid(i.Second) || columns%4+depth%4+columns2%4 != 0 ||
		m != m1 || columns != columns2 || depth/4 != depth2 {
		return ErrUndefined
	}
	var a, b [rows][rowBytes / 2]float32
	tame := widen(&a, &t.tiles[i.First], m, depth/2)
	tame = widen(&b, &t.tiles[i.Second], depth2, columns/2) && tame
	for r := range m {
		var sums [rowBytes / 2]float32
		for k := range depth2 {
			if even, odd := a[r][2*k], a[r][2*k+1]; tame {
				multiplyAdd(&sums, even, odd, &b[k])
			} else {
				fusedMultiplyAdd(&sums, even, odd, &b[k])
			}
		}
		out := &t.tiles[i.Tile][r]
		for n := range columns / 4 {
			old := flush(math.Float32frombits(binary.LittleEndian.Uint32(out[4*n:])))
			sum := flush(old + flush(sums[2*n]+sums[2*n+1])) // denormal sums are exact
			binary.LittleEndian.PutUint32(out[4*n:], math.Float32bits(sum))
		}
	}
	for r := m; r < rows; r++ {
		t.tiles[i.Tile][r] = [rowBytes]byte{}
	}
	t.config[1] = 0
	return nil
}

// widen reads rows of bfloat16, denormals as zeros. They are tame if no product of two
// of them, nor a sum of such products, comes near the limits of float32: then the
// products are exact, and its arithmetic is that of the manual.
func widen(to *[rows][rowBytes / 2]float32, from *[rows][rowBytes]byte, n, columns int) (tame bool) {
	tame = true
	for r := range n {
		for c := range columns {
			bits := uint32(binary.LittleEndian.Uint16(from[r][2*c:])) << 16
			exponent := bits >> 23 & 255
			if exponent == 0 {
				bits &= 1 << 31
			} else if exponent < 127-50 || exponent > 127+50 {
				tame = false
			}
			to[r][c] = math.Float32frombits(bits)
		}
	}
	return tame
}

const (
	least = 0x1p-126 // normal number
	// tiny is below what rounds up to the least normal number in 24 bits.
	tiny = 0x1p-126 - 0x1p-151
)

// multiplyAdd adds to the even sums, and to the odd ones, for numbers that are tame.
func multiplyAdd(sums *[rowBytes / 2]float32, even, odd float32, factors *[rowBytes / 2]float32) {
	for n := 0; n < len(sums); n += 2 {
		sums[n] += even * factors[n]
		sums[n+1] += odd * factors[n+1]
	}
}

// fusedMultiplyAdd is multiplyAdd for any, rounded once to nearest even, with denormal
// results zero. A product has 16 bits and is exact in float64. So is the sum, or its
// smaller term is too small to matter to the rounding to float32.
func fusedMultiplyAdd(sums *[rowBytes / 2]float32, even, odd float32, factors *[rowBytes / 2]float32) {
	for n, sum := range sums {
		factor := even
		if n%2 == 1 {
			factor = odd
		}
		exact := float64(sum) + float64(factor)*float64(factors[n])
		sums[n] = float32(exact)
		if math.Abs(exact) < tiny {
			sums[n] *= 0 // of its sign
		}
	}
}

// flush takes a denormal for zero.
func flush(x float32) float32 {
	if x > -least && x < least {
		return x * 0 // of its sign
	}
	return x
}
