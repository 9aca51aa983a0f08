package nets

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"fluxion/data/stable"
	"fluxion/kernels/linear"
	"fluxion/kernels/magnitude"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Scope holds the parameters of one network in one graph. A network declares a
// parameter where it uses it: the scope returns the node that stands for it, the same
// in every application.
type Scope struct {
	graph  *gorgonia.ExprGraph
	dtype  tensor.Dtype
	params map[string]declared
	placed bool // all parameters have their nodes
}

type declared struct {
	Param
	node *gorgonia.Node
}

// Param declares a parameter that looks the same in a file and in the graph.
func (s *Scope) Param(name string, init Init, shape ...int) *gorgonia.Node {
	return s.declare(Param{Name: name, Stored: shape, Shape: shape, Init: init})
}

// Fixed declares a constant that a file holds: it begins as a parameter does, and its gradient
// is 0.
func (s *Scope) Fixed(name string, init Init, shape ...int) *gorgonia.Node {
	return s.declare(Param{Name: name, Stored: shape, Shape: shape, Init: init, Fixed: true})
}

// Matrix declares the weight of a convolution or linear map: a file has its output
// channels first, (out,in,…), the graph has them last, (…,in,out).
func (s *Scope) Matrix(name string, init Init, stored ...int) *gorgonia.Node {
	shape := append(tensor.Shape(slices.Clone(stored[2:])), stored[1], stored[0])
	return s.declare(Param{Name: name, Stored: stored, Shape: shape, Init: init, matrix: true})
}

// UnitMatrix is Matrix of a weight without a bias whose columns, the weights of an output, are of
// unit size, in the graph and after each step of training: a sum of n products with it has the
// size of its terms. It is multiplied by a factor (Karras et al. 2024, EDM2, equation 47).
func (s *Scope) UnitMatrix(name string, factor float64, stored ...int) *gorgonia.Node {
	shape := append(tensor.Shape(slices.Clone(stored[2:])), stored[1], stored[0])
	rows := shape.TotalSize() / stored[0]
	w := s.declare(Param{Name: name, Stored: stored, Shape: shape, Init: Init{Normal: 1}, Unit: rows, matrix: true})
	return magnitude.Weight(w, factor/math.Sqrt(float64(rows)), rows)
}

// UnitTable is a table of vectors of which each number is of unit size over the rows that count,
// the first ones.
func (s *Scope) UnitTable(name string, counted, rows, width int) *gorgonia.Node {
	shape := []int{rows, width}
	return magnitude.Weight(s.declare(Param{Name: name, Stored: shape, Shape: shape, Init: Init{Normal: 1}, Unit: counted}), 1, counted)
}

func (s *Scope) declare(p Param) *gorgonia.Node {
	d, known := s.params[p.Name]
	switch {
	case known && (!slices.Equal(d.Stored, p.Stored) || d.matrix != p.matrix):
		panic(fmt.Errorf("parameter %s is declared with shape %v and with %v", p.Name, d.Stored, p.Stored))
	case known:
		return d.node
	case s.placed:
		panic(fmt.Errorf("parameter %s was not declared by the first application of the network", p.Name))
	}
	d = declared{p, s.node(p, "")}
	s.params[p.Name] = d
	return d.node
}

func (s *Scope) node(p Param, prefix string) *gorgonia.Node {
	return gorgonia.NewTensor(s.graph, s.dtype, len(p.Shape), gorgonia.WithShape(p.Shape...), gorgonia.WithName(prefix+p.Name))
}

// Start says how the weight of a map between so many numbers begins.
type Start func(in, out int) Init

// Glorot begins as in DDPM: uniform with variance 2/(in + out) (Glorot and Bengio 2010).
func Glorot(in, out int) Init { return Init{Uniform: float32(math.Sqrt(6 / float64(in+out)))} }

// Zero is for what ends a residual branch or the network. It begins at zero, as in
// DDPM, so that every branch is the identity at first and the first prediction is
// zero: deep networks then train at once.
func Zero(_, _ int) Init { return Init{} }

// Linear is an affine map of the last axis of x to so many channels; its bias begins at zero.
func (s *Scope) Linear(name string, x *gorgonia.Node, out int, start Start) *gorgonia.Node {
	in := x.Shape()[x.Dims()-1]
	return linear.Linear(x, s.Matrix(name+".weight", start(in, out), out, in), s.Param(name+".bias", Init{}, out))
}

// ClassTable is the parameter with a row for each class, in every network that has such a table.
const ClassTable = "class_embedding.weight"

// ends are the weights of the first layer and of the last, in every network.
var ends = []string{"conv_in.weight", "conv_out.weight", "proj_in.weight", "proj_out.weight"}

// Layout finds the parameters of a network, sorted by name, each with its place. It
// applies the network in a graph that it throws away, which has no values: that takes
// some microseconds an operator. The network must be valid.
func Layout(n Network) ([]Param, error) { return layout(smallest(n)) }

// smallest builds a network for one image of the least size that it takes.
func smallest(n Network) func(s *Scope, g *gorgonia.ExprGraph) {
	return func(s *Scope, g *gorgonia.ExprGraph) {
		spec := n.Spec()
		height, width := spec.least()
		n.Apply(s, newInputs(g, spec, BuildOptions{Batch: 1, Height: height, Width: width, Dtype: tensor.Float32}))
	}
}

func layout(build func(s *Scope, g *gorgonia.ExprGraph)) (params []Param, err error) {
	defer catch(&err)
	g := gorgonia.NewGraph()
	s := Scope{graph: g, dtype: tensor.Float32, params: map[string]declared{}}
	build(&s, g)
	for _, d := range s.params {
		params = append(params, d.Param)
	}
	stable.Sort(params, func(a, b Param) int { return cmp.Compare(a.Name, b.Name) })
	offset := 0
	for i := range params {
		params[i].Offset = offset
		offset = params[i].End()
	}
	return params, nil
}

// Params is Layout of a network that is known to be valid.
func Params(n Network) []Param {
	params, err := Layout(n)
	if err != nil {
		panic(err)
	}
	return params
}
