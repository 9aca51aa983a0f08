package process

import (
	"fmt"
	"math"
	"strings"

	"fluxion/data/lookup"
)

// Bridge is γ of a third noise ξ ~ N(0, I) that is 0 at both ends of a path,
// z = αx + σε + γξ: Albergo, Boffi, Vanden-Eijnden, "Stochastic Interpolants" (2023)
// (MATHEMATICS.md, section 9). It is a function of how far along the path z stands, e from
// 0 to 1, so that schedules are clocks as ever. The zero value is none.
type Bridge struct {
	text string
	of   func(e float64) (gamma, rate float64)
	// spread is κ of γ = κ√(e(1−e)), a Brownian bridge; 0 of others.
	spread float64
}

// BridgeKind is a bridge's place in the list.
type BridgeKind struct {
	Name, About string
	Defaults    Parameters
	make        func(p Parameters) Bridge
}

// NoBridge is the name of none.
const NoBridge = "none"

// Adding a bridge is a line here. e is σ on the straight path, and the angle of (α, σ) as
// a share of a quarter turn on the variance-preserving one.
var bridges = []BridgeKind{
	{NoBridge, "no third noise", nil, func(Parameters) Bridge { return Bridge{} }},
	{"brownian", "γ = sigma·√(e(1−e)), a Brownian bridge: Schrödinger-bridge flow matching, I²SB", Parameters{"sigma": 1}, func(p Parameters) Bridge {
		return Bridge{spread: p["sigma"], of: func(e float64) (float64, float64) {
			gamma := p["sigma"] * math.Sqrt(e*(1-e))
			return gamma, p["sigma"] * p["sigma"] * (1 - 2*e) / (2 * gamma)
		}}
	}},
	{"quadratic", "γ = sigma·e(1−e)", Parameters{"sigma": 1}, func(p Parameters) Bridge {
		return Bridge{of: func(e float64) (float64, float64) { return p["sigma"] * e * (1 - e), p["sigma"] * (1 - 2*e) }}
	}},
	{"sine", "γ = sigma·sin²(πe)", Parameters{"sigma": 1}, func(p Parameters) Bridge {
		return Bridge{of: func(e float64) (float64, float64) {
			sin, cos := math.Sincos(math.Pi * e)
			return p["sigma"] * sin * sin, 2 * math.Pi * p["sigma"] * sin * cos
		}}
	}},
}

// Bridges returns the names that GetBridge knows.
func Bridges() []string { return names(bridges, func(k BridgeKind) string { return k.Name }) }

// ListBridges returns every bridge.
func ListBridges() []BridgeKind { return bridges }

// GetBridge returns a bridge by name and parameters: brownian:sigma=0.5.
func GetBridge(text string) (Bridge, error) {
	name, parameters, _ := strings.Cut(text, ":")
	i, err := lookup.Find("bridge", name, Bridges())
	if err != nil {
		return Bridge{}, err
	}
	p, err := ParseParameters("bridge", name, parameters, bridges[i].Defaults)
	if err == nil && len(p) > 0 {
		err = p.positive("sigma")
	}
	if err != nil {
		return Bridge{}, fmt.Errorf("bridge %s: %w", text, err)
	}
	b := bridges[i].make(p)
	if b.of != nil {
		b.text = text
	}
	return b, nil
}

func (b Bridge) String() string {
	if b.of == nil {
		return NoBridge
	}
	return b.text
}

// None says that there is no third noise.
func (b Bridge) None() bool { return b.of == nil }

// timeCut is how far from both ends training draws times of a bridge: the rate of γ may
// grow without bound there.
const timeCut = 1e-3

// Times are those of a sampler at which the process can be trained.
func (p Process) Times(t TimeSampler) TimeSampler {
	if p.Bridge.None() {
		return t
	}
	return t.within(timeCut, 1-timeCut)
}

// extent is how far along its path a point stands, from 0 to 1, and its rate.
func (q Point) extent(path Path) (e, rate float64) {
	area := q.DSigma*q.Alpha - q.Sigma*q.DAlpha
	if path.Name == VPPath.Name {
		const quarter = math.Pi / 2
		return math.Atan2(q.Sigma, q.Alpha) / quarter, area / (q.Alpha*q.Alpha + q.Sigma*q.Sigma) / quarter
	}
	n := q.Alpha + q.Sigma
	return q.Sigma / n, area / (n * n)
}

