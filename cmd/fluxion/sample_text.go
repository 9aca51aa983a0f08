package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fluxion/engine/generate"
	"fluxion/engine/model"
)

// decidingTexts is what decides the bytes of a picture, in the order in which
// differences are told. It is written into the picture, so that one made otherwise
// is not taken for one that is asked for.
var decidingTexts = slices.Concat([]string{
	"digest", "weights", "class", "label", "seed", "key", "precision", "schedule", "sampler", "grid", "steps", "scheduler", "guidance", "guide", "clip", "init", "mask", "input", "from", "noise", "values", "size",
}, schedulerTexts, optionTexts)

// schedulerTexts are those of the flags of schedulers, noted like the others.
var schedulerTexts = []string{"compat", "mu", "image-tokens"}

// optionTexts are flags that are noted where they are not left as they are.
var optionTexts = []string{
	"clip-lambda", "shift", "scale", "zero-snr",
	"churn", "eta", "epsilon", "order", "variable", "solver", "variance", "noise-min", "noise-max", "noise-scale",
	"lower-order-final", "first-order-final", "tolerance",
	"depth", "guidance-interval", "guidance-rescale", "dynamic-threshold", "strength",
}

// text returns what the pictures of a job have in common.
func (o *sampleOptions) text(j job, precision string) map[string]string {
	text := map[string]string{
		"digest": j.model.Digest(), "weights": o.weights, "key": strconv.FormatUint(o.seed, 10), "precision": precision,
		"steps":    strconv.Itoa(o.config.Options.Steps),
		"guidance": fmt.Sprint(o.guidance), "clip": strconv.FormatBool(j.clip),
		"model": filepath.Base(filepath.Clean(o.model)), "program": version(), // which decide nothing
	}
	if root := filepath.Base(j.model.Root); root != text["model"] {
		text["checkpoint"] = root
	}
	if by := j.run.by; by != nil {
		text["scheduler"] = by.config.String()
	} else {
		text["schedule"], text["sampler"], text["grid"] = j.run.schedule(), o.config.Sampler, o.config.Options.Grid
	}
	if j.guide != nil {
		text["guide"] = j.guide.Digest()
	}
	if p := j.picture; p != nil {
		text["init"] = digest(p.Values)
		if p.Mask != nil {
			text["mask"] = digest(p.Mask)
		}
	}
	if s := j.images; s != nil { // in a picture, its own
		text[j.imagesText()] = s.set.Fingerprint().Digest[:16]
	}
	if j.from != nil {
		text["from"] = j.from.model.Digest()
	}
	for _, name := range slices.Concat(schedulerTexts, optionTexts) {
		if value, ok := o.sources.Changed(strings.ReplaceAll(name, "-", "_")); ok {
			text[name] = value
		}
	}
	return text
}

// imagesText is the key of what samples are made of.
func (j job) imagesText() string {
	if j.given {
		return "input"
	}
	return "init"
}

// how is a job's sampling on one line.
func (o *sampleOptions) how(j job) string {
	p := o.config.Options
	steps := "1 step"
	if p.Steps != 1 {
		steps = fmt.Sprintf("%d steps", p.Steps)
	}
	text := fmt.Sprintf("%s, %s on grid %s along %s", o.config.Sampler, steps, p.Grid, j.run.schedule())
	switch {
	case j.run.by != nil:
		text = fmt.Sprintf("scheduler %s, %d steps", j.run.by.config.Name, len(j.run.table.Rows))
	case j.run.adaptive != nil:
		text = fmt.Sprintf("%s, as many steps as it needs, along %s", o.config.Sampler, j.run.schedule())
	case p.Steps == 0: // a grid that says them itself
		text = fmt.Sprintf("%s on grid %s along %s", o.config.Sampler, p.Grid, j.run.schedule())
	}
	if p.Eta != nil {
		text += fmt.Sprintf(", eta %g", *p.Eta)
	}
	switch {
	case j.guide != nil:
		text += fmt.Sprintf(", guidance %g away from %s", o.guidance, o.guide)
	case o.told:
		text += fmt.Sprintf(", told guidance %g", o.guidance)
	case o.guidance != 1:
		text += fmt.Sprintf(", guidance %g", o.guidance)
	}
	return fmt.Sprintf("%s, weights %s, %v", text, o.weights, j.precision)
}

// textOf is the text of one picture.
func (j job) textOf(seed int64, class int) map[string]string {
	text := textOf(j.text, j.model, seed, class)
	if j.labels != nil {
		text["label"] = j.model.Labels.Text(j.labels.of(seed))
	}
	if j.images != nil {
		text[j.imagesText()] = j.images.digest(seed)
	}
	if j.noise != nil && j.noise.given {
		text["noise"] = digest(j.noise.of(seed))
	}
	return text
}

func textOf(common map[string]string, m *model.Model, seed int64, class int) map[string]string {
	text := map[string]string{"seed": strconv.FormatInt(seed, 10)}
	for key, value := range common {
		text[key] = value
	}
	switch {
	case !m.Network.Spec().Conditional(), m.Labels != nil:
	case class < len(m.Classes):
		text["class"] = m.Classes[class]
	case m.Guided:
		text["class"] = "none"
	default:
		text["class"] = strconv.Itoa(class)
	}
	return text
}

func digest(values []float32) string {
	sum := sha256.New()
	for _, x := range values {
		fmt.Fprintf(sum, "%08x", math.Float32bits(x))
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// numberSettings are those whose numbers enter those of a sampling, for naming what
// made them infinite.
var numberSettings = []string{
	"guidance", "guidance_rescale", "dynamic_threshold", "shift", "clip_lambda", "churn", "eta", "epsilon", "noise_min", "noise_max", "noise_scale", "tolerance", "mu",
}

// blame says which settings led to numbers that are not finite.
func (o *sampleOptions) blame(err *generate.NotFiniteError, precision string) error {
	given := o.sources.Given(numberSettings...)
	switch {
	case given != nil:
		return fmt.Errorf("%w with %s; want numbers that lead to a picture", err, strings.Join(given, " "))
	case precision != "fp32":
		return fmt.Errorf("%w: the weights are, but what the network computes of them in %s is not; --precision fp32 may help", err, precision)
	}
	return fmt.Errorf("%w: the weights are, but what the network computes of them is not; want another checkpoint", err)
}
