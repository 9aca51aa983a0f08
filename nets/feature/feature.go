// Package feature holds networks that say something of images, by which sets of
// images are compared. Weights of published ones come from files, with each batch norm
// folded into the convolution before it; those of a small one are part of the program.
package feature

import (
	"fmt"

	"fluxion/data/lookup"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Network is one of Networks.
type Network struct {
	Name    string
	Summary string
	Side    int      // of the images that it takes, in pixels
	Dim     int      // numbers of Pooled
	Classes int      // numbers of Logits; 0: there are none
	Outputs []string // what it says, the usual features first

	// Convention is the name of the only way in which images are brought to it; empty: any
	// that makes numbers from −1 to 1 of them.
	Convention string

	apply    func(b *builder, image *gorgonia.Node)
	files    naming
	embedded []byte // a file of safetensors with its weights; nil: they come from the user
}

// Output names that networks have in common.
const (
	Pooled  = "pooled"  // the mean over the pixels of the last layer, or the class token: what distances compare
	Logits  = "logits"  // of classes; of inception and lite0 without the bias, as the Inception Score takes them
	Spatial = "spatial" // a middle layer with its places, of SpatialChannels: what sFID compares
)

// SpatialChannels are the channels of Spatial that are compared, its first (Nash et
// al., "Generating Images with Sparse Representations", 2021).
const SpatialChannels = 7

// Networks in the order in which help lists them.
var Networks = []Network{inception, lite0, glyph, dinoLarge, dinoBase, dinoSmall}

// Find returns the network of a name.
func Find(name string) (Network, error) {
	names := make([]string, len(Networks))
	for i, n := range Networks {
		names[i] = n.Name
	}
	i, err := lookup.Find("feature network", name, names)
	if err != nil {
		return Network{}, err
	}
	return Networks[i], nil
}

// Graph is a network applied to images.
type Graph struct {
	Image   *gorgonia.Node // (N,side,side,3), in the range of its convention
	Outputs map[string]*gorgonia.Node
	*nets.Parameters
}

// Build makes the graph for a batch of images.
func (n Network) Build(batch int) (*Graph, error) {
	if batch < 1 {
		return nil, fmt.Errorf("building %s: batch is %d, want at least 1", n.Name, batch)
	}
	image := func(g *gorgonia.ExprGraph, batch int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(batch, n.Side, n.Side, 3), gorgonia.WithName("image"))
	}
	g := gorgonia.NewGraph()
	out := &Graph{Image: image(g, batch)}
	var err error
	out.Parameters, err = nets.PlaceParameters(g, tensor.Float32, "", func(s *nets.Scope, g *gorgonia.ExprGraph) {
		b := builder{Scope: s}
		n.apply(&b, image(g, 1))
	})
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", n.Name, err)
	}
	return out, out.Use(func(s *nets.Scope) {
		b := builder{Scope: s, outputs: map[string]*gorgonia.Node{}}
		n.apply(&b, out.Image)
		out.Outputs = b.outputs
	})
}
