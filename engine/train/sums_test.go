package train

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fluxion/engine/collective"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// bySplitting is the sum of leaves by the definition of the tree: a
// node is the sum of its halves, and what is behind the largest whole node of an end
// that is no power of two joins it from the right.
func bySplitting(leaves []float32) float32 {
	if len(leaves) == 1 {
		return leaves[0]
	}
	half := 1
	for 2*half < len(leaves) {
		half *= 2
	}
	return bySplitting(leaves[:half]) + bySplitting(leaves[half:])
}

// randomLeaves are numbers whose sums depend on their order.
func randomLeaves(n int) []float32 {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	leaves := make([]float32, n)
	for i := range leaves {
		leaves[i] = float32(rng.NormFloat64())
	}
	return leaves
}

// runAdditions makes the additions of all micro-batches, each into the buffer that it names.
func runAdditions(order string, leaves []float32) (float32, int) {
	sums := make([]float32, sumBuffers(order, share{0, len(leaves), len(leaves)}))
	for i, list := range additions(order, share{0, len(leaves), len(leaves)}) {
		for _, a := range list {
			switch a.source {
			case first:
				sums[a.to] = leaves[i]
			case gradients:
				sums[a.to] += leaves[i]
			case above:
				sums[a.to] += sums[a.to+1]
			}
		}
	}
	return sums[0], len(sums)
}

// TestAdditions: the additions of a step make the sum that the tree defines, in as
// many buffers as the logarithm; those in turn make the sum from the left.
func TestAdditions(t *testing.T) {
	other := false
	for n := 2; n <= 70; n++ {
		leaves := randomLeaves(n)
		log := 0
		for 2<<log <= n {
			log++
		}
		got, buffers := runAdditions(inTree, leaves)
		if want := bySplitting(leaves); got != want || buffers != log {
			t.Errorf("%d micro-batches: %v in %d buffers, want %v in %d", n, got, buffers, want, log)
		}
		var left float32
		for _, x := range leaves {
			left += x
		}
		inOrder, buffers := runAdditions(inTurn, leaves)
		if inOrder != left || buffers != 1 {
			t.Errorf("%d micro-batches in turn: %v in %d buffers, want %v in one", n, inOrder, buffers, left)
		}
		if n <= 3 && got != inOrder {
			t.Errorf("%d micro-batches have another sum in the tree", n)
		}
		other = other || got != inOrder
	}
	if !other {
		t.Error("the order changes no sum: the numbers do not tell orders apart")
	}
}

// TestOrderOfBefore: a run that began before there was the tree goes on as it began.
func TestOrderOfBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	for text, want := range map[string]string{
		`{"preset": "micro", "images": 8, "accumulate": 4}`:                         inTurn,
		`{"preset": "micro", "images": 8, "accumulate": 4, "accumulation": "tree"}`: inTree,
	} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if s, err := ReadSettings(path); err != nil || s.Accumulation != want {
			t.Errorf("%s is added up %s (%v), want %s", text, s.Accumulation, err, want)
		}
	}
	s := small()
	s.Accumulation = "tre"
	var e *SettingError
	if err := s.Validate(); !errors.As(err, &e) || e.Key != "accumulation" {
		t.Errorf("an unknown order: %v", err)
	}
}

// sums is a stack of partial sums with their values.
type sums struct {
	nodes  tree
	values []float32
}

func (s *sums) push(n node, x float32) {
	for range s.nodes.push(n) {
		last := len(s.values) - 1
		x = s.values[last] + x
		s.values = s.values[:last]
	}
	s.values = append(s.values, x)
}

// TestRanks: processes that share the micro-batches of a step, and push what each has
// summed on one stack in the order of their ranks, come to the sum of one process, to
// the bit, whatever their number.
func TestRanks(t *testing.T) {
	for n := 2; n <= 48; n++ {
		leaves := randomLeaves(n)
		want, _ := runAdditions(inTree, leaves)
		for _, world := range []int{1, 2, 3, 4, 7} {
			if world > n {
				continue
			}
			var all sums
			for rank := range world {
				var own sums
				first, end := collective.Group{Rank: rank, World: world}.Share(n)
				for i := first; i < end; i++ {
					own.push(node{0, i}, leaves[i])
				}
				for i, part := range own.nodes {
					all.push(part, own.values[i])
				}
			}
			root := all.values[len(all.values)-1]
			for _, x := range slices.Backward(all.values[:len(all.values)-1]) {
				root = x + root
			}
			if root != want {
				t.Errorf("%d micro-batches over %d processes: %v, of one %v", n, world, root, want)
			}
		}
	}
}

// TestSummedGradients: what the optimizer is given is the tree's sum of the
// micro-batches' gradients, to the bit; the number of buffers is the logarithm.
func TestSummedGradients(t *testing.T) {
	for _, n := range []int{2, 4, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			tr, batches := newTrainer(t, n, 2, number.Float32)
			size := nets.FlatSize(tr.Trained.Params)
			parts := make([][]float32, n)
			for i, b := range batches {
				tr.Fill(&b)
				if err := tr.runMicro(i); err != nil {
					t.Fatal(err)
				}
				parts[i] = make([]float32, size)
				if err := tr.Memory.Read(tr.Buffers.Gradients, 0, parts[i]); err != nil {
					t.Fatal(err)
				}
			}
			got := make([]float32, size)
			if err := tr.Memory.Read(tr.Buffers.Sums[0], 0, got); err != nil {
				t.Fatal(err)
			}
			leaves := make([]float32, n)
			for j := range got {
				for i := range leaves {
					leaves[i] = parts[i][j]
				}
				if want := bySplitting(leaves); got[j] != want {
					t.Fatalf("gradient %d is %v, want %v of %v", j, got[j], want, leaves)
				}
			}
		})
	}
}

// TestTimesOfAStep: low-discrepancy times are spread over the whole step, however it is
// cut into micro-batches.
func TestTimesOfAStep(t *testing.T) {
	times := func(accumulate int) (all []float64) {
		tr, batches := newTrainerOf(t, accumulate, 1, number.Float32, func(s *Settings) { s.TimeSampler = "uniform+low-discrepancy" })
		for _, b := range batches {
			tr.Fill(&b)
			for _, image := range tr.filled {
				all = append(all, image.LogSNR)
			}
		}
		return all
	}
	want := times(1)
	for _, accumulate := range []int{2, 4} {
		if got := times(accumulate); !slices.Equal(got, want) {
			t.Errorf("%d micro-batches have the times %v, one batch %v", accumulate, got, want)
		}
	}
}
