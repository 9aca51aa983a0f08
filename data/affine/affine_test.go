package affine

import (
	"math"
	"slices"
	"testing"
)

// picture is smooth enough for a grid of twice its pixels.
func picture(n, channels int) []float32 {
	v := make([]float32, n*n*channels)
	for y := range n {
		for x := range n {
			for c := range channels {
				v[(y*n+x)*channels+c] = float32(math.Sin(1.3*float64(x)+0.7*float64(y)) + 0.2*float64(x*y)/5 + float64(c))
			}
		}
	}
	return v
}

func apply(t *testing.T, n, channels int, transform Transform, v []float32) []float32 {
	t.Helper()
	a, err := NewImages(n, channels)
	if err != nil {
		t.Fatal(err)
	}
	to := make([]float32, len(v))
	a.Apply(transform, v, to)
	return to
}

// TestWavelet: even shifts of the taps are orthonormal, and their sum is √2.
func TestWavelet(t *testing.T) {
	sum := 0.0
	for _, h := range taps {
		sum += h
	}
	if math.Abs(sum-math.Sqrt2) > 1e-12 {
		t.Errorf("the sum is %v", sum)
	}
	for shift := 0; shift < len(taps); shift += 2 {
		product, want := 0.0, 0.0
		for i := shift; i < len(taps); i++ {
			product += taps[i] * taps[i-shift]
		}
		if shift == 0 {
			want = 1
		}
		if math.Abs(product-want) > 1e-11 {
			t.Errorf("shifted by %d they have the product %v", shift, product)
		}
	}
}

// TestExact: mirrors, quarter turns and shifts move pixels and do nothing else.
func TestExact(t *testing.T) {
	for _, n := range []int{2, 5, 8} {
		v := picture(n, 3)
		for name, c := range map[string]struct {
			Transform
			from func(x, y int) (int, int) // of pixel x, y
		}{
			"nothing":           {Transform{}, func(x, y int) (int, int) { return x, y }},
			"mirror":            {Transform{FlipX: true}, func(x, y int) (int, int) { return n - 1 - x, y }},
			"upside down":       {Transform{FlipY: true}, func(x, y int) (int, int) { return x, n - 1 - y }},
			"turn":              {Transform{Turns: 1}, func(x, y int) (int, int) { return n - 1 - y, x }}, // numpy.rot90
			"three turns":       {Transform{Turns: -1}, func(x, y int) (int, int) { return y, n - 1 - x }},
			"shift":             {Transform{ShiftX: 1}, func(x, y int) (int, int) { return max(x-1, 1-x), y }},
			"mirror, then turn": {Transform{FlipX: true, Turns: 1}, func(x, y int) (int, int) { return y, x }},
		} {
			got := apply(t, n, 3, c.Transform, v)
			for y := range n {
				for x := range n {
					i, j := c.from(x, y)
					if !slices.Equal(got[(y*n+x)*3:][:3], v[(j*n+i)*3:][:3]) {
						t.Errorf("%s of %d×%d: pixel %d, %d is not that of %d, %d", name, n, n, x, y, i, j)
					}
				}
			}
		}
		twice := apply(t, n, 3, Transform{FlipX: true, FlipY: true}, apply(t, n, 3, Transform{FlipX: true, FlipY: true}, v))
		if !slices.Equal(twice, v) {
			t.Error("a mirror of a mirror is another image")
		}
	}
}

// TestWarp: no warp is none; one by a whole pixel is a shift; others are those of numpy and
// of scipy.ndimage.map_coordinates, in float64.
func TestWarp(t *testing.T) {
	const n = 6
	v := picture(n, 1)
	near := func(what string, got, want []float32, most float64) {
		for i, w := range want {
			if math.Abs(float64(got[i]-w)) > most {
				t.Errorf("%s: pixel %d, %d is %v, want %v", what, i%n, i/n, got[i], w)
			}
		}
	}
	near("identity", apply(t, n, 1, Transform{Warped: true, Warp: [6]float64{0: 1, 4: 1}}, v), v, 1e-6)
	near("shift", apply(t, n, 1, Transform{Warped: true, Warp: [6]float64{0: 1, 2: -2, 4: 1, 5: 1}}, v), apply(t, n, 1, Transform{ShiftX: 2, ShiftY: -1}, v), 1e-6)
	for _, c := range []struct {
		warp [6]float64
		want [3][n]float32 // rows 0, 2 and 5
	}{
		{[6]float64{0.9, 0.3, 0.4, -0.2, 1.1, -0.7}, [3][n]float32{
			{0.2544005610296775, 0.8496067713306422, 0.4217001496634201, -0.6779183119288832, -0.5624940386235733, 0.7699561921363108},
			{0.9246869013144865, 0.34687214693200347, -0.5666882229537474, -0.7673425917193235, -0.12139525734504161, 0.6990330950587532},
			{-0.6374992393443861, 0.5833897738033622, 1.4926059457968932, 1.4566857203022459, 0.7749176650837454, 1.545327950538222},
		}},
		{[6]float64{0.7313188015753107, 0.3995212821701692, 1.5, -0.3995212821701692, 0.7313188015753107, 0}, [3][n]float32{
			{0.4996104633825196, -0.1738039921130757, -0.6867161658511052, -0.8695562116822826, -0.646274673565651, 0.2706171060204936},
			{-0.7076383455782062, -0.40070715856799904, 0.18762318060602476, 0.7855269367681771, 1.2331331036517819, 0.45477243298540165},
			{1.527647044054569, 1.5451770442079418, 0.7766102105855818, 1.0403795452981741, 1.6063642592861924, 0.5718794501702184},
		}},
	} {
		got := apply(t, n, 1, Transform{Warped: true, Warp: c.warp}, v)
		for k, y := range []int{0, 2, 5} {
			for x, w := range c.want[k] {
				if g := got[y*n+x]; math.Abs(float64(g-w)) > 2e-6 {
					t.Errorf("%v: pixel %d, %d is %v, want %v", c.warp, x, y, g, w)
				}
			}
		}
	}
}

// TestAllocations: an image takes no memory.
func TestAllocations(t *testing.T) {
	a, err := NewImages(8, 3)
	if err != nil {
		t.Fatal(err)
	}
	from, to := picture(8, 3), make([]float32, 8*8*3)
	w := [6]float64{0.9, 0.1, 0, -0.1, 0.9, 0}
	if n := testing.AllocsPerRun(5, func() { a.Apply(Transform{Turns: 1, Warped: true, Warp: w}, from, to) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
