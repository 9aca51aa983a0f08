package train

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/data/setting"
)

// Published is a whole recipe: a preset, and every setting in which training differs from
// the preset's own, as a paper has them.
type Published struct {
	Name, About string
	Groups      []Cited // the first begins with the preset
	Paper       string  // where they are from, and in what the network here differs from its
	Result      string  // what the paper reports
	Here        string  // what was reproduced with this program
}

// Cited are settings, each KEY=VALUE as -s takes it, and where their values are from.
type Cited struct{ Settings, From string }

const notRun = "not run to the end here"

// noAugment is what a refusal of augmentation advises: a recipe may be what asked for it.
const noAugment = "leave it out, or say --augment= where a recipe has it"

// An exponential average of weights that keeps 0.9999 a step has a half-life of ln ½ / ln 0.9999
// = 6,931.1 steps: 887,184 images in steps of 128.
const (
	halfLife128 = "ema=887184"
	fromDecay   = "; their average keeps 0.9999 a step"
)

// unconditional is a recipe whose paper trains without classes, by Adam as its authors have it.
func unconditional(p Published) Published {
	p.Groups = append(p.Groups,
		Cited{"labels=none label_drop=0 weighting=plain optimizer=adam beta2=0.999 lr_schedule=constant", "the paper, and its code: no classes, the plain squared error, Adam's own moments, no decay of the rate"},
		Cited{"checkpoint_every=1000000 sample_every=1000000", "this program"})
	return p
}

// edm2 is a recipe of EDM2's, of whose models it gives what is of one alone. Their epsilon is
// 1e-8, of losses that are sums over an image and here means.
func edm2(p Published) Published {
	p.Groups = append(p.Groups,
		Cited{"schedule=ve output_kind=edm weighting=plain uncertainty=true", "sections 2.1 and B.1: EDM's preconditioning and weighting, and what errors weigh is learnt"},
		Cited{"batch=2048 optimizer=adam beta1=0.9 beta2=0.99 lr_schedule=inverse-sqrt warmup=10000000 dropout=0", "table 6"},
		Cited{"ema=power ema_snapshot_every=8388608", "section 3: averages of 0.05 and 0.10, and any other made of their snapshots"},
		Cited{"clip=0 flip=false label_drop=0 weight_decay=0", "their code, train_edm2.py, which has none of these; guidance is by another network"},
		Cited{"checkpoint_every=8388608 sample_every=33554432", "this program"})
	p.Paper, p.Here = "Karras et al. 2024 (arXiv 2312.02696), configuration G; the same network"+p.Paper, notRun
	return p
}

// ramp keeps the first grids from showing the random weights that such an average begins with.
var ramp = Cited{"ema_warmup=1", "this program: the average forgets the random weights sooner, and is theirs from 887,184 images on"}

