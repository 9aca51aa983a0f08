// Package fault is the errors that every command may end with.
package fault

import "fmt"

// Signal is the exit code of a program that a signal ended, but for the signal's number.
const Signal = 128

// UsageError is a command line that cannot be carried out.
type UsageError struct{ error }

// Usage marks an error as one of the command line.
func Usage(err error) error { return UsageError{err} }

// Usagef is an error of the command line.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// OutputError is a file that cannot be written.
type OutputError struct{ error }

func (e OutputError) Unwrap() error { return e.error }

// Output marks what went wrong in writing.
func Output(err error) error {
	if err == nil {
		return nil
	}
	return OutputError{err}
}
