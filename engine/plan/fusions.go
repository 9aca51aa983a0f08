package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Fusion is something that a plan joins where it can, unless Options.Without
// names it.
type Fusion struct{ Name, Does string }

// Fusions are all there are.
var Fusions = []Fusion{
	{"upsample", "a convolution reads an image as it is before it is enlarged, and its gradient becomes that image's"},
	{"per-image", "a time embedding is added by the kernel that makes what it is added to"},
	{"add", "a sum, of a residual or of gradients, is formed by the kernel that makes one of its terms"},
	{"products", "products of the same are one, over weights side by side: queries, keys and values"},
	{"chain", "gradients of what several layers read are one sum of products"},
	{"slice", "a range of channels is read where it lies"},
	{"concat", "the parts of a concatenation are made where they will be read"},
	{"reshape", "a tensor is read in other axes where it lies"},
	{"norms", "a norm takes its statistics, and its gradient their sums, in one launch, from the cache"},
	{"bias", "gradients of weights and of norms sum rows on the way, for those of biases and of time embeddings"},
	{"statistics", "a kernel leaves the statistics of what it makes for the norm behind it, attention its sums for its gradient"},
	{"together", "small kernels whose results nobody waits for run side by side in one launch"},
}

// FusionNames lists the names of Fusions.
func FusionNames() []string {
	names := make([]string, len(Fusions))
	for i, f := range Fusions {
		names[i] = f.Name
	}
	return names
}

// CheckFusions says which of the names is none of a fusion.
func CheckFusions(names []string) error {
	known := FusionNames()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("no fusion is called %q, want some of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

func (c *compiler) fuses(name string) bool { return !slices.Contains(c.Without, name) }
