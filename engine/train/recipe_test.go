package train

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/rundir"
	"fluxion/nets"
	"fluxion/nets/catalog"
	"fluxion/nets/unet"
)

// The default run is tiny's recipe, and must not move.
func TestDefaultRun(t *testing.T) {
	want := Settings{
		Data: "glyphs", Fit: "crop", Labels: "auto", Preset: "tiny",
		Source: "gaussian", Bridge: "none", Condition: "concat", Posterior: "sample", WeightDecayOf: "all",
		Schedule: "fm", Shift: 1, TimeScale: 1000, Output: "u", Weighting: "plain", TimeSampler: "logit-normal+low-discrepancy", Objective: "denoising",
		Images: 17_000, Batch: 8, Accumulate: 1, Accumulation: "tree", Optimizer: "adamw", LRSchedule: "linear",
		LR: 1.5e-3, Warmup: 500, Decay: 0.3, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Clip: 1,
		EMA: exponential(2_000), EMAWarmup: 0.1, LabelDrop: 0.1, Seed: 1, TeacherGuidance: 1, Coupling: "independent", Loss: "squared",
		Precision: "auto", Device: "auto", Recompute: "none", Blockings: "auto",
		CheckpointEvery: 5_000, Keep: 3, EMASnapshotType: "fp16", SampleEvery: 8_500, SampleSteps: 16, SampleGuidance: 1, SampleCount: 40,
		EvalMetrics: "fd", EvalCount: 1000, EvalConvention: "legacy-tf", EvalRealCount: 10_000,
	}
	if got := Default(); got != want {
		t.Errorf("%v", want.Changes(got))
	}
}

// Every preset has a recipe that is a valid run, whole at its own figures: a
// recipe without one of its numbers would train otherwise than its row seems to
// say.
func TestRecipes(t *testing.T) {
	for _, name := range catalog.PresetNames() {
		r, err := RecipeOf(name, "pictures")
		if err != nil || r.Of != name || r.Why != "" {
			t.Fatal(name, r, err)
		}
		s := r.Apply(Settings{})
		whole := Default()
		whole.Preset = name
		if err := r.Apply(whole).Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.LR <= 0 || s.Beta2 == 0 || s.Clip == 0 || s.EMA[0].HalfLife == 0 || s.CheckpointEvery == 0 || s.SampleEvery == 0 || s.Warmup >= s.Images {
			t.Errorf("%s: the recipe lacks a number: %v", name, r)
		}
		for _, data := range []string{"glyphs", "glyphs:letters", "mnist:/somewhere"} {
			if r, err := RecipeOf(name, data); err != nil || r.Flip || r.Apply(Settings{Data: data}).Flip {
				t.Errorf("%s: flips %s; %v", name, data, err)
			}
		}
		if ddpm := name == "cifar" || name == "iddpm" || name == "ddpm64" || name == "ddpmpp"; s.Flip != ddpm {
			t.Errorf("%s: flips of pictures are %v", name, s.Flip)
		}
	}
	if keys := RecipeKeys(); len(keys) != 12 || !slices.Contains(keys, "lr") || slices.Contains(keys, "seed") {
		t.Errorf("keys of a recipe: %v", keys)
	}
}

// A folder's network is trained like the smallest preset that has its weights.
func TestRecipeOfFolder(t *testing.T) {
	for of, change := range map[string]func(*unet.Config){
		"micro": func(c *unet.Config) { c.BlockOutChannels = []int{4, 8} },
		"tiny":  func(c *unet.Config) { c.BlockOutChannels = []int{8, 24} },
		"small": func(c *unet.Config) { *c = withClasses("small") },
		// 1,600 channels at the coarsest level are beyond every preset.
		"ddpm64": func(c *unet.Config) { c.BlockOutChannels = []int{8, 1600} },
	} {
		c, err := unet.Preset("micro")
		if err != nil {
			t.Fatal(err)
		}
		change(&c)
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), c.JSON(), 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := RecipeOf(dir, "pictures")
		if err != nil || r.Of != of || r.Flip || !strings.Contains(r.Why, dir) {
			t.Errorf("a network of %d weights: %+v, %v; want the recipe of %s", nets.Count(nets.Params(c)), r, err, of)
		}
	}
	if _, err := RecipeOf("tyny", "pictures"); err == nil || !strings.Contains(err.Error(), "tiny") {
		t.Errorf("no such preset: %v", err)
	}
}

// withClasses is a preset's network as a run with classes has it, which
// conditions on its own estimate, of grey images.
func withClasses(preset string) unet.Config {
	c, err := unet.Preset(preset)
	if err != nil {
		panic(err)
	}
	return c.WithChannels(1).WithClasses(1000).WithSelfConditioning(true)
}

// A run is stored as soon as it has a checkpoint; where it runs is not part of it.
func TestStored(t *testing.T) {
	dir := t.TempDir()
	next := small()
	next.Device, next.Threads, next.Images = "cpu", 3, 1234
	if s, found, err := Stored(dir, next); s != next || found || err != nil {
		t.Errorf("nothing is there: %v, %v", found, err)
	}
	o, _ := options(t, small(), dir)
	o.Settings.Images, o.Settings.SampleCount, o.Settings.Device = 8, 0, "auto"
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	want := o.Settings
	s, found, err := Stored(dir, next)
	want.Precision, want.Device, want.Threads = s.Precision, "cpu", 3
	if s != want || !found || err != nil {
		t.Errorf("%v, %v, %v", want.Changes(s), found, err)
	}
	if err := os.WriteFile(filepath.Join(dir, rundir.ConfigFile), []byte(`{"lr": 1, "no_key": 2}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Stored(dir, next); err == nil || !strings.Contains(err.Error(), "no_key") {
		t.Errorf("a key of another program: %v", err)
	}
}

// TestDeclaredInOrder: every field is declared, at its place and with its variable.
func TestDeclaredInOrder(t *testing.T) {
	s := Default()
	list := s.List()
	fields := reflect.ValueOf(&s).Elem()
	if fields.NumField() != len(list) {
		t.Fatalf("%d declarations of %d fields", len(list), fields.NumField())
	}
	for i, x := range list {
		if key := fields.Type().Field(i).Tag.Get("json"); key != x.Key {
			t.Errorf("field %d is %s, declared is %s", i, key, x.Key)
		}
		before := x.Value.Get()
		if fields.Field(i).SetZero(); x.Value.Get() != reflect.Zero(fields.Field(i).Type()).Interface() {
			t.Errorf("%s is another variable's: %v of %v", x.Key, x.Value.Get(), before)
		}
		if x.Before != "" && x.Assign(x.Before) != nil {
			t.Errorf("%s cannot have been %q before", x.Key, x.Before)
		}
	}
}
