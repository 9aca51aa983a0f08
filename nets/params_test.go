package nets

import (
	"hash/fnv"
	"slices"
	"testing"

	"fluxion/kernels/philox"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// listed are parameters in the order in which they are declared.
type listed struct{ params []Param }

func (l *listed) scope() *Scope {
	return &Scope{graph: gorgonia.NewGraph(), dtype: tensor.Float32, params: map[string]declared{}}
}

func (l *listed) add(name string, init Init, shape ...int) {
	s := l.scope()
	s.Param(name, init, shape...)
	l.params = append(l.params, s.params[name].Param)
}

func (l *listed) matrix(name string, init Init, stored ...int) {
	s := l.scope()
	s.Matrix(name, init, stored...)
	l.params = append(l.params, s.params[name].Param)
}

// TestInitialiseParts: parts that threads draw are those of whole parameters, in every
// buffer, with zeros in the gaps and nothing written behind the end.
func TestInitialiseParts(t *testing.T) {
	const seed, long, guard = 11, 3<<18 + 5, 16
	var l listed
	l.add("a", Init{Uniform: .25, Constant: 1}, 7)
	l.add("b", Init{Uniform: .125}, long)
	l.add("c", Init{Constant: 3}, 17)
	l.add("d", Init{Normal: 2, Constant: -1}, long)
	l.add("e", Init{Normal: 1}, 1)
	want := []float32{}
	for i := range l.params {
		p := &l.params[i]
		p.Offset = len(want)
		w := make([]float32, (p.Size()+align-1)/align*align)
		address := fnv.New64a()
		address.Write([]byte(p.Name))
		if values := w[:p.Size()]; p.Init.Uniform != 0 {
			philox.UniformAt(values, 0, .5, .5, seed, philox.Init, address.Sum64(), 0)
			for k, u := range values {
				values[k] = p.Init.Constant + float32(p.Init.Uniform*(2*u-1))
			}
		} else {
			philox.Normal(values, seed, philox.Init, address.Sum64(), 0)
			for k, n := range values {
				values[k] = p.Init.Constant + float32(p.Init.Normal*n)
			}
		}
		want = append(want, w...)
	}
	if FlatSize(l.params) != len(want) {
		t.Fatalf("%d numbers, want %d", FlatSize(l.params), len(want))
	}
	var flats [2][]float32
	for i := range flats {
		flats[i] = slices.Repeat([]float32{7}, len(want)+guard)
	}
	Initialise(l.params, seed, flats[0][:len(want)], flats[1])
	for i, flat := range flats {
		if !slices.Equal(flat[:len(want)], want) || slices.Min(flat[len(want):]) != 7 || slices.Max(flat[len(want):]) != 7 {
			t.Errorf("buffer %d is not what the parameters are one by one", i)
		}
	}
	// Values behind the first request of a parameter are those of the next one.
	p, w := l.params[1], make([]float32, 40)
	p.fill(w, philox.MaxValues-20, seed)
	address := fnv.New64a()
	address.Write([]byte(p.Name))
	next := make([]float32, 20)
	philox.UniformAt(next, 0, 0, p.Init.Uniform, seed, philox.Init, address.Sum64(), 1)
	if !slices.Equal(w[20:], next) {
		t.Error("the second request of a parameter does not begin where the first ends")
	}
}

func TestStored(t *testing.T) {
	var l listed
	l.matrix("conv", Init{}, 2, 3, 1, 2)
	l.matrix("linear", Init{}, 2, 2)
	l.add("table", Init{}, 2, 2)
	for i, want := range [][]float32{
		{0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11}, // element (o,i,0,x) of 0…11 goes to (0,x,i,o)
		{0, 2, 1, 3},
		{0, 1, 2, 3},
	} {
		p := l.params[i]
		stored, back, flat := make([]float32, p.Size()), make([]float32, p.Size()), make([]float32, p.Size())
		for k := range stored {
			stored[k] = float32(k)
		}
		FromStored(p, stored, flat)
		ToStored(p, flat, back)
		if !slices.Equal(flat, want) || !slices.Equal(back, stored) {
			t.Errorf("%s: %v becomes %v, want %v, and again %v", p.Name, stored, flat, want, back)
		}
	}
}
