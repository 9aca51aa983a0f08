package train

import (
	"fmt"
	"math"
	"slices"

	"fluxion/engine/process"
	"fluxion/kernels/embed"
	"fluxion/kernels/philox"
	"fluxion/nets"

	"gonum.org/v1/gonum/mat"
)

// A network's embedding of time is W₂ SiLU(W₁ φ + b₁) + b₂, of sines and cosines φ of what it
// is told of the time, and says nothing of the image. So one for another range of that is
// distilled of the old one without images, in the way of Re-MeanFlow, which does it for flow
// maps; here by least squares: W₁ and b₁ are drawn, and W₂ and b₂ are what comes nearest at
// times from 0 to 1. Of a smaller range it is the smooth part of the old one.

// How the embedding is fitted.
const (
	embeddingTimes = 2048 // at least, and four for each number of a layer
	embeddingBias  = 4    // deviation of b₁; that of W₁ is 1
	embeddingRidge = 1e-6 // of the mean square of the hidden numbers
)

// embedding is one of a network, in flat weights.
type embedding struct {
	features       embed.TimestepOptions
	told           func(t float64) float64
	w1, b1, w2, b2 []float32 // (in,out)
}

// embeddingOf finds that of a network; ok is false where times are rows of a table.
func embeddingOf(n nets.Network, params []nets.Param, flat []float32, told func(t float64) float64) (e embedding, ok bool) {
	timed, ok := n.(nets.Timed)
	if !ok {
		return e, false
	}
	e.told = told
	if e.features, ok = timed.TimeFeatures(); !ok {
		return e, false
	}
	for name, to := range map[string]*[]float32{"linear_1.weight": &e.w1, "linear_1.bias": &e.b1, "linear_2.weight": &e.w2, "linear_2.bias": &e.b2} {
		i := slices.IndexFunc(params, func(p nets.Param) bool { return p.Name == nets.TimeEmbedding+"."+name })
		if i < 0 {
			return e, false
		}
		*to = flat[params[i].Offset:][:params[i].Size()]
	}
	return e, true
}

// hidden are the numbers between both maps at some times, and a 1.
func (e embedding) hidden(times []float64) *mat.Dense {
	width := len(e.b1)
	h := mat.NewDense(len(times), width+1, nil)
	for k, t := range times {
		row := h.RawRowView(k)
		for j, b := range e.b1 {
			row[j] = float64(b)
		}
		for i, x := range e.features.Of(e.told(t)) {
			for j, w := range e.w1[i*width:][:width] {
				row[j] += x * float64(w)
			}
		}
		for j, x := range row[:width] {
			row[j] = x / (1 + math.Exp(-x))
		}
		row[width] = 1
	}
	return h
}

// out is W₂ over b₂.
func (e embedding) out() *mat.Dense {
	width := len(e.b2)
	m := mat.NewDense(len(e.b1)+1, width, nil)
	for i := range len(e.b1) {
		for j, x := range e.w2[i*width:][:width] {
			m.Set(i, j, float64(x))
		}
	}
	for j, x := range e.b2 {
		m.Set(len(e.b1), j, float64(x))
	}
	return m
}

// retold makes an embedding that of other numbers for the same times, and returns how far it
// is from the old one, as a share of that.
func (e embedding) retold(features embed.TimestepOptions, told func(t float64) float64) (apart float64, err error) {
	times := make([]float64, max(embeddingTimes, 4*len(e.b1)))
	for k := range times {
		times[k] = (float64(k) + 0.5) / float64(len(times))
	}
	var want, square, right, made mat.Dense
	want.Mul(e.hidden(times), e.out())
	e.features, e.told = features, told
	philox.NormalAt(e.w1, 0, 0, philox.Init, 0, 0)
	philox.NormalAt(e.b1, 0, 0, philox.Init, 1, 0)
	for j := range e.b1 {
		e.b1[j] *= embeddingBias
	}
	h := e.hidden(times)
	square.Mul(h.T(), h)
	n, _ := square.Dims()
	ridge := embeddingRidge * mat.Trace(&square) / float64(n)
	normal := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			normal.SetSym(i, j, square.At(i, j))
		}
		normal.SetSym(i, i, square.At(i, i)+ridge)
	}
	right.Mul(h.T(), &want)
	var c mat.Cholesky
	var x mat.Dense
	if !c.Factorize(normal) {
		return 0, fmt.Errorf("the embedding of time has numbers that are not finite")
	}
	if err := c.SolveTo(&x, &right); err != nil {
		return 0, err
	}
	width := len(e.b2)
	for i := range n - 1 {
		for j := range width {
			e.w2[i*width+j] = float32(x.At(i, j))
		}
	}
	for j := range width {
		e.b2[j] = float32(x.At(n-1, j))
	}
	made.Mul(h, e.out())
	size := mat.Norm(&want, 2)
	made.Sub(&made, &want)
	return mat.Norm(&made, 2) / size, nil
}

// retold fits the embedding of time of the model's network to what the run's is told, where
// that is another range, and says so.
func (b *beginning) retold(n nets.Network, trains process.Process) error {
	was := b.from.Process
	has, wants := process.TimeScale(was.Schedule), process.TimeScale(trains.Schedule)
	if has == wants || has == 0 || wants == 0 {
		return nil
	}
	from := *b.from // which may be the teacher, too
	from.Weights = slices.Clone(from.Weights)
	b.from = &from
	e, ok := embeddingOf(b.from.Network, nets.Params(b.from.Network), b.from.Weights, func(t float64) float64 {
		return was.AtLogSNR(trains.Schedule.LogSNR(t)).NetworkTime
	})
	timed, same := n.(nets.Timed)
	var features embed.TimestepOptions
	if ok && same {
		features, ok = timed.TimeFeatures()
	}
	if (!ok || !same) && (was.Output.NetworkTime != nil || trains.Output.NetworkTime != nil) {
		return nil // ln(σ)/4 is no range of times
	}
	if !ok || !same || features.Dim != e.features.Dim {
		return &SettingError{"init", fmt.Sprintf("the network of %s is told %d at t = 1 and this run's %d, and its embedding of time cannot be made anew; want a model trained with --time-scale %[3]d", b.from.Path, has, wants)}
	}
	apart, err := e.retold(features, func(t float64) float64 { return trains.Schedule.NetworkTime(t) })
	if err != nil {
		return &SettingError{"init", fmt.Sprintf("%s: %v", b.from.Path, err)}
	}
	b.told = append(b.told, fmt.Sprintf("its embedding of time is distilled anew, for a network that is told %d t where it was told %d t: %.2g of the old one apart (root mean square), which is what changes fast in it", wants, has, apart))
	return nil
}
