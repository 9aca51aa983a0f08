package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"fluxion/engine/process"
	"fluxion/engine/train"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// envPrefix begins the names of settings in the environment.
const envPrefix = "FLUXION_"

// settingHelp is the help of every key of train.Settings.
var settingHelp = map[string]string{
	"data":             "glyphs, glyphs:letters, glyphs:all, mnist:DIR, a folder or a zip of images",
	"size":             "side of the square images; 0 leaves them as they are",
	"channels":         "1 grey, 3 RGB, 0 as they are",
	"flip":             "mirror images at random",
	"skip_broken":      "leave out images that cannot be decoded",
	"preset":           "network: micro, tiny, small, cifar, ddpm64, or a folder with a UNet2DModel",
	"schedule":         "noise schedule: fm, cosine",
	"output_kind":      "what the network predicts: u, x, eps, v",
	"time_sampler":     "how training times are drawn: logit-normal, uniform",
	"images":           "length of the run in images seen",
	"batch":            "images of a step",
	"accumulate":       "micro-batches a step is cut into, to save memory",
	"lr":               "largest learning rate",
	"warmup":           "images over which the learning rate rises",
	"decay":            "share of the run, at its end, over which the learning rate falls to 0",
	"beta1":            "AdamW's first moment",
	"beta2":            "AdamW's second moment",
	"epsilon":          "AdamW's epsilon",
	"weight_decay":     "AdamW's decoupled weight decay",
	"clip":             "largest norm of the gradients; 0 does not clip",
	"ema":              "half-life of the averaged weights in images",
	"ema_warmup":       "largest half-life as a share of the images seen",
	"label_drop":       "share of images trained without their label, for guidance",
	"seed":             "of weights, order, noise and times",
	"precision":        "fp32",
	"device":           "auto, cpu",
	"threads":          "0: all there are",
	"checkpoint_every": "images between checkpoints; 0: only at the end",
	"keep":             "newest checkpoints that stay",
	"sample_every":     "images between sample grids; 0: only at the end",
	"sample_steps":     "network evaluations of a grid's image",
	"sample_count":     "images of a grid; 0: none",
}

// resolver gathers settings: flag over -s over environment over file over default.
type resolver struct {
	flags *pflag.FlagSet
	file  string
	set   []string
}

// keys are those of train.Settings, in order.
func keys() []string {
	var list []string
	t := reflect.TypeFor[train.Settings]()
	for i := range t.NumField() {
		list = append(list, t.Field(i).Tag.Get("json"))
	}
	return list
}

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// addSettings adds a flag for every key, and the flags that name other sources.
func (r *resolver) addSettings(flags *pflag.FlagSet, defaults train.Settings) {
	r.flags = flags
	v := reflect.ValueOf(defaults)
	for i, key := range keys() {
		name, help := flagName(key), settingHelp[key]
		switch x := v.Field(i).Interface().(type) {
		case string:
			flags.String(name, x, help)
		case bool:
			flags.Bool(name, x, help)
		case int:
			flags.Int(name, x, help)
		case int64:
			flags.Int64(name, x, help)
		case uint64:
			flags.Uint64(name, x, help)
		case float64:
			flags.Float64(name, x, help)
		default:
			panic(fmt.Sprintf("setting %s is a %T", key, x)) // a new kind of setting needs a line here
		}
	}
	flags.StringVar(&r.file, "config", "", "file with settings (yaml, toml, json)")
	flags.StringArrayVarP(&r.set, "set", "s", nil, "a setting, key=value")
}

// resolve returns the settings.
func (r *resolver) resolve(defaults train.Settings) (train.Settings, error) {
	v := viper.New()
	fields := reflect.ValueOf(defaults)
	for i, key := range keys() {
		v.SetDefault(key, fields.Field(i).Interface())
		if err := v.BindEnv(key, envPrefix+strings.ToUpper(key)); err != nil {
			return defaults, err
		}
	}
	if r.file != "" {
		if err := r.readFile(v); err != nil {
			return defaults, err
		}
	}
	for _, pair := range r.set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return defaults, usagef("-s %s: want key=value", pair)
		}
		key = strings.ReplaceAll(key, "-", "_")
		if err := known(key, "-s"); err != nil {
			return defaults, err
		}
		v.Set(key, value)
	}
	r.flags.Visit(func(f *pflag.Flag) {
		if key := strings.ReplaceAll(f.Name, "-", "_"); slices.Contains(keys(), key) {
			v.Set(key, f.Value.String())
		}
	})
	var s train.Settings
	err := v.UnmarshalExact(&s, func(c *mapstructure.DecoderConfig) { c.TagName, c.WeaklyTypedInput = "json", true })
	if err != nil {
		return s, usagef("%s", oneLine(err))
	}
	return s, s.Validate()
}

// readFile merges a configuration file, whose every key must be known.
func (r *resolver) readFile(v *viper.Viper) error {
	file := viper.New()
	file.SetConfigFile(r.file)
	if err := file.ReadInConfig(); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return usagef("--config %s: no such file", r.file)
		}
		return usagef("--config %s: %s", r.file, oneLine(err))
	}
	for _, key := range file.AllKeys() {
		if err := known(key, r.file); err != nil {
			return err
		}
	}
	return v.MergeConfigMap(file.AllSettings())
}

// known refuses a key that is not a setting and names the nearest that is.
func known(key, source string) error {
	if _, err := process.Find("setting", key, keys()); err != nil {
		return usagef("%s: %v", source, err)
	}
	return nil
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", " ")), " ")
}
