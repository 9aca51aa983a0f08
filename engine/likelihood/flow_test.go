package likelihood

import (
	"math"
	"testing"

	"fluxion/engine/process"

	"gonum.org/v1/gonum/mat"
)

// straight is the whole linear path.
func straight(t *testing.T) Path {
	t.Helper()
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	path, err := NewPath(p)
	if err != nil || path.Data.Time != 0 || path.Noise.Time != 1 {
		t.Fatalf("a flow from t = %g to %g: %v", path.Data.Time, path.Noise.Time, err)
	}
	return path
}

func solver(t *testing.T, name string) Solver {
	t.Helper()
	s, err := FindSolver(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// gaussian is the flow of data N(mean, deviation²).
func gaussian(mean, deviation float64) Field {
	return func(t float64, z, v []float64) (float64, error) {
		variance := deviation * deviation
		slope := (t - (1-t)*variance) / ((1-t)*(1-t)*variance + t*t)
		for i := range z {
			v[i] = -mean + slope*(z[i]-(1-t)*mean)
		}
		return slope * float64(len(z)), nil
	}
}

// TestGaussian: the density of N(0.3, 0.25) at 0.9, by steps of every method.
func TestGaussian(t *testing.T) {
	const exact = -0.9457913526447274 // −½(0.6/0.5)² − ln 0.5 − ½ ln 2π
	path := straight(t)
	for _, c := range []struct {
		solver string
		steps  int
		want   float64
		within float64
	}{
		{"euler", 10, -0.86336251, 5e-9}, {"euler", 20, -0.89728639, 5e-9}, {"euler", 40, -0.91955467, 5e-9},
		{"heun", 10, -0.940497192, 5e-10}, {"heun", 20, -0.944668958, 5e-10}, {"heun", 40, -0.945537396, 5e-10},
		{"rk4", 10, -0.945786188, 5e-10}, {"rk4", 20, -0.945791123, 5e-10}, {"rk4", 40, -0.945791341, 5e-10},
		{"midpoint", 1000, exact, 1e-6},
	} {
		s := solver(t, c.solver)
		got, calls, err := path.LogDensity(gaussian(0.3, 0.5), []float64{0.9}, s, Steps{Count: c.steps})
		if err != nil || math.Abs(got-c.want) > c.within || calls != c.steps*len(s.tableau.C) {
			t.Errorf("%s in %d steps: %.12g in %d calls, %v; want %.10g", c.solver, c.steps, got, calls, err, c.want)
		}
	}
	rk45 := solver(t, "rk45")
	for _, tolerance := range []float64{1e-5, 1e-8, 1e-11} {
		got, calls, err := path.LogDensity(gaussian(0.3, 0.5), []float64{0.9}, rk45, Steps{Rtol: tolerance, Atol: tolerance})
		if err != nil || math.Abs(got-exact) > 10*tolerance || calls > 2000 {
			t.Errorf("rk45 to %g: %.12g in %d calls, %v; want %.10g", tolerance, got, calls, err, exact)
		}
	}
}

// TestDirection: noise is where the path ends. Backwards, the density is off by bits.
func TestDirection(t *testing.T) {
	path, z := straight(t), []float64{0.9}
	change, _, err := solver(t, "rk4").Integrate(gaussian(0.3, 0.5), z, 0, 1, Steps{Count: 100})
	if err != nil || math.Abs(change-math.Ln2) > 1e-6 || math.Abs(z[0]-1.2) > 1e-6 {
		t.Errorf("0.9 of N(0.3, 0.25) is noise %g with a change of volume %g, %v; want 1.2 and ln 2", z[0], change, err)
	}
	if q := path.Noise; q.Sigma != 1 || q.Alpha != 0 {
		t.Errorf("the noise is %+v", q)
	}
}

// TestBinOfGaussian has bits of 8-bit values of N(0, ¼) as methods count them.
func TestBinOfGaussian(t *testing.T) {
	l := Levels{Count: 256, First: -1 + 1./256, Interval: 2. / 256} // x = 2(k+u)/256 − 1
	log := func(x float64) float64 { return -2*x*x - math.Log(0.5) - math.Log(2*math.Pi)/2 }
	if got := l.BitsPerDim(log(0.5), 1); math.Abs(got-8.04709558518064) > 1e-13 {
		t.Errorf("at ½: %.15g bits", got)
	}
	sum, n := 0.0, 10_000 // midpoint rule
	for i := range n {
		sum += l.BitsPerDim(log(l.Dequantised(140, (float64(i)+0.5)/float64(n))), 1) / float64(n)
	}
	if want := 7.353279964727083; math.Abs(sum-want) > 1e-11 {
		t.Errorf("dequantised: %.15g bits, want %.15g", sum, want)
	}
	edge := func(k int) float64 { return math.Erf((l.Value(k) - l.Interval/2) / 0.5 / math.Sqrt2) }
	exact := -math.Log2((edge(141) - edge(140)) / 2)
	if want := 7.353279404832602; math.Abs(exact-want) > 1e-12 || exact > sum {
		t.Errorf("the bin itself: %.15g bits, want %.15g, less than dequantised", exact, want)
	}
}

func TestOffsets(t *testing.T) {
	for _, c := range []struct {
		levels Levels
		want   float64
	}{
		{Levels{256, -1 + 1./256, 2. / 256}, 7}, {Levels{256, 0, 1. / 256}, 8}, {Bytes, math.Log2(127.5)}, {Levels{}, 0},
	} {
		if got := c.levels.Offset(); math.Abs(got-c.want) > 1e-14 {
			t.Errorf("%+v: %g bits, want %g", c.levels, got, c.want)
		}
	}
	if math.Abs(math.Log2(127.5)-6.99435) > 5e-6 || Bytes.Value(255) != 1 || Bytes.Dequantised(0, 0) != -1-1./255 {
		t.Error("bytes are not what networks see of them")
	}
}

// correlated is the flow of N(0, K): v = (t − (1−t)K) ((1−t)²K + t²)⁻¹ z, a matrix that
// is not diagonal.
func correlated(k *mat.SymDense) func(t float64) *mat.Dense {
	n := k.SymmetricDim()
	return func(t float64) *mat.Dense {
		var total, above, inverse, a mat.Dense
		unit := mat.NewDiagDense(n, nil)
		for i := range n {
			unit.SetDiag(i, 1)
		}
		total.Scale((1-t)*(1-t), k)
		above.Scale(-(1 - t), k)
		var t2, t1 mat.Dense
		t2.Scale(t*t, unit)
		t1.Scale(t, unit)
		total.Add(&total, &t2)
		above.Add(&above, &t1)
		if err := inverse.Inverse(&total); err != nil {
			panic(err)
		}
		a.Mul(&above, &inverse)
		return &a
	}
}

// TestHutchinson: estimates of a flow whose Jacobian is not diagonal scatter around its
// density, as far as their standard error says; for independent values they are exact.
func TestHutchinson(t *testing.T) {
	k := mat.NewSymDense(3, []float64{1, 0.6, -0.3, 0.6, 0.5, 0.1, -0.3, 0.1, 0.8})
	jacobian, path, x := correlated(k), straight(t), []float64{0.4, -0.2, 0.9}
	var factor mat.Cholesky
	if !factor.Factorize(k) {
		t.Fatal("no covariance")
	}
	solved := mat.NewVecDense(3, nil)
	if err := factor.SolveVecTo(solved, mat.NewVecDense(3, x)); err != nil {
		t.Fatal(err)
	}
	exact := -mat.Dot(solved, mat.NewVecDense(3, x))/2 - factor.LogDet()/2 - 1.5*math.Log(2*math.Pi)
	field := func(e []float64) Field {
		return func(t float64, z, v []float64) (float64, error) {
			a := jacobian(t)
			mat.NewVecDense(3, v).MulVec(a, mat.NewVecDense(3, z))
			if e == nil {
				return mat.Trace(a), nil
			}
			return mat.Inner(mat.NewVecDense(3, e), a, mat.NewVecDense(3, e)), nil
		}
	}
	density := func(e []float64) float64 {
		log, _, err := path.LogDensity(field(e), []float64{0.4, -0.2, 0.9}, solver(t, "rk45"), Steps{Rtol: 1e-9, Atol: 1e-9})
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
	if got := density(nil); math.Abs(got-exact) > 1e-7 {
		t.Errorf("with the exact divergence %.10g, want %.10g", got, exact)
	}
	const n = 200
	var all []float64
	e32, e := make([]float32, 3), make([]float64, 3)
	for i := range n {
		Draws{Seed: 3, Image: int64(i)}.Probe(0, e32)
		for j, v := range e32 {
			if e[j] = float64(v); math.Abs(e[j]) != 1 {
				t.Fatalf("a probe of %g", v)
			}
		}
		all = append(all, density(e))
	}
	mean, of := MeanError(all)
	if of < 1e-3 || math.Abs(mean-exact) > 3.5*of {
		t.Errorf("by probes %.6g ± %.2g, want %.6g", mean, of, exact)
	}
}

// TestPaths: every process has a way from data to noise, and its own λ bound it.
func TestPaths(t *testing.T) {
	for _, c := range []struct {
		schedule, output string
		data             float64 // λ; 0: +∞
		noise            float64 // 0: −∞
	}{
		{"fm", "u", 0, 0}, {"fm", "x", LambdaMax, 0}, {"cosine", "v", 0, 0}, {"cosine", "eps", 0, -13}, {"cosine", "x", LambdaMax, 0},
		{"ddpm-linear", "eps", 9.2102, -10.1177},
	} {
		p, err := process.Get(c.schedule, process.ScheduleOptions{}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		l, err := NewPath(p)
		if err != nil {
			t.Errorf("%v: %v", p, err)
			continue
		}
		same := func(got, want float64) bool { return want == 0 && math.IsInf(got, 0) || math.Abs(got-want) < 1e-4 }
		if !same(l.Data.LogSNR, c.data) || !same(l.Noise.LogSNR, c.noise) {
			t.Errorf("%v: from λ = %g to %g", p, l.Data.LogSNR, l.Noise.LogSNR)
		}
	}
	for _, s := range process.Schedules() {
		for _, o := range process.Outputs() {
			p, err := process.Get(s, process.ScheduleOptions{}, o)
			if err != nil {
				continue // refused for its reasons
			}
			l, err := NewPath(p)
			if err != nil {
				t.Errorf("%v: %v", p, err)
				continue
			}
			if l.Data.LogSNR > p.Schedule.LogSNR(0)+1e-9 || l.Noise.LogSNR < p.Schedule.LogSNR(1)-1e-9 {
				t.Errorf("%v: from λ = %g to %g, but it knows %g to %g", p, l.Data.LogSNR, l.Noise.LogSNR, p.Schedule.LogSNR(0), p.Schedule.LogSNR(1))
			}
			// The flow of a Gaussian through the output of its perfect network.
			field := func(t float64, z, v []float64) (float64, error) {
				q := l.At(t)
				r := 1 / (q.Alpha*q.Alpha*0.25 + q.Sigma*q.Sigma)
				x, eps := process.Linear{Z: q.Alpha * 0.25 * r}, process.Linear{Z: q.Sigma * r}
				y := q.Inferred(x.Z, eps.Z) // times z
				of, err := velocity(q)
				for i := range z {
					v[i] = (of.Z + of.Y*y) * z[i]
				}
				return (of.Z + of.Y*y) * float64(len(z)), err
			}
			got, _, err := l.LogDensity(field, []float64{0.7}, solver(t, "rk45"), Steps{Rtol: 1e-8, Atol: 1e-8})
			want := -2*0.49 - math.Log(0.5) - math.Log(2*math.Pi)/2
			if err != nil || math.Abs(got-want) > 0.03 { // data of variance ¼, noise of 1, at finite λ
				t.Errorf("%v: log-density %g, %v; want about %g", p, got, err, want)
			}
		}
	}
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		solver string
		steps  Steps
	}{{"rk45", Steps{}}, {"rk45", Steps{Rtol: 1e-5, Atol: 2}}, {"heun", Steps{}}, {"rk4", Steps{Count: 1 << 40}}} {
		if solver(t, c.solver).Check(c.steps) == nil {
			t.Errorf("%s takes %+v", c.solver, c.steps)
		}
	}
	stiff := func(float64, []float64, []float64) (float64, error) { return math.NaN(), nil }
	if _, _, err := solver(t, "rk45").Integrate(stiff, []float64{1}, 0, 1, Steps{Rtol: 1e-5, Atol: 1e-5}); err == nil {
		t.Error("a velocity that is no number is integrated")
	}
}
