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
				v.makes = append(v.makes, x)
				break
			}
		}
	}
	c.settle()
}

// Summer is a Target on which a kernels.Summing sums rows on the way.
type Summer interface{ Sums() bool }

// joinSums lets the gradient of weights make that of the bias, which is read by nothing but the
// update. A gradient that several biases share is made by as many kernels as there are of the same rows,
// and copied for others.
func (c *compiler) joinSums() {
	if s, ok := c.Target.(Summer); !ok || !s.Sums() {
		return
	}
	alone := map[*value]*value{} // sums of a value's rows
	for _, v := range c.order {
		if k, ok := v.kernel.(kernels.RowSum); ok && k.SumsRows() && v.add == nil && v.within == nil && !v.pinned {
			alone[v.in[0]] = v
		}
	}
	for _, v := range c.order {
		for _, x := range append(slices.Clone(v.in), v.add, v.perImage) {
			for rows, sum := range alone {
				if sum == x {
					delete(alone, rows)
				}
			}
		}
	}
	c.joinTallies()
	made := map[*value]bool{}
	for _, v := range c.order {
		k, ok := v.kernel.(kernels.Summing)
		if !ok {
			continue
		}
		_, of := k.Summed(nil)
		sum := alone[v.in[of]]
		if sum == nil {
			continue
		}
		to := sum
		if made[sum] {
			if to = c.copied(sum); to == nil {
				continue
			}
		}
		both, _ := k.Summed(sum.kernel.(kernels.RowSum))
		made[to] = true
		v.kernel, v.in, v.makes = both, append(slices.Clone(v.in), to), append(v.makes, to)
	}
	c.settle()
}

// joinTallies lets what makes a value sum it over the pixels of each image.
func (c *compiler) joinTallies() {
	maker := map[*value]*value{}
	for _, v := range c.order {
		maker[v] = v
	}
	for _, v := range c.order {
		k, ok := v.kernel.(kernels.PixelSum)
		if !ok || !k.SumsPixels() || v.add != nil || v.within != nil || v.pinned {
			continue
		}
		x := maker[v.in[0]]
		if x == nil {
			continue
		}
		if t, ok := x.kernel.(kernels.Tallying); ok {
			if both := t.Tallied(k); both != nil {
				x.kernel, x.in, x.makes = both, append(slices.Clone(x.in), v), append(x.makes, v)
			}
		}
	}
}

// copied is the gradient of another parameter that was to be a copy of this one.
func (c *compiler) copied(from *value) *value {
	i := slices.IndexFunc(c.copies, func(k copyOf) bool { return k.from == from })
	if i < 0 {
		return nil
	}
	to := *from
	to.home = &c.copies[i].to
	c.copies = slices.Delete(slices.Clone(c.copies), i, i+1)
	return &to
}

// settle leaves out what others make, puts values behind what they are made of, and leaves the order as it is else.
func (c *compiler) settle() {
	maker := map[*value]*value{}
	for _, v := range c.order {
		for _, x := range v.makes {
			maker[x] = v
		}
	}
	c.order = slices.DeleteFunc(c.order, func(v *value) bool { return maker[v] != nil })
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
