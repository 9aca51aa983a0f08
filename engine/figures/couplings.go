package figures

import (
	"fmt"
	"math"

	"fluxion/engine/couple"
	"fluxion/kernels/gram"
	"fluxion/kernels/philox"
)

// draws are the images of a step in some dimensions, and noise from an address on.
func draws(n int, address int64, image func(i int) []float32) couple.Step {
	s := couple.Step{Draw: func(address int64, to []float32) { philox.Normal(to, 1, philox.Noise, uint64(address), 0) }}
	var noise [][]float32
	for i := range n {
		s.Images, s.Classes, s.Noise = append(s.Images, image(i)), append(s.Classes, -1), append(s.Noise, address+int64(i))
		noise = append(noise, make([]float32, len(s.Images[0])))
		s.Draw(s.Noise[i], noise[i])
	}
	s.Products = gram.Of(s.Images, noise)
	return s
}

// squared is the mean |ε − x|² of a step.
func squared(s couple.Step) float64 {
	sum, noise := 0.0, make([]float32, len(s.Images[0]))
	for i, x := range s.Images {
		s.Draw(s.Noise[i], noise)
		for k, v := range x {
			sum += math.Pow(float64(noise[k])-float64(v), 2) / float64(len(s.Images))
		}
	}
	return sum
}

// coupling shows which noise is paired with which image.
func coupling(Images) (Figure, error) {
	f := Figure{
		Title:   "Noise and images of a step, by chance and by optimal transport",
		Caption: "What flow matching learns from: straight lines from noise to points of the data, here of a ring. By chance they cross everywhere, and the velocity at a crossing is the mean. A permutation of the step's noise that makes them shortest in all (--coupling ot) leaves few crossings, and the flow nearly straight.",
		X:       "x", Y: "y", Plane: true, Across: 3, XRange: [2]float64{-3, 3}, YRange: [2]float64{-3, 3},
	}
	var err error
	f.Slider, f.Frames, err = family("images of a step", []float64{16, 64, 256}, 1, func(v float64) (Frame, error) {
		var frame Frame
		frame.Note = "mean squared length:"
		for _, name := range []string{couple.Independent, "nearest:4", "ot-across"} {
			step := draws(int(v), 0, func(i int) []float32 {
				sin, cos := math.Sincos(math.Pi / 4 * float64(i))
				around := noiseAt(uint64(i), 2)
				return []float32{float32(1.4 * (cos + 0.07*around[0])), float32(1.4 * (sin + 0.07*around[1]))}
			})
			c, err := couple.Get(name)
			if err != nil {
				return frame, err
			}
			if c != nil {
				if err := c.Pair(step); err != nil {
					return frame, err
				}
			}
			noise, points, pairs := Series{Name: "noise", Kind: Cloud}, Series{Name: "data", Kind: Cloud}, Series{Name: "pairs", Kind: Threads}
			at := make([]float32, 2)
			for i, x := range step.Images {
				step.Draw(step.Noise[i], at)
				noise.add(float64(at[0]), float64(at[1]))
				points.add(float64(x[0]), float64(x[1]))
				pairs.add(float64(at[0]), float64(at[1]))
				pairs.add(float64(x[0]), float64(x[1]))
				pairs.cut()
			}
			frame.Panels = append(frame.Panels, Panel{name, []Series{pairs, points, noise}})
			frame.Note += fmt.Sprintf("  %s %.2f", name, squared(step))
		}
		return frame, nil
	})
	return f, err
}

// couplingCost shows that optimal transport of a batch is something for few dimensions.
func couplingCost(Images) (Figure, error) {
	f := Figure{
		Title:   "What optimal transport of a step saves",
		Caption: "Mean squared length of pairs of noise and normal data, in that of pairs by chance, over the images of a step. In one dimension pairing is sorting, and the line is the mean product of order statistics; the more dimensions, the fewer images are near each other, and the less there is to save.",
		X:       "images of a step", Y: "length² of pairs, by chance 1", LogX: true, YRange: [2]float64{0, 1.05},
	}
	ot, err := couple.Get("ot-across")
	if err != nil {
		return f, err
	}
	sizes := []int{2, 4, 8, 16, 32, 64, 128}
	var frame Frame
	for _, dimensions := range []int{1, 2, 8, 64, 784} {
		s := Series{Name: fmt.Sprintf("%d dimensions", dimensions), Kind: Marked}
		if dimensions == 1 {
			s.Name, s.Kind = "1 dimension", Points
		}
		for _, n := range sizes {
			paired, whole := 0.0, 0.0
			for round := range max(1, 2048/max(1, dimensions/2)/n) {
				step := draws(n, int64(round*n), func(i int) []float32 {
					x := make([]float32, dimensions)
					philox.Normal(x, 2, philox.Noise, uint64(round*n+i), 0)
					return x
				})
				whole += squared(step)
				if err := ot.Pair(step); err != nil {
					return f, err
				}
				paired += squared(step)
			}
			s.add(float64(n), paired/whole)
		}
		frame.Series = append(frame.Series, s)
	}
	exact := Series{Name: "1 dimension, exact", Kind: Dashed}
	for _, n := range sizes {
		exact.add(float64(n), 1-sorted(n))
	}
	f.Frames = []Frame{{Series: append(frame.Series, exact)}}
	return f, nil
}

// sorted is the mean product of two sets of n standard normal numbers that are paired in
// their order: Σ E[z₍ᵢ₎]²/n. The density of the i-th of n is one of a beta distribution.
func sorted(n int) float64 {
	const steps = 4000
	sum := 0.0
	for i := 1; i <= n; i++ {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i))
		c, _ := math.Lgamma(float64(n - i + 1))
		mean := 0.0
		for k := range steps {
			z := -8 + 16*(float64(k)+0.5)/steps
			below := math.Erfc(-z/math.Sqrt2) / 2
			above := math.Erfc(z/math.Sqrt2) / 2
			density := math.Exp(a - b - c + float64(i-1)*math.Log(below) + float64(n-i)*math.Log(above) - z*z/2)
			mean += z * density / math.Sqrt(2*math.Pi) * 16 / steps
		}
		sum += mean * mean / float64(n)
	}
	return sum
}
