package process

import (
	"fmt"
	"math"
	"sort"
)

// discrete is a DDPM of N steps: ᾱ after step n is Π(1−βᵢ), i ≤ n, at time
// t = (n+1)/N; before the first step, at t = 0, there is data alone. Between
// steps ln α is linear, as in Lu et al.'s DPM-Solver (2022), appendix D.4;
// where the last α is 0, α is linear in the last interval.
type discrete struct {
	name string
	logs []float64 // ln α at t = i/N, i = 0 … N; logs[0] = 0
}

// NewDiscrete returns the schedule of a DDPM with these βs, which lie in [0, 1].
func NewDiscrete(name string, betas []float64) (Schedule, error) {
	if len(betas) == 0 {
		return nil, fmt.Errorf("no βs, want at least one")
	}
	logs := make([]float64, len(betas)+1)
	for n, b := range betas {
		if !(b > 0 && b <= 1) || (b == 1 && n < len(betas)-1) {
			return nil, fmt.Errorf("β[%d] = %g, want a number in (0, 1), or 1 at the last step", n, b)
		}
		logs[n+1] = logs[n] + math.Log1p(-b)/2
	}
	return &discrete{name, logs}, nil
}

// LinearBetas are Ho et al.'s: equally spaced.
func LinearBetas(first, last float64, steps int) []float64 {
	return betasOf(steps, func(u float64) float64 { return first + (last-first)*u })
}

// ScaledLinearBetas are latent diffusion's: √β equally spaced.
func ScaledLinearBetas(first, last float64, steps int) []float64 {
	a, b := math.Sqrt(first), math.Sqrt(last)
	return betasOf(steps, func(u float64) float64 { return (a + (b-a)*u) * (a + (b-a)*u) })
}

// SigmoidBetas are GeoDiff's: a sigmoid on [−6, 6].
func SigmoidBetas(first, last float64, steps int) []float64 {
	return betasOf(steps, func(u float64) float64 { return first + (last-first)/(1+math.Exp(6-12*u)) })
}

// SquaredCosineBetas are Nichol and Dhariwal's, "Improved DDPM" (2021),
// equation 17, no β above 0.999.
func SquaredCosineBetas(steps int) []float64 {
	return CumulativeBetas(steps, func(t float64) float64 {
		c := math.Cos((t + 0.008) / 1.008 * math.Pi / 2)
		return c * c
	})
}

// CumulativeBetas are the βs of a given ᾱ(t), no β above 0.999.
func CumulativeBetas(steps int, cumulated func(t float64) float64) []float64 {
	b := make([]float64, steps)
	for i := range b {
		b[i] = math.Min(1-cumulated(float64(i+1)/float64(steps))/cumulated(float64(i)/float64(steps)), 0.999)
	}
	return b
}

// betasOf evaluates a function at equally spaced points of [0, 1].
func betasOf(steps int, f func(u float64) float64) []float64 {
	b := make([]float64, steps)
	for i := range b {
		b[i] = f(float64(i) / math.Max(1, float64(steps-1)))
	}
	return b
}

func (s *discrete) Name() string               { return s.name }
func (*discrete) Path() Path                   { return VPPath }
func (s *discrete) Steps() int                 { return len(s.logs) - 1 }
func (s *discrete) StepTime(n float64) float64 { return (n + 1) / float64(s.Steps()) }

func (s *discrete) NetworkTime(t float64) float64 {
	i, u := s.place(t)
	return float64(i) + u - 1
}

// place returns the interval between steps that t lies in, and the place in it.
// A time that was made as that of a step is taken as exactly that.
func (s *discrete) place(t float64) (int, float64) {
	n := s.Steps()
	x := t * float64(n)
	if r := math.Round(x); math.Abs(x-r) < 1e-9 {
		x = r
	}
	i := min(max(int(x), 0), n-1)
	return i, x - float64(i)
}

// logAlpha returns ln α and its derivative in t.
func (s *discrete) logAlpha(t float64) (log, rate float64) {
	i, u := s.place(t)
	a, b := s.logs[i], s.logs[i+1]
	if math.IsInf(b, -1) {
		return a + math.Log1p(-u), -float64(s.Steps()) / (1 - u)
	}
	return a + (b-a)*u, (b - a) * float64(s.Steps())
}

func (s *discrete) AlphaSigma(t float64) (alpha, sigma float64) {
	log, _ := s.logAlpha(t)
	return math.Exp(log), math.Sqrt(-math.Expm1(2 * log))
}

func (s *discrete) Velocity(t float64) (dAlpha, dSigma float64) {
	alpha, sigma := s.AlphaSigma(t)
	_, rate := s.logAlpha(t)
	dAlpha = alpha * rate
	if alpha == 0 { // 0·∞: α falls linearly to 0
		i, _ := s.place(t)
		dAlpha = -math.Exp(s.logs[i]) * float64(s.Steps())
	}
	return dAlpha, -alpha * dAlpha / sigma
}

func (s *discrete) LogSNR(t float64) float64 {
	log, _ := s.logAlpha(t)
	return 2*log - math.Log(-math.Expm1(2*log))
}

func (s *discrete) TimeOf(lambda float64) float64 {
	// ln α = −½ ln(1 + e^{−λ})
	log := -math.Log1p(math.Exp(-lambda)) / 2
	if lambda < -700 {
		log = lambda / 2
	}
	n := s.Steps()
	i := sort.Search(n, func(i int) bool { return s.logs[i+1] <= log })
	if i == n {
		return 1
	}
	a, b := s.logs[i], s.logs[i+1]
	u := (log - a) / (b - a)
	if math.IsInf(b, -1) {
		u = -math.Expm1(log - a)
	}
	return clampTime((float64(i) + u) / float64(n))
}
