package concat

import (
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

func TestChannels(t *testing.T) {
	in := []kerneltest.Input{kerneltest.Shape(2, 3, 2, 5), kerneltest.Shape(2, 3, 2, 1), kerneltest.Shape(2, 3, 2, 18)}
	kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Channels(in...) })
}
