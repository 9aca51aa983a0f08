package settings

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data/setting"

	"github.com/spf13/cobra"
)

// kept is what a command of the tests ran with.
type kept struct {
	steps   int
	shift   float64
	eta     *float64
	seed    uint64
	names   []string
	flip    bool
	grid    string
	out     string
	warmup  int64
	batch   int
	sources *Sources
}

// run calls a command with one setting of each kind.
func run(t *testing.T, args ...string) (k kept, err error) {
	t.Helper()
	k = kept{steps: 30, grid: "uniform", batch: 8}
	c := &cobra.Command{Use: "try", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return nil }}
	c.SetFlagErrorFunc(FlagError)
	c.SetOut(&bytes.Buffer{})
	k.sources = Bind(c, setting.List{
		{Key: "steps", Value: setting.Of(&k.steps), Range: setting.Within(1, 10000, ""), Help: "how many"},
		{Key: "shift", Value: setting.Of(&k.shift), Range: setting.NotNegative("")},
		{Key: "eta", Value: setting.Optional(&k.eta)},
		{Key: "seed", Value: setting.Of(&k.seed)},
		{Key: "ignore_key", Value: setting.Names(&k.names)},
		{Key: "flip", Value: setting.Of(&k.flip)},
		{Key: "grid", Value: setting.Of(&k.grid), Range: setting.OneOf("grid", []string{"uniform", "karras"})},
		{Key: "out", Value: setting.Of(&k.out), Own: true},
		{Key: "warmup", Value: setting.Images(&k.warmup, &k.batch), Range: setting.Within(0, 1<<53, "")},
		{Key: "batch", Value: setting.Of(&k.batch)},
	})
	c.Flags().Bool("fresh", false, "")
	c.SetArgs(args)
	err = c.Execute()
	return k, err
}

