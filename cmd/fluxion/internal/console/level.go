package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/term"
)

// Level is how much a command says to a person.
type Level int

const (
	Quiet   Level = iota - 1 // results, and what is wrong
	Normal                   // what happens, too
	Verbose                  // and where settings are from, every status, and the time it took
)

// leveled is an output with a level.
type leveled struct {
	io.Writer
	level Level
}

// At is an output whose faces say as much as a level has.
func At(out io.Writer, level Level) io.Writer { return leveled{out, level} }

// LevelOf is that of an output; Normal, if it has none.
func LevelOf(out io.Writer) Level {
	if l, ok := out.(leveled); ok {
		return l.level
	}
	return Normal
}

// plain is the output itself.
func plain(out io.Writer) io.Writer {
	if l, ok := out.(leveled); ok {
		return l.Writer
	}
	return out
}

// terminal is an output that may be one.
type terminal interface{ Fd() uintptr }

// isTerminal says whether an output is a terminal that can move its cursor.
func isTerminal(out io.Writer) bool {
	f, ok := plain(out).(terminal)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Coloured says whether text on an output is to have colours: on a terminal, unless the
// user says otherwise (no-color.org).
func Coloured(out io.Writer) bool { return os.Getenv("NO_COLOR") == "" && isTerminal(out) }

// Colours of text, as SGR has them.
const (
	bold   = "1"
	red    = "1;31"
	yellow = "33"
	cyan   = "36"
)

func paint(colour, text string) string { return "\x1b[" + colour + "m" + text + "\x1b[0m" }

// labelWidth is that of the word, and the spaces behind it, with which a line begins.
const labelWidth = 12

// painted is a line whose label has a colour.
func painted(line string) string {
	if len(line) <= labelWidth || line[labelWidth-2:labelWidth] != "  " || line[labelWidth] == ' ' {
		return line
	}
	label, rest := line[:labelWidth], line[labelWidth:]
	word := strings.TrimRight(label, " ")
	if word == "" || word[0] == ' ' || strings.Contains(word, "  ") {
		return line
	}
	switch word {
	case "note", "stuck", "broken":
		return paint(yellow, word) + label[len(word):] + rest
	case "done", "next", "best":
		return paint(bold, word) + label[len(word):] + rest
	}
	return paint(cyan, word) + label[len(word):] + rest
}

// Error tells why a command failed, in one line.
func Error(out io.Writer, err error) {
	tell(out, "fluxion:", red, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// forMachines says whether a machine reads what is told on standard error, too.
var forMachines atomic.Bool

// ForMachines has notes and details be events, as standard output has them under --json.
func ForMachines(asJSON bool) { forMachines.Store(asJSON) }

// Note tells what is wrong but stops nothing.
func Note(note string) { aside("note", "fluxion: note:", yellow, note) }

// Detail tells what only who asks for it wants to know.
func Detail(format string, args ...any) {
	aside("detail", "fluxion:", cyan, fmt.Sprintf(format, args...))
}

// aside tells what is no result on standard error.
func aside(event, prefix, colour, text string) {
	if forMachines.Load() {
		NewFace(os.Stderr, true).Event(event, map[string]any{"text": text})
		return
	}
	tell(os.Stderr, prefix, colour, text)
}

func tell(out io.Writer, prefix, colour, text string) {
	if Coloured(out) {
		prefix = paint(colour, prefix)
	}
	fmt.Fprintln(out, prefix, Visible(text))
}
