package gemm

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

var update = flag.Bool("update", false, "write the table of README.md")

// convolution is a product of one of the shapes of preset cifar.
func convolution(kind Kind, images, size, in, out, side int) CUDA {
	axis := Axis{Grid: size, Source: size, Origin: -(side / 2), Taps: side, Out: size}
	p := CUDA{
		Kind: kind, Depth: in, Width: out,
		Walk: Walk{Images: images, Y: axis, X: axis, Stride: 1, Direction: 1, TapStep: 1, OutStep: 1, Side: side},
	}
	if kind == NT {
		p.Depth, p.Width = out, in
	}
	// Address 0 is aligned; pitches are those of whole tensors.
	operand := func(cols int) cuda.Operand {
		return cuda.Operand{Type: number.BFloat16, Rows: images * size * size, Cols: cols, Pitch: cols}
	}
	p.A, p.B, p.Out = operand(p.Depth), operand(p.Width), operand(p.Width)
	switch kind {
	case NT: // rows of the weights are as long as those of the output's gradient
		p.B = operand(p.Depth)
	case TN:
		p.Out.Type = number.Float32
	}
	return p
}

func TestTableOfChoices(t *testing.T) {
	var b strings.Builder
	b.WriteString("| images | size | channels | kind | tile | blocks | steps of each | ms |\n|---|---|---|---|---|---|---|---|\n")
	for _, images := range []int{128, 16} {
		for _, s := range [][4]int{
			{32, 3, 128, 3}, {32, 128, 128, 3}, {32, 256, 128, 3}, {32, 384, 128, 3}, {32, 256, 128, 1}, {32, 128, 3, 3},
			{16, 128, 256, 3}, {16, 256, 256, 3}, {16, 512, 256, 3}, {16, 512, 256, 1}, {16, 256, 256, 1},
			{8, 256, 256, 3}, {8, 512, 256, 3}, {4, 256, 256, 3}, {4, 512, 256, 3},
		} {
			for _, kind := range []Kind{NN, NT, TN} {
				p := convolution(kind, images, s[0], s[1], s[2], s[3])
				c := choose(p, p.access())
				name := fmt.Sprintf("%d→%d", s[1], s[2])
				if s[3] == 1 {
					name += " 1×1"
				}
				tile := strings.TrimSuffix(strings.TrimPrefix(c.function(kind, p.access(), number.BFloat16), fmt.Sprintf("gemm_%v_", kind)), "_bf16")
				blocks := fmt.Sprintf("%d×%d", c.across*c.down, c.splits)
				if c.pair && c.tileSteps%c.splitSteps != 0 {
					blocks = fmt.Sprintf("%d/%d", c.blocks(), c.across*c.down)
				}
				fmt.Fprintf(&b, "| %d | %d | %s | %v | %s | %s | %d | %.3f |\n", images, s[0], name, kind, tile, blocks, c.splitSteps, c.seconds*1e3)
			}
		}
	}
	const file = "README.md"
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(have), "| images |")
	want := text + b.String()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(have) != want {
		t.Errorf("the table of %s is not what is chosen; run go test ./kernels/gemm -update", file)
	}
}

// How a forward product's sums are shared does not depend on the number of images.
func TestSplitsDoNotDependOnTheBatch(t *testing.T) {
	for _, s := range [][4]int{{32, 128, 128, 3}, {8, 512, 256, 3}, {4, 256, 256, 3}, {4, 512, 256, 1}, {1, 128, 512, 1}} {
		for _, a := range []access{direct, gatherB, gather} {
			want := choose(convolution(NN, 1, s[0], s[1], s[2], s[3]), a)
			for _, images := range []int{2, 16, 63, 128, 1000} {
				got := choose(convolution(NN, images, s[0], s[1], s[2], s[3]), a)
				if got.splits != want.splits || got.splitSteps != want.splitSteps {
					t.Errorf("%v, access %d: %d parts of %d steps for %d images, %d of %d for one", s, a, got.splits, got.splitSteps, images, want.splits, want.splitSteps)
				}
			}
		}
	}
}

