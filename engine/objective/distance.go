package objective

import (
	"fmt"
	"strings"

	"fluxion/data/lookup"
	"fluxion/data/setting"
	"fluxion/engine/process"
	"fluxion/kernels/loss"

	"gorgonia.org/gorgonia"
)

// distance is of what a network says from what it is to say, of an image as a whole.
type distance struct {
	name string
	c    float64 // of pseudo-Huber; 0: the mean square
}

// distances, by name and parameters. The c of pseudo-Huber is that of iCT, of values of which
// the mean is taken: where a paper has a sum over D of them, its c is √D times ours (iCT's
// 0.00054 √D is 0.00054 here; improved reflow's 0.00054 D is 0.00054 √D).
var distances = []struct {
	name     string
	defaults process.Parameters
}{
	{"squared", nil},
	{"huber", process.Parameters{"c": 0.00054}},
}

// DefaultLoss is the distance where nobody says.
const DefaultLoss = "squared"

func distanceNames() (names []string) {
	for _, d := range distances {
		names = append(names, d.name)
	}
	return names
}

// LossSetting declares which distance a run has.
func LossSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "loss", Value: setting.Of(p), Breaks: setting.Always, Since: "2026-11-30", Before: DefaultLoss,
		Range: setting.OneOf("loss", distanceNames()).WithParameters(),
		Help:  "distance of what the network says from what it is to say: squared, or huber:c=0.00054 (pseudo-Huber, by image: √(mean square + c²) − c; iCT, improved reflow)",
	}
}

// getDistance reads a name, and perhaps parameters: huber:c=0.03.
func getDistance(text string) (d distance, err error) {
	if text == "" {
		text = DefaultLoss
	}
	name, parameters, _ := strings.Cut(text, ":")
	i, err := lookup.Find("loss", name, distanceNames())
	if err != nil {
		return d, err
	}
	p, err := process.ParseParameters("loss", name, parameters, distances[i].defaults)
	if err != nil {
		return d, err
	}
	if d = (distance{name, p["c"]}); name != DefaultLoss && !(d.c > 0) {
		return d, fmt.Errorf("%s: c is %g, want a small positive number; where it is much smaller than errors are, their root is taken", name, d.c)
	}
	return d, nil
}

// String is the name with its parameter.
func (d distance) String() string {
	if d.c == 0 {
		return d.name
	}
	return fmt.Sprintf("%s:c=%g", d.name, d.c)
}

// about adds to what is said of an objective.
func (d distance) about(lines [][2]string) [][2]string {
	if d.c == 0 {
		return lines
	}
	return append(lines, [2]string{"loss", d.String()})
}

// weighedLoss is one that is being built, with what an error of each image weighs.
type weighedLoss struct {
	distance
	value         *gorgonia.Node
	weight, scale Numbers
}

// loss of a batch.
func (d distance) loss(b *Builder, y, target *gorgonia.Node, weight Numbers) weighedLoss {
	l := weighedLoss{distance: d, weight: weight}
	if d.c == 0 {
		l.value = loss.MSE(y, target, weight.Node)
		return l
	}
	l.scale = b.Number("scale of errors")
	l.value = loss.Huber(y, target, weight.Node, l.scale.Node, d.c)
	return l
}

// set gives image i its weight. Before its distance is taken, an error is multiplied by a scale.
func (l weighedLoss) set(i int, weight, scale float64) {
	if l.c == 0 {
		l.weight.Set(i, weight*scale*scale)
		return
	}
	l.weight.Set(i, weight)
	l.scale.Set(i, scale)
}
