package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/setting"
	"fluxion/engine/train"

	"github.com/spf13/cobra"
)

var rewrite = flag.Bool("update", false, "write the table of settings anew")

// withSettings are the commands that have some.
func withSettings() (list []*cobra.Command) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if len(settings.Of(c)) > 0 {
			list = append(list, c)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	return list
}

// TestDeclarations: every setting says what it is, once in a command, in words that fit
// into a table; and its default is in its range.
func TestDeclarations(t *testing.T) {
	commands := withSettings()
	if len(commands) < 10 {
		t.Errorf("%d commands with settings", len(commands))
	}
	for _, c := range commands {
		seen := map[string]bool{}
		for _, s := range settings.Of(c) {
			at := c.CommandPath() + ": " + s.Key
			if s.Help == "" || strings.ContainsAny(s.Usage(), "\n") || strings.HasSuffix(s.Usage(), ".") {
				t.Errorf("%s: help %q", at, s.Usage())
			}
			if seen[s.Key] || s.Key != strings.ToLower(s.Key) || strings.Contains(s.Key, "-") {
				t.Errorf("%s: key", at)
			}
			seen[s.Key] = true
			if (s.Breaks.If != nil) && s.Breaks.Text == "" {
				t.Errorf("%s: breaks a run, but does not say when", at)
			}
			unset := strings.HasPrefix(s.Help, "make images") || s.Key == "steps" && c.Name() == "trace"
			if x := s.Value.Get(); x != nil && !unset && s.Check(x) != nil {
				t.Errorf("%s: its default: %v", at, s.Check(x))
			}
			if text := s.Value.String(); text != "" {
				if _, err := s.Read(text); err != nil && !unset {
					t.Errorf("%s: its default as text: %v", at, err)
				}
			}
		}
	}
}

// TestVariables: a variable of the environment means one thing. So settings that it sets
// in several commands are of one kind, and those of train are what train declares.
func TestVariables(t *testing.T) {
	of := map[string]setting.Setting{}
	var trained train.Settings
	for _, s := range trained.List() {
		of[s.Key] = s
	}
	for _, c := range withSettings() {
		for _, s := range settings.Of(c) {
			known, ok := of[s.Key]
			switch {
			case s.Own:
			case !ok:
				of[s.Key] = s
			case known.Value.Kind() != s.Value.Kind() || known.Unit != s.Unit || known.Range.Text != s.Range.Text || known.Since != s.Since:
				t.Errorf("%s: FLUXION_%s is %q here, %q elsewhere", c.CommandPath(), strings.ToUpper(s.Key), s.Usage(), known.Usage())
			}
		}
	}
}

// TestAllSources: each command takes settings from a file, -s and the environment, and
// refuses those that it has not.
func TestAllSources(t *testing.T) {
	names := []string{"samples", "real"}
	for _, c := range withSettings() {
		args := strings.Fields(c.CommandPath())[1:]
		for of := 0; c.Args != nil && of < 2 && c.Args(c, names[:of]) != nil; of++ {
			args = append(args, names[of])
		}
		if _, code, err := fluxion(t, with(args, "-s", "no_such_key=1")...); code != exitUsage || err == nil || !strings.Contains(err.Error(), `-s: unknown setting "no_such_key"`) {
			t.Errorf("%v: %d, %v", args, code, err)
		}
		for _, s := range settings.Of(c) {
			if kind := s.Value.Kind(); kind == "string" || kind == "stringSlice" || s.Own {
				continue
			}
			t.Setenv("FLUXION_"+strings.ToUpper(s.Key), "odd")
			want := "FLUXION_" + strings.ToUpper(s.Key) + `: ` + s.Key + `: "odd", want `
			if _, code, err := fluxion(t, args...); code != exitUsage || err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v: %d, %v, want %s", args, code, err, want)
			}
			t.Setenv("FLUXION_"+strings.ToUpper(s.Key), "")
		}
	}
}

// rank puts the commands that matter most first.
func rank(c *cobra.Command) int {
	const most = "fluxion train, fluxion sample"
	if i := strings.Index(most, c.CommandPath()); i >= 0 {
		return i
	}
	return len(most)
}

