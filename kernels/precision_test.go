package kernels_test

import (
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/conv"
	"fluxion/kernels/groupnorm"
	"fluxion/kernels/linear"
	"fluxion/kernels/loss"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Every operation of a small network and its gradients, by name: inputs, then output.
func TestTypesOf(t *testing.T) {
	const f, b = number.Float32, number.BFloat16
	want := map[string][]number.Type{
		"conv 3x3 stride 1 pad 1,1,1,1":       {b, b, f, b},
		"conv.dx to 4x4 stride 1 pad 1,1,1,1": {b, b, b},
		"conv.dw 3x3 stride 1 pad 1,1,1,1":    {b, b, f},
		"groupnorm.stats 2 1e-05":             {b, f},
		"groupnorm silu scaleshift 2":         {b, f, f, f, f, b},
		"groupnorm.sums silu scaleshift 2":    {b, f, f, f, f, b, f},
		"groupnorm.dx silu scaleshift 2":      {b, f, f, f, f, b, f, b},
		"sum rows":                            {b, f},
		"mse":                                 {f, f, f, f},
		"mse.dy":                              {f, f, f, f},
	}
	g := gorgonia.NewGraph()
	leaf := func(name string, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	}
	x, w, bias := leaf("x", 2, 4, 4, 6), leaf("w", 3, 3, 6, 6), leaf("bias", 6)
	time, v, b2 := leaf("time", 2, 5), leaf("v", 5, 12), leaf("b2", 12)
	u := leaf("u", 6, 6)
	modulation := linear.Linear(time, v, b2)
	h := groupnorm.GroupNormScaleShift(conv.Conv2D(x, w, bias, conv.Same(3)), leaf("gamma", 6), leaf("beta", 6), modulation,
		groupnorm.Options{Groups: 2, Epsilon: 1e-5, SiLU: true})
	objective := loss.MSE(linear.Linear(h, u, leaf("b3", 6)), leaf("target", 2, 4, 4, 6), leaf("weight", 2))
	if _, err := gorgonia.Grad(objective, x, w, bias, v, u); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	activations := map[int64]kernels.Role{x.ID(): kernels.Activation}
	nodes := g.AllNodes()
	slices.SortFunc(nodes, func(a, b *gorgonia.Node) int { return int(a.ID() - b.ID()) })
	for _, n := range nodes {
		k, ok := n.Op().(kernels.Kernel)
		if !ok {
			continue
		}
		var in []tensor.Shape
		var roles []kernels.Role
		for it := g.From(n.ID()); it.Next(); {
			of := it.Node().(*gorgonia.Node)
			in, roles = append(in, of.Shape()), append(roles, activations[of.ID()])
		}
		activations[n.ID()] = kernels.RoleOf(k, roles)
		expect, listed := want[k.String()]
		single := slices.Repeat([]number.Type{f}, len(in)+1)
		switch {
		case len(in[0]) != 4: // small tensors: the path of the time embedding, parameter gradients
			expect = single
		case listed:
		case k.String() == "linear" && len(in[0]) == 4:
			expect = []number.Type{b, b, f, b}
		case k.String() == "linear.dx" && len(in[0]) == 4:
			expect = []number.Type{b, b, b}
		case k.String() == "linear.dw" && len(in[0]) == 4:
			expect = []number.Type{b, b, f}
		default:
			continue
		}
		seen[k.String()] = true
		for precision, expect := range map[number.Type][]number.Type{b: expect, f: single} {
			types, out := kernels.TypesOf(k, precision, roles)
			if got := append(types, out); !slices.Equal(got, expect) {
				t.Errorf("%v of %v in a plan of %v: %v, want %v", k, in, precision, got, expect)
			}
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("the network has no %q", name)
		}
	}
}
