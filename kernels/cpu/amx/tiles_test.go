package amx

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// memory is a few kilobytes from address 0 on.
type memory []byte

func (m memory) each(address, stride uint64, rows [][]byte, copy func(own, row []byte)) error {
	for i, row := range rows {
		at := address + uint64(i)*stride
		if at+uint64(len(row)) > uint64(len(m)) {
			return errors.New("no memory")
		}
		copy(m[at:], row)
	}
	return nil
}

func (m memory) Read(address, stride uint64, rows [][]byte) error {
	return m.each(address, stride, rows, func(own, row []byte) { copy(row, own) })
}

func (m memory) Write(address, stride uint64, rows [][]byte) error {
	return m.each(address, stride, rows, func(own, row []byte) { copy(own, row) })
}

// config is palette 1 with these sizes of tiles: rows, bytes.
func config(sizes ...[2]int) []byte {
	c := make([]byte, 64)
	c[0] = 1
	for i, s := range sizes {
		c[48+i] = byte(s[0])
		binary.LittleEndian.PutUint16(c[16+2*i:], uint16(s[1]))
	}
	return c
}

// at runs an instruction on registers that are 64 times their numbers.
func (t *Tiles) at(m memory, i Instruction) error {
	return t.Execute(i, m, func(n int) uint64 { return uint64(64 * n) })
}

var load = Instruction{Operation: LoadConfig, Base: NoRegister, Index: NoRegister}

func TestConfigure(t *testing.T) {
	change := func(at int, to byte) []byte {
		c := config([2]int{16, 64}, [2]int{3, 20})
		c[at] = to
		return c
	}
	for _, c := range []struct {
		what   string
		config []byte
		want   error
	}{
		{"good", change(0, 1), nil},
		{"palette 0", change(0, 0), nil},
		{"palette 2", change(0, 2), ErrProtection},
		{"row 15", change(1, 15), nil},
		{"row 16", change(1, 16), ErrProtection},
		{"reserved", change(2, 1), ErrProtection},
		{"tile 8", change(32, 1), ErrProtection},
		{"rows of tile 8", change(56, 1), ErrProtection},
		{"17 rows", change(48, 17), ErrProtection},
		{"65 bytes", change(16, 65), ErrProtection},
		{"no rows", change(49, 0), ErrProtection},
		{"no columns", change(18, 0), ErrProtection},
	} {
		var tiles Tiles
		if err := tiles.at(c.config, load); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		back := make(memory, 64)
		if err := tiles.at(back, Instruction{Operation: StoreConfig, Base: NoRegister, Index: NoRegister}); err != nil {
			t.Error(err)
		}
		if good := c.want == nil && c.config[0] == 1; string(back) != string(c.config) && good {
			t.Errorf("%s: % x comes back as % x", c.what, c.config, back)
		}
	}
}

// TestMove loads and stores with strides, and zeroes what a load does not reach.
func TestMove(t *testing.T) {
	m := make(memory, 8192)
	for i := range m {
		m[i] = byte(i*7 + i>>8)
	}
	var tiles Tiles
	if err := tiles.at(m, Instruction{Operation: Load, Tile: 0}); !errors.Is(err, ErrUndefined) {
		t.Errorf("without a configuration: %v", err)
	}
	if err := tiles.at(config([2]int{16, 64}, [2]int{3, 20}), load); err != nil {
		t.Fatal(err)
	}
	if err := tiles.at(m, Instruction{Operation: Load, Tile: 2}); !errors.Is(err, ErrUndefined) {
		t.Errorf("a tile that is not configured: %v", err)
	}
	// From 64·2+5 on, rows 64·3·2 apart.
	if err := tiles.at(m, Instruction{Operation: Load, Tile: 1, Base: 2, Index: 3, Scale: 2, Displacement: 5}); err != nil {
		t.Fatal(err)
	}
	for r, row := range tiles.tiles[1] {
		for c, x := range row {
			want := byte(0)
			if r < 3 && c < 20 {
				want = m[128+5+r*384+c]
			}
			if x != want {
				t.Fatalf("row %d, column %d: %d, want %d", r, c, x, want)
			}
		}
	}
	out := make(memory, 4096)
	if err := tiles.at(out, Instruction{Operation: Store, Tile: 1, Base: NoRegister, Index: 1, Scale: 1, Displacement: 1}); err != nil {
		t.Fatal(err)
	}
	for i, x := range out {
		want, r, c := byte(0), (i-1)/64, (i-1)%64
		if i > 0 && r < 3 && c < 20 {
			want = tiles.tiles[1][r][c]
		}
		if x != want {
			t.Fatalf("byte %d: %d, want %d", i, x, want)
		}
	}
	before := tiles
	if err := tiles.at(m[:1000], Instruction{Operation: Load, Tile: 0, Base: NoRegister, Index: 1, Scale: 1}); err == nil || tiles != before {
		t.Errorf("a load from where no memory is: %v", err)
	}
}

