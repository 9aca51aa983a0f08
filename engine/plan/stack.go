package plan

import (
	"cmp"
	"fmt"
	"slices"

	"fluxion/kernels"
	"fluxion/kernels/concat"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Stacker is a Target on which products that kernels.Stacking says are one, over weights that are put side by side
// first: queries, keys and values of an attention, say. Their input is read once, and so is the gradient of it made.
type Stacker interface{ Stacks() bool }

// stacks are weights side by side by what they are of.
type stacks struct {
	*compiler
	of   [][]*value
	made []*value
}

func (c *compiler) stack() {
	if t, ok := c.Target.(Stacker); !ok || !t.Stacks() {
		return
	}
	s := stacks{compiler: c}
	for _, v := range slices.Clone(c.order) {
		s.widen(v)
	}
	for _, v := range slices.Clone(c.order) {
		s.deepen(v)
	}
}

// alone says whether v is a product that may become a part of one, in which its results are in a type.
func alone(v *value, wide bool, dtype number.Type) bool {
	k, ok := v.kernel.(kernels.Stacking)
	return ok && k.Stacks() == wide && v.perImage == nil && v.dtype == dtype && v.in[1].kernel == nil
}

// hidden says whether nothing but one other value reads v.
func hidden(v *value) bool { return v.uses == 1 && !v.pinned && v.home == nil }

// widen makes a concatenation of products of the same input one product.
func (s *stacks) widen(v *value) {
	if _, ok := v.kernel.(concat.Op); !ok || len(v.in) < 2 || len(v.in[0].in) == 0 {
		return
	}
	x := v.in[0].in[0]
	operands := make([][]*value, len(v.in[0].in)) // weights, biases
	for i, p := range v.in {
		if !alone(p, true, v.dtype) || !hidden(p) || p.add != nil || p.in[0] != x || slices.Contains(v.in[:i], p) {
			return
		}
		for j, o := range p.in {
			operands[j] = append(operands[j], o)
		}
	}
	parts := v.in
	v.kernel, v.in = parts[0].kernel, []*value{x}
	for _, o := range operands[1:] {
		v.in = append(v.in, s.sideBySide(o, v))
	}
	x.uses -= len(parts) - 1
	s.drop(parts)
}

// deepen makes a sum of products of all ranges of one value's channels one product.
func (s *stacks) deepen(v *value) {
	var terms []*value
	var dy *value
	for u := v; u != nil && alone(u, false, v.dtype) && (u == v || hidden(u)); u = u.add {
		part, ok := u.in[0].kernel.(concat.SliceOp)
		if !ok || part.N == 0 || dy != nil && u.in[0].in[0] != dy {
			break
		}
		dy = u.in[0].in[0]
		terms = append(terms, u)
	}
	if len(terms) < 2 {
		return
	}
	last := terms[len(terms)-1]
	from := func(u *value) int { return u.in[0].kernel.(concat.SliceOp).From }
	sorted := slices.SortedFunc(slices.Values(terms), func(a, b *value) int { return cmp.Compare(from(a), from(b)) })
	at := 0
	var weights []*value
	for _, u := range sorted {
		if from(u) != at {
			return
		}
		at += u.in[0].kernel.(concat.SliceOp).N
		weights = append(weights, u.in[1])
	}
	if shape := dy.shape(); at != shape[len(shape)-1] {
		return
	}
	for _, u := range terms {
		if part := u.in[0]; part.uses > 1 {
			part.uses--
		} else {
			s.drop([]*value{part})
			dy.uses--
		}
	}
	v.in, v.add = []*value{dy, s.sideBySide(weights, v)}, last.add
	dy.uses++
	s.drop(terms[1:])
}

// Widener is a Target on which gradients of weights of one input (kernels.Widening) are made at once.
type Widener interface {
	// Widens says whether a launch like this is.
	Widens(l Launch) bool
}

// widenGradients makes gradients of weights of the same input one kernel, where they are of values that are all channels of another.
func (c *compiler) widenGradients() {
	target, ok := c.Target.(Widener)
	if !ok {
		return
	}
	for _, v := range slices.Clone(c.order) {
		k, ok := v.kernel.(kernels.Widening)
		if !ok || v.add != nil || v.within != nil || v.in[1].within == nil || v.in[1].from != 0 || isReshaped(v.in[1]) {
			continue
		}
		dy, columns := v.in[1].within, channels(v.in[1])
		all := []*value{v}
		for at := columns; at < channels(dy); at += columns {
			i := slices.IndexFunc(c.order, func(u *value) bool {
				_, widens := u.kernel.(kernels.Widening)
				return widens && u.kernel.String() == k.String() && u.in[0] == v.in[0] && u.in[1].within == dy && u.in[1].from == at && !isReshaped(u.in[1]) &&
					u.add == nil && u.within == nil && slices.Equal(u.shape(), v.shape()) && len(u.in) == len(v.in)
			})
			if i < 0 {
				break
			}
			all = append(all, c.order[i])
		}
		if len(all) < 2 || len(all)*columns != channels(dy) {
			continue
		}
		wide := k.Widened(len(all))
		if wide == nil {
			continue
		}
		in := append([]*value{v.in[0], dy}, v.in[2:]...)
		for _, u := range all[1:] {
			in = append(append(in, u), u.in[2:]...)
		}
		w := pending{kernel: wide, out: operand{value: v}}
		for _, x := range in {
			w.in = append(w.in, operand{value: x})
		}
		if !target.Widens(w.launch((*value).describe)) {
			continue
		}
		v.kernel, v.in = wide, in
		for _, u := range all[1:] {
			v.makes = append(append(v.makes, u), u.makes...)
		}
	}
	c.settle()
}

// channels of a value.
func channels(v *value) int {
	s := v.shape()
	return s[len(s)-1]
}

func (s *stacks) drop(values []*value) {
	s.order = slices.DeleteFunc(s.order, func(o *value) bool { return slices.Contains(values, o) })
}

// sideBySide puts leaves side by side, before their first reader.
func (s *stacks) sideBySide(leaves []*value, reader *value) *value {
	for i, of := range s.of {
		if slices.Equal(of, leaves) {
			s.made[i].uses++
			return s.made[i]
		}
	}
	g := gorgonia.NewGraph() // of their own: the plan's stays as it is
	var parts []*gorgonia.Node
	for i, l := range leaves {
		parts = append(parts, gorgonia.NewTensor(g, tensor.Float32, len(l.shape()), gorgonia.WithShape(l.shape()...), gorgonia.WithName(fmt.Sprint(i))))
	}
	node := concat.Channels(parts...)
	v := &value{node: node, dtype: leaves[0].dtype, role: kernels.Single, kernel: node.Op().(kernels.Kernel), in: leaves, uses: 1}
	s.order = slices.Insert(s.order, slices.Index(s.order, reader), v)
	s.all = append(s.all, v)
	s.of, s.made = append(s.of, leaves), append(s.made, v)
	return v
}
