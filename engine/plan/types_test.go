package plan

import (
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/number"
)

// TestTypes: in a plan of bfloat16 what is large is bfloat16, except where it is
// written or read from outside; kernels meet one type at rank 4; products read
// their weights from the copy.
func TestTypes(t *testing.T) {
	p := precise(t, "small", 2, number.BFloat16)
	casts, copies := 0, 0
	weights, gradients := named(p, "params"), named(p, "grads")
	for i, l := range p.Launches {
		if strings.HasPrefix(l.Kernel.String(), "cast") {
			casts++
			continue
		}
		seen := map[number.Type]bool{}
		operands := append([]Tensor{l.Out}, l.In...)
		if l.Add != nil {
			operands = append(operands, *l.Add)
		}
		for _, o := range operands {
			parameter := o.Buffer == weights || o.Buffer == gradients
			if len(o.Shape) == 4 && !parameter {
				seen[o.Type] = true
			}
			if parameter && o.Type != number.Float32 {
				t.Errorf("launch %d, %v: a %v is no float32", i, l, o.Buffer)
			}
			if o.Buffer == weights.Copy {
				copies++
			}
			if o.Offset%o.Type.Size() != 0 || o.Offset+((o.Rows()-1)*o.Pitch+o.Cols())*o.Type.Size() > p.Sizes[o.Buffer] {
				t.Errorf("launch %d, %v: %v lies outside its buffer of %d bytes", i, l, o, p.Sizes[o.Buffer])
			}
		}
		if len(seen) > 1 {
			t.Errorf("launch %d, %v: tensors of rank 4 in two types", i, l)
		}
		if product := strings.HasPrefix(l.Kernel.String(), "conv") || strings.HasPrefix(l.Kernel.String(), "linear"); product && seen[number.Float32] {
			t.Errorf("launch %d, %v: a product in float32", i, l)
		}
	}
	if casts != 3 { // the input, the output, the loss's gradient
		t.Errorf("%d conversions, want 3", casts)
	}
	if copies == 0 {
		t.Error("no product reads the copy of the weights")
	}
	if single := training(t, "small", 2); strings.Contains(text(single), "bf16") || named(single, "params_bf16") != nil {
		t.Error("a plan in float32 knows bfloat16")
	}
	activations := func(p *Plan) int { return p.Sizes[Arena] - p.Sizes.Transient() }
	if a, b := activations(precise(t, "small", 16, number.BFloat16)), activations(training(t, "small", 16)); a > b*6/10 {
		t.Errorf("the arena has %d bytes more than the gradients in bfloat16, %d in float32", a, b)
	}
	if a, b := p.Cost().Bytes, training(t, "small", 2).Cost().Bytes; a > b*7/10 {
		t.Errorf("the traffic is %d bytes in bfloat16, %d in float32", a, b)
	}
}

// rounding is a target whose products round weights themselves.
type rounding struct{ floats }

func (rounding) Rounds() bool { return true }

// TestRounds: a plan for a Rounder has no copy of the weights, and its products
// read them in float32.
func TestRounds(t *testing.T) {
	p := planned(t, "small", 2, Options{Precision: number.BFloat16, Target: rounding{}})
	products := 0
	for i, l := range p.Launches {
		for _, x := range l.In {
			if x.Buffer != Arena && x.Type == number.BFloat16 {
				t.Errorf("launch %d, %v reads a copy of the weights", i, l)
			}
			if _, ok := l.Kernel.(kernels.Weighted); ok && l.In[0].Type == number.BFloat16 && x.Buffer == named(p, "params") && len(x.Shape) > 1 {
				products++
			}
		}
	}
	if products == 0 || named(p, "params_bf16") != nil {
		t.Errorf("%d products of bfloat16 read parameters, of which there is a copy: %t", products, named(p, "params_bf16") != nil)
	}
}

// TestRoles: activations are stored in bfloat16 whatever their axes, embeddings of times
// never; a sample is read as a vector where it lies.
func TestRoles(t *testing.T) {
	const blocks = 4 // of preset mlp
	p := precise(t, "mlp", 8, number.BFloat16)
	products := map[string]map[number.Type]int{}
	for _, l := range p.Launches {
		kind := l.Kernel.String()
		if strings.HasPrefix(kind, "reshape") {
			t.Errorf("%v is a launch", l)
		}
		if strings.HasPrefix(kind, "linear") {
			if products[kind] == nil {
				products[kind] = map[number.Type]int{}
			}
			products[kind][l.In[0].Type]++
		}
	}
	for kind, want := range map[string][2]int{ // in and out, two a block; embeddings: two, and one a block
		"linear": {2 + 2*blocks, 2 + blocks}, "linear.dx": {1 + 2*blocks, 1 + blocks}, "linear.dw": {2 + 2*blocks, 2 + blocks},
	} {
		if got := products[kind]; got[number.BFloat16] != want[0] || got[number.Float32] != want[1] {
			t.Errorf("%s: %v, want %d in bfloat16 and %d in float32", kind, got, want[0], want[1])
		}
	}
	copied := 0
	for _, l := range precise(t, "mlp", 8, number.BFloat16, "reshape").Launches {
		if strings.HasPrefix(l.Kernel.String(), "reshape") {
			copied++
		}
	}
	if copied != 3 { // the sample, the output, its gradient
		t.Errorf("%d tensors are copied to be read in other axes, want 3", copied)
	}
}
