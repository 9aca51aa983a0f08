package plan

import (
	"slices"

	"fluxion/kernels"
)

// Joiner is a Target on which a kernels.Joint makes an input itself.
type Joiner interface{ Joins() bool }

// join fuses kernels that are kernels.Joint with those that make one of their inputs from
// the same tensors. The maker's launch goes away; other readers of its result come after
// the fused launch.
func (c *compiler) join() {
	if j, ok := c.Target.(Joiner); !ok || !j.Joins() {
		return
	}
	maker := map[*value]*value{} // who makes it instead
	for _, v := range c.order {
		k, ok := v.kernel.(kernels.Joint)
		if !ok {
			continue
		}
		for i, x := range v.in {
			if x.kernel == nil || maker[x] != nil || len(x.in) > i || !slices.Equal(x.in, v.in[:len(x.in)]) {
				continue
			}
			if both := k.Joined(i, x.kernel); both != nil {
				v.kernel, maker[x] = both, v
				break
			}
		}
	}
	c.order = slices.DeleteFunc(c.order, func(v *value) bool { return maker[v] != nil })
	c.settle(maker)
}

// settle puts values behind what they are made of, and leaves the order as it is else.
func (c *compiler) settle(maker map[*value]*value) {
	there := map[*value]bool{} // made at this point
	ready := func(v *value) bool {
		for _, x := range append(slices.Clone(v.in), v.add, v.perImage) {
			if x == nil || x.kernel == nil {
				continue
			}
			if m := maker[x]; m != nil {
				x = m
			}
			if x != v && !there[x] {
				return false
			}
		}
		return true
	}
	var order, waiting []*value
	for _, v := range c.order {
		waiting = append(waiting, v)
		for i := 0; i < len(waiting); i++ {
			if w := waiting[i]; ready(w) {
				there[w] = true
				order = append(order, w)
				waiting = slices.Delete(waiting, i, i+1)
				i = -1 // what waited for it may be ready
			}
		}
	}
	c.order = order
}
