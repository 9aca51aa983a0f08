package console

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"fluxion/cmd/fluxion/internal/fault"

	"golang.org/x/term"
)

// Face shows what a command does, to a person as text or to a machine as one JSON
// object a line. A command says both at once and does not know which is shown.
type Face interface {
	// Event tells what happened: to a machine as fields, to a person as lines.
	Event(name string, fields map[string]any, lines ...string)
	// Status tells how far a work is. A person sees one live line on a terminal, and
	// elsewhere a line now and then, and the last.
	Status(fields map[string]any, line string, last bool)
	// Begin starts the time to the first such line, which otherwise is shown at once.
	Begin()
	// End ends the live line.
	End()
	// Result prints what the command is for, as one object or as text.
	Result(value any, text func(out io.Writer) error) error
	// Err is why nothing reaches the reader any more.
	Err() error
}

// NewFace shows on an output.
func NewFace(out io.Writer, asJSON bool) Face {
	if asJSON {
		return machineFace{out}
	}
	return &textFace{out: out, live: isTerminal(out), coloured: Coloured(out), level: LevelOf(out)}
}

// timeFormat is that of the time of an event: RFC 3339, to a millisecond.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// machineFace prints JSON.
type machineFace struct{ out io.Writer }

func (m machineFace) Event(name string, fields map[string]any, _ ...string) {
	object := map[string]any{"event": name, "time": time.Now().UTC().Format(timeFormat)}
	for key, v := range fields {
		if x, ok := v.(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
			v = nil // JSON has no such numbers
		}
		object[key] = v
	}
	line, err := json.Marshal(object)
	if err != nil {
		panic(err) // only plain values get here
	}
	fmt.Fprintf(m.out, "%s\n", line)
}

func (m machineFace) Status(fields map[string]any, _ string, _ bool) { m.Event("status", fields) }

func (m machineFace) Begin() {}
func (m machineFace) End()   {}

func (m machineFace) Result(value any, _ func(io.Writer) error) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(m.out, "%s\n", line)
	return fault.Output(err)
}

func (m machineFace) Err() error { return Lost(m.out) }

// textFace prints lines.
type textFace struct {
	out      io.Writer
	live     bool // on a terminal
	coloured bool
	level    Level
	shown    time.Time // when the last line of a status was
	open     bool      // the live line has no end yet
}

// linePeriod is the time between two lines of a status where none is live.
const linePeriod = 10 * time.Second

func (t *textFace) Event(_ string, _ map[string]any, lines ...string) {
	t.End()
	if t.level == Quiet {
		return
	}
	for _, line := range lines {
		line = Visible(line)
		if t.coloured {
			line = painted(line)
		}
		fmt.Fprintln(t.out, line)
	}
}

func (t *textFace) Status(_ map[string]any, line string, last bool) {
	if t.level == Quiet {
		return
	}
	if t.live {
		fmt.Fprintf(t.out, "\r\x1b[K%s", fit(t.out, line))
		t.open = true
		return
	}
	if last || t.level == Verbose || time.Since(t.shown) >= linePeriod {
		t.shown = time.Now()
		t.Event("", nil, line)
	}
}

func (t *textFace) Begin() { t.shown = time.Now() }

func (t *textFace) End() {
	if t.open {
		fmt.Fprintln(t.out)
		t.open = false
	}
}

func (t *textFace) Result(_ any, text func(io.Writer) error) error {
	t.End()
	return fault.Output(text(t.out))
}

func (t *textFace) Err() error { return Lost(t.out) }

// fit cuts a line to the terminal's width: one that wraps cannot be overwritten.
func fit(out io.Writer, text string) string {
	f, ok := plain(out).(terminal)
	if !ok {
		return text
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 1 && len(text) >= width {
		text = text[:width-1]
	}
	return text
}
