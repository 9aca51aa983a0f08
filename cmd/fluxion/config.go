package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/lookup"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
	"fluxion/engine/train"

	"github.com/spf13/cobra"
)

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Settings: what they would be and where from; their schema for editors",
		Long:    "Show what the settings of a run would be, and where each is from, or what files of settings may hold.",
		Example: "  fluxion config show --preset cifar\n  fluxion config schema >train.schema.json",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.Usagef("no command config %q; there are config show and schema", args[0])
			}
			return fault.Usagef("config what? want config show or schema")
		},
	}
	c.AddCommand(newConfigShow(), newConfigSchema())
	return c
}

// showName is that of the command whose settings are train's.
const showName = "show"

func newConfigShow() *cobra.Command {
	o := &trainOptions{}
	changed := false
	c := &cobra.Command{
		Use:   showName + " [RUN]",
		Short: "The settings that train would have, and where each is from",
		Long: `Print the settings that train would have with the same flags, variables and files, as
YAML that --config reads; behind each stands where it is from, if it is no default. Of a
run, these are the settings with which it would go on. Nothing is read but the run folder
and, where it is one, the preset: train --dry-run opens the data, too.`,
		Example: `  fluxion config show --preset cifar
  fluxion config show --recipe edm-cifar10 --changed
  fluxion config show runs/glyphs-tiny --changed
  fluxion config show --preset small --batch 64 >small.yaml && fluxion train --config small.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fault.Usagef("config show takes one run, and there are %d arguments", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if !rundir.Is(args[0]) {
					return &rundir.Error{Path: args[0], Problem: "is no run folder; want one that train made, or flags, as in --preset small"}
				}
				o.out = args[0]
			}
			return o.show(c.OutOrStdout(), changed)
		},
	}
	c.Flags().SortFlags = false
	o.given = train.Default()
	o.sources = settings.Bind(c, append(o.given.List(), model.IgnoreSetting(&o.ignore)))
	o.sources.Default("the preset's", train.RecipeKeys()...)
	c.Flags().BoolVar(&changed, "changed", false, "only what is not as in a run without arguments")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object, which --config reads, too")
	return c
}

// show prints the settings of a run that would begin or go on.
func (o *trainOptions) show(out io.Writer, changed bool) error {
	fresh := o.resolve()
	next, err := fresh, error(nil)
	if o.out != "" {
		next, err = o.goOn(fresh)
	} else if err = o.lacks; err == nil {
		err = next.Validate()
	}
	if err == nil {
		next, err = next.Canonical()
	}
	if err != nil {
		return err
	}
	text, err := settingsYAML(next)
	if o.json {
		text, err = json.Marshal(next)
		text = append(text, '\n')
	}
	if err == nil && changed {
		text, err = keepChanged(text, o.json, next)
	}
	if err == nil && !o.json {
		text = o.commented(text, next)
	}
	if err == nil {
		_, err = out.Write(text)
	}
	return fault.Output(err)
}

// keepChanged leaves out what is as in a run without arguments.
func keepChanged(text []byte, asJSON bool, s train.Settings) ([]byte, error) {
	var keys []string
	for _, c := range train.Default().Changes(s) {
		keys = append(keys, c.Key)
	}
	if !asJSON {
		return keptLines(text, keys), nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for key := range all {
		if !slices.Contains(keys, key) {
			delete(all, key)
		}
	}
	kept, err := json.Marshal(all)
	return append(kept, '\n'), err
}

func keptLines(text []byte, keys []string) (kept []byte) {
	for line := range bytes.Lines(text) {
		if key, _, _ := strings.Cut(string(line), ":"); slices.Contains(keys, key) {
			kept = append(kept, line...)
		}
	}
	if kept == nil {
		return []byte("{}\n")
	}
	return kept
}

// commented adds to each line where its setting is from.
func (o *trainOptions) commented(text []byte, s train.Settings) []byte {
	recipe, err := train.RecipeOf(s.Preset, s.Data, o.ignore...)
	if err != nil {
		recipe = train.Recipe{} // of a run whose preset is gone, and which has all of it
	}
	paper, _ := train.FindPublished(s.Recipe) // which resolve has found, or a run has kept
	ofRecipe := train.RecipeKeys()
	for _, c := range recipe.Apply(s).Changes(s) {
		ofRecipe = slices.DeleteFunc(ofRecipe, func(key string) bool { return key == c.Key })
	}
	changed := map[string]bool{}
	for _, c := range train.Default().Changes(s) {
		changed[c.Key] = true
	}
	var b strings.Builder
	for line := range bytes.Lines(text) {
		setting := strings.TrimRight(string(line), "\n")
		key, _, _ := strings.Cut(setting, ":")
		source := ""
		switch {
		case o.sources.Has(key):
			source = o.sources.Source(key)
		case o.out != "" && !slices.Contains([]string{"device", "threads", "blockings"}, key):
			source = filepath.Join(o.out, rundir.ConfigFile)
		case paper.Has(key):
			source = "recipe " + paper.Name
		case slices.Contains(ofRecipe, key):
			source = "preset " + s.Preset
		case changed[key]:
			source = "follows from others"
		}
		if source == "" {
			fmt.Fprintln(&b, setting)
		} else {
			fmt.Fprintf(&b, "%-40s # %s\n", setting, console.Visible(source))
		}
	}
	return []byte(b.String())
}

// schemaDraft names the JSON Schema that is written.
const schemaDraft = "https://json-schema.org/draft/2020-12/schema"

func newConfigSchema() *cobra.Command {
	c := &cobra.Command{
		Use:   "schema [COMMAND]",
		Short: "JSON Schema of files of settings, for editors",
		Long: `Print what files for --config may hold, of train or another command, as JSON Schema
(draft 2020-12): an editor that is told of it completes keys, shows what they mean, and
marks what would be refused. In a YAML file, the first line
# yaml-language-server: $schema=train.schema.json does that.`,
		Example: "  fluxion config schema >train.schema.json\n  fluxion config schema sample\n  fluxion config schema bench train",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"train"}
			}
			return printSchema(c.OutOrStdout(), c.Root(), strings.Join(args, " "))
		},
	}
	c.Flags().Bool("json", false, "print one JSON object, as without this flag")
	return c
}

// configured are the commands that have settings, but for the one that shows those of train.
func configured(root *cobra.Command) (names []string) {
	for _, c := range root.Commands() {
		if len(settings.Of(c)) > 0 && c.Name() != showName {
			_, name, _ := strings.Cut(c.CommandPath(), " ")
			names = append(names, name)
		}
		names = append(names, configured(c)...)
	}
	return names
}

func printSchema(out io.Writer, root *cobra.Command, name string) error {
	if _, err := lookup.Find("command with settings", name, configured(root)); err != nil {
		return fault.Usage(err)
	}
	c, _, err := root.Find(strings.Fields(name))
	if err != nil {
		return err
	}
	schema := settings.Of(c).Schema()
	schema["$schema"], schema["title"] = schemaDraft, fmt.Sprintf("Settings of fluxion %s", name)
	text, err := json.MarshalIndent(schema, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(out, "%s\n", text)
	}
	return fault.Output(err)
}
