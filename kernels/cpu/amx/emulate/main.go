// Command emulate runs a program as a processor with AMX would, on one that lacks it:
//
//	go build -o fluxion ./cmd/fluxion
//	go run ./kernels/cpu/amx/emulate ./fluxion train --preset micro --precision bf16 --images 16 --batch 2
//
// It needs Linux on amd64, and Fluxion's kernels on tiles a processor with AVX512-BF16. A product of two tiles takes some microseconds: results are
// those of such a processor, times are not.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"

	"fluxion/kernels/cpu/amx"
)

func main() {
	refuse := flag.Bool("refuse", false, "let the system refuse the tiles when asked for them")
	count := flag.Bool("count", false, "say at the end how many instructions were executed")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: emulate [--refuse] [--count] PROGRAM [ARGUMENT...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	result, err := run(flag.Args(), *refuse)
	if err != nil {
		fmt.Fprintln(os.Stderr, "emulate:", err)
		os.Exit(1)
	}
	if *count {
		for operation, n := range result.Executed {
			fmt.Fprintf(os.Stderr, "%12d %v\n", n, amx.Operation(operation))
		}
	}
	os.Exit(result.ExitCode)
}

func run(args []string, refuse bool) (amx.Result, error) {
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return amx.Result{}, err
	}
	return amx.Run(amx.Program{Path: path, Args: args, Files: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, Refuse: refuse})
}
