package gemm

import (
	"context"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// smallPair is a gradient of weights whose blocks begin and end in the midst of tiles.
func smallPair(p CUDA, t tile) choice {
	c := lay(p, direct, t)
	return c.acrossTiles(2*c.across*c.down - 1)
}

// longer are edges with more steps.
func longer(t tile) CUDA {
	p := edges(TN, t)
	p.Images = 6
	return p
}

// The order in which blocks and their two groups of threads run makes no difference to a bit.
func TestPair(t *testing.T) {
	var want []float32
	tile := tilesOf(number.BFloat16, direct)[2]
	p := longer(tile)
	for seed := range uint64(3) {
		g := kerneltest.NewGPU(t, seed)
		q := draw(g, p, number.BFloat16, rand.New(rand.NewPCG(5, 6)).NormFloat64)
		c := smallPair(q.CUDA, tile)
		q.Scratch = g.Alloc(q.CUDA.left(c))
		g.Run(q.bind(c, direct)...)
		got := g.Values(q.Out)
		if want != nil && !slices.Equal(got, want) {
			t.Fatalf("seed %d: other bits", seed)
		}
		want = got
	}
}

// What is left out of the kernel is found on the simulator.
func TestPairPlanted(t *testing.T) {
	const name = "gemm_tn_64x64_bf16"
	own := regexp.MustCompile(`\tbar\.sync %r\d+, 128;\n`) // of a group
	for _, c := range []struct {
		name, want string
		edit       func(function string) string
	}{
		{"nothing", "", func(f string) string { return f }},
		{"groups do not wait for their threads", "uninitialised", func(f string) string { return own.ReplaceAllString(f, "\n") }},
		{"a tile begins where results of the last one are", "race", func(f string) string {
			all := own.FindAllStringIndex(f, -1)
			last := all[len(all)-1]
			return f[:last[0]] + f[last[1]:]
		}},
		{"results are added before they are there", "race", func(f string) string { return strings.ReplaceAll(f, "bar.sync \t0;", "") }},
		{"copies are not awaited", "cp.async", func(f string) string { return strings.ReplaceAll(f, "cp.async.wait_group 1;", "") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ptx := modules[number.BFloat16].PTX()
			at := strings.Index(ptx, ".entry "+name)
			end := at + strings.Index(ptx[at:], "\n}")
			module := cuda.NewModule("gemm_bf16", ptx[:at]+c.edit(ptx[at:end])+ptx[end:])
			if c.want != "" && module.PTX() == ptx {
				t.Fatal("the text is not what it was; nothing was planted")
			}
			got := runPair(t, module)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// runPair says what the simulator finds.
func runPair(t *testing.T, module *cuda.Module) string {
	memory := sim.NewMemory(1 << 26)
	machine := sim.New(memory, sim.Options{})
	alloc := func(n int) cuda.Address {
		a, err := memory.Alloc(n)
		if err == nil {
			err = memory.Fill(a, n, []byte{0x3c})
		}
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	tile := tilesOf(number.BFloat16, direct)[2]
	p := longer(tile)
	operand := func(of number.Type, rows, cols int) cuda.Operand {
		return cuda.Operand{Address: alloc(of.Size() * rows * cols), Type: of, Rows: rows, Cols: cols, Pitch: cols}
	}
	p.A, p.B = operand(number.BFloat16, p.Images*p.Y.Source*p.X.Source, p.Depth), operand(number.BFloat16, p.pixels(), p.Width)
	p.Out = operand(number.Float32, p.rows(), p.Width)
	c := smallPair(p, tile)
	p.Scratch = alloc(p.left(c))
	call := p.bind(c, direct)[0]
	call.Module = module
	if _, err := machine.Run(context.Background(), call); err != nil {
		return err.Error()
	}
	return ""
}
