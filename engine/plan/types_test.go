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
	casts, halves := 0, 0
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
			parameter := o.Region == Parameters || o.Region == Gradients
			if len(o.Shape) == 4 && !parameter {
				seen[o.Type] = true
			}
			if parameter && o.Type != number.Float32 {
				t.Errorf("launch %d, %v: a %v is no float32", i, l, o.Region)
			}
			if o.Region == Half {
				halves++
			}
			if o.Offset%o.Type.Size() != 0 || o.Offset+((o.Rows()-1)*o.Pitch+o.Cols())*o.Type.Size() > p.Sizes[o.Region] {
				t.Errorf("launch %d, %v: %v lies outside its region of %d bytes", i, l, o, p.Sizes[o.Region])
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
	if halves == 0 {
		t.Error("no product reads the copy of the weights")
	}
	if single := training(t, "small", 2); strings.Contains(text(single), "bf16") || single.Sizes[Half] != 0 {
		t.Error("a plan in float32 knows bfloat16")
	}
	activations := func(p *Plan) int { return p.Sizes[Arena] - p.Sizes[Gradients] }
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
			if x.Region == Half {
				t.Errorf("launch %d, %v reads a copy of the weights", i, l)
			}
			if _, ok := l.Kernel.(kernels.Weighted); ok && l.In[0].Type == number.BFloat16 && x.Region == Parameters && len(x.Shape) > 1 {
				products++
			}
		}
	}
	if products == 0 || p.Sizes[Half] != 0 {
		t.Errorf("%d products of bfloat16 read parameters, and their copy has %d bytes", products, p.Sizes[Half])
	}
}
