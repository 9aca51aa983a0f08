package amx

import (
	"errors"
	"os"
	"testing"
)

// run runs a shell command.
func run(t *testing.T, command string) Result {
	t.Helper()
	result, err := Run(Program{Path: "/bin/sh", Args: []string{"sh", "-c", command}})
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestRun: a program ends as it would otherwise; its signals, and those of what it
// starts, are its own.
func TestRun(t *testing.T) {
	for command, want := range map[string]int{
		"exit 7":        7,
		"kill -TERM $$": 128 + 15,
		"kill -ILL $$":  128 + 4,
		"trap 'exit 5' USR1; kill -USR1 $$; exit 6": 5,
		"(exit 3)":            3,
		"exec sh -c 'exit 4'": 4,
	} {
		if got := run(t, command).ExitCode; got != want {
			t.Errorf("%s: exit code %d, want %d", command, got, want)
		}
	}
	if _, err := Run(Program{Path: os.DevNull, Args: []string{"null"}}); err == nil || errors.Is(err, ErrUnsupported) {
		t.Errorf("no program: %v", err)
	}
}
