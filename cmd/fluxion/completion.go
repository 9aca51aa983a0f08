package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/model"
	"fluxion/engine/rundir"

	"github.com/spf13/cobra"
)

// completions tell shells what stands behind flags and commands. cobra holds on to whatever
// it is told of flags, so a process does it once.
func completions(root *cobra.Command) {
	sets := data.NameSetting(new(string)).Offered()
	settings.Complete(root, func(c *cobra.Command, s setting.Setting) cobra.CompletionFunc {
		switch {
		case slices.Contains(modelKeys, s.Key), s.Key == "from" && s.Value.Kind() == "string", s.Key == "out" && c.Name() == "train":
			return completeRuns(s.Offered())
		case slices.Contains(dataKeys, s.Key):
			return completeOr(sets)
		case s.Key == "labels":
			return completeOr([]string{data.AutoLabels, data.FolderLabels, data.NoLabels, data.NumberLabels})
		case s.Key == "fit":
			var fits []string
			for _, f := range []data.Fit{data.Crop, data.RandomCrop, data.Pad, data.Stretch, data.AspectBuckets} {
				if s.Range.Holds(f) {
					fits = append(fits, string(f))
				}
			}
			return cobra.FixedCompletions(fits, cobra.ShellCompDirectiveNoFileComp)
		}
		return nil
	})
	sample, _, err := root.Find([]string{"sample"})
	if err == nil {
		err = sample.RegisterFlagCompletionFunc("part", cobra.FixedCompletions(append([]string{"auto"}, someParts...), cobra.ShellCompDirectiveNoFileComp))
	}
	if err != nil {
		panic(err) // it has this flag
	}
	for path, complete := range map[string]cobra.CompletionFunc{
		"sample": completeRuns(nil), "pairs": completeRuns(nil), "convert": completeRuns(nil), "inspect": completeRuns(nil), "runs": completeRuns(nil), "config show": completeRuns(nil),
		"eval": completeRuns(sets), "sweep": completeRuns(sets),
		"data info": completeOr(sets), "data check": completeOr(sets), "data duplicates": completeOr(sets), "data pack": completeOr(sets),
		"latents": completeOr(sets), "config schema": completeSchemas,
	} {
		c, _, err := root.Find(strings.Fields(path))
		if err != nil {
			panic(err) // they are all there
		}
		c.ValidArgsFunction = complete
	}
}

// modelKeys are settings that name a model, which may be a run; dataKeys those that name data.
var (
	modelKeys = []string{"model", "init", "teacher", "teacher_guide", "guide", "preset"}
	dataKeys  = []string{"data", "input", "eval_real"}
)

// someParts are what shells offer for a part of a work: the first of a few.
var someParts = []string{"1/2", "1/4", "1/8", "1/16"}

// completeOr offers names, and files where none of them is meant.
func completeOr(names []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return settings.Begun(names, begun), cobra.ShellCompDirectiveDefault
	}
}

// completeRuns offers names, and run folders: those in runs, and those that a path leads to.
// Where there are none, the shell offers files.
func completeRuns(names []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		list := settings.Begun(names, begun)
		for _, pattern := range []string{filepath.Join("runs", "*"), begun + "*"} {
			dirs, _ := filepath.Glob(pattern) // of a pattern that is broken there are none
			for _, dir := range dirs {
				if !strings.HasPrefix(dir, begun) || slices.Contains(list, dir) || !rundir.Is(dir) {
					continue
				}
				list = append(list, dir)
				if _, err := os.Stat(filepath.Join(dir, model.BestFile)); err == nil {
					list = append(list, dir+"@best")
				}
			}
		}
		return list, cobra.ShellCompDirectiveDefault
	}
}

// completeSchemas offers the commands that have settings.
func completeSchemas(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var list []string
	for _, name := range configured(c.Root()) {
		words := strings.Fields(name)
		if len(words) > len(args) && slices.Equal(words[:len(args)], args) && !slices.Contains(list, words[len(args)]) {
			list = append(list, words[len(args)])
		}
	}
	return settings.Begun(list, begun), cobra.ShellCompDirectiveNoFileComp
}
