package main

import (
	"fmt"
	"io"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/engine/train"

	"github.com/spf13/cobra"
)

func newRecipes() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "recipes",
		Short: "Whole recipes of papers for train --recipe",
		Long: `List the recipes that train --recipe takes: a preset, and every setting in which
training differs from the preset's own, as a paper has them; where each is from, what the
paper reports, and what was reproduced here.`,
		Example: "  fluxion recipes\n  fluxion train --recipe edm-cifar10 --data cifar10-32x32.zip --dry-run",
		RunE: func(c *cobra.Command, _ []string) error {
			return showRecipes(console.NewFace(c.OutOrStdout(), asJSON))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func showRecipes(face console.Face) error {
	list := []map[string]any{}
	for _, r := range train.PublishedRecipes() {
		settings, from := map[string]string{}, map[string]string{}
		for _, g := range r.Groups {
			for _, s := range strings.Fields(g.Settings) {
				key, value, _ := strings.Cut(s, "=")
				settings[key], from[key] = value, g.From
			}
		}
		list = append(list, map[string]any{"name": r.Name, "about": r.About, "settings": settings, "from": from, "paper": r.Paper, "result": r.Result, "here": r.Here})
	}
	return face.Result(map[string]any{"recipes": list}, func(out io.Writer) error {
		for i, r := range train.PublishedRecipes() {
			rows := [][2]string{{r.Name, r.About}, {"paper", r.Paper}, {"reports", r.Result}, {"here", r.Here}}
			for _, g := range r.Groups {
				rows = append(rows, [2]string{"settings", g.Settings}, [2]string{"", "from " + g.From})
			}
			if i > 0 {
				fmt.Fprintln(out)
			}
			for _, row := range rows {
				if _, err := fmt.Fprintf(out, "%-14s %s\n", row[0], row[1]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// paper is the recipe that was asked for, and what is given over its preset; without one both
// are as if there were none.
func (o *trainOptions) paper() (train.Settings, train.Published, error) {
	p, err := train.FindPublished(o.given.Recipe)
	if err != nil {
		return o.given, p, err
	}
	s, err := p.Apply(o.given)
	o.sources.Over(s.List()) // perhaps another preset
	return s, p, err
}

// recipesText is a line for each recipe, for train's help.
func recipesText() string {
	var b strings.Builder
	for _, r := range train.PublishedRecipes() {
		fmt.Fprintf(&b, "\n  %-14s %s;\n                 reported: %s; %s", r.Name, r.About, r.Result, r.Here)
	}
	return b.String()
}
