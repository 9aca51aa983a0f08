package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// stub is a sink that writes down what it is told, and fails where it is said to.
type stub struct {
	Nothing
	name  string
	log   *[]string
	fails string
}

func (s stub) did(what string) error {
	*s.log = append(*s.log, s.name+" "+what)
	if s.fails == what {
		return errors.New(s.name + " fails")
	}
	return nil
}

func (s stub) Begin(images int64) error { return s.did(fmt.Sprint("begin ", images)) }
func (s stub) Status(t Status) error    { return s.did(fmt.Sprint("status ", t.Images)) }
func (s stub) Evaluation(e Evaluation) error {
	return s.did(fmt.Sprint("evaluation ", e.Images))
}
func (s stub) Close() error { return s.did("close") }

// TestSinks: sinks are told in turn. One that fails is the last; where one cannot
// begin, those before it are closed.
func TestSinks(t *testing.T) {
	for _, c := range []struct {
		fails string
		want  []string
	}{
		{"", []string{"a begin 8", "b begin 8", "c begin 8", "a status 16", "b status 16", "c status 16", "a evaluation 16", "b evaluation 16", "c evaluation 16", "a close", "b close", "c close"}},
		{"begin 8", []string{"a begin 8", "b begin 8", "a close"}},
		{"status 16", []string{"a begin 8", "b begin 8", "c begin 8", "a status 16", "b status 16", "a evaluation 16", "b evaluation 16", "c evaluation 16", "a close", "b close", "c close"}},
		{"evaluation 16", []string{"a begin 8", "b begin 8", "c begin 8", "a status 16", "b status 16", "c status 16", "a evaluation 16", "b evaluation 16", "a close", "b close", "c close"}},
		{"close", []string{"a begin 8", "b begin 8", "c begin 8", "a status 16", "b status 16", "c status 16", "a evaluation 16", "b evaluation 16", "c evaluation 16", "a close", "b close", "c close"}},
	} {
		var got []string
		sinks := Sinks{stub{name: "a", log: &got}, stub{name: "b", log: &got, fails: c.fails}, stub{name: "c", log: &got}}
		err := sinks.Begin(8)
		if err == nil {
			err = errors.Join(sinks.Status(Status{Images: 16}), sinks.Evaluation(Evaluation{Images: 16}), sinks.Close())
		}
		if !slices.Equal(got, c.want) || (err != nil) != (c.fails != "") {
			t.Errorf("where b fails to %q: %v, want %v; %v", c.fails, got, c.want, err)
		}
	}
}

// TestJSONL: a line has what the status has, as JSON's numbers.
func TestJSONL(t *testing.T) {
	var line []byte
	sink := JSONL(func(l []byte) error { line = l; return nil })
	at := time.Date(2026, 11, 29, 16, 0, 0, 0, time.UTC)
	if err := sink.Status(Status{
		Images: 16, Of: 32, Steps: 4, Loss: 0.5, Baseline: 0.75, LR: 1e-3, GradNorm: 2, ImagesPerSecond: 100, Time: at, Elapsed: 1500 * time.Millisecond, Skipped: []string{"a", "b"},
	}); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"time": "2026-11-29T16:00:00Z", "images": 16., "steps": 4., "loss": 0.5, "baseline": 0.75, "lr": 1e-3, "grad_norm": 2.,
		"images_per_second": 100., "elapsed_seconds": 1.5, "skipped": 2.}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s, want %v", line, want)
	}
}

// TestLog: each image is named once, the first to the user as well; those behind the last
// status when the run ends.
func TestLog(t *testing.T) {
	var told, noted []string
	to := func(list *[]string) func(string, ...any) {
		return func(format string, args ...any) { *list = append(*list, fmt.Sprintf(format, args...)) }
	}
	var skipped []string
	sink := Log(func() []string { return skipped }, to(&told), to(&noted))
	for _, skipped = range [][]string{nil, {"a.png"}, {"a.png"}, {"a.png", "b.png", "c.png"}} {
		if err := sink.Status(Status{}); err != nil {
			t.Fatal(err)
		}
	}
	skipped = append(skipped, "d.png")
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	skipped = nil // the run goes back, and its data are read anew
	if err := errors.Join(sink.Rewind(8), sink.Status(Status{})); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.png cannot be read and is left out; log.txt names all that are"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if want := []string{"b.png cannot be read and is left out", "c.png cannot be read and is left out", "d.png cannot be read and is left out"}; !slices.Equal(noted, want) {
		t.Errorf("noted %q, want %q", noted, want)
	}
}

// TestEvaluations: what metrics say is read back from among the lines of a file, and
// stands in the log.
func TestEvaluations(t *testing.T) {
	var lines []byte
	file := JSONL(func(l []byte) error { lines = append(append(lines, l...), '\n'); return nil })
	e := Evaluation{
		Images: 16, Steps: 4, Values: []Value{{Name: "fd", Value: 12.5}, {"kid", -0.25, 0.125, "of all images"}}, N: [2]int64{100, 50}, Of: "all else", Best: "fd",
		Time: time.Date(2026, 11, 29, 16, 0, 0, 0, time.UTC), Seconds: 1.5, Share: 0.25,
	}
	later := e
	later.Images = 32
	if err := errors.Join(file.Status(Status{Images: 8}), file.Evaluation(e), file.Status(Status{Images: 16}), file.Evaluation(later)); err != nil {
		t.Fatal(err)
	}
	lines = append(lines, `{"images": 16, "metr`...) // cut by a loss of power
	if got := Evaluations(lines, 31); !reflect.DeepEqual(got, []Evaluation{e}) {
		t.Errorf("%+v, want %+v", got, e)
	}
	if got := Evaluations(lines, 32); len(got) != 2 || got[1].Images != 32 {
		t.Errorf("%+v", got)
	}
	var noted string
	if err := Log(nil, nil, func(format string, args ...any) { noted = fmt.Sprintf(format, args...) }).Evaluation(e); err != nil {
		t.Fatal(err)
	}
	if want := "evaluation after 16 images, in 1.5 s: fd 12.5 (the best so far), kid -0.25 ± 0.12; all else"; noted != want {
		t.Errorf("noted %q, want %q", noted, want)
	}
}
