package plan

import (
	"fluxion/kernels"
	"fluxion/kernels/cast"
	"fluxion/kernels/number"
)

// Rounder is a Target whose products of bfloat16 take their weights in float32, and
// round them where they lay them out: plans for it have no copy of the weights.
type Rounder interface{ Rounds() bool }

// Copies says whether plans of a precision have a copy of the weights in bfloat16
// beside them: see Buffer.Copy.
func Copies(t Target, precision number.Type) bool {
	r, ok := t.(Rounder)
	return precision == number.BFloat16 && (!ok || !r.Rounds())
}

// settleTypes gives every value the element type that it is stored in, and inserts
// conversions where a kernel needs another one. Whatever the precision, values that are
// written or read from outside the plan are float32, and so are parameters and their
// gradients. Products read their weights from the bfloat16 copy of the parameters, if there
// is one.
func (c *compiler) settleTypes() {
	for _, v := range c.all {
		if len(v.shape()) == 4 { // an image, unless it is a parameter
			v.role = kernels.Activation
		}
	}
	fixed := map[*value]bool{}     // values that are float32 in any plan
	weights := map[*value]*value{} // the bfloat16 copies of parameters
	for _, p := range c.Parameters {
		leaf := c.values[p.Node.ID()]
		leaf.role = kernels.Single
		if to := p.Buffer.Copy; to != nil {
			weights[leaf] = &value{node: leaf.node, dtype: number.BFloat16, home: to.slot(p.Offset, p.Node.Shape())}
		}
		if p.Gradient != nil {
			fixed[c.values[p.Gradient.ID()]] = true
		}
	}
	copies := Copies(c.Target, c.Precision)
	order := c.order
	c.order = nil
	cast := casts{c, map[*value]*value{}}
	for _, v := range order {
		roles := v.roles()
		v.role = kernels.RoleOf(v.kernel, roles)
		types, result := kernels.TypesOf(v.kernel, c.Precision, roles)
		if w, ok := v.kernel.(kernels.Weighted); ok && !copies {
			for _, i := range w.Weights() {
				types[i] = number.Float32
			}
		}
		for i, x := range v.in {
			switch bf16 := weights[x]; {
			case x.dtype == types[i]:
			case bf16 != nil && types[i] == number.BFloat16:
				bf16.uses++
				v.in[i] = bf16
			default:
				v.in[i] = cast.of(x, types[i])
			}
		}
		v.dtype = number.Float32
		if !v.pinned && !fixed[v] {
			v.dtype = result
		}
		if v.dtype == result {
			c.order = append(c.order, v)
			continue
		}
		made := &value{node: v.node, dtype: result, role: v.role, kernel: v.kernel, in: v.in, uses: 1}
		c.order = append(c.order, made, v)
		v.kernel, v.in = castTo(v), []*value{made}
	}
	for _, p := range c.Parameters {
		if bf16 := weights[c.values[p.Node.ID()]]; bf16 != nil && bf16.uses > 0 {
			c.all = append(c.all, bf16)
		}
	}
	c.all = append(c.all, c.order...)
	for i, v := range c.all {
		v.at = i
	}
}

// roles are those of a value's operands.
func (v *value) roles() []kernels.Role {
	roles := make([]kernels.Role, len(v.in))
	for i, x := range v.in {
		roles[i] = x.role
	}
	return roles
}

// casts are the conversions made so far.
type casts struct {
	*compiler
	made map[*value]*value
}

// of returns x in another type, converted before its first reader.
func (c casts) of(x *value, to number.Type) *value {
	v := c.made[x]
	if v == nil {
		v = &value{node: x.node, dtype: to, role: x.role, in: []*value{x}}
		v.kernel = castTo(v)
		x.uses++
		c.made[x] = v
		c.order = append(c.order, v)
	}
	x.uses-- // the reader reads v instead
	v.uses++
	return v
}

func castTo(v *value) kernels.Kernel { return cast.New(len(v.shape())) }
