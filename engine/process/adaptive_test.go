package process

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func adaptive(t testing.TB) *Adaptive {
	t.Helper()
	p, err := Get("cosine", ScheduleOptions{}, "eps")
	if err != nil {
		t.Fatal(err)
	}
	s, err := GetTimeSampler("adaptive:bins=4", p.Schedule)
	if err != nil {
		t.Fatal(err)
	}
	return s.Adaptive
}

func restore(a *Adaptive, text string) error {
	var b Adaptive
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return err
	}
	return a.Restore(b)
}

// A state that was damaged is refused, and leaves that of the run as it was.
func TestAdaptiveState(t *testing.T) {
	a := adaptive(t)
	a.Observe(0, 2)
	good, err := a.MarshalState()
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[[2]string]string{
		{`"seen":[0,`, `"seen":[-5,`}:                  "want neither below 0",
		{`"seen":[0,`, `"seen":[9223372036854775807,`}: "nor more than",
		{`"seen":[0,`, `"seen":[`}:                     "bins of λ",
		{`"means":[0,`, `"means":[-1,`}:                "has mean -1",
		{`"decay":0.`, `"decay":1.`}:                   "decay is 1.",
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s has no %s", good, change[0])
		}
		if err := restore(a, bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", bad, err, want)
		}
	}
	if again, _ := a.MarshalState(); string(again) != string(good) {
		t.Errorf("what was refused changed the state to %s", again)
	}
	for _, bins := range []string{"1e18", "2.5", "inf", "nan", "0"} {
		p, _ := Get("cosine", ScheduleOptions{}, "eps")
		if _, err := GetTimeSampler("adaptive:bins="+bins, p.Schedule); err == nil {
			t.Errorf("%s bins: no error", bins)
		}
	}
}

// FuzzAdaptiveState: a times.json is refused, or times can be drawn by it.
func FuzzAdaptiveState(f *testing.F) {
	a := adaptive(f)
	good, err := a.MarshalState()
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(good), `null`, `{}`, `{"means": [1e308, 1e308, 1e308, 1e308]}`, string(good[:len(good)/2])} {
		f.Add([]byte(text))
	}
	f.Add([]byte(strings.Replace(string(good), `"means":[0,0`, `"means":[1e308,1e308`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		a := adaptive(t)
		if restore(a, string(data)) != nil {
			return
		}
		for _, u := range []float64{0, 0.3, 1} {
			if l := a.quantile(u); math.IsNaN(l) || l < a.Low-1e-9 || l > a.High+1e-9 {
				t.Fatalf("λ = %v at %v from %s", l, u, data)
			}
		}
	})
}
