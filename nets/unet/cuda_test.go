package unet

import (
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/loss"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestEveryOperatorHasCUDA: whatever network is trained, each of its operations
// and of their gradients can run on a GPU.
func TestEveryOperatorHasCUDA(t *testing.T) {
	configs := map[string]Config{}
	for _, name := range presetNames() {
		configs[name], _ = Preset(name)
	}
	// All that the presets leave out.
	c := configs["micro"]
	c.levels(32, "DownBlock2D 8", "AttnDownBlock2D 16", "DownBlock2D 16")
	c.CenterInputSample = true
	c.DownsampleType, c.UpsampleType = "resnet", "resnet"
	c.MidBlockScaleFactor = nets.Number{Value: 2, Whole: true}
	c.ResnetTimeScaleShift = "scale_shift"
	c.TimeEmbeddingType, c.NumTrainTimesteps = "learned", 10
	c.NumClassEmbeds = 3
	configs["rare parts"] = c
	seen := map[string]bool{}
	for name, c := range configs {
		g, err := nets.Build(c, nets.BuildOptions{Batch: 2})
		if err != nil {
			t.Fatal(name, err)
		}
		target := gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithShape(g.Output.Shape()...), gorgonia.WithName("target"))
		weight := gorgonia.NewVector(g.G, tensor.Float32, gorgonia.WithShape(2), gorgonia.WithName("weight"))
		if _, err := gorgonia.Grad(loss.MSE(g.Output, target, weight), g.Nodes...); err != nil {
			t.Fatal(name, err)
		}
		for _, n := range g.G.AllNodes() {
			k, ok := n.Op().(kernels.Kernel)
			if !ok {
				continue // a leaf, or Gorgonia's own addition, in whose place plans put pointwise's
			}
			if _, ok := k.(cuda.Kernel); !ok {
				t.Errorf("%s: %v (%T) has no CUDA kernel", name, k, k)
			}
			kind, _, _ := strings.Cut(k.String(), " ")
			seen[kind] = true
		}
	}
	for _, kind := range []string{
		"conv", "conv.dx", "conv.dw", "linear", "linear.dx", "linear.dw", "attention", "attention.dx", "concat", "channels",
		"groupnorm", "groupnorm.stats", "groupnorm.sums", "groupnorm.dx", "groupnorm.dgamma", "groupnorm.dbeta", "groupnorm.dscaleshift",
		"upsample", "upsample.dx", "avgpool", "avgpool.dx", "affine", "add", "silu", "silu.dx", "sum", "timestep", "lookup", "lookup.dw", "mse", "mse.dy",
	} {
		if !seen[kind] {
			t.Errorf("none of the networks has a %s", kind)
		}
	}
}
