package train

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/data"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// Recipe is how a preset is trained, as settings. What the user says goes before
// it, and so does the configuration of a run that goes on.
type Recipe struct {
	nets.Recipe
	Of  string // the preset
	Why string // for a folder: how its recipe was found; "" for a preset
}

// RecipeOf returns the recipe of a preset, or of a folder with a network, for
// data, which are flipped if they are pictures. Keys of the folder to ignore are as in Network.
func RecipeOf(preset, data string, ignore ...string) (Recipe, error) {
	if p, err := catalog.Preset(preset); err == nil {
		r := p.Recipe
		r.Flip = r.Flip && mirrored(data)
		return Recipe{Recipe: r, Of: preset}, nil
	}
	n, err := presetNetwork(preset, ignore)
	if err != nil {
		return Recipe{}, err
	}
	p, err := catalog.PresetBySize(n)
	if err != nil {
		return Recipe{}, &SettingError{"preset", err.Error()}
	}
	return Recipe{Recipe: p.Recipe, Of: p.Name, Why: fmt.Sprintf("the smallest preset that has the weights of %s, or more", preset)}, nil
}

// Apply sets what the recipe says.
func (r Recipe) Apply(s Settings) Settings {
	s.LR, s.Batch, s.Warmup, s.Decay, s.Beta2, s.Clip = r.LR, r.Batch, r.Warmup, r.Decay, r.Beta2, r.Clip
	s.EMA, s.LabelDrop, s.Flip = Averages{{HalfLife: r.EMA}}, r.LabelDrop, r.Flip
	s.Images, s.CheckpointEvery, s.SampleEvery = r.Images, r.CheckpointEvery, r.SampleEvery
	return s
}

// mirrored says whether data mean the same left for right: pictures do, but not letters
// and digits, nor those that are paired with their noise; of points and arrays it is not known.
func mirrored(spec string) bool {
	parts := data.Parts(spec)
	for _, part := range parts {
		if dir, latents := strings.CutPrefix(part, "latents:"); latents && !latentsMirrored(dir) {
			return false
		}
	}
	images := parts[len(parts)-1]
	name, _, _ := strings.Cut(images, ":")
	return !slices.Contains([]string{"glyphs", "mnist", "toy", "pairs"}, name) && !slices.Contains([]string{".npy", ".npz"}, strings.ToLower(filepath.Ext(images)))
}

// RecipeKeys are the settings that a recipe sets.
func RecipeKeys() []string {
	var none Settings
	all := Recipe{Recipe: nets.Recipe{LR: 1, Batch: 1, Warmup: 1, Decay: 1, Beta2: 1, Clip: 1, EMA: 1, LabelDrop: 1, Flip: true, Images: 1, CheckpointEvery: 1, SampleEvery: 1}}
	var keys []string
	for _, c := range none.Changes(all.Apply(none)) {
		keys = append(keys, c.Key)
	}
	return keys
}

// String is the recipe on one line.
func (r Recipe) String() string {
	flips := "no flips"
	if r.Flip {
		flips = "flips"
	}
	return fmt.Sprintf("lr %g, batch %d, warm-up over %d images, decay over the last %.3g %%, clip %g, beta2 %g, EMA half-life %d images, label drop %g, %s, %d images",
		r.LR, r.Batch, r.Warmup, 100*r.Decay, r.Clip, r.Beta2, r.EMA, r.LabelDrop, flips, r.Images)
}