// third fills in γ, its rate, and what the output has of ξ.
func (p Process) third(q *Point) {
	e, rate := q.extent(p.Schedule.Path())
	q.Gamma, q.DGamma = p.Bridge.of(math.Min(math.Max(e, 0), 1))
	q.DGamma *= rate
	q.Flows = p.flows()
	switch {
	case q.Flows: // y is ż by another clock
		q.C = q.DGamma * math.Hypot(q.A, q.B) / math.Hypot(q.DAlpha, q.DSigma)
	case p.Output.Third != nil:
		q.A, q.B, q.C = p.Output.Third(*q, p.Bridge.spread)
	}
}

// flows says whether the output is the velocity of z, up to the clock.
func (p Process) flows() bool {
	return p.Output.Name == "velocity" || p.Output.Name == p.Schedule.Path().Natural
}

// Bridged returns the process with a third noise, unless that makes no sense.
func (p Process) Bridged(b Bridge) (Process, error) {
	if p.Bridge = b; b.None() {
		return p, nil
	}
	path := p.Schedule.Path().Name
	_, first := p.Schedule.AlphaSigma(0)
	last, _ := p.Schedule.AlphaSigma(1)
	const none = 1e-9
	switch {
	case path != LinearPath.Name && path != VPPath.Name || first > none || last > none:
		return p, fmt.Errorf("bridge %v on schedule %s: it needs a straight or variance-preserving path that begins with the data alone and ends with the source alone; want fm, i2sb, cosine or vp-fm", b, p.Schedule.Name())
	case p.flows(), p.Output.Name == "x":
	case p.Output.Third == nil:
		return p, fmt.Errorf("output %s on bridge %v: it says neither where the flow goes nor where the image is; want %s or velocity (for the flow, by deterministic samplers), or x (by sampler bridge)", p.Output.Name, b, p.Schedule.Path().Natural)
	case b.spread == 0 || path != LinearPath.Name:
		return p, fmt.Errorf("output %s on bridge %v and schedule %s: it is for a Brownian bridge on the straight path; want bridge brownian and schedule fm or i2sb, or output x", p.Output.Name, b, p.Schedule.Name())
	}
	return p, nil
}

// With returns the process with a source and a bridge by name.
func (p Process) With(source, bridge string) (Process, error) {
	s, err := GetSource(source)
	if err == nil {
		p, err = p.From(s)
	}
	if err != nil {
		return p, err
	}
	b, err := GetBridge(bridge)
	if err != nil {
		return p, err
	}
	return p.Bridged(b)
}

// Flow returns a x + b ε, and what goes with it of a third noise, where that is what the
// output says up to a factor: the flow's own velocity.
func (q Point) Flow(a, b float64) (Linear, error) {
	scale := math.Hypot(q.A, q.B)
	if !q.Flows || math.Abs(a*q.B-b*q.A) > singular*math.Hypot(a, b)*scale {
		return Linear{}, q.undetermined(a, b)
	}
	return Linear{Y: (a*q.A + b*q.B) / (scale * scale)}, nil
}

// toThird is To where there is a third noise: what z and y must combine to has none of it.
func (q Point) toThird(a, b float64) (Linear, error) {
	if q.Flows {
		return Linear{}, q.undetermined(a, b)
	}
	// Least squares of p(α, σ, γ) + r(A, B, C) = (a, b, 0), which must be exact.
	zz, zy, yy := q.Alpha*q.Alpha+q.Sigma*q.Sigma+q.Gamma*q.Gamma, q.Alpha*q.A+q.Sigma*q.B+q.Gamma*q.C, q.A*q.A+q.B*q.B+q.C*q.C
	wz, wy := a*q.Alpha+b*q.Sigma, a*q.A+b*q.B
	l := Linear{}
	if det := zz*yy - zy*zy; det > singular*zz*yy {
		l = Linear{(wz*yy - wy*zy) / det, (wy*zz - wz*zy) / det}
	} else if yy > 0 {
		l.Y = wy / yy
	}
	left := math.Abs(l.Z*q.Alpha+l.Y*q.A-a) + math.Abs(l.Z*q.Sigma+l.Y*q.B-b) + math.Abs(l.Z*q.Gamma+l.Y*q.C)
	if !(left <= 1e-7*math.Hypot(a, b)) {
		return Linear{}, q.undetermined(a, b)
	}
	return l, nil
}
