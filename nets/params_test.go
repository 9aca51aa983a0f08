package nets

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/philox"
	"fluxion/nets/safetensors"
)

// TestInitialiseParts: parts that threads draw are those of whole parameters, in every
// buffer, with zeros in the gaps and nothing written behind the end.
func TestInitialiseParts(t *testing.T) {
	const seed, long, guard = 11, 3<<18 + 5, 16
	l := layout{}
	l.add("a", Init{Uniform: .25, Constant: 1}, 7)
	l.add("b", Init{Uniform: .125}, long)
	l.add("c", Init{Constant: 3}, 17)
	l.add("d", Init{Normal: 2, Constant: -1}, long)
	l.add("e", Init{Normal: 1}, 1)
	want := []float32{}
	for i := range l.params {
		p := &l.params[i]
		p.Offset = len(want)
		w := make([]float32, (p.Size()+align-1)/align*align)
		address := fnv.New64a()
		address.Write([]byte(p.Name))
		if values := w[:p.Size()]; p.Init.Uniform != 0 {
			philox.Uniform(values, seed, philox.Init, address.Sum64(), 0)
			for k, u := range values {
				values[k] = p.Init.Constant + float32(p.Init.Uniform*(2*u-1))
			}
		} else {
			philox.Normal(values, seed, philox.Init, address.Sum64(), 0)
			for k, n := range values {
				values[k] = p.Init.Constant + float32(p.Init.Normal*n)
			}
		}
		want = append(want, w...)
	}
	if FlatSize(l.params) != len(want) {
		t.Fatalf("%d numbers, want %d", FlatSize(l.params), len(want))
	}
	var flats [2][]float32
	for i := range flats {
		flats[i] = slices.Repeat([]float32{7}, len(want)+guard)
	}
	Initialise(l.params, seed, flats[0][:len(want)], flats[1])
	for i, flat := range flats {
		if !slices.Equal(flat[:len(want)], want) || slices.Min(flat[len(want):]) != 7 || slices.Max(flat[len(want):]) != 7 {
			t.Errorf("buffer %d is not what the parameters are one by one", i)
		}
	}
	// Values behind the first request of a parameter are those of the next one.
	p, w := l.params[1], make([]float32, 40)
	p.fill(w, philox.MaxValues-20, seed)
	address := fnv.New64a()
	address.Write([]byte(p.Name))
	next := make([]float32, 20)
	philox.UniformAt(next, 0, 0, p.Init.Uniform, seed, philox.Init, address.Sum64(), 1)
	if !slices.Equal(w[20:], next) {
		t.Error("the second request of a parameter does not begin where the first ends")
	}
}

// TestNames compares every name and shape with what diffusers made of the same
// configuration.
func TestNames(t *testing.T) {
	data, err := os.ReadFile("testdata/diffusers/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var models map[string]struct {
		Config     json.RawMessage
		Parameters int
		Tensors    int
		SHA256     string
	}
	if err := json.Unmarshal(data, &models); err != nil {
		t.Fatal(err)
	}
	for name, want := range models {
		c, err := ParseConfig(want.Config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		params := c.Params()
		var lines strings.Builder
		for _, p := range params {
			fmt.Fprintf(&lines, "%s %s\n", p.Name, strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Stored), " ", ","), "[]"))
		}
		sum := sha256.Sum256([]byte(lines.String()))
		if len(params) != want.Tensors || Count(params) != want.Parameters || hex.EncodeToString(sum[:]) != want.SHA256 {
			t.Errorf("%s: %d tensors, %d parameters, names %x; want %d, %d, %s", name, len(params), Count(params), sum, want.Tensors, want.Parameters, want.SHA256)
		}
	}
}

// TestPublishedSizes compares with published models (reference/formats.md 2.3.1).
func TestPublishedSizes(t *testing.T) {
	cifar, _ := Preset("cifar")
	cat := cifar.WithSize(256)
	cat.BlockOutChannels = []int{128, 128, 256, 256, 512, 512}
	cat.DownBlockTypes = []string{"DownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D"}
	cat.UpBlockTypes = []string{"UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"}
	imagenet := Default().WithClasses(1000)
	imagenet.BlockOutChannels = []int{192, 384, 576, 768}
	imagenet.LayersPerBlock, imagenet.AttentionHeadDim, imagenet.AttnNormNumGroups = 3, 64, 32
	imagenet.DownBlockTypes = []string{"ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"}
	imagenet.UpBlockTypes = []string{"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"}
	imagenet.ResnetTimeScaleShift, imagenet.DownsampleType, imagenet.UpsampleType = "scale_shift", "resnet", "resnet"
	ci := Default()
	ci.BlockOutChannels, ci.LayersPerBlock, ci.NormNumGroups = []int{4, 8}, 1, 4
	ci.DownBlockTypes, ci.UpBlockTypes = []string{"DownBlock2D", "AttnDownBlock2D"}, []string{"AttnUpBlock2D", "UpBlock2D"}
	for _, c := range []struct {
		name             string
		config           Config
		tensors, weights int
		header, file     int64 // 0: not published
	}{
		{"cifar10-32", cifar, 328, 35_746_307, 34_824, 143_020_060},
		{"cifar10-32, 10 classes", cifar.WithClasses(10), 329, 35_751_427, 34_912, 143_040_628},
		{"cat-256", cat, 450, 113_673_219, 48_224, 454_741_108},
		{"ImageNet-64", imagenet, 629, 295_899_267, 68_408, 1_183_665_484},
		{"diffusers' CI", ci, 144, 11_767, 0, 0},
	} {
		if err := c.config.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		params := c.config.Params()
		header, file, err := safetensors.Sizes(Tensors(params), metadata)
		if err != nil {
			t.Fatal(err)
		}
		if len(params) != c.tensors || Count(params) != c.weights || c.file != 0 && (header != c.header || file != c.file) {
			t.Errorf("%s: %d tensors, %d weights, header %d, file %d; want %d, %d, %d, %d",
				c.name, len(params), Count(params), header, file, c.tensors, c.weights, c.header, c.file)
		}
	}
}