// The quotients of divisors, at the edges of what they promise.
func TestDivisors(t *testing.T) {
	numbers := []int{0, 1, 2, 3, 5, 7, 31, 32, 33, 1023, 1024, 65535, 1<<20 + 7, 1<<30 - 1, 1 << 30, 1<<31 - 2, 1<<31 - 1}
	for _, d := range numbers[1:] {
		m := by(d)
		for _, base := range numbers {
			for _, n := range []int{base, base / d * d, max(0, base/d*d-1)} {
				high := uint32(uint64(n) * uint64(m.Multiplier) >> 32)
				if got := int((high + uint32(n)) >> m.Shift); got != n/d {
					t.Errorf("%d / %d is %d, want %d", n, d, got, n/d)
				}
			}
		}
	}
}

// On every card a forward product adds in the same order, and leaves the same statistics; what
// only training multiplies is cut for the card.
func TestCards(t *testing.T) {
	follows := false
	for _, s := range [][4]int{{32, 128, 128, 3}, {16, 512, 256, 3}, {8, 512, 256, 3}, {4, 256, 256, 3}, {4, 512, 256, 1}, {1, 128, 512, 1}, {8, 4096, 4096, 1}} {
		for _, images := range []int{1, 16, 128} {
			for _, a := range []access{direct, gatherB, gather} {
				usual := convolution(NN, images, s[0], s[1], s[2], s[3])
				want := choose(usual, a)
				for _, card := range cuda.Cards() {
					p := usual
					p.Card = card
					got := choose(p, a)
					if got.splits != want.splits || got.splitSteps != want.splitSteps {
						t.Errorf("%v, %d images, access %d on %s: %d parts of %d steps, elsewhere %d of %d", s, images, a, card.Name, got.splits, got.splitSteps, want.splits, want.splitSteps)
					}
					for _, groups := range []int{1, 8, 32} {
						if got, want := p.Chunks(groups), usual.Chunks(groups); got != want {
							t.Errorf("%v, %d images, %d groups on %s: %d chunks of statistics, elsewhere %d", s, images, groups, card.Name, got, want)
						}
					}
				}
			}
			for _, card := range cuda.Cards() {
				p := convolution(TN, images, s[0], s[1], s[2], s[3])
				want := choose(p, direct)
				p.Card = card
				got := choose(p, direct)
				follows = follows || got.blocks() != want.blocks()
				// The sum is whole, and no part of it is empty.
				tiles := got.across * got.down
				if got.tileSteps < got.steps || got.tileSteps-got.splitSteps >= got.steps && got.tileSteps > got.steps ||
					got.blocks()*got.splitSteps < tiles*got.tileSteps || (got.blocks()-1)*got.splitSteps >= tiles*got.tileSteps {
					t.Errorf("%v, %d images on %s: %d blocks of %d steps of %d tiles of %d", s, images, card.Name, got.blocks(), got.splitSteps, tiles, got.steps)
				}
				// Each part has a place of its own, and there is room for all.
				places := map[int]bool{}
				for tile := range tiles {
					first := tile * got.tileSteps / got.splitSteps
					for block := first; block < first+got.partsOf(tile); block++ {
						places[tile+block] = true
						if tile+block >= got.places() || got.partsOf(tile) > got.splits {
							t.Errorf("%v, %d images on %s: part %d of tile %d, of %d at most, is at %d of %d places", s, images, card.Name, block-first, tile, got.splits, tile+block, got.places())
						}
					}
				}
				if len(places) != got.parts() {
					t.Errorf("%v, %d images on %s: %d parts at %d places", s, images, card.Name, got.parts(), len(places))
				}
			}
		}
	}
	if !follows {
		t.Error("weight gradients are cut alike on every card")
	}
}
