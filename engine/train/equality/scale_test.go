//go:build !gpu

package equality

import (
	"testing"

	"fluxion/engine/train"
	"fluxion/nets"
	"fluxion/nets/unet"
)

// The simulator takes its time, so a build without GPU path compares something small.
const (
	size      = 4 // of images
	steps     = 8 // in float32
	bf16Steps = 8 // in bfloat16
)

// network is the smallest UNet that has what the larger ones have: two levels,
// attention in the middle, classes.
func network(t *testing.T) nets.Network {
	t.Helper()
	c, err := train.Network("micro", nets.Spec{Height: size, Width: size, Channels: 3, Classes: classes})
	if err != nil {
		t.Fatal(err)
	}
	small := c.(unet.Config)
	small.BlockOutChannels, small.DownBlockTypes, small.UpBlockTypes = []int{8, 8}, []string{"DownBlock2D", "DownBlock2D"}, []string{"UpBlock2D", "UpBlock2D"}
	return small
}
