package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"fluxion/cmd/fluxion/internal/machine"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the scripts of testdata/script, as a user runs the program: a process a
// command, each in a folder of its own. `code N fluxion …` wants an exit code. A run of a
// second that many scripts look at is made once, and lies where $RUN says.
func TestScripts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the scripts are those of a shell of Unix")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(exe, filepath.Join(bin, "fluxion")); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(t.TempDir(), "run")
	if out, code, err := fluxion(t, with(tiny, "--images", "8", "--sample-count", "2", "--sample-steps", "2", "--out", run)...); err != nil {
		t.Fatal(code, err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv(asProgram, "1")
			e.Setenv(machine.BlockingsVariable, "off")
			e.Setenv("RUN", run)
			return nil
		},
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"fluxion": wantDone, "code": wantCode},
		UpdateScripts: *rewrite,
	})
}

// wantDone is a command of scripts: the program, which ends well.
func wantDone(ts *testscript.TestScript, not bool, args []string) {
	if not {
		ts.Fatalf("want code N fluxion …")
	}
	if err := ts.Exec("fluxion", args...); err != nil {
		ts.Fatalf("%v", err)
	}
}

// wantCode is a command of scripts: code N PROGRAM ARGUMENT….
func wantCode(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM ARGUMENT…")
	}
	err := ts.Exec(args[1], args[2:]...)
	if got := codeOf(err); got != args[0] {
		ts.Fatalf("exit code %s, want %s: %v", got, args[0], err)
	}
}

// codeOf is the exit code of a command that has ended.
func codeOf(err error) string {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return strconv.Itoa(exit.ExitCode())
	}
	return "0"
}
