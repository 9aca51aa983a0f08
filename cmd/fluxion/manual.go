package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/manual"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/durable"

	"github.com/spf13/cobra"
)

// newManual is for who packs the program, and hidden from others.
func newManual() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "manual DIR",
		Hidden:  true,
		Short:   "Write pages for man, a reference and completions for shells",
		Long:    "Write what the help says into a folder, for packages: man1/, REFERENCE.md, and completions/ for bash, zsh and fish.",
		Example: "  fluxion manual share",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.Usagef("manual takes one folder, and there are %d arguments", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := outdir.Check("DIR", args[0]); err != nil {
				return err
			}
			files, err := manualFiles(c.Root())
			if err != nil {
				return err
			}
			for name, text := range files {
				path, disk := filepath.Join(args[0], filepath.FromSlash(name)), durable.Disk{}
				if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
					return fault.Output(err)
				}
				if err := disk.WriteFile(path, text); err != nil {
					return fault.Output(err)
				}
			}
			return console.NewFace(c.OutOrStdout(), asJSON).Result(map[string]any{"files": len(files), "out": args[0]}, func(out io.Writer) error {
				_, err := fmt.Fprintf(out, "%d files in %s\n", len(files), args[0])
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// manualFiles are the texts of the manual, by their names.
func manualFiles(root *cobra.Command) (map[string][]byte, error) {
	files := map[string][]byte{"REFERENCE.md": []byte(reference(root))}
	for _, c := range manual.Commands(root) {
		c.InitDefaultHelpFlag()
		files["man1/"+manual.PageName(c)+".1"] = []byte(manual.Page(c, exitCodes))
	}
	for name, write := range map[string]func(io.Writer) error{
		"fluxion.bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"_fluxion":     root.GenZshCompletion,
		"fluxion.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		var text bytes.Buffer
		if err := write(&text); err != nil {
			return nil, err
		}
		files["completions/"+name] = text.Bytes()
	}
	return files, nil
}

// reference is the document of all commands.
func reference(root *cobra.Command) string {
	for _, c := range manual.Commands(root) {
		c.InitDefaultHelpFlag()
	}
	return "# Commands\n\nWritten by `go test ./cmd/fluxion -run TestReference -update` from the help of the commands; do not edit. `fluxion manual DIR` writes it, pages for man\n" +
		"and completions for bash, zsh and fish. Every command has `--help`, `--quiet` and `--verbose`; those that print a result have `--json`.\n\n```text\n" + exitCodes + "\n```\n" +
		manual.Document(root, exitCodes, "SETTINGS.md", settings.IsSetting)
}