// settingsTable is the document of all settings.
func settingsTable() string {
	var b strings.Builder
	b.WriteString(`# Settings

Written by ` + "`go test ./cmd/fluxion -run TestSettingsTable -update`" + ` from the declarations in the packages that own the settings; do not edit.

A setting is a flag (` + "`--lr-schedule`" + ` for ` + "`lr_schedule`" + `), a key of ` + "`-s key=value`" + `, a variable of the environment (` + "`FLUXION_LR_SCHEDULE`" + `) and a key of
` + "`--config FILE`" + ` (YAML, TOML, JSON); the first of these that says it wins. A key that a command does not have is an error in a file and behind ` + "`-s`" + `, and
nothing in the environment, whose variables are for all commands. So a variable means one thing: settings marked – are set by none, because they name a
file or folder, or because ` + "`train`" + ` means something else by their key.

*Breaks* says with which other values a run cannot go on. *Since* is the day of the first version that has the setting, as in CHANGELOG.md;
without one it is as old as the program. A run that began before then goes on as in *before*.
`)
	commands := withSettings()
	slices.SortStableFunc(commands, func(a, b *cobra.Command) int { return cmp.Compare(rank(a), rank(b)) })
	for _, c := range commands {
		if c.Name() == showName { // those of train
			continue
		}
		training := rank(c) == 0
		fmt.Fprintf(&b, "\n## %s\n\n", c.CommandPath())
		if training {
			b.WriteString("| key | | what | range | default | breaks | since | before |\n|---|---|---|---|---|---|---|---|\n")
		} else {
			b.WriteString("| key | | what | range | default |\n|---|---|---|---|---|\n")
		}
		for _, s := range settings.Of(c) {
			own := ""
			if s.Own {
				own = "–"
			}
			text := c.Flags().Lookup(s.FlagName()).DefValue
			if text != "" && text != "the preset's" {
				text = "`" + text + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |", s.Key, own, strings.ReplaceAll(s.Help, "|", "\\|"), s.Bounds(), text)
			if training {
				fmt.Fprintf(&b, " %s | %s | %s |", s.Breaks.Text, s.Since, s.Before)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// TestSettingsTable: the document of all settings is what they are.
func TestSettingsTable(t *testing.T) {
	golden(t, "SETTINGS.md", settingsTable(), "TestSettingsTable")
}

// TestSettingOfResumedRun: a setting of the run's own optimizer can be changed alone when
// it goes on, though a new run would have another optimizer; one of the other is refused.
func TestSettingOfResumedRun(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	args := with(tiny, "--out", run)
	if _, code, err := fluxion(t, with(args, "--images", "8", "--optimizer", "sgd")...); err != nil {
		t.Fatal(code, err)
	}
	out, code, err := fluxion(t, with(args, "--images", "12", "--momentum", "0.5", "-s", "nesterov=true")...)
	if err != nil || !strings.Contains(out, "momentum was 0.9, now 0.5") || !strings.Contains(out, "nesterov was false, now true") {
		t.Errorf("%d, %v: %s", code, err, out)
	}
	for _, more := range [][]string{{"--beta1", "0.5"}, {"--momentum", "0.5", "--fresh"}} {
		if _, code, err := fluxion(t, with(args, append(more, "--images", "16")...)...); code != exitUsage || err == nil || !strings.Contains(err.Error(), "alone, and this is") {
			t.Errorf("%v: %d, %v", more, code, err)
		}
	}
}

// TestDryRunOpensData: a run that could not begin for its data is not called fine.
func TestDryRunOpensData(t *testing.T) {
	for _, args := range [][]string{{"--out", t.TempDir()}, nil} {
		out, code, err := fluxion(t, append([]string{"train", "--dry-run", "--data", filepath.Join(t.TempDir(), "none")}, args...)...)
		if code != exitInput || err == nil || out != "" {
			t.Errorf("%v: %d, %v: %s", args, code, err, out)
		}
	}
	dir := filepath.Join(t.TempDir(), "new")
	if _, code, err := fluxion(t, "train", "--dry-run", "--out", dir); err != nil {
		t.Error(code, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a dry run made the run folder")
	}
}

// TestSampleByFile: what sample is told by a file, -s and the environment makes the
// pictures that flags make.
func TestSampleByFile(t *testing.T) {
	dir := t.TempDir()
	run, pictures, file := filepath.Join(dir, "run"), filepath.Join(dir, "pictures"), filepath.Join(dir, "s.yaml")
	if _, code, err := fluxion(t, with(tiny, "--images", "4", "--out", run)...); err != nil {
		t.Fatal(code, err)
	}
	flags := []string{"sample", "--model", run, "--out", pictures, "--threads", "1"}
	if _, code, err := fluxion(t, with(flags, "--count", "2", "--steps", "3", "--grid", "karras", "--sampler", "churn", "--churn", "0.2", "--clip")...); err != nil {
		t.Fatal(code, err)
	}
	if err := os.WriteFile(file, []byte("count: 2\nsteps: 30\ngrid: karras\nclip: true\nchurn: 0.1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FLUXION_CHURN", "0.2")
	t.Setenv("FLUXION_STEPS", "4")
	t.Setenv("FLUXION_CLIP", "0.5") // of train
	out, code, err := fluxion(t, with(flags, "--config", file, "-s", "sampler=churn", "-s", "steps=3", "--json")...)
	if err != nil || !strings.Contains(out, `"written":0`) {
		t.Errorf("%d, %v: %s", code, err, out)
	}
	out, code, err = fluxion(t, with(flags, "--config", file, "-s", "sampler=churn", "-s", "steps=3", "--json", "--seeds", "0-2")...)
	if err != nil || !strings.Contains(out, `"written":1`) {
		t.Errorf("seeds in the place of a file's count: %d, %v: %s", code, err, out)
	}
	if _, code, err = fluxion(t, with(flags, "--count", "1", "--seeds", "0-2")...); code != exitUsage {
		t.Errorf("count and seeds: %d, %v", code, err)
	}
}
