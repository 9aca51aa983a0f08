//go:build gpu

package equality

import (
	"testing"

	"fluxion/engine/train"
	"fluxion/nets"
)

const (
	size      = 8  // of images
	steps     = 20 // in float32
	bf16Steps = 20 // in bfloat16
)

// network is the preset micro.
func network(t *testing.T) nets.Network {
	t.Helper()
	c, err := train.Network("micro", nets.Spec{Height: size, Width: size, Channels: 3, Classes: classes})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
