package plan

import (
	"slices"

	"fluxion/kernels"
)

// Chainer is a Target on which the sum of several small products (kernels.Chained) is made at once.
type Chainer interface {
	// Chains says whether a sum of launches like this is made by one.
	Chains(l Launch) bool
}

// chainAdds makes one value of products that are added to each other, one after the other: the gradient of a
// time embedding, which every block has a layer over.
func (c *compiler) chainAdds() {
	target, ok := c.Target.(Chainer)
	if !ok {
		return
	}
	chained := func(v *value) kernels.Chained {
		k, ok := v.kernel.(kernels.Chained)
		if !ok || v.perImage != nil {
			return nil
		}
		w := pending{kernel: v.kernel, out: operand{value: v}}
		for _, in := range v.in {
			w.in = append(w.in, operand{value: in})
		}
		if !target.Chains(w.launch((*value).describe)) {
			return nil
		}
		return k
	}
	single := map[*value]kernels.Chained{}
	for _, v := range c.order {
		if k := chained(v); k != nil {
			single[v] = k
		}
	}
	sums := map[*value]int{} // of so many
	for _, v := range slices.Clone(c.order) {
		k, u := single[v], v.add
		if k == nil || u == nil || single[u] == nil || u.uses != 1 || u.pinned || u.home != nil || u.dtype != v.dtype || !u.shape().Eq(v.shape()) {
			continue
		}
		n := max(1, sums[u]) + 1
		v.in, v.add, v.kernel = append(slices.Clone(u.in), v.in...), u.add, k.Chained(n)
		sums[v] = n
		c.order = slices.DeleteFunc(c.order, func(o *value) bool { return o == u })
	}
}
