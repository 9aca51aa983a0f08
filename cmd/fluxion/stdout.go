package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode"
)

// stdout is where commands print. It remembers the first error, so that no command
// that printed nothing, as on a full disk, is taken for one that did.
type stdout struct {
	file     *os.File
	optional bool // the command goes on when nobody reads, as behind | head
	err      error
}

func (s *stdout) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	if errors.Is(err, syscall.EPIPE) && !s.optional {
		os.Exit(exitSignal + int(syscall.SIGPIPE)) // as the signal would, which is ignored
	}
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// Fd tells a terminal from others.
func (s *stdout) Fd() uintptr { return s.file.Fd() }

// failure is the error of a command that is done. That nobody read on is none.
func (s *stdout) failure() error {
	if s.err == nil || errors.Is(s.err, syscall.EPIPE) {
		return nil
	}
	return output(fmt.Errorf("standard output: %w", s.err))
}

// visible writes what does not print as Go does, \n or \x1b: names of files and
// classes are others' and must not move the cursor or break a line.
func visible(text string) string {
	if strings.IndexFunc(text, unicode.IsControl) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// optional says that a command's work lies in files: it goes on without readers.
func optional(out io.Writer) {
	if s, ok := out.(*stdout); ok {
		s.optional = true
	}
}

// lost is why the output does not reach its reader any more.
func lost(out io.Writer) error {
	if s, ok := out.(*stdout); ok {
		return s.err
	}
	return nil
}
