package draw

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// pairOnGPU runs the second of two rows and returns z, target and times.
func pairOnGPU(t *testing.T, k Pair, b *Batch, gap int, resident bool) (z, target, times []float32, function string) {
	t.Helper()
	g := kerneltest.NewGPU(t, 5)
	var set cuda.Address
	bound, first := *b, *b
	first.Seed++ // the row before, which must not be read
	if resident {
		set = g.Bytes(b.Pixels)
	} else if b.Sources != nil { // the loader gathers what a row brings
		bound.Pixels, bound.Sources = nil, nil
		for _, source := range b.Sources {
			bound.Pixels = append(bound.Pixels, b.Pixels[int(source)*k.Values():][:k.Values()]...)
		}
		first.Pixels, first.Sources = bound.Pixels, nil
	}
	rows := [][]byte{make([]byte, k.ParameterBytes(&bound)), make([]byte, k.ParameterBytes(&bound))}
	k.PutParameters(&first, rows[0])
	k.PutParameters(&bound, rows[1])
	l := cuda.Launch{
		Out:        g.Empty(number.Float32, k.Images*k.Pixels, k.Channels, gap),
		In:         []cuda.Operand{g.Empty(number.Float32, k.Images*k.Pixels, k.Channels, gap/2), g.Empty(number.Float32, 1, k.Images, 0)},
		Parameters: g.Parameters(1, rows...),
	}
	calls := k.CUDA(&bound, set, l)
	g.Run(calls...)
	g.Run(calls...)
	return g.Values(l.Out), g.Values(l.In[0]), g.Values(l.In[1]), calls[0].Function
}

// One kernel bound to two data sets reads each where it was bound to it.
func TestTwoSetsCUDA(t *testing.T) {
	k := Pair{Shape: Shape{Images: 2, Pixels: 16, Channels: 3}}
	b := batch(k.Shape)
	b.Sources = []int64{1, 0}
	row := make([]byte, k.ParameterBytes(b))
	k.PutParameters(b, row)
	g := kerneltest.NewGPU(t, 5)
	sets := [][]byte{slices.Clone(b.Pixels), slices.Clone(b.Pixels)}
	slices.Reverse(sets[1])
	var launches []cuda.Launch
	var calls [][]cuda.Call
	for _, pixels := range sets {
		l := cuda.Launch{
			Out: g.Empty(number.Float32, k.Images*k.Pixels, k.Channels, 0), In: []cuda.Operand{g.Empty(number.Float32, k.Images*k.Pixels, k.Channels, 0)},
			Parameters: g.Parameters(0, row),
		}
		launches, calls = append(launches, l), append(calls, k.CUDA(b, g.Bytes(pixels), l))
	}
	for i, l := range launches {
		g.Run(calls[i]...)
		z, target := matrix(k.Shape, 0), matrix(k.Shape, 0)
		k.CPU(b, sets[i], z, target, nil)(pool(t, 1))
		sameBits(t, "z", g.Values(l.Out), dense(t, z))
		sameBits(t, "target", g.Values(l.In[0]), dense(t, target))
	}
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if len(got) != len(want) || math.Float32bits(got[i]) != math.Float32bits(w) {
			t.Fatalf("%s: value %d of %d and %d is %v on the GPU, %v on the CPU", what, i, len(got), len(want), got[i], w)
		}
	}
}

// The batch on a GPU has the bits of the CPU's, from a data set and from rows,
// mirrored or not.
func TestPairCUDA(t *testing.T) {
	used := map[string]bool{}
	for _, s := range []Shape{{1, 1, 1}, {2, 9, 3}, {3, 16 * 16, 3}, {2, 7 * 12, 5}, {2, 3, 700}, {2, 40 * 40, 1}, {2, 4, 4096}} {
		for _, gap := range []int{0, 5} {
			for _, mode := range []string{"rows", "rows flipped", "resident", "resident flipped"} {
				width := 1
				for _, w := range []int{16, 12, 9, 40, 3, 4} {
					if s.Pixels%w == 0 {
						width = w
						break
					}
				}
				k, b := Pair{s, width}, batch(Shape{5, s.Pixels, s.Channels})
				b.Addresses, b.Coefficients = b.Addresses[:s.Images], b.Coefficients[:s.Images]
				b.Sources = []int64{4, 0, 4}[:s.Images]
				if mode == "rows flipped" || mode == "resident flipped" {
					b.Flips = []bool{true, false, true}[:s.Images]
				}
				z, target, times, function := pairOnGPU(t, k, b, gap, mode[:2] == "re")
				used[function] = true

				wantZ, wantTarget, wantTimes := matrix(s, 0), matrix(s, 0), make([]float32, s.Images)
				k.CPU(b, nil, wantZ, wantTarget, wantTimes)(pool(t, 1))
				what := k.String() + " " + mode + " " + function
				sameBits(t, what+" z", z, dense(t, wantZ))
				sameBits(t, what+" target", target, dense(t, wantTarget))
				sameBits(t, what+" times", times, wantTimes)
			}
		}
	}
	if len(used) != 2 {
		t.Errorf("tested %v", used)
	}
}

