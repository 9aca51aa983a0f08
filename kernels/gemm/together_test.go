package gemm

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// shares is a product of which three blocks share each tile behind the first.
func shares(g *kerneltest.GPU) (problem, choice) {
	t := tilesOf(number.BFloat16, direct)[2]
	rng := rand.New(rand.NewPCG(5, 6))
	q := draw(g, edges(NT, t), number.BFloat16, rng.NormFloat64)
	c := lay(q.CUDA, direct, t)
	c.splits, c.splitSteps = 3, ceil(c.steps, 3)
	return q, c
}

// Blocks that share a tile add up what a second pass would, in its order; in every order in which they come, and again.
func TestTogether(t *testing.T) {
	var want []float32
	for seed := range uint64(3) {
		g := kerneltest.NewGPU(t, seed)
		q, c := shares(g)
		q.Scratch = g.Alloc(4 * c.splits * q.rows() * roundUp(q.Width, 4))
		g.Run(q.bind(c, direct)...)
		passes := g.Values(q.Out)
		c.together, c.whole = true, 0
		q.Scratch = g.Alloc(4 * c.m * c.n * c.blocks())
		for range 2 {
			q.Out = g.Empty(number.Float32, q.rows(), q.Width, 0)
			g.Run(q.bind(c, direct)...)
			if got := g.Values(q.Out); !slices.Equal(got, passes) || want != nil && !slices.Equal(got, want) {
				t.Fatalf("seed %d: another sum than of a second pass, or of another order of blocks", seed)
			}
		}
		want = passes
	}
}

