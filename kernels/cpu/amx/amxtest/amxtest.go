// Package amxtest runs tests of a package as a processor with AMX would.
package amxtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"fluxion/kernels/cpu/amx"

	"golang.org/x/sys/cpu"
)

// Run runs the tests that match a pattern, in a process of their own, the same
// program, which finds tiles and must use them. Those are the processor's where it has
// some, and else those of package amx. The pattern must name subtests of amx.
func Run(t *testing.T, pattern string) {
	t.Helper()
	if x := cpu.X86; !x.HasAVX512BW || !x.HasAVX512DQ || !x.HasAVX512VL || !x.HasAVX512BF16 {
		t.Skip("what is not tiles in these kernels is AVX-512 with bfloat16, which this processor lacks and nothing here emulates")
	}
	output, result := run(t, false, pattern)
	if result.ExitCode != 0 || !ofTiles.MatchString(output) {
		t.Errorf("exit code %d\n%s", result.ExitCode, output)
	}
	t.Logf("%d products of emulated tiles", result.Executed[amx.MultiplyBFloat16])
}

var ofTiles = regexp.MustCompile(`--- PASS: \S+/amx\b`)

// Refused runs tests where the system refuses the tiles.
func Refused(t *testing.T, pattern string) {
	t.Helper()
	output, result := run(t, true, pattern)
	if result.ExitCode != 0 || !strings.Contains(output, "--- PASS") {
		t.Errorf("exit code %d\n%s", result.ExitCode, output)
	}
}

func run(t *testing.T, refuse bool, pattern string) (string, amx.Result) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	output := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(r) // what there is until the program ends
		output <- all
	}()
	args := []string{path, "-test.run=" + pattern, "-test.v", "-test.count=1", fmt.Sprintf("-test.short=%t", testing.Short())}
	result, err := amx.Run(amx.Program{Path: path, Args: args, Files: [3]*os.File{nil, w, w}, Refuse: refuse})
	w.Close()
	text := string(<-output)
	if errors.Is(err, amx.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text, result
}
