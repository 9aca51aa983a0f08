// Package console is what commands print on and how it reads.
package console

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"fluxion/cmd/fluxion/internal/fault"
)

// Stdout is where commands print. It remembers the first error, so that no command
// that printed nothing, as on a full disk, is taken for one that did.
type Stdout struct {
	file     *os.File
	optional bool // the command goes on when nobody reads, as behind | head
	err      error
}

// NewStdout prints on a file.
func NewStdout(file *os.File) *Stdout { return &Stdout{file: file} }

func (s *Stdout) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	if errors.Is(err, syscall.EPIPE) && !s.optional {
		os.Exit(fault.Signal + int(syscall.SIGPIPE)) // as the signal would, which is ignored
	}
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// Fd tells a terminal from others.
func (s *Stdout) Fd() uintptr { return s.file.Fd() }

// Failure is the error of a command that is done. That nobody read on is none.
func (s *Stdout) Failure() error {
	if s.err == nil || errors.Is(s.err, syscall.EPIPE) {
		return nil
	}
	return fault.Output(fmt.Errorf("standard output: %w", s.err))
}

// Optional says that a command's work lies in files: it goes on without readers.
func Optional(out io.Writer) {
	if s, ok := plain(out).(*Stdout); ok {
		s.optional = true
	}
}

// Lost is why the output does not reach its reader any more.
func Lost(out io.Writer) error {
	if s, ok := plain(out).(*Stdout); ok {
		return s.err
	}
	return nil
}
