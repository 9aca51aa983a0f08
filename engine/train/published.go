package train

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/data/lookup"
)

// Published is a whole recipe: a preset, and every setting in which training differs from
// the preset's own, as a paper has them.
type Published struct {
	Name, About string
	Settings    []string // each KEY=VALUE as -s takes it, the preset first
	Paper       string   // where they are from, and in what the network here differs from its
	Result      string   // what the paper reports
	Here        string   // what was reproduced with this program
}

const notRun = "not run to the end here"

// published are the recipes; another one is an entry. An exponential average of weights that
// keeps 0.9999 a step has a half-life of 6,931 steps.
var published = []Published{
	{
		Name: "ddpm-cifar10", About: "DDPM: the noise of 1000 steps, by its squared error",
		Settings: []string{
			"preset=cifar", "labels=none", "flip=true", "schedule=ddpm-linear", "output_kind=eps", "weighting=plain", "time_sampler=uniform", "optimizer=adam",
			"lr=2e-4", "lr_schedule=constant", "warmup=640000", "beta2=0.999", "clip=1", "batch=128", "images=102400000", "dropout=0.1", "ema=887000", "ema_warmup=1",
			"label_drop=0", "checkpoint_every=1000000", "sample_every=1000000",
		},
		Paper:  "Ho, Jain and Abbeel 2020, appendix B; the same network",
		Result: "FID 3.17 with 1000 steps (ddpm)", Here: notRun,
	},
	{
		Name: "iddpm-cifar10", About: "Improved DDPM's cosine schedule with the simple loss",
		Settings: []string{
			"preset=cifar", "labels=none", "flip=true", "schedule=ddpm-squaredcos", "output_kind=eps", "weighting=plain", "time_sampler=uniform", "optimizer=adam",
			"lr=1e-4", "lr_schedule=constant", "warmup=0", "beta2=0.999", "clip=0", "batch=128", "images=64000000", "dropout=0.3", "ema=887000", "ema_warmup=1",
			"label_drop=0", "checkpoint_every=1000000", "sample_every=1000000",
		},
		Paper:  "Nichol and Dhariwal 2021; the network is DDPM's and not theirs, 1000 steps are not 4000, and no variance is learnt",
		Result: "FID 2.90 with 4000 steps", Here: notRun,
	},
	{
		Name: "edm-cifar10", About: "EDM: DDPM++, preconditioned, with augmentation that samples do not show",
		Settings: []string{
			"preset=ddpmpp", "labels=none", "flip=false", "augment=edm:p=0.12", "schedule=ve", "output_kind=edm", "weighting=plain", "time_sampler=edm", "optimizer=adam",
			"lr=1e-3", "lr_schedule=constant", "warmup=10000000", "beta2=0.999", "clip=0", "batch=512", "images=200000000", "dropout=0.13", "ema=500000", "ema_warmup=0.05",
			"label_drop=0", "checkpoint_every=1000000", "sample_every=1000000",
		},
		Paper:  "Karras, Aittala, Aila and Laine 2022, appendix F, configuration F, VP; the same network",
		Result: "FID 1.97 with 18 steps (heun)", Here: notRun,
	},
	{
		Name: "flow-cifar10", About: "OT-CFM: the straight path, noise and images paired by batch optimal transport",
		Settings: []string{
			"preset=cifar", "labels=none", "flip=true", "coupling=ot", "schedule=fm", "output_kind=u", "weighting=plain", "time_sampler=uniform", "optimizer=adam",
			"lr=2e-4", "lr_schedule=constant", "warmup=640000", "beta2=0.999", "clip=1", "batch=128", "images=51200000", "dropout=0.1", "ema=887000", "ema_warmup=1",
			"label_drop=0", "checkpoint_every=1000000", "sample_every=1000000",
		},
		Paper:  "Tong et al. 2024 and their code, torchcfm; the network is DDPM's and not ADM's",
		Result: "FID 3.5 with an adaptive solver (rk45)", Here: notRun,
	},
	{
		Name: "small-data", About: "some hundreds or thousands of photographs: EDM's augmentation and dropout on preset small",
		Settings: []string{
			"preset=small", "flip=false", "augment=edm:p=0.15", "dropout=0.2", "images=2000000", "ema=50000", "checkpoint_every=50000", "sample_every=100000",
		},
		Paper:  "none: shares of augmentation and dropout are in the range of Karras et al. 2022, appendix F, for FFHQ and AFHQv2",
		Result: "none", Here: notRun,
	},
}

// PublishedRecipes returns all.
func PublishedRecipes() []Published { return slices.Clone(published) }

// FindPublished returns a recipe by name.
func FindPublished(name string) (Published, error) {
	names := make([]string, len(published))
	for i, p := range published {
		names[i] = p.Name
	}
	i, err := lookup.Find("recipe", name, names)
	if err != nil {
		return Published{}, &SettingError{"recipe", err.Error()}
	}
	return published[i], nil
}

// Has says whether the recipe says a setting.
func (p Published) Has(key string) bool {
	return slices.ContainsFunc(p.Settings, func(s string) bool { return strings.HasPrefix(s, key+"=") })
}

// Apply sets what the recipe says, in the order of the settings: numbers of images may be of steps.
func (p Published) Apply(s Settings) (Settings, error) {
	list := s.List()
	for _, text := range p.Settings {
		key, value, _ := strings.Cut(text, "=")
		x := list.Get(key)
		v, err := x.ReadFlag(value)
		if err != nil {
			return s, fmt.Errorf("recipe %s: %s: %w", p.Name, key, err)
		}
		x.Value.Put(v)
	}
	return s, nil
}

// Over is Apply that keeps the preset: of another one, too, training is as in the paper.
func (p Published) Over(s Settings) (Settings, error) {
	preset := s.Preset
	s, err := p.Apply(s)
	s.Preset = preset
	return s, err
}

// Text is the recipe on one line, and what a run does otherwise.
func (p Published) Text(s Settings) string {
	said, err := p.Apply(s)
	if err != nil {
		return p.Name
	}
	text := p.Name + ": " + strings.Join(p.Settings, ", ")
	var apart []string
	for _, c := range said.Changes(s) {
		apart = append(apart, fmt.Sprintf("%s %v", c.Key, c.New))
	}
	if apart != nil {
		text += "; overridden by " + strings.Join(apart, ", ")
	}
	return text
}