// What is left out of the kernel is found on the simulator: nobody waits for others, so no block can hang.
func TestTogetherPlanted(t *testing.T) {
	count := regexp.MustCompile(`atom\.global\.add\.u32 \t(%r\d+)[^;]*;\n(?:\tadd\.s32[^;]*;\n)?\tsetp\.ne\.s32 \t%p\d+, %r\d+, %r\d+;\n\tsetp\.eq\.s32 \t%p\d+, %r\d+, (%r\d+);`)
	for _, c := range []struct {
		name, want string
		edit       func(ptx string) string
	}{
		{"nothing", "", func(ptx string) string { return ptx }},
		{"no fence behind what is left", "race", func(ptx string) string { return strings.ReplaceAll(ptx, "membar.gl;\n\tbar.sync", "bar.sync") }},
		{"the first to come adds up", "uninitialised", func(ptx string) string {
			return count.ReplaceAllStringFunc(ptx, func(s string) string {
				last := count.FindStringSubmatch(s)[2]
				return strings.ReplaceAll(s, ", "+last+";", ", 0;")
			})
		}},
		{"the count stays", "nobody added up", func(ptx string) string {
			return regexp.MustCompile(`atom\.global\.exch\.b32[^;]*;`).ReplaceAllString(ptx, "")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ptx := modules[number.BFloat16].PTX()
			module := cuda.NewModule("gemm_bf16", c.edit(ptx))
			if c.want != "" && module.PTX() == ptx {
				t.Fatal("the text is not what it was; nothing was planted")
			}
			got := runShared(t, module)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// runShared runs a product whose tiles are shared twice, and says what is wrong.
func runShared(t *testing.T, module *cuda.Module) string {
	memory := sim.NewMemory(1 << 26)
	machine := sim.New(memory, sim.Options{})
	alloc := func(n int, fill bool) cuda.Address {
		a, err := memory.Alloc(n)
		if err == nil && fill {
			err = memory.Fill(a, n, []byte{0x3c})
		}
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	tile := tilesOf(number.BFloat16, direct)[2]
	p := edges(NT, tile)
	operand := func(rows, cols int) cuda.Operand {
		return cuda.Operand{Address: alloc(2*rows*cols, true), Type: number.BFloat16, Rows: rows, Cols: cols, Pitch: cols}
	}
	p.A, p.B = operand(p.Images*p.Y.Source*p.X.Source, p.Depth), operand(p.taps()*p.Width, p.Depth)
	c := lay(p, direct, tile)
	c.splits, c.splitSteps, c.together, c.whole = 3, ceil(c.steps, 3), true, 1
	p.Scratch = alloc(4*c.m*c.n*(c.blocks()-c.whole), false)
	for range 2 {
		n := 4 * p.rows() * p.Width
		p.Out = cuda.Operand{Address: alloc(n, false), Type: number.Float32, Rows: p.rows(), Cols: p.Width, Pitch: p.Width}
		for _, call := range p.bind(c, direct) {
			call.Module = module
			if _, err := machine.Run(context.Background(), call); err != nil {
				return err.Error()
			}
		}
		if written, err := memory.Written(p.Out.Address, n); err != nil || written != n {
			return "nobody added up some of the tiles"
		}
		p.Scratch = alloc(4*c.m*c.n*(c.blocks()-c.whole), false)
	}
	return ""
}

// Of what only training multiplies the order follows the card: tiles that its multiprocessors have left are shared.
// Where no card is known nothing changes, and what a norm is left does not either.
func TestTrains(t *testing.T) {
	left, small := 0, 0
	for _, s := range [][4]int{{32, 128, 128, 3}, {16, 256, 256, 3}, {16, 512, 256, 3}, {8, 512, 256, 3}, {4, 256, 256, 3}, {16, 256, 256, 1}} {
		for _, images := range []int{1, 8, 128} {
			for _, kind := range []Kind{NN, NT} {
				p := convolution(kind, images, s[0], s[1], s[2], s[3])
				usual := choose(p, direct)
				p.Trains = true
				if got := choose(p, direct); got != usual {
					t.Errorf("%v %v, %d images: without a card training takes %+v, sampling %+v", kind, s, images, got, usual)
				}
				for _, card := range cuda.Cards() {
					p.Card = card
					c, tiles := choose(p, direct), 0
					tiles = c.across * c.down
					if c.splits*c.splitSteps < c.steps || (c.splits-1)*c.splitSteps >= c.steps {
						t.Errorf("%v %v, %d images on %s: %d parts of %d steps of %d", kind, s, images, card.Name, c.splits, c.splitSteps, c.steps)
					}
					if kind == NN && c.splits > 1 && !c.together {
						t.Errorf("%v, %d images on %s: a second pass leaves no statistics", s, images, card.Name)
					}
					if c.together && (c.whole%card.Multiprocessors != 0 || c.whole >= tiles || tiles-c.whole > mostShared || c.splits > mostParts) {
						t.Errorf("%v %v, %d images on %s: %d parts of each tile from %d of %d on", kind, s, images, card.Name, c.splits, c.whole, tiles)
					}
					if need := 4 * c.m * c.n * (c.blocks() - c.whole); c.together && p.ScratchBytes() < need {
						t.Errorf("%v %v, %d images on %s: %d bytes of scratch memory, parts take %d", kind, s, images, card.Name, p.ScratchBytes(), need)
					}
					if c.together && c.whole > 0 {
						left++
					}
					if c.together && images == 1 {
						small++
					}
				}
			}
		}
	}
	if left == 0 || small == 0 {
		t.Errorf("tiles are shared behind whole rounds %d times, and for one image %d times", left, small)
	}
}

// What a card's multiprocessors have left is added up exactly, with scratch memory as it is asked for.
func TestTrainsExactly(t *testing.T) {
	if testing.Short() {
		t.Skip("a second")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	g := kerneltest.NewGPU(t, 1)
	together, behind := 0, 0
	for _, processors := range []int{2, 8, 170} {
		for _, kind := range []Kind{NN, NT} {
			p := convolution(kind, 3, 8, 136, 72, 3)
			p.Card, _ = cuda.CardNamed("rtx5090")
			p.Card.Multiprocessors = processors
			p.Trains = true
			q := draw(g, p, number.BFloat16, func() float64 { return float64(rng.IntN(9) - 4) })
			c := choose(q.CUDA, direct)
			if c.together {
				together++
			}
			if c.whole > 0 {
				behind++
			}
			q.Scratch = g.Alloc(q.ScratchBytes())
			g.Run(q.Calls()...)
			for i, x := range g.Values(q.Out) {
				if float64(x) != q.want[i] {
					t.Fatalf("%v on %d multiprocessors: row %d, column %d is %v, want %v", kind, processors, i/q.Width, i%q.Width, x, q.want[i])
				}
			}
		}
	}
	if together < 4 || behind == 0 {
		t.Errorf("%d products had tiles that are shared, %d of them whole ones, too", together, behind)
	}
}

// In a captured graph the counts are back where they were after each launch, and the next finds them so.
func TestTogetherInGraph(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := driver.Select(cudatest.Name())
	must(err)
	device, err := d.Open(0, cuda.WaitAsDriver)
	must(err)
	defer func() { must(device.Close()) }()
	tile := tilesOf(number.BFloat16, direct)[2]
	p := edges(NN, tile)
	operand := func(of number.Type, rows, cols int) cuda.Operand {
		a, err := device.Alloc(of.Size() * rows * cols)
		must(err)
		ones := make([]byte, of.Size()*rows*cols)
		for i := 1; i < len(ones); i += 2 {
			ones[i-1], ones[i] = 0x80, 0x3f // 1 in bf16
		}
		must(device.CopyIn(a, ones))
		return cuda.Operand{Address: a, Type: of, Rows: rows, Cols: cols, Pitch: cols}
	}
	p.A, p.B = operand(number.BFloat16, p.Images*p.Y.Source*p.X.Source, p.Depth), operand(number.BFloat16, p.taps()*p.Depth, p.Width)
	c := lay(p, direct, tile)
	c.splits, c.splitSteps, c.together, c.whole = 3, ceil(c.steps, 3), true, 1
	p.Scratch, err = device.Alloc(4 * c.m * c.n * (c.blocks() - c.whole))
	must(err)
	stream, err := device.NewStream()
	must(err)
	defer func() { must(stream.Close()) }()
	var calls []cuda.Call
	for range 2 {
		p.Out = operand(number.Float32, p.rows(), p.Width)
		calls = append(calls, p.bind(c, direct)...)
	}
	must(device.Prepare(calls...))
	graph, err := stream.Capture(func() error {
		for _, call := range calls {
			if err := stream.Launch(call); err != nil {
				return err
			}
		}
		return nil
	})
	must(err)
	defer func() { must(graph.Close()) }()
	want, size := float32(p.taps()*p.Depth), 4*p.rows()*p.Width // where both taps are inside
	for run := range 3 {
		must(stream.Fill(p.Out.Address, 0xff, size))
		must(graph.Launch(stream))
		must(stream.Synchronize())
		out := make([]byte, size)
		must(device.CopyOut(out, p.Out.Address))
		full := 0
		for i := 0; i < size; i += 4 {
			switch x := math.Float32frombits(binary.LittleEndian.Uint32(out[i:])); x {
			case want:
				full++
			case 0, want / 2: // at an edge
			default:
				t.Fatalf("run %d: element %d is %v, want %v, half of it or 0", run, i/4, x, want)
			}
		}
		if inside := p.Images * (p.Y.Source - 1) * p.X.Source * p.Width; full != inside {
			t.Errorf("run %d: %d elements are %v, want %d", run, full, want, inside)
		}
	}
}
