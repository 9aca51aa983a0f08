package figures

import (
	"fmt"

	"fluxion/engine/couple"
)

// Learnt is what a network makes of points in the plane.
type Learnt struct {
	Name    string
	Samples map[int][][]float64 // by steps; missing where it is not for so many
	// Paths are states of each of some points, from noise to sample. They are the way of a
	// velocity, followed finely, or what one call leads to.
	Paths [][][]float64
	Fine  bool // they are a velocity's
}

// LearntSteps are those that networks are compared in.
var LearntSteps = []int{1, 2, 4}

// LearntFigures are few steps, and ways, of networks that learnt points of a name, beside
// points themselves, of which as many are needed as there are samples.
func LearntFigures(name string, points [][]float64, all []Learnt) []Figure {
	plane := Figure{X: "x", Y: "y", Plane: true, XRange: [2]float64{-2.6, 2.6}, YRange: [2]float64{-2.6, 2.6}, Across: 3}
	few, ways := plane, plane
	few.Across = 2 * len(LearntSteps)
	few.Name, few.Title = "few-steps-"+name, fmt.Sprintf("Few steps of networks that learnt %s", name)
	few.Caption = "Samples of a flow, and of what is made of it or in its place, in 1, 2 and 4 steps, and their squared Wasserstein distance W₂² to as many points of the data, by the best assignment. One step of the flow leads to the middle."
	ways.Name, ways.Title = "ways-"+name, fmt.Sprintf("Ways from noise to %s, as networks learnt them", name)
	ways.Caption = "Ways of the same noise. Velocities are followed in many steps: those of the flow bend, those after reflow, or learnt of pairs by optimal transport, are nearly straight, which ∫|ż − (z₁ − z₀)|² dt says, the mean of some. What is for one call leads straight to where the flow leads."
	var table, ended Frame
	for _, l := range all {
		for _, steps := range LearntSteps {
			made, ok := l.Samples[steps]
			if !ok {
				table.Panels = append(table.Panels, Panel{}) // a place that stays empty
				continue
			}
			samples := Series{Name: "samples", Kind: Cloud}
			for _, p := range made {
				samples.add(p[0], p[1])
			}
			title := fmt.Sprintf("%s, %d step", l.Name, steps)
			if steps > 1 {
				title += "s"
			}
			table.Panels = append(table.Panels, Panel{fmt.Sprintf("%s: %.3f", title, Transport(made, points)), []Series{samples}})
		}
		var t tracks
		bent := 0.0
		for _, path := range l.Paths {
			t.add(path, true)
			bent += Straightness(path) / float64(len(l.Paths))
		}
		title := l.Name
		if l.Fine {
			title += fmt.Sprintf(": %.3f", bent)
		}
		ended.Panels = append(ended.Panels, Panel{title, t.series()})
	}
	few.Frames, ways.Frames = []Frame{table}, []Frame{ended}
	return []Figure{few, ways}
}

// Transport is the exact squared Wasserstein distance of as many points to others: the mean
// squared distance of the best assignment.
func Transport(a, b [][]float64) float64 {
	n := len(a)
	cost := make([]float64, n*n)
	for i, p := range a {
		for j, q := range b {
			for k, x := range p {
				cost[i*n+j] += (x - q[k]) * (x - q[k])
			}
		}
	}
	sum := 0.0
	for i, j := range couple.Assign(n, cost) {
		sum += cost[i*n+j] / float64(n)
	}
	return sum
}