// TestMultiplySizes: a product needs sizes that fit.
func TestMultiplySizes(t *testing.T) {
	for _, c := range []struct {
		sizes [][2]int // of sum, left, right
		want  error
	}{
		{[][2]int{{5, 12}, {5, 28}, {7, 12}}, nil},
		{[][2]int{{5, 12}, {4, 28}, {7, 12}}, ErrUndefined},
		{[][2]int{{5, 12}, {5, 28}, {6, 12}}, ErrUndefined},
		{[][2]int{{5, 12}, {5, 28}, {7, 16}}, ErrUndefined},
		{[][2]int{{5, 10}, {5, 28}, {7, 10}}, ErrUndefined},
		{[][2]int{{5, 12}, {5, 28}}, ErrUndefined},
	} {
		var tiles Tiles
		if err := tiles.at(config(c.sizes...), load); err != nil {
			t.Fatal(err)
		}
		if err := tiles.at(nil, Instruction{Operation: MultiplyBFloat16, Tile: 0, First: 1, Second: 2}); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("sizes %v: %v, want %v", c.sizes, err, c.want)
		}
	}
}

// TestMultiply compares with exact arithmetic, rounded where the manual rounds, over
// numbers of all sizes, infinities among them.
func TestMultiply(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := map[string]func() uint16{
		"tame":      func() uint16 { return uint16(math.Float32bits(float32(rng.NormFloat64())) >> 16) },
		"small":     func() uint16 { return uint16(rng.UintN(2)<<15 | rng.UintN(80)<<7 | rng.UintN(128)) },
		"denormals": func() uint16 { return uint16(rng.UintN(2)<<15 | rng.UintN(2)*127<<7 | rng.UintN(128)) },
		"large":     func() uint16 { return uint16(rng.UintN(2)<<15 | (180+rng.UintN(14))<<7 | rng.UintN(128)) },
		"near tiny": func() uint16 { return uint16(rng.UintN(2)<<15 | (56+rng.UintN(16))<<7 | rng.UintN(128)) },
		"any":       func() uint16 { return uint16(rng.UintN(1 << 16)) },
	}
	for name, draw := range draw {
		for range 30 {
			var tiles Tiles
			if err := tiles.at(config([2]int{16, 64}, [2]int{16, 64}, [2]int{16, 64}), load); err != nil {
				t.Fatal(err)
			}
			for tile := range 3 {
				for r := range rows {
					for c := range rowBytes / 2 {
						binary.LittleEndian.PutUint16(tiles.tiles[tile][r][2*c:], draw())
					}
				}
			}
			before := tiles
			if err := tiles.at(nil, Instruction{Operation: MultiplyBFloat16, Tile: 0, First: 1, Second: 2}); err != nil {
				t.Fatal(err)
			}
			element := func(tile, r, c int) float32 {
				return math.Float32frombits(uint32(binary.LittleEndian.Uint16(before.tiles[tile][r][2*c:])) << 16)
			}
			for r := range rows {
				for n := range rowBytes / 4 {
					var sums [2]float32
					for k := range rows {
						for i := range sums {
							sums[i] = exact(sums[i], element(1, r, 2*k+i), element(2, k, 2*n+i))
						}
					}
					old := math.Float32frombits(binary.LittleEndian.Uint32(before.tiles[0][r][4*n:]))
					want := exact(old, exact(sums[0], sums[1], 1), 1)
					got := math.Float32frombits(binary.LittleEndian.Uint32(tiles.tiles[0][r][4*n:]))
					if got != want && (got == got || want == want) {
						t.Fatalf("%s: row %d, column %d: %g, want %g", name, r, n, got, want)
					}
				}
			}
		}
	}
}

// exact is sum + a·b by big numbers: denormals are zero, and the rounding is to 24 bits
// with exponents as large or small as need be before what is too small becomes zero.
func exact(sum, a, b float32) float32 {
	for _, x := range []*float32{&sum, &a, &b} {
		if math.Abs(float64(*x)) < 0x1p-126 {
			*x = float32(math.Copysign(0, float64(*x)))
		}
	}
	for _, x := range []float32{sum, a, b} {
		if math.IsInf(float64(x), 0) || x != x {
			return float32(float64(sum) + float64(a)*float64(b))
		}
	}
	big64 := func(x float32) *big.Float { return new(big.Float).SetPrec(1000).SetFloat64(float64(x)) }
	total := new(big.Float).SetPrec(1000).Mul(big64(a), big64(b))
	total.Add(total, big64(sum))
	rounded := new(big.Float).SetPrec(24).SetMode(big.ToNearestEven).Set(total)
	x, _ := rounded.Float64()
	if math.Abs(x) < 0x1p-126 {
		return 0
	}
	return float32(x)
}
