package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"testing"
	"time"
)

// say says the same to a face as commands do.
func say(f Face) error {
	f.Event("start", map[string]any{"loss": math.NaN(), "run": "a\nb"}, "run a\nb", "memory 3 GiB")
	f.Status(map[string]any{"images": 1}, "1/3", false)
	f.Status(map[string]any{"images": 2}, "2/3", false)
	f.Status(map[string]any{"images": 3}, "3/3", true)
	f.Event("ended", map[string]any{"code": 1})
	return f.Result(map[string]int{"answer": 42}, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, "the answer is 42")
		return err
	})
}

// someTime is the field that every event has.
var someTime = regexp.MustCompile(`"time":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)

// TestFaces: a machine is told everything, as one object a line, and a person what
// matters: on a terminal on a live line, which ends before anything else is printed.
func TestFaces(t *testing.T) {
	var out bytes.Buffer
	for _, c := range []struct {
		name, want string
		face       Face
	}{
		{"machine", `{"event":"start","loss":null,"run":"a\nb",TIME}
{"event":"status","images":1,TIME}
{"event":"status","images":2,TIME}
{"event":"status","images":3,TIME}
{"code":1,"event":"ended",TIME}
{"answer":42}
`, NewFace(&out, true)},
		{"file", "run a\\nb\nmemory 3 GiB\n1/3\n3/3\nthe answer is 42\n", NewFace(&out, false)},
		{"quiet", "the answer is 42\n", NewFace(At(&out, Quiet), false)},
		{"verbose", "run a\\nb\nmemory 3 GiB\n1/3\n2/3\n3/3\nthe answer is 42\n", NewFace(At(&out, Verbose), false)},
		{"terminal", "run a\\nb\nmemory 3 GiB\n\r\x1b[K1/3\r\x1b[K2/3\r\x1b[K3/3\nthe answer is 42\n", &textFace{out: &out, live: true}},
	} {
		out.Reset()
		if err := say(c.face); err != nil || c.face.Err() != nil {
			t.Errorf("%s: %v, %v", c.name, err, c.face.Err())
		}
		if got := someTime.ReplaceAllString(out.String(), "TIME"); got != c.want {
			t.Errorf("%s is shown\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

// TestLines: elsewhere than on a terminal, a line of a status comes each period; the
// first at once, or where the work has begun just now, a period later.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	f := &textFace{out: &out}
	f.Begin()
	f.Status(nil, "early", false)
	f.shown = f.shown.Add(-linePeriod - time.Second)
	f.Status(nil, "due", false)
	f.Status(nil, "early again", false)
	if got := out.String(); got != "due\n" {
		t.Errorf("%q", got)
	}
}

// TestLost: that nobody can read is known to the face, and an error of the result.
func TestLost(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	for _, asJSON := range []bool{true, false} {
		f := NewFace(NewStdout(file), asJSON)
		if err := say(f); !errors.Is(err, os.ErrClosed) || !errors.Is(f.Err(), os.ErrClosed) {
			t.Errorf("a closed output: %v, %v", err, f.Err())
		}
	}
}
