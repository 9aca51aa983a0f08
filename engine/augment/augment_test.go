package augment

import (
	"math"
	"testing"

	"fluxion/data/affine"
)

// TestDraw: labels are 0 if and only if the image is as it was; as many images as are to
// are transformed; an image alone decides what becomes of it.
func TestDraw(t *testing.T) {
	a, err := New("edm:p=0.2,turn=1,shift=1", true, 7, 32)
	if err != nil {
		t.Fatal(err)
	}
	const n = 20000
	var counts Labels
	for at := range int64(n) {
		x, l := a.Draw(at)
		if again, _ := a.Draw(at); again != x {
			t.Fatal("the same image is transformed otherwise")
		}
		plain := affine.Transform{Warp: x.Warp}
		if zero := l == (Labels{}); zero != (x == plain) {
			t.Fatalf("%+v is told as %v", x, l)
		}
		for k, v := range l {
			if v != 0 {
				counts[k]++
			}
		}
	}
	// The last of the columns of each kind that cannot be 0 if it applies.
	for k, want := range map[int]float64{0: 0.5, 1: 0.1, 2: 0.15, 6: 0.2, 8: 0.2, 10: 0.2, 12: 0.2} {
		if got := counts[k] / n; math.Abs(got-want) > 0.012 {
			t.Errorf("label %d is not 0 in %v of the images, want %v", k, got, want)
		}
	}
	if _, l := must(t, "edm:p=0").Draw(3); l != (Labels{}) {
		t.Error("an image is transformed with probability 0")
	}
}

func must(t *testing.T, text string) *Augmentation {
	t.Helper()
	a, err := New(text, false, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestInverse: a rotation alone and a scale alone are the inverse maps that the labels say.
func TestInverse(t *testing.T) {
	a := must(t, "edm:p=1,yflip=0,scale=0,stretch=0,translate=0")
	x, l := a.Draw(5)
	if cos, sin := l[7]+1, l[8]; math.Abs(x.Warp[0]-cos)+math.Abs(x.Warp[1]+sin)+math.Abs(x.Warp[3]-sin)+math.Abs(x.Warp[4]-cos) > 1e-12 || math.Abs(cos*cos+sin*sin-1) > 1e-12 {
		t.Errorf("%v for %v", x.Warp, l)
	}
	x, l = must(t, "edm:p=1,yflip=0,rotate=0,stretch=0,translate=0").Draw(5)
	if s := math.Exp2(-0.2 * l[6]); x.Warp != [6]float64{s, 0, 0, 0, s, 0} {
		t.Errorf("%v for %v", x.Warp, l)
	}
	x, l = must(t, "edm:p=1,yflip=0,rotate=0,stretch=0,scale=0").Draw(5)
	if x.Warp != [6]float64{1, 0, -l[11], 0, 1, -l[12]} { // an eighth of 8 pixels
		t.Errorf("%v for %v", x.Warp, l)
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"ada":           `unknown augmentation "ada": there are edm`,
		"edm:p=2":       "p = 2, want 0 or more, and of p at most 1",
		"edm:rotate=-1": "rotate = -1, want 0 or more, and of p at most 1",
	} {
		if _, err := New(text, false, 1, 8); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := New("edm", false, 1, 1); err == nil {
		t.Error("images of one pixel are transformed")
	}
}
