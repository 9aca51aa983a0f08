package train

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/model"
)

// exponential are averages by their half-lives.
func exponential(halfLives ...int64) (all Averages) {
	for i, n := range halfLives {
		all[i].HalfLife = n
	}
	return all
}

// TestAverages: a number stays a number, a list a list, in text and in files.
func TestAverages(t *testing.T) {
	for text, want := range map[string]Averages{
		"2000": exponential(2000), "0": {}, "2000,20000": exponential(2000, 20000), "0,5,7": exponential(0, 5, 7),
		"power:0.05": {{Sigma: 0.05}}, "2000,power:0.1": {{HalfLife: 2000}, {Sigma: 0.1}},
	} {
		var h, again Averages
		if err := h.UnmarshalText([]byte(text)); err != nil || h != want || h.String() != text {
			t.Errorf("%s is read as %v (%v)", text, h, err)
		}
		file, err := json.Marshal(h)
		if bare := strings.ReplaceAll(strings.Trim(string(file), "[]"), `"`, ""); err != nil || bare != text || strings.HasPrefix(string(file), "[") != strings.Contains(text, ",") {
			t.Errorf("%s is written as %s (%v)", text, file, err)
		}
		if err := json.Unmarshal(file, &again); err != nil || again != h {
			t.Errorf("%s is read again as %v (%v)", file, again, err)
		}
	}
	var h Averages
	if err := h.UnmarshalText([]byte("2000,power")); err != nil || h.String() != "2000,power:0.05,power:0.1" {
		t.Errorf("the usual powers are %v (%v)", h, err)
	}
	for _, bad := range []string{"", "a", "5,", "5,0", "5,5", "1,2,3,4,5", "1.5", "power:0", "power:0.3", "power:", "powers", "power,power:0.1", "power,5,6,7", "0.05"} {
		var h Averages
		if h.UnmarshalText([]byte(bad)) == nil || json.Unmarshal([]byte("["+bad+"]"), &h) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestSecondEMA: a run with a second average has the weights and the first average
// of one without, to the bit; the second is that of a run whose first it is; a stopped
// run goes on to the bit; and both can be read to sample from.
func TestSecondEMA(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := small()
	s.Images, s.CheckpointEvery, s.SampleCount, s.EMAWarmup, s.Accumulate = 32, 16, 0, 10, 2
	whole := func(h Averages) (dir string) {
		s, dir := s, t.TempDir()
		s.EMA = h
		o, _ := options(t, s, dir)
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	read := func(dir, weights string) []float32 {
		m, err := model.Read(dir, weights)
		if err != nil {
			t.Fatal(err)
		}
		return m.Weights
	}
	short, long, both := whole(exponential(20)), whole(exponential(90)), whole(exponential(20, 90))
	for _, weights := range []string{model.Raw, model.EMA} {
		if !slices.Equal(read(both, weights), read(short, weights)) {
			t.Errorf("the second average changes %s", weights)
		}
	}
	got, want := read(both, "ema:90"), read(long, model.EMA)
	for i, x := range got {
		if math.Abs(float64(x-want[i])) > 1e-6*(1+math.Abs(float64(want[i]))) {
			t.Fatalf("the second average is %v at %d, as a first one it is %v", x, i, want[i])
		}
	}
	if slices.Equal(got, read(both, model.EMA)) {
		t.Error("both averages are the same")
	}
	if _, err := model.Read(both, "ema:70"); err == nil || !strings.Contains(err.Error(), "there are raw, ema, ema:90") {
		t.Errorf("an average that is not there: %v", err)
	}

	s.EMA = exponential(20, 90)
	cut := t.TempDir()
	o, rec := options(t, s, cut)
	ctx, cancel := context.WithCancel(t.Context())
	rec.onSave = cancel
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	rec.onSave = nil
	o.Settings.EMA = exponential(20, 70)
	var changed *ChangedError
	if _, err := Run(t.Context(), o); !errors.As(err, &changed) || !strings.Contains(err.Error(), "ema was 20,90, now 20,70") {
		t.Errorf("an average that was not kept: %v", err)
	}
	o.Settings.EMA = s.EMA
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	same(t, files(t, cut), files(t, both))
}
