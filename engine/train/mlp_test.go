package train

import (
	"context"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// points are settings for a network that is no UNet, on data of two dimensions.
func points() Settings {
	s := Default()
	s.Data, s.Preset, s.Size, s.Channels = "toy:moons", "mlp", data.Size{}, 0
	s.Images, s.Batch, s.Warmup, s.Decay, s.CheckpointEvery, s.SampleEvery, s.SampleCount, s.SampleSteps = 256, 16, 0, 0, 128, 128, 10, 2
	return s
}

// TestPerceptronResumes: any network of the list goes through the same loop and
// checkpoints, to the bit.
func TestPerceptronResumes(t *testing.T) {
	s := points()
	s.SelfConditioning = 0.5
	whole, cut := t.TempDir(), t.TempDir()
	o, _ := options(t, s, whole)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	for _, s.Images = range []int64{128, 256} {
		o, _ := options(t, s, cut)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}
	same(t, files(t, cut), files(t, whole))
	m, err := model.Read(whole, model.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if spec := m.Network.Spec(); m.Network.ClassName() != "FluxionMLP" || spec.Channels != 2 || spec.Height != 1 || spec.Classes != 3 || !spec.Estimate || !m.Guided {
		t.Errorf("%s of %+v", m.Network.ClassName(), spec)
	}
}

// TestPerceptronLearns: the loss falls well below that of a network without knowledge.
func TestPerceptronLearns(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := points()
	s.Images, s.Batch, s.LR, s.CheckpointEvery, s.SampleCount = 48_000, 128, 1e-3, 0, 0
	o, _ := options(t, s, t.TempDir())
	res, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if baseline := 1.6882; !(res.Loss < 0.75*baseline) {
		t.Errorf("a loss of %.3f after %d points, without knowledge it is %.3f", res.Loss, res.Images, baseline)
	}
}

// TestPerceptronOfPictures: the network is for the images that it is given, and says of
// others that it is not.
func TestPerceptronOfPictures(t *testing.T) {
	n, err := Network("mlp", nets.Spec{Height: 8, Width: 8, Channels: 3, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	if s := n.Spec(); s.Height != 8 || s.Channels != 3 || s.Classes != 11 {
		t.Errorf("%+v", s)
	}
	if _, err := NewStep(StepOptions{Network: n, Height: 16, Width: 16, Batch: 1, Accumulate: 1}); err == nil || !strings.Contains(err.Error(), "images of 8×8") {
		t.Errorf("images of 16×16 pixels: %v", err)
	}
}

// TestTooSmallForAUNet: who trains on points with a UNet is told which preset takes them.
func TestTooSmallForAUNet(t *testing.T) {
	_, err := Network("tiny", nets.Spec{Height: 1, Width: 1, Channels: 2})
	if err == nil || !strings.Contains(err.Error(), "want a multiple of 4; preset mlp takes any size") {
		t.Errorf("images of one pixel: %v", err)
	}
	if _, err := Network("tiny", nets.Spec{Height: 10, Width: 10, Channels: 3}); err == nil || strings.Contains(err.Error(), "mlp") {
		t.Errorf("images of 10×10 pixels: %v", err)
	}
}

// deaf is a network that can be told no classes and takes no estimate.
type deaf struct{ nets.Network }

func (d deaf) Fit(like nets.Spec) (nets.Network, error) {
	like.Classes, like.Estimate = 0, false
	return d.Network.Fit(like)
}

// TestDeafNetworks: a network that does not take what a run has for it is refused before it begins.
func TestDeafNetworks(t *testing.T) {
	p, err := catalog.Preset("mlp")
	if err != nil {
		t.Fatal(err)
	}
	for want, images := range map[string]nets.Spec{
		"told no classes": {Height: 8, Width: 8, Channels: 3, Classes: 4}, "takes no estimate": {Height: 8, Width: 8, Channels: 3, Estimate: true},
	} {
		if _, err := fit(deaf{p.Network}, "deaf", images); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says it is %s", err, want)
		}
	}
	if _, err := fit(deaf{p.Network}, "deaf", nets.Spec{Height: 8, Width: 8, Channels: 3}); err != nil {
		t.Error(err)
	}
}
