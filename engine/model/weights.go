package model

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fluxion/engine/average"
	"fluxion/nets/catalog"
	"fluxion/nets/pyjson"
)

// The weights of a folder that Read can be asked for. Another average is named by what
// train calls it, as in "ema:20000" or "ema:power:0.05". A power of time that was not kept
// is made of the snapshots of the run, as they were after the last, or after as many
// images as in "ema:power:0.08@12000".
const (
	EMA = "ema"
	Raw = "raw"
)

// powerName begins the name of an average by a power of time.
const powerName = "power:"

// Power is the name of the average of a σ_rel, after so many images; 0: the last.
func Power(sigma float64, images int64) string {
	name := EMA + ":" + powerName + average.FormatSigma(sigma)
	if images > 0 {
		name += "@" + strconv.FormatInt(images, 10)
	}
	return name
}

// PowerOf is what Power was given for the name of weights; ok is false for others.
func PowerOf(weights string) (sigma float64, images int64, ok bool) {
	c, err := choose(weights)
	return c.sigma, c.images, err == nil && c.sigma != 0
}

// choice is which weights of a folder are meant.
type choice struct {
	name   string  // in lists of averages: 20000 or power:0.05; "" of the first, or of raw ones
	sigma  float64 // of a power of time; 0: of none
	images int64   // seen then; 0: at the end
}

// choose reads the name of weights.
func choose(weights string) (c choice, err error) {
	name, other := strings.CutPrefix(weights, EMA+":")
	switch {
	case weights == EMA || weights == Raw:
		return c, nil
	case !other:
		return c, fmt.Errorf("weights %q are not known, want %s", weights, weightsText)
	}
	if c.name = name; !strings.HasPrefix(name, powerName) {
		if _, ok := Number(name); !ok {
			return c, fmt.Errorf("weights %q: %q is no half-life, want %s", weights, name, weightsText)
		}
		return c, nil
	}
	sigma, images, at := strings.Cut(strings.TrimPrefix(name, powerName), "@")
	if c.sigma, err = average.ParseSigma(sigma); err != nil {
		return c, fmt.Errorf("weights %q: %w", weights, err)
	}
	c.name = powerName + average.FormatSigma(c.sigma)
	if n, ok := Number(images); at && (!ok || n == 0) {
		return c, fmt.Errorf("weights %q: %q is no number of images", weights, images)
	} else if at {
		c.images = n
	}
	return c, nil
}

const weightsText = "ema (averaged), raw, an average by its half-life, such as ema:20000, or of any width by a power of time, such as ema:power:0.08"

// EMADirOf is the folder of an average behind the first, by its name.
func EMADirOf(name string) string { return EMADir + "_" + strings.ReplaceAll(name, ":", "_") }

// weightsOf returns the folder of weights within root, "" of an average that must be made.
// The first average is the raw weights where there is none.
func weightsOf(root, weights string) (dir string, c choice, err error) {
	if c, err = choose(weights); err != nil {
		return "", c, err
	}
	first := filepath.Join(root, EMADir)
	other := filepath.Join(root, EMADirOf(c.name))
	newest := c.images == 0 || strconv.FormatInt(c.images, 10) == filepath.Base(root)
	switch {
	case weights == Raw, weights == EMA && !isDir(first):
		return root, c, nil
	case weights == EMA, newest && c.name == firstOf(root) && isDir(first):
		return first, c, nil
	case newest && isDir(other):
		return other, c, nil
	case c.sigma != 0:
		return "", c, nil
	}
	there := []string{Raw, EMA}
	paths, _ := filepath.Glob(filepath.Join(root, EMADir+"_*"))
	for _, p := range paths {
		there = append(there, EMA+":"+strings.ReplaceAll(strings.TrimPrefix(filepath.Base(p), EMADir+"_"), "_", ":"))
	}
	return "", c, fmt.Errorf("%s holds no weights %s; there are %s", root, weights, strings.Join(there, ", "))
}

// firstOf is the name of the first average of a checkpoint, by the settings of its run; ""
// where they are not known.
func firstOf(root string) string {
	text, err := pyjson.ReadFile(filepath.Join(root, TrainingDir, SettingsFile))
	var s struct {
		EMA any `json:"ema"`
	}
	if err != nil || pyjson.Decode(text, &s) != nil {
		return ""
	}
	first := s.EMA
	if list, ok := first.([]any); ok && len(list) > 0 {
		first = list[0]
	}
	switch first := first.(type) {
	case string:
		return first
	case float64:
		return strconv.FormatFloat(first, 'f', -1, 64)
	}
	return ""
}

// reconstruct makes an average of the snapshots of the run that a folder is, or is a
// checkpoint of.
func (m *Model) reconstruct(dir string, c choice, ignore []string) (err error) {
	run := dir
	if !isDir(filepath.Join(dir, CheckpointsDir)) { // a checkpoint, or RUN@best
		var n int64
		if run, n = runOf(m.Root); run == "" {
			return fmt.Errorf("%s is no run: it holds no snapshots of which the average %s could be made", dir, c.name)
		}
		if c.images == 0 {
			c.images = n
		}
	}
	n, err := catalog.ReadConfig(m.Root, ignore...)
	if err == nil {
		n, err = n.Denoiser()
	}
	if err != nil {
		return err
	}
	m.Path = filepath.Join(run, average.Dir)
	weights, fit, err := average.Reconstruct(m.Path, n, c.sigma, c.images)
	if err != nil {
		return err
	}
	m.Network, m.Weights, m.Made = n, weights, &fit
	return nil
}

// runOf is the run that a checkpoint is of, by its path, "" of another folder; and the
// images seen at it.
func runOf(checkpoint string) (run string, images int64) {
	path := filepath.Clean(checkpoint)
	if filepath.Base(filepath.Dir(path)) != CheckpointsDir {
		if whole, err := filepath.Abs(path); err == nil { // it may be . or ..
			path = whole
		}
	}
	images, ok := Number(filepath.Base(path))
	if parent := filepath.Dir(path); ok && filepath.Base(parent) == CheckpointsDir {
		return filepath.Dir(parent), images
	}
	return "", 0
}

// poor is the share of a profile that may be missing without a warning.
const poor = 0.05

// madeNotes says of what an average was made.
func (m *Model) madeNotes() []string {
	if m.Made == nil {
		return nil
	}
	var of []string
	for _, p := range m.Made.Of {
		if s := average.FormatSigma(p.Sigma); !slices.Contains(of, s) {
			of = append(of, s)
		}
	}
	note := fmt.Sprintf("the average of σ_rel %s after %d images is made of %d snapshots of σ_rel %s, but for %.2g %% of its profile",
		average.FormatSigma(m.Made.Want.Sigma), m.Made.Want.Images, len(m.Made.Of), strings.Join(of, " and "), 100*m.Made.Residual)
	if m.Made.Residual > poor {
		note += ": it is only near to what it is called; more snapshots, or ones nearer to this width, make it better"
	}
	return []string{note}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
