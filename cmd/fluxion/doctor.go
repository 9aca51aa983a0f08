package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"

	"fluxion/kernels/cpu"

	"github.com/spf13/cobra"
)

func newDoctor() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "doctor",
		Short:   "What this machine offers",
		Long:    "Print the processor's features, the instruction sets that can be used and the\none that would be, the threads this process may keep busy, and the memory.",
		Example: "  fluxion doctor\n  FLUXION_CPU=avx2 fluxion doctor --json",
		RunE:    func(c *cobra.Command, _ []string) error { return doctor(c.OutOrStdout(), asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func doctor(out io.Writer, asJSON bool) error {
	k, err := cpu.Select("")
	if err != nil {
		return usageError{err}
	}
	if asJSON {
		line, err := json.Marshal(map[string]any{
			"go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "features": cpu.Features(),
			"instruction_sets": cpu.Names(), "selected": k.Name, "processors": runtime.NumCPU(), "threads": cpu.Threads(),
			"version": version(), "memory_bytes": meminfo("MemTotal:"), "memory_available_bytes": meminfo("MemAvailable:"),
		})
		if err == nil {
			_, err = fmt.Fprintf(out, "%s\n", line)
		}
		return err
	}
	_, err = fmt.Fprintf(out, `program     %s, %s, %s/%s
cpu         %d processors, %d threads to use; %s
kernels     %s, of %s (%s forces one)
memory      %s
cuda        not in this build
`, version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpu.Threads(), strings.Join(cpu.Features(), " "),
		k.Name, strings.Join(cpu.Names(), ", "), cpu.Variable, memoryText())
	return err
}

func memoryText() string {
	if total := meminfo("MemTotal:"); total > 0 {
		return fmt.Sprintf("%s, %s available", size(total), size(meminfo("MemAvailable:")))
	}
	return "not known on this system"
}