// TestOrder: a flag over -s over the environment over a file over the default, and the
// source that is told is the one that won.
func TestOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(file, []byte("steps: 3\nseed: 18446744073709551615\nignore_key: [a, b]\neta: 0\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	config := []string{"--config", file}
	for _, c := range []struct {
		variable string
		args     []string
		want     int
		source   string
	}{
		{"", nil, 30, ""},
		{"", config, 3, file + ": steps"},
		{"4", config, 4, "FLUXION_STEPS"},
		{"4", append(config, "-s", "steps=5"), 5, "-s steps"},
		{"4", append(config, "-s", "steps=5", "--steps", "6"), 6, "--steps"},
		{"4", append(config, "--steps=0x10"), 16, "--steps"},
		{"2e3", nil, 2000, "FLUXION_STEPS"},
	} {
		t.Setenv("FLUXION_STEPS", c.variable)
		k, err := run(t, c.args...)
		if err != nil || k.steps != c.want || k.sources.Has("steps") != (c.source != "") || k.sources.Source("steps") != c.source {
			t.Errorf("%q %v: %d by %q, %v; want %d by %q", c.variable, c.args, k.steps, k.sources.Source("steps"), err, c.want, c.source)
		}
	}
	t.Setenv("FLUXION_STEPS", "")
	k, err := run(t, append(config, "--ignore-key", "c", "--ignore-key", "d,e")...)
	if err != nil || !slices.Equal(k.names, []string{"c", "d", "e"}) || k.seed != 1<<64-1 || k.eta == nil || *k.eta != 0 {
		t.Errorf("%+v, %v", k, err)
	}
	if text, ok := k.sources.Changed("eta"); text != "0" || !ok {
		t.Errorf("eta was nil and is %q, %v", text, ok)
	}
	if given := k.sources.Given("steps", "shift", "eta"); !slices.Equal(given, []string{"--steps 3", "--eta 0"}) {
		t.Errorf("given is %q", given)
	}
	if text, ok := k.sources.Changed("grid"); text != "uniform" || ok {
		t.Errorf("grid is %q, %v", text, ok)
	}
	other := kept{}
	k.sources.Over(setting.List{{Key: "seed", Value: setting.Of(&other.seed)}, {Key: "steps", Value: setting.Of(&other.steps)}, {Key: "none", Value: setting.Of(&other.grid)}})
	if other.seed != 1<<64-1 || other.steps != 3 {
		t.Errorf("over others: %+v", other)
	}
}

// TestSteps: numbers of steps are those of the batch that the user says, wherever, or of
// that of others.
func TestSteps(t *testing.T) {
	for _, args := range [][]string{{"--warmup", "10steps", "--batch", "4"}, {"-s", "warmup=10steps", "-s", "batch=4"}} {
		k, err := run(t, args...)
		if err != nil || k.warmup != 40 {
			t.Errorf("%v: %d, %v", args, k.warmup, err)
		}
	}
	k, err := run(t, "--warmup", "10steps")
	other := kept{batch: 3}
	k.sources.Over(setting.List{{Key: "warmup", Value: setting.Images(&other.warmup, &other.batch)}})
	if err != nil || k.warmup != 80 || other.warmup != 30 {
		t.Errorf("%d, over others %d, %v", k.warmup, other.warmup, err)
	}
}

// TestRefused: what a source says is checked, though another one wins, and refused in
// the same words with the source it is from; a variable only if it wins.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, "s.yaml")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for want, c := range map[string]struct {
		environment string
		file        string
		args        []string
	}{
		`--steps: "x", want a whole number`:                                        {args: []string{"--steps", "x"}},
		`--steps: 0 is out of range, want 1 to 10000`:                              {args: []string{"--steps", "0"}},
		`-s: steps: 0 is out of range, want 1 to 10000`:                            {args: []string{"-s", "steps=0"}},
		`-s: steps: "bad", want a whole number`:                                    {args: []string{"-s", "steps=bad", "--steps", "2"}},
		`FLUXION_STEPS: steps: "many", want a whole number`:                        {environment: "FLUXION_STEPS=many", file: "steps: 2\n"},
		`s.yaml: shift: -1 is out of range, want 0 or more`:                        {file: "shift: -1\n", args: []string{"--shift", "2"}},
		`s.yaml: shift: "NaN", want a finite number`:                               {file: "shift: .nan\n"},
		`s.yaml: steps: [1 2] is not one value`:                                    {file: "steps: [1, 2]\n"},
		`s.yaml: steps: has no value`:                                              {file: "steps:\n"},
		`s.yaml: unknown setting "stpes": did you mean "steps"?`:                   {file: "stpes: 2\n"},
		`-s: unknown setting "lr": there are steps`:                                {args: []string{"-s", "lr=1"}},
		`-s: fresh is of one call alone, and no setting; want the flag --fresh`:    {args: []string{"-s", "fresh=true"}},
		`-s steps: want key=value`:                                                 {args: []string{"-s", "steps"}},
		`--grid: unknown grid "karas": did you mean "karras"? there are`:           {args: []string{"--grid", "karas"}},
		`--flip: "maybe", want true or false`:                                      {args: []string{"--flip=maybe"}},
		`--seed: "-1", want a whole number from 0 to 2^64-1`:                       {args: []string{"--seed", "-1"}},
		`--steps: "99999999999999999999" is out of range, want a whole number`:     {args: []string{"--steps", "99999999999999999999"}},
		`unknown flag "--stpes": did you mean --steps? See try --help`:             {args: []string{"--stpes", "1"}},
		`unknown flag "--num-steps": here it is --steps, how many; 1 to 10000; se`: {args: []string{"--num-steps", "1"}},
	} {
		t.Run(want, func(t *testing.T) {
			if name, value, ok := strings.Cut(c.environment, "="); ok {
				t.Setenv(name, value)
			}
			if c.file != "" {
				c.args = append(c.args, "--config", file(c.file))
			}
			if _, err := run(t, c.args...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestOtherVariables: what no variable sets, what is another command's, and what -s says
// otherwise is let be.
func TestOtherVariables(t *testing.T) {
	t.Setenv("FLUXION_OUT", "elsewhere")
	t.Setenv("FLUXION_LR", "x")
	t.Setenv("FLUXION_STEPS", "many")
	if k, err := run(t, "-s", "steps=2"); err != nil || k.out != "" || k.steps != 2 {
		t.Errorf("%v, out %q", err, k.out)
	}
}

// TestMistyped: a variable that is nearly a setting is told of; another one, and one of
// another command, is not.
func TestMistyped(t *testing.T) {
	list := setting.List{{Key: "lr"}, {Key: "batch"}, {Key: "out", Own: true}}
	notes := mistyped([]string{"FLUXION_LRR=1", "FLUXION_BATCH=2", "FLUXION_CPU=avx2", "FLUXION_SERVICE_HOST=10.0.0.1", "PATH=/bin", "FLUXION_STEPS=2", "FLUXION_STPES=2"},
		list, []string{"lr", "batch", "steps"})
	if len(notes) != 1 || !strings.Contains(notes[0], "FLUXION_LRR") || !strings.Contains(notes[0], "FLUXION_LR?") {
		t.Errorf("notes %q, want one of FLUXION_LRR", notes)
	}
}