// published are the recipes; another one is an entry.
var published = []Published{
	unconditional(Published{
		Name: "ddpm-cifar10", About: "DDPM: the noise of 1000 steps, by its squared error",
		Groups: []Cited{
			{"preset=cifar schedule=ddpm-linear output_kind=eps time_sampler=uniform", "section 4 and appendix B"},
			{"lr=2e-4 batch=128 dropout=0.1 flip=true images=102400000 " + halfLife128, "appendix B: 800,000 steps" + fromDecay},
			{"warmup=640000 clip=1", "their code, scripts/run_cifar.py: 5,000 steps"}, ramp,
		},
		Paper:  "Ho, Jain and Abbeel 2020; the same network",
		Result: "FID 3.17 with 1000 steps (ddpm)", Here: notRun,
	}),
	unconditional(Published{
		Name: "iddpm-cifar10", About: "Improved DDPM: the noise and the variance of 4000 steps, by L_hybrid",
		Groups: []Cited{
			{"preset=iddpm objective=hybrid schedule=ddpm-squaredcos-4000 output_kind=eps time_sampler=uniform", "section 3: L_simple + 0.001 L_vlb, the cosine schedule"},
			{"lr=1e-4 batch=128 dropout=0.3 images=64000000 " + halfLife128, "their code's README and the paper's appendix A: 500,000 steps" + fromDecay},
			{"flip=false warmup=0 clip=0", "their code, which has none of these"}, ramp,
		},
		Paper:  "Nichol and Dhariwal 2021; the same network, which is told its steps from 0 to 3999 and not as parts of 1000, as diffusers' schedulers tell them",
		Result: "FID 3.19 and 3.17 bits/dim with 4000 steps (ddpm, table 2: L_hybrid, cosine)", Here: notRun,
	}),
	unconditional(Published{
		Name: "edm-cifar10", About: "EDM: DDPM++, preconditioned, with augmentation that samples do not show",
		Groups: []Cited{
			{"preset=ddpmpp schedule=ve output_kind=edm time_sampler=edm", "table 1 and appendix F, configuration F, VP"},
			{"lr=1e-3 batch=512 dropout=0.13 augment=edm:p=0.12 images=200000000 warmup=10000000 ema=500000 clip=0", "appendix F, the table of its settings"},
			{"flip=true ema_warmup=0.05", "their code, train.py and training_loop.py: xflip is half of all images, and the network is told"},
			{"epsilon=3.3e-12", "their code: 1e-8, of losses that are sums of 3,072 values and here means"},
		},
		Paper:  "Karras, Aittala, Aila and Laine 2022; the same network",
		Result: "FID 1.97 with 18 steps (heun)", Here: notRun,
	}),
	unconditional(Published{
		Name: "flow-cifar10", About: "OT-CFM: the straight path, noise and images paired by batch optimal transport",
		Groups: []Cited{
			{"preset=cifar coupling=ot schedule=fm output_kind=u time_sampler=uniform", "section 3, with sigma 0"},
			{"lr=2e-4 batch=128 dropout=0.1 flip=true warmup=640000 clip=1 images=51200000 " + halfLife128, "their code, train_cifar10.py: warm-up over 5,000 of 400,000 steps" + fromDecay},
			{"time_scale=1", "their code, whose network is told t as it is"}, ramp,
		},
		Paper:  "Tong et al. 2024 and their code, torchcfm; the network is DDPM's, whose attention has one head of theirs four",
		Result: "FID 3.5 with an adaptive solver (rk45)", Here: notRun,
	}),
	edm2(Published{
		Name: "edm2-img64-s", About: "EDM2-S on ImageNet, 64×64: weights and activations that keep their size",
		Groups: []Cited{
			{"preset=edm2-s lr=0.01 lr_ref=71680000 images=1073741824 time_sampler=edm:mean=-0.8,std=1.6", "table 6: the rate falls behind 35,000 steps"},
			{"epsilon=8.1e-13", "their code: 1e-8, of sums of 12,288 values"},
		},
		Result: "FID 1.58 with 32 steps (heun)",
	}),
	edm2(Published{
		Name: "edm2-img512-xs", About: "EDM2-XS on latents of ImageNet, 512×512",
		Groups: []Cited{
			{"preset=edm2-xs lr=0.012 lr_ref=143360000 images=2147483648 time_sampler=edm:mean=-0.4,std=1", "table 6: the rate falls behind 70,000 steps"},
			{"epsilon=6.1e-13", "their code: 1e-8, of sums of 16,384 values"},
		},
		Paper:  ", on latents that have half the deviation of data, channel by channel: those of fluxion latents --scaling edm2",
		Result: "FID 3.53 with 32 steps (heun), 2.91 with guidance",
	}),
	{
		Name: "small-data", About: "some hundreds or thousands of photographs: EDM's augmentation and dropout on preset small",
		Groups: []Cited{
			{"preset=small augment=edm:p=0.15 flip=true", "Karras et al. 2022, appendix F, for FFHQ and AFHQv2"},
			{"dropout=0.2", "between its 0.05 for FFHQ and 0.25 for AFHQv2, the smaller set"},
			{"images=2000000 ema=50000 checkpoint_every=50000 sample_every=100000", "this program"},
		},
		Paper:  "none of its own",
		Result: "none", Here: "its first 1,288 images of 2,000,000, of 1,000 pictures of CIFAR-10: the loss fell from 1.25 to 0.47, where the variance of pixels alone gives 0.81; " + notRun,
	},
}

// Settings are all that the recipe says, each KEY=VALUE, the preset first.
func (p Published) Settings() (all []string) {
	for _, g := range p.Groups {
		all = append(all, strings.Fields(g.Settings)...)
	}
	return all
}

// PublishedRecipes returns all.
func PublishedRecipes() []Published { return slices.Clone(published) }

// PublishedNames lists them.
func PublishedNames() (names []string) {
	for _, p := range published {
		names = append(names, p.Name)
	}
	return names
}

// recipeSetting is kept, that a run says whose settings it began with. What they are is in
// the others, and a name that is gone stops no run.
func recipeSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "recipe", Value: setting.Of(p), Offers: PublishedNames(), Breaks: setting.Always, Since: "2026-11-30",
		Help: "preset and settings of a paper: " + strings.Join(PublishedNames(), ", ") + " (fluxion recipes)",
	}
}

// FindPublished returns a recipe by name; none is called "".
func FindPublished(name string) (Published, error) {
	if name == "" {
		return Published{}, nil
	}
	i, err := lookup.Find("recipe", name, PublishedNames())
	if err != nil {
		return Published{}, &SettingError{"recipe", err.Error()}
	}
	return published[i], nil
}

// Has says whether the recipe says a setting.
func (p Published) Has(key string) bool {
	return slices.ContainsFunc(p.Settings(), func(s string) bool { return strings.HasPrefix(s, key+"=") })
}

// Apply sets what the recipe says. Data that mean something else when mirrored stay as they are.
func (p Published) Apply(s Settings) (Settings, error) {
	list := s.List()
	for _, text := range p.Settings() {
		key, value, _ := strings.Cut(text, "=")
		x := list.Get(key)
		v, err := x.ReadFlag(value)
		if err != nil {
			return s, fmt.Errorf("recipe %s: %s: %w", p.Name, key, err)
		}
		x.Value.Put(v)
	}
	if p.Has("flip") {
		s.Flip = s.Flip && mirrored(s.Data)
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
	text := p.Name + ": " + strings.Join(p.Settings(), ", ")
	var apart []string
	for _, c := range said.Changes(s) {
		apart = append(apart, fmt.Sprintf("%s %v", c.Key, c.New))
	}
	if apart != nil {
		text += "; overridden by " + strings.Join(apart, ", ")
	}
	return text
}
