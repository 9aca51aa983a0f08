package feature

import (
	"fmt"
	"strings"

	"fluxion/kernels/attention"
	"fluxion/kernels/concat"
	"fluxion/kernels/conv"
	"fluxion/kernels/gelu"
	"fluxion/kernels/groupnorm"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/reshape"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// The sizes of DINOv2 (Oquab et al., 2023), a vision transformer, that are published
// without registers, under the names of their authors' files. Distances by the
// large one are the FD-DINOv2 of Stein et al. (2023).
var (
	dinoSmall = DINOv2("dinov2-s", "DINOv2 ViT-S/14", 384, 12)
	dinoBase  = DINOv2("dinov2-b", "DINOv2 ViT-B/14", 768, 12)
	dinoLarge = DINOv2("dinov2", "DINOv2 ViT-L/14, for FD-DINOv2; 1.2 GB of weights", 1024, 24)
)

const (
	dinoSide  = 224 // of images, in pixels
	dinoPatch = 14  // side of a patch, in pixels
	dinoGrid  = dinoSide / dinoPatch
	dinoHead  = 64 // channels of a head of attention
)

// DINOv2 is such a network of so many channels and blocks. Pooled is the class token
// after the last norm.
func DINOv2(name, summary string, channels, blocks int) Network {
	return Network{
		Name: name, Summary: summary, Side: dinoSide, Dim: channels,
		Outputs: []string{Pooled}, Convention: "dgm",
		apply: func(b *builder, x *gorgonia.Node) { dinoBuilder{b, channels}.network(x, blocks) },
		files: naming{special: dinoParam},
	}
}

type dinoBuilder struct {
	*builder
	channels int
}

func (b dinoBuilder) network(x *gorgonia.Node, blocks int) {
	x = b.tokens(x)
	for i := range blocks {
		name := fmt.Sprintf("blocks.%d.", i)
		h := b.Linear(name+"attn.qkv", b.norm(name+"norm1", x), 3*b.channels, nets.Zero)
		h = attention.Attention(h, b.channels/dinoHead)
		x = pointwise.Add(x, b.Linear(name+"attn.proj", h, b.channels, nets.Zero))
		h = gelu.GELU(b.Linear(name+"mlp.fc1", b.norm(name+"norm2", x), 4*b.channels, nets.Zero))
		x = pointwise.Add(x, b.Linear(name+"mlp.fc2", h, b.channels, nets.Zero))
	}
	n, all := x.Shape()[0], x.Shape()[2]*b.channels
	class := concat.Slice(reshape.To(x, n, all), 0, b.channels)
	b.out(Pooled, reshape.To(b.norm("norm", reshape.To(class, n, 1, 1, b.channels)), n, b.channels))
}

// tokens are the class token and those of the patches, (N,1,1+patches,C), with their
// positions. The class token is the same in every image, so that it begins as 0 and
// enters with its position (see dinoParam).
func (b dinoBuilder) tokens(x *gorgonia.Node) *gorgonia.Node {
	n, c := x.Shape()[0], b.channels
	x = b.linearConv("patch_embed.proj", x, c, square(dinoPatch, dinoPatch, 0), conv.Options{Stride: dinoPatch})
	x = reshape.To(x, n, dinoGrid*dinoGrid*c)
	zero := pointwise.Affine(concat.Slice(x, 0, c), 0, 0)
	x = concat.Channels(zero, x)
	all := x.Shape()[1]
	// All images as the pixels of one, to each of which the same is added.
	x = pointwise.AddPerImage(reshape.To(x, 1, n, all), b.Param("pos_embed", nets.Init{}, 1, all))
	return reshape.To(x, n, 1, all/c, c)
}

// norm is layer norm: a token is an image of one pixel and one group of channels.
func (b dinoBuilder) norm(name string, x *gorgonia.Node) *gorgonia.Node {
	s := x.Shape()
	tokens := reshape.To(x, s[0]*s[1]*s[2], 1, 1, s[3])
	gamma, beta := b.Param(name+".weight", nets.Init{}, s[3]), b.Param(name+".bias", nets.Init{}, s[3])
	return reshape.To(groupnorm.GroupNorm(tokens, gamma, beta, groupnorm.Options{Groups: 1, Epsilon: 1e-6}), s...)
}

// dinoParam reads a parameter. The scales at the ends of residual branches enter the maps
// before them, and the class token its position.
func dinoParam(r reader, p nets.Param) ([]float32, error) {
	if p.Name == "pos_embed" {
		return r.positions(r.Dim)
	}
	values, err := r.read(p.Name, p.Stored...)
	for end, scale := range map[string]string{"attn.proj.": "ls1.gamma", "mlp.fc2.": "ls2.gamma"} {
		block, _, found := strings.Cut(p.Name, end)
		if !found || err != nil {
			continue
		}
		gamma, err := r.read(block+scale, p.Stored[0])
		if err != nil {
			return nil, err
		}
		for i := range values {
			values[i] = float32(float64(values[i]) * float64(gamma[i/(len(values)/len(gamma))]))
		}
	}
	return values, err
}

// positions of the class token and of the patches, for dinoGrid² of them. A file has those
// of 37², images of 518×518 pixels.
func (r reader) positions(channels int) ([]float32, error) {
	const side = 37
	stored, err := r.read("pos_embed", 1, 1+side*side, channels)
	if err != nil {
		return nil, err
	}
	class, err := r.read("cls_token", 1, 1, channels)
	if err != nil {
		return nil, err
	}
	out := make([]float32, (1+dinoGrid*dinoGrid)*channels)
	for c := range channels {
		out[c] = float32(float64(class[c]) + float64(stored[c]))
	}
	taps := dinoTaps(side, dinoGrid)
	for y := range dinoGrid {
		for x := range dinoGrid {
			to := out[(1+y*dinoGrid+x)*channels:][:channels]
			for c := range to {
				sum := 0.0
				for _, v := range taps[y] {
					for _, h := range taps[x] {
						sum += v.weight * h.weight * float64(stored[(1+v.at*side+h.at)*channels+c])
					}
				}
				to[c] = float32(sum)
			}
		}
	}
	return out, nil
}

type tap struct {
	at     int
	weight float64
}

// dinoTaps resize a row of n to m as the authors' code does: PyTorch's bicubic (Keys' cubic
// with a = −¾, edges repeated), without antialiasing, with a scale of n/(m + 0.1).
func dinoTaps(n, m int) [][4]tap {
	const a = -0.75
	near := func(x float64) float64 { return ((a+2)*x-(a+3))*x*x + 1 }
	far := func(x float64) float64 { return ((x-5)*x+8)*x*a - 4*a }
	rows := make([][4]tap, m)
	for i := range rows {
		at := (float64(i)+0.5)*float64(n)/(float64(m)+0.1) - 0.5
		first := int(at) // at is above 0 where an image becomes smaller
		t := at - float64(first)
		for k, w := range [4]float64{far(1 + t), near(t), near(1 - t), far(2 - t)} {
			rows[i][k] = tap{min(max(first+k-1, 0), n-1), w}
		}
	}
	return rows
}