func TestLayout(t *testing.T) {
	c, _ := Preset("micro")
	params := c.WithClasses(3).Params()
	end := 0
	for _, p := range params {
		if p.Offset%align != 0 || p.Offset < end || p.Offset > end+align {
			t.Errorf("%s begins at %d, the one before it ends at %d", p.Name, p.Offset, end)
		}
		end = p.Offset + p.Size()
	}
	if !slices.IsSortedFunc(params, func(a, b Param) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("names are not sorted")
	}
	if n := FlatSize(params); n < end || n%align != 0 {
		t.Errorf("flat size %d for an end of %d", n, end)
	}
}

func TestStored(t *testing.T) {
	l := layout{}
	l.matrix("conv", Init{}, 2, 3, 1, 2)
	l.matrix("linear", Init{}, 2, 2)
	l.add("table", Init{}, 2, 2)
	for i, want := range [][]float32{
		{0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11}, // element (o,i,0,x) of 0…11 goes to (0,x,i,o)
		{0, 2, 1, 3},
		{0, 1, 2, 3},
	} {
		p := l.params[i]
		stored, back, flat := make([]float32, p.Size()), make([]float32, p.Size()), make([]float32, p.Size())
		for k := range stored {
			stored[k] = float32(k)
		}
		FromStored(p, stored, flat)
		ToStored(p, flat, back)
		if !slices.Equal(flat, want) || !slices.Equal(back, stored) {
			t.Errorf("%s: %v becomes %v, want %v, and again %v", p.Name, stored, flat, want, back)
		}
	}
}

func TestInitialise(t *testing.T) {
	c, _ := Preset("tiny")
	params := c.WithClasses(10).Params()
	flat := make([]float32, FlatSize(params))
	flat[FlatSize(params)-1] = 7
	Initialise(params, 1, flat)
	at := map[string][]float32{}
	for _, p := range params {
		at[p.Name] = flat[p.Offset : p.Offset+p.Size()]
	}
	for _, c := range []struct {
		name         string
		std, largest float64
	}{
		{"conv_out.weight", 0, 0}, {"conv_in.bias", 0, 0}, {"mid_block.resnets.0.conv2.weight", 0, 0}, {"mid_block.attentions.0.to_out.0.weight", 0, 0},
		{"mid_block.resnets.0.conv1.weight", math.Sqrt(2. / (2 * 64 * 9)), math.Sqrt(6. / (2 * 64 * 9))},
		{"time_embedding.linear_1.weight", math.Sqrt(2. / (32 + 128)), math.Sqrt(6. / (32 + 128))},
		{"class_embedding.weight", 1, 6},
	} {
		sum, square, largest := 0.0, 0.0, 0.0
		for _, w := range at[c.name] {
			sum += float64(w)
			square += float64(w) * float64(w)
			largest = max(largest, math.Abs(float64(w)))
		}
		n := float64(len(at[c.name]))
		if mean, std := sum/n, math.Sqrt(square/n); math.Abs(mean) > 4*c.std/math.Sqrt(n) || math.Abs(std-c.std) > 0.1*c.std || largest > c.largest {
			t.Errorf("%s has mean %g, deviation %g, largest %g; want 0, %g, at most %g", c.name, mean, std, largest, c.std, c.largest)
		}
	}
	if w := at["conv_norm_out.weight"]; slices.Min(w) != 1 || slices.Max(w) != 1 {
		t.Error("a norm does not begin as one")
	}
	if slices.Equal(at["mid_block.resnets.0.conv1.weight"], at["mid_block.resnets.1.conv1.weight"]) {
		t.Error("two layers begin alike")
	}

	// A network without classes shares every other weight.
	fewer := c.Params()
	other := make([]float32, FlatSize(fewer))
	Initialise(fewer, 1, other)
	for _, p := range fewer {
		if !slices.Equal(other[p.Offset:p.Offset+p.Size()], at[p.Name]) {
			t.Errorf("%s depends on the other parameters", p.Name)
		}
	}
	Initialise(fewer, 2, other)
	if slices.Equal(other[:16], flat[:16]) && slices.Equal(other[len(other)/2:], flat[len(other)/2:len(other)]) {
		t.Error("the seed changes nothing")
	}
}

// BenchmarkInitialise draws the first weights of preset cifar and their average.
func BenchmarkInitialise(b *testing.B) {
	c, _ := Preset("cifar")
	params := c.Params()
	flat, average := make([]float32, FlatSize(params)), make([]float32, FlatSize(params))
	for b.Loop() {
		Initialise(params, 1, flat, average)
	}
}
