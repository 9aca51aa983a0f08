// Package resample changes the resolution of images by two: nearest-neighbour
// up, mean down.
package resample

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Upsample repeats every pixel of x (N,H,W,C) in a 2×2 square.
func Upsample(x *gorgonia.Node) *gorgonia.Node { return kernels.Apply(up("upsample", 1), x) }

// AvgPool takes the mean of every 2×2 square of x (N,H,W,C); H and W must be even.
func AvgPool(x *gorgonia.Node) *gorgonia.Node { return kernels.Apply(down("avgpool", 0.25), x) }

// Each is the other's gradient but for a factor.
func up(name string, scale float32) spread {
	return spread{kernels.Signature{Name: name, Ranks: []int{4}, Rank: 4}, scale}
}

func down(name string, scale float32) gather {
	return gather{kernels.Signature{Name: name, Ranks: []int{4}, Rank: 4}, scale}
}

// Repeats says whether a kernel is that of Upsample, and SumsRepeated whether it is
// that of its gradient.
func Repeats(k kernels.Kernel) bool {
	o, ok := k.(spread)
	return ok && o.scale == 1
}

// SumsRepeated is described at Repeats.
func SumsRepeated(k kernels.Kernel) bool {
	o, ok := k.(gather)
	return ok && o.scale == 1
}

// spread writes scale times each pixel to its 2×2 square.
type spread struct {
	kernels.Signature
	scale float32
}

func (spread) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	x := s[0]
	return tensor.Shape{x[0], 2 * x[1], 2 * x[2], x[3]}, nil
}

func (o spread) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		s := in[0].Shape
		y := kernels.NewArray(s[0], 2*s[1], 2*s[2], s[3])
		squares(s[0]*s[1], s[2], func(small int, large [4]int) {
			for _, at := range large {
				for c := range s[3] {
					y.Data[at*s[3]+c] = float64(o.scale) * in[0].Data[small*s[3]+c]
				}
			}
		})
		return y
	}, v)
}

// squares visits every pixel of images of this width (all rows of all images in
// one column) with the four pixels of its square in images of twice the size.
func squares(rows, width int, visit func(small int, large [4]int)) {
	for y := range rows {
		for x := range width {
			at := 4*y*width + 2*x
			visit(y*width+x, [4]int{at, at + 1, at + 2*width, at + 2*width + 1})
		}
	}
}

func (spread) DiffWRT(int) []bool { return []bool{true} }

func (o spread) SymDiff(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{kernels.Apply(down(o.Name+".dx", o.scale), dy)}, nil
}

func (spread) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{Bytes: kernels.Traffic(out, in...)}
}

// imageRows calls f for every image row y of the smaller images, in parallel.
func imageRows(small tensor.Shape, f func(k *cpu.Kernels, y int)) func(*cpu.Pool) {
	var k *cpu.Kernels
	task := func(y, _ int) { f(k, y) }
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(small[0]*small[1], task)
	}
}

// TakesBFloat16 says yes.
func (spread) TakesBFloat16() bool { return true }

func (o spread) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.In[0].Type == number.BFloat16 {
		return bindSpread[uint16](o, l)
	}
	return bindSpread[float32](o, l)
}

func bindSpread[T cpu.Element](o spread, l kernels.Launch) func(*cpu.Pool) {
	width := l.In[0].Shape[2]
	x, out := kernels.View[T](l.In[0]), kernels.View[T](l.Out)
	scale, shift := make([]float32, x.Cols), make([]float32, x.Cols)
	for i := range scale {
		scale[i] = o.scale
	}
	return imageRows(l.In[0].Shape, func(k *cpu.Kernels, y int) {
		from := x.Part(y*width, width, 0, x.Cols)
		if o.scale != 1 { // the even columns first, from which the others are copied
			to := everyOther(out, 4*y*width, width)
			cpu.NormsOf[T](k).Affine(to, from, scale, shift)
			from = to
		}
		for i := range width {
			row := from.Row(i)
			copy(out.Row(4*y*width+2*i), row)
			copy(out.Row(4*y*width+2*i+1), row)
		}
		for i := range 2 * width {
			copy(out.Row((4*y+2)*width+i), out.Row(4*y*width+i))
		}
	})
}

// everyOther is n rows of m, every second one from a row on.
func everyOther[T cpu.Element](m cpu.MatrixOf[T], from, n int) cpu.MatrixOf[T] {
	return cpu.MatrixOf[T]{Data: m.Data[from*m.Pitch:], Rows: n, Cols: m.Cols, Pitch: 2 * m.Pitch}
}

// bindBF16 sums the squares in float32.
func (o gather) bindBF16(l kernels.Launch) func(*cpu.Pool) {
	width := l.Out.Shape[2]
	x, out := kernels.View[uint16](l.In[0]), kernels.View[uint16](l.Out)
	c := out.Cols
	var k *cpu.Kernels
	row := func(y, worker int) {
		sum := l.Scratch[worker*c:][:c]
		line := cpu.Matrix{Data: sum, Rows: 1, Cols: c, Pitch: c}
		for i := range width {
			clear(sum)
			k.BF16Norms.ColSum(sum, x.Part(4*y*width+2*i, 2, 0, c))
			k.BF16Norms.ColSum(sum, x.Part((4*y+2)*width+2*i, 2, 0, c))
			if o.scale != 1 {
				k.Scale(line, line, o.scale)
			}
			k.Narrow(out.Row(y*width+i), sum)
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(l.Out.Shape[0]*l.Out.Shape[1], row)
	}
}

// gather writes scale times the sum of each 2×2 square.
type gather struct {
	kernels.Signature
	scale float32
}

func (gather) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	x := s[0]
	if x[1]%2 != 0 || x[2]%2 != 0 {
		return nil, fmt.Errorf("halving of %v: height and width must be even", x)
	}
	return tensor.Shape{x[0], x[1] / 2, x[2] / 2, x[3]}, nil
}

func (o gather) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		s := in[0].Shape
		y := kernels.NewArray(s[0], s[1]/2, s[2]/2, s[3])
		squares(s[0]*s[1]/2, s[2]/2, func(small int, large [4]int) {
			for _, at := range large {
				for c := range s[3] {
					y.Data[small*s[3]+c] += float64(o.scale) * in[0].Data[at*s[3]+c]
				}
			}
		})
		return y
	}, v)
}

func (gather) DiffWRT(int) []bool { return []bool{true} }

func (o gather) SymDiff(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{kernels.Apply(up(o.Name+".dx", o.scale), dy)}, nil
}

func (gather) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// TakesBFloat16 says yes.
func (gather) TakesBFloat16() bool { return true }

// Scratch is a row for each thread, for sums of bfloat16.
func (gather) Scratch(_ []tensor.Shape, out tensor.Shape, threads int) int { return threads * out[3] }

func (o gather) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.In[0].Type == number.BFloat16 {
		return o.bindBF16(l)
	}
	width := l.Out.Shape[2]
	return imageRows(l.Out.Shape, func(k *cpu.Kernels, y int) {
		out := kernels.Rows(l.Out.Matrix, y*width, width)
		k.Add(out, everyOther(l.In[0].Matrix, 4*y*width, width), everyOther(l.In[0].Matrix, 4*y*width+1, width))
		k.Add(out, out, everyOther(l.In[0].Matrix, (4*y+2)*width, width))
		k.Add(out, out, everyOther(l.In[0].Matrix, (4*y+2)*width+1, width))
		if o.scale != 1 {
			k.Scale(out, out, o.scale)
		}
	})
}