// Every pixel has the CPU's value to the bit: z is x itself where Alpha is 1.
func TestPixelsCUDA(t *testing.T) {
	s := Shape{1, 256, 1}
	b := &Batch{Addresses: []int64{0}, Coefficients: []Coefficients{{Alpha: 1}}}
	for p := range 256 {
		b.Pixels = append(b.Pixels, byte(p))
	}
	z, _, _, _ := pairOnGPU(t, Pair{Shape: s}, b, 0, false)
	sameBits(t, "x", z, values[:])
}

func TestStartCUDA(t *testing.T) {
	for _, s := range []Shape{{1, 1, 1}, {2, 9, 3}, {3, 32 * 32, 3}, {2, 11 * 13, 5}} {
		for _, gap := range []int{0, 5} {
			for _, guided := range []bool{false, true} {
				k, seeds := Start{s}, &Seeds{Seed: 3, Scale: 0.75}
				for i := range s.Images {
					seeds.Images = append(seeds.Images, int64(100-i))
				}
				g := kerneltest.NewGPU(t, 6)
				row := make([]byte, k.ParameterBytes())
				k.PutParameters(seeds, row)
				z, second := g.Empty(number.Float32, s.Images*s.Pixels, s.Channels, gap), cuda.Operand{}
				if guided {
					second = g.Empty(number.Float32, s.Images*s.Pixels, s.Channels, gap)
				}
				g.Run(k.CUDA(z, second, g.Parameters(0, row))...)
				want := matrix(s, 0)
				k.CPU(seeds, want)(pool(t, 1))
				sameBits(t, k.String(), g.Values(z), dense(t, want))
				if guided {
					sameBits(t, k.String()+", second", g.Values(second), dense(t, want))
				}
			}
		}
	}
}

// What cannot be launched is refused when it is bound, not on the device.
func TestBindCUDA(t *testing.T) {
	s := Shape{2, 9, 3}
	g := kerneltest.NewGPU(t, 1)
	z := g.Empty(number.Float32, 18, 3, 0)
	narrow := g.Empty(number.BFloat16, 18, 3, 0)
	sources := batch(s)
	sources.Sources = []int64{0, 1}
	for name, bind := range map[string]func(){
		"bf16":               func() { Pair{Shape: s}.CUDA(batch(s), 0, cuda.Launch{Out: narrow, In: []cuda.Operand{z}}) },
		"no data set":        func() { Pair{Shape: s}.CUDA(sources, 0, cuda.Launch{Out: z, In: []cuda.Operand{z}}) },
		"shape":              func() { Start{Shape{1, 9, 3}}.CUDA(z, cuda.Operand{}, cuda.Parameters{}) },
		"images of this row": func() { Pair{Shape: Shape{3, 9, 3}}.PutParameters(batch(s), make([]byte, 1<<12)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no refusal", name)
				}
			}()
			bind()
		}()
	}
}

// The layout of a row is the one that draw.cu declares.
func TestRow(t *testing.T) {
	s := Shape{2, 4, 1}
	k, b := Pair{s, 2}, batch(s)
	b.Flips = []bool{false, true}
	row := make([]byte, k.ParameterBytes(b))
	k.PutParameters(b, row)
	second := row[headBytes+imageBytes:]
	if le := binary.LittleEndian; le.Uint64(row) != b.Seed || le.Uint64(second) != uint64(b.Addresses[1]) || le.Uint64(second[8:]) != 4 ||
		le.Uint32(second[32:]) != math.Float32bits(b.Coefficients[1].NetworkTime) || le.Uint32(second[36:]) != 1 ||
		!slices.Equal(row[k.pixels():], b.Pixels) {
		t.Errorf("% x", row)
	}
}

// Launches move little more than their operands, whole sectors of them: at the
// shape of preset cifar, half of the images mirrored.
func TestTrafficCUDA(t *testing.T) {
	s := Shape{2, 32 * 32, 3}
	rows, values := s.Images*s.Pixels, s.Images*s.Values()
	k, b := Pair{s, 32}, batch(s)
	b.Flips = []bool{false, true}
	g := kerneltest.NewSimulator(t, 1)
	row := make([]byte, k.ParameterBytes(b))
	k.PutParameters(b, row)
	z, target := g.Empty(number.Float32, rows, 3, 0), g.Empty(number.Float32, rows, 3, 0)
	calls := k.CUDA(b, 0, cuda.Launch{Out: z, In: []cuda.Operand{target}, Parameters: g.Parameters(0, row)})
	kerneltest.Traffic(t, g.Run(calls...), 9*values, 1.05)

	start, seeds := Start{s}, &Seeds{Images: []int64{1, 2}, Scale: 1}
	row = make([]byte, start.ParameterBytes())
	start.PutParameters(seeds, row)
	kerneltest.Traffic(t, g.Run(start.CUDA(z, cuda.Operand{}, g.Parameters(0, row))...), 4*values, 1.05)
}
