package plan

import (
	"slices"

	"fluxion/kernels/pointwise"
)

// completion is what is missing of the gradients when every kernel has run that makes one:
// copies of those that two parameters share, and zeros where there are none.
type completion struct {
	copies []copyOf
	gaps   []gap
}

func (c *compiler) completion() *completion { return &completion{slices.Clone(c.copies), c.gaps()} }

// behind is what can be done when a value is there, which is not missing any more.
func (m *completion) behind(v *value) (list []pending) {
	if v.home != nil && v.home.Buffer.Transient {
		list = m.zeros(*v.home)
	}
	m.copies = slices.DeleteFunc(m.copies, func(k copyOf) bool {
		owner, _ := k.from.base()
		if owner != v {
			return false
		}
		list = append(append(list, k.launch()), m.zeros(k.to)...)
		return true
	})
	return list
}

// zeros are those that follow the gradient of a parameter.
func (m *completion) zeros(t Tensor) (list []pending) {
	m.gaps = slices.DeleteFunc(m.gaps, func(g gap) bool {
		if g.place.Offset != t.Offset+t.Values()*t.Type.Size() {
			return false
		}
		list = append(list, g.launch())
		return true
	})
	return list
}

// all is what is missing still.
func (m *completion) all() (list []pending) {
	for _, k := range m.copies {
		list = append(list, k.launch())
	}
	for _, g := range m.gaps {
		list = append(list, g.launch())
	}
	return list
}

func (k copyOf) launch() pending {
	return pending{kernel: pointwise.NewCopy(len(k.to.Shape)), in: []operand{{value: k.from}}, out: operand{place: k.to}}
}

func (g gap) launch() pending {
	return pending{kernel: pointwise.NewZero(1), in: []operand{{place: g.like}}, out: operand{place: g.place}}
}
