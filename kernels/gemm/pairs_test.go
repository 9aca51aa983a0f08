package gemm

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// A pair of blocks makes the same bits as two that are alone, and asks the second cache for half of the pixels.
func TestPairs(t *testing.T) {
	g := kerneltest.NewGPU(t, 3)
	g.NeedsHopper()
	rng := rand.New(rand.NewPCG(3, 4))
	for _, kind := range []Kind{NN, NT, TN} {
		for i := range hopperPairs {
			pair, alone := &hopperPairs[i], hopperTiles[3+i]
			if alone.m != pair.m || alone.tall {
				t.Fatalf("%v is not the twin of %v", alone, pair)
			}
			p := CUDA{Kind: kind, Depth: 72, Width: 200, Walk: Walk{
				Images: 3, Y: taps(3, -1)(8), X: taps(3, -1)(8), Stride: 1, Direction: 1, TapStep: 1, OutStep: 1, Side: 3,
			}}
			if kind == TN {
				p.Depth = 128
			}
			q := draw(g, p, number.BFloat16, rng.NormFloat64)
			made := func(tile groupTile) (values []float32, fetched int64) {
				c, ok := tile.lay(q.CUDA)
				if !ok {
					t.Fatalf("%s does not make it", tile.function(kind))
				}
				c.splitSteps = ceil(c.steps, 2)
				c.splits = ceil(c.steps, c.splitSteps)
				q.Scratch = g.Alloc(4 * c.splits * q.rows() * roundUp(q.Width, 4))
				calls := q.bind(c, direct)
				if calls[0].Function != tile.function(kind) {
					t.Fatal(calls[0].Function)
				}
				fetched = g.Run(calls[0]).GlobalLoads.Bytes // 0 on a card, which counts nothing
				g.Run(calls[1:]...)
				return g.Values(q.Out), fetched
			}
			want, all := made(alone)
			got, fetched := made(*pair)
			if fetched*5 > all*4 {
				t.Errorf("%s fetches %d bytes, alone %d", pair.function(kind), fetched, all)
			}
			for j, v := range got {
				if math.Float32bits(v) != math.Float32bits(want[j]) {
					t.Fatalf("%s: element %d is %v, alone %v", pair.function(kind), j, v, want[j])
				}
			}
		}
	}
}

// The gradient of a linear map of 256 columns is made in pairs, with the sums shared as if it were not; one tile of columns has no other beside it.
func TestPairsAreChosen(t *testing.T) {
	card, err := cuda.CardNamed("h100")
	if err != nil {
		t.Fatal(err)
	}
	for width, want := range map[int]bool{256: true, 128: false} {
		p := CUDA{Kind: TN, Depth: 256, Width: width, Walk: DenseWalk(1, 128*256), Card: card}
		p.A.Type, p.B.Type = number.BFloat16, number.BFloat16
		c, ok := p.groups()
		if !ok || strings.HasSuffix(c.groups.function(TN), "_pair_bf16") != want {
			t.Errorf("%d columns: %s, %v", width, c.groups.function(TN), ok)
		}
		if before := p.flat().fastestGroups(hopperTiles, 1, mostSplits); c.splits != before.splits || c.m != before.m {
			t.Errorf("%d columns: %d splits of %d rows, in pairs %d of %d", width, before.splits, before.m, c.splits, c.m)
		}
	}
}
