package unet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/safetensors"
)

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
		params := nets.Params(c)
		var lines strings.Builder
		for _, p := range params {
			fmt.Fprintf(&lines, "%s %s\n", p.Name, strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Stored), " ", ","), "[]"))
		}
		sum := sha256.Sum256([]byte(lines.String()))
		if len(params) != want.Tensors || nets.Count(params) != want.Parameters || hex.EncodeToString(sum[:]) != want.SHA256 {
			t.Errorf("%s: %d tensors, %d parameters, names %x; want %d, %d, %s", name, len(params), nets.Count(params), sum, want.Tensors, want.Parameters, want.SHA256)
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
		params := nets.Params(c.config)
		header, file, err := safetensors.Sizes(nets.Tensors(params), map[string]string{"format": "pt"})
		if err != nil {
			t.Fatal(err)
		}
		if len(params) != c.tensors || nets.Count(params) != c.weights || c.file != 0 && (header != c.header || file != c.file) {
			t.Errorf("%s: %d tensors, %d weights, header %d, file %d; want %d, %d, %d, %d",
				c.name, len(params), nets.Count(params), header, file, c.tensors, c.weights, c.header, c.file)
		}
	}
}

func TestLayout(t *testing.T) {
	c, _ := Preset("micro")
	params := nets.Params(c.WithClasses(3))
	end := 0
	for _, p := range params {
		if p.Offset%16 != 0 || p.Offset < end || p.Offset > end+16 {
			t.Errorf("%s begins at %d, the one before it ends at %d", p.Name, p.Offset, end)
		}
		end = p.Offset + p.Size()
	}
	if !slices.IsSortedFunc(params, func(a, b nets.Param) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("names are not sorted")
	}
	if n := nets.FlatSize(params); n < end || n%16 != 0 {
		t.Errorf("flat size %d for an end of %d", n, end)
	}
}

func TestInitialise(t *testing.T) {
	c, _ := Preset("tiny")
	params := nets.Params(c.WithClasses(10))
	flat := make([]float32, nets.FlatSize(params))
	flat[nets.FlatSize(params)-1] = 7
	nets.Initialise(params, 1, flat)
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
	fewer := nets.Params(c)
	other := make([]float32, nets.FlatSize(fewer))
	nets.Initialise(fewer, 1, other)
	for _, p := range fewer {
		if !slices.Equal(other[p.Offset:p.Offset+p.Size()], at[p.Name]) {
			t.Errorf("%s depends on the other parameters", p.Name)
		}
	}
	nets.Initialise(fewer, 2, other)
	if slices.Equal(other[:16], flat[:16]) && slices.Equal(other[len(other)/2:], flat[len(other)/2:len(other)]) {
		t.Error("the seed changes nothing")
	}
}

// BenchmarkInitialise draws the first weights of preset cifar and their average.
func BenchmarkInitialise(b *testing.B) {
	c, _ := Preset("cifar")
	params := nets.Params(c)
	flat, average := make([]float32, nets.FlatSize(params)), make([]float32, nets.FlatSize(params))
	for b.Loop() {
		nets.Initialise(params, 1, flat, average)
	}
}
