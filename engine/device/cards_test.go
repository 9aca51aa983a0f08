package device_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// pictures are those of two steps of a preset, by a simulated GPU cut for a card; and the functions that made them.
func pictures(t *testing.T, name string, size int, card cuda.Card, seeds ...int64) (all []float32, functions []string) {
	t.Helper()
	preset, err := catalog.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	flow, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	method, err := sampler.Get("euler")
	if err != nil {
		t.Fatal(err)
	}
	table, err := method.Plan(flow, sampler.Options{Steps: 2})
	if err != nil {
		t.Fatal(err)
	}
	gpu, err := device.NewCUDA(simdriver.New(simdriver.Options{Major: max(8, card.Major)}).Direct(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer gpu.Close()
	gpu.CutFor(card)
	s, err := generate.NewStep(generate.Options{Network: preset.Network, Height: size, Width: size, Batch: len(seeds), Target: gpu.Target(), Precision: number.BFloat16, Prepare: true})
	if err != nil {
		t.Fatal(err)
	}
	base := map[*plan.Buffer]cuda.Address{}
	for i, b := range s.Plan.Sizes.Buffers() {
		base[b] = cuda.Address(i+1) << 32
	}
	calls, _, err := device.Calls(s.Plan, base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Concat(calls...) {
		functions = append(functions, c.Function)
	}
	m, err := gpu.Alloc(s.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	err = device.Fill(m, s.Weights.Size, func(flats ...[]float32) {
		nets.Initialise(s.Graph.Params, 7, flats...)
		rng := rand.New(rand.NewPCG(8, 9))
		for i := range flats[0] { // layers that begin at zero, too
			flats[0][i] += 0.01 * float32(rng.NormFloat64())
		}
	}, s.Weights)
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Load(gpu, m)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Free()
	err = g.Run(context.Background(), generate.Request{Table: table, Guidance: generate.Guidance{Scale: 1}, Seeds: seeds}, func(_ int, s generate.Sample) error {
		all = append(all, s.Values...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, functions
}

// TestPicturesOfCards: what is cut for whichever card samples the same images, to the bit, where all multiply alike.
func TestPicturesOfCards(t *testing.T) {
	want, _ := pictures(t, "micro", 8, cuda.Card{}, 3, 1, 4)
	if len(want) == 0 {
		t.Fatal("no pictures")
	}
	for _, card := range cuda.Cards() {
		card.Warpgroup = 0
		if got, _ := pictures(t, "micro", 8, card, 3, 1, 4); !slices.Equal(got, want) {
			t.Errorf("%s samples other images", card.Name)
		}
	}
}

// TestPicturesByWarpgroups: wgmma makes the same picture alone and with another, and nearly that of other cards.
func TestPicturesByWarpgroups(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	card, err := cuda.CardNamed("h100")
	if err != nil {
		t.Fatal(err)
	}
	two, functions := pictures(t, "small", 16, card, 3, 1)
	if !slices.ContainsFunc(functions, func(f string) bool { return strings.Contains(f, "wgmma_tall") }) {
		t.Fatal("nothing is multiplied by wgmma")
	}
	if one, _ := pictures(t, "small", 16, card, 3); !slices.Equal(one, two[:len(one)]) {
		t.Error("an image is another one in a batch of two")
	}
	want, _ := pictures(t, "small", 16, cuda.Card{}, 3, 1)
	apart, size := 0.0, 0.0
	for i, x := range want {
		apart += math.Pow(float64(two[i]-x), 2)
		size += float64(x) * float64(x)
	}
	if apart = math.Sqrt(apart / size); apart > 0.02 || apart == 0 {
		t.Errorf("pictures differ by %.2g of their size", apart)
	}
}
