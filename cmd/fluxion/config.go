package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/data"
	"fluxion/data/lookup"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/train"
	"fluxion/kernels/cpu"
	"fluxion/nets/catalog"
	"fluxion/nets/pyjson"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// Help of flags that several commands have.
const (
	precisionHelp     = "of activations and matrix products: fp32, bf16; auto is bf16 on a GPU and on a CPU with AMX or AVX512-BF16, else fp32"
	selfConditionHelp = "the preset as train --self-conditioning makes it, with a pass more in a training step"
	threadsHelp       = "threads of the CPU to use; 0: all there are"
	deviceHelp        = "cpu, cuda:0; auto is the first GPU that can be used, else the CPU"
)

// withoutHelp of the flag that takes names of fusions.
var withoutHelp = "fusions to leave out of the plan, to see what they bring: " + strings.Join(plan.FusionNames(), ", ")

// recomputeHelp of the flag that takes the name of a recomputation.
var recomputeHelp = "activations that are made again in the backward pass, to save memory: " + strings.Join(plan.RecomputationNames(), ", ")

// fusionsText says what --without takes, a line each.
func fusionsText() string {
	var b strings.Builder
	b.WriteString("--without leaves fusions out of the plan:\n")
	for _, f := range plan.Fusions {
		fmt.Fprintf(&b, "  %-12s %s\n", f.Name, f.Does)
	}
	return strings.TrimSpace(b.String())
}

// settingHelp is the help of every key of train.Settings.
var settingHelp = map[string]string{
	"data":              data.Usage(),
	"size":              "side of the square images; 0 leaves them as they are",
	"channels":          "1 grey, 3 RGB, 0 as they are",
	"flip":              "mirror images at random",
	"skip_broken":       "leave out images that cannot be decoded; log.txt names them",
	"preset":            "network, and how it is trained: " + strings.Join(catalog.PresetNames(), ", ") + ", or a folder with a UNet2DModel",
	"schedule":          "noise schedule: " + strings.Join(process.Schedules(), ", "),
	"clip_lambda":       "keep |λ| of the schedule at or below this; 0 does not",
	"shift":             "for resolutions: λ → λ + 2 ln SHIFT (diffusers' flow shift is the inverse)",
	"zero_snr":          "rescale the schedule to end without data",
	"scale":             "a positive formula of t that multiplies α and σ, such as 1+t",
	"output_kind":       "what the network predicts: " + strings.Join(process.Outputs(), ", "),
	"weighting":         "of errors, by noise level: " + strings.Join(process.Weightings(), ", ") + "; perhaps with parameters, as in min-snr:gamma=5",
	"time_sampler":      "how training times are drawn: " + strings.Join(process.TimeSamplers(), ", ") + "; perhaps with parameters and +stratified or +low-discrepancy",
	"images":            "length of the run in images seen",
	"batch":             "images of a step",
	"accumulate":        "micro-batches a step is cut into, to save memory",
	"accumulation":      "order in which gradients of micro-batches are added: tree, or sequential, as in runs that began before there was the tree",
	"optimizer":         "how gradients change weights: " + train.MethodText("optimizer"),
	"lr":                "largest learning rate",
	"lr_schedule":       "how the learning rate goes on behind its warm-up: " + train.MethodText("lr_schedule"),
	"lr_ref":            "of inverse-sqrt: images at which the learning rate begins to fall; a tenth of the run if nothing is said",
	"warmup":            "images over which the learning rate rises",
	"decay":             "of linear: share of the run, at its end, over which the learning rate falls to 0",
	"beta1":             "AdamW's first moment",
	"beta2":             "AdamW's second moment",
	"epsilon":           "AdamW's epsilon",
	"momentum":          "of sgd: share of the last step's direction that is kept; 0.9 if nothing is said",
	"nesterov":          "of sgd: look ahead by the momentum (Nesterov)",
	"weight_decay":      "weight decay, as PyTorch has it: decoupled in adamw, joined to the gradients in sgd",
	"clip":              "largest norm of the gradients; 0 does not clip",
	"ema":               "half-life of the averaged weights in images; of several averages as in 2000,20000 (sample --weights ema:20000)",
	"ema_warmup":        "largest half-life as a share of the images seen",
	"label_drop":        "share of images trained without their label, for guidance",
	"self_conditioning": "share of images that are given the network's own estimate of them, from a pass without gradient (Analog Bits); usual 0.5; 0: a network without",
	"seed":              "of weights, order, noise and times",
	"precision":         precisionHelp,
	"device":            deviceHelp,
	"threads":           threadsHelp,
	"recompute":         recomputeHelp,
	"blockings":         machine.BlockingsHelp,
	"checkpoint_every":  "images between checkpoints; 0: only at the end",
	"keep":              "newest checkpoints that stay",
	"sample_every":      "images between sample grids; 0: only at the end",
	"sample_steps":      "network evaluations of a grid's image",
	"sample_count":      "images of a grid; 0: none",
}

// resolver gathers settings: flag over -s over environment over file over the
// configuration of a run that goes on, or the preset's recipe, over default.
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
		case train.HalfLives:
			flags.String(name, x.String(), help)
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
	for _, key := range train.RecipeKeys() {
		flags.Lookup(flagName(key)).DefValue = "the preset's"
	}
	flags.StringVar(&r.file, "config", "", "file with settings (yaml, toml, json)")
	flags.StringArrayVarP(&r.set, "set", "s", nil, "a setting, key=value")
}

// saying is the value of a setting that the user gave, and where.
type saying struct {
	value  any
	source string
}

// said gathers what the user says, by key: of each setting the first source that
// has it.
func (r *resolver) said() (sayings, error) {
	all := sayings{}
	for _, note := range mistyped(os.Environ()) {
		console.Note(note)
	}
	if r.file != "" {
		values, err := r.readFile()
		if err != nil {
			return nil, err
		}
		for key, value := range values {
			all[key] = saying{value, r.file}
		}
	}
	for _, key := range keys() {
		variable := machine.VariablePrefix + strings.ToUpper(key)
		if value := os.Getenv(variable); value != "" {
			all[key] = saying{value, variable}
		}
	}
	for _, pair := range r.set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fault.Usagef("-s %s: want key=value", pair)
		}
		key = strings.ReplaceAll(key, "-", "_")
		if err := known(key, "-s"); err != nil {
			return nil, err
		}
		all[key] = saying{value, "-s"}
	}
	r.flags.Visit(func(f *pflag.Flag) {
		if key := strings.ReplaceAll(f.Name, "-", "_"); slices.Contains(keys(), key) {
			all[key] = saying{f.Value.String(), "--" + f.Name}
		}
	})
	return all, nil
}

// sayings are what the user says, by key.
type sayings map[string]saying

// has says whether the user says something of a setting.
func (all sayings) has(key string) bool {
	_, ok := all[key]
	return ok
}

// over returns the settings with what the user says in the place of theirs.
// Values are taken strictly: a wrong one is refused with the source it came
// from, never rounded or wrapped.
func (all sayings) over(s train.Settings) (train.Settings, error) {
	fields := reflect.ValueOf(&s).Elem()
	for i, key := range keys() {
		if said, ok := all[key]; ok {
			if err := assign(fields.Field(i), said.value); err != nil {
				return s, fault.Usagef("%s: %s: %v", said.source, key, err)
			}
		}
	}
	return s, nil
}

// resolve returns the settings of a new run: what the user says, over the
// preset's recipe, over the defaults. Unknown keys of a folder's to ignore are left out.
func (all sayings) resolve(ignore ...string) (train.Settings, error) {
	s, err := all.over(train.Default())
	if err != nil {
		return s, err
	}
	recipe, err := train.RecipeOf(s.Preset, s.Data, ignore...)
	if err != nil {
		return s, err
	}
	if s, err = all.over(recipe.Apply(s)); err != nil {
		return s, err
	}
	s = s.Switched(train.Default(), all.has)
	return s, s.Validate()
}

// goOn returns the settings with which a run goes on in a folder: what the user
// says, over what its configuration says; next, if no run is there.
func (all sayings) goOn(dir string, next train.Settings) (train.Settings, error) {
	s, found, err := train.Stored(dir, next)
	if err != nil || !found {
		return next, err
	}
	stored := s
	if s, err = all.over(s); err != nil {
		return s, err
	}
	s = s.Switched(stored, all.has)
	return s, s.Validate()
}

// fileFormats are the endings of configuration files and viper's names of their
// decoders. JSON is YAML, whose decoder keeps the last digits of a seed.
var fileFormats = map[string]string{".yaml": "yaml", ".yml": "yaml", ".json": "yaml", ".toml": "toml"}

// maxConfig bounds a file of settings, of which there are some fifty.
const maxConfig = 1 << 20

func readBounded(path string) ([]byte, error) {
	text, err := pyjson.ReadFile(path) // of any format: nothing that has no end
	var file *pyjson.Error
	if errors.As(err, &file) {
		err = errors.New(file.Problem)
	}
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("holds more than %d bytes, want settings", maxConfig)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), err // editors of Windows write the mark
}

// moreDocuments says whether YAML goes on behind its first document, where decoders stop.
func moreDocuments(text []byte) bool {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	return d.Decode(&first) == nil && !errors.Is(d.Decode(&second), io.EOF)
}

// readFile returns what a configuration file says, by keys that must be known.
func (r *resolver) readFile() (map[string]any, error) {
	format, ok := fileFormats[strings.ToLower(filepath.Ext(r.file))]
	if !ok {
		return nil, fault.Usagef("--config %s: want a file that ends in .yaml, .toml or .json", r.file)
	}
	text, err := readBounded(r.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.Usagef("--config %s: no such file", r.file)
	}
	if err != nil {
		return nil, fault.Usagef("--config %s: %w", r.file, err)
	}
	if format == "yaml" && moreDocuments(text) {
		return nil, fault.Usagef("--config %s: holds more than one document, want one with all settings", r.file)
	}
	decoder, err := viper.NewCodecRegistry().Decoder(format)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if err := decoder.Decode(text, values); err != nil {
		return nil, fault.Usagef("--config %s: %s", r.file, strings.ReplaceAll(oneLine(err), "strconv.", ""))
	}
	said := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key := strings.ToLower(name) // as viper compares them
		if err := known(key, r.file); err != nil {
			return nil, err
		}
		if values[name] == nil {
			return nil, fault.Usagef("%s: %s: has no value", r.file, key)
		}
		said[key] = values[name]
	}
	return said, nil
}

// wanted says what a kind of flag or setting takes.
var wanted = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint64": "a whole number from 0 to 2^64-1", "float64": "a number", "bool": "true or false",
}

// badValue says why text is no value of a kind, of which strconv's error is the cause.
func badValue(text, kind string, cause error) error {
	if errors.Is(cause, strconv.ErrRange) {
		return fmt.Errorf("%q is out of range, want %s", text, wanted[kind])
	}
	if want := wanted[kind]; want != "" {
		return fmt.Errorf("%q, want %s", text, want)
	}
	return fmt.Errorf("%q cannot be read", text)
}

// assign sets a field from a value of a file, or from text.
func assign(field reflect.Value, value any) error {
	if list, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return list.UnmarshalText([]byte(listed(value)))
	}
	switch reflect.ValueOf(value).Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return fmt.Errorf("%v is not one value", value)
	}
	text := fmt.Sprint(value)
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return badValue(text, "bool", err)
		}
		field.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(whole(text), 10, field.Type().Bits())
		if err != nil {
			return badValue(text, "int", err)
		}
		field.SetInt(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(whole(text), 10, 64)
		if err != nil {
			return badValue(text, "uint64", err)
		}
		field.SetUint(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return badValue(text, "float64", err)
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%q, want a finite number", text)
		}
		field.SetFloat(x)
	}
	return nil
}

// listed writes a list of a file, or what text has between commas, as a list of whole numbers.
func listed(value any) string {
	all, ok := value.([]any)
	if !ok {
		for part := range strings.SplitSeq(fmt.Sprint(value), ",") {
			all = append(all, part)
		}
	}
	var parts []string
	for _, x := range all {
		parts = append(parts, whole(strings.TrimSpace(fmt.Sprint(x))))
	}
	return strings.Join(parts, ",")
}

// whole writes 1e5 as 100000, and leaves what is no such number.
func whole(text string) string {
	const exact = 1 << 53
	if x, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, "eE") && x == math.Trunc(x) && math.Abs(x) <= exact {
		return strconv.FormatInt(int64(x), 10)
	}
	return text
}

// variables begin with machine.VariablePrefix and are no settings.
var variables = []string{cpu.Variable, device.Variable}

// mistyped tells of variables that are nearly settings. They stop nothing: others
// use the prefix, such as Kubernetes for a service of this name.
func mistyped(environment []string) (notes []string) {
	for _, pair := range environment {
		name, _, _ := strings.Cut(pair, "=")
		key, ours := strings.CutPrefix(name, machine.VariablePrefix)
		key = strings.ToLower(key)
		if !ours || slices.Contains(variables, name) || slices.Contains(keys(), key) {
			continue
		}
		if near, ok := lookup.Nearest(key, keys()); ok {
			notes = append(notes, fmt.Sprintf("%s changes nothing; did you mean %s%s?", name, machine.VariablePrefix, strings.ToUpper(near)))
		}
	}
	return notes
}

// known refuses a key that is not a setting and names the nearest that is.
func known(key, source string) error {
	if _, err := lookup.Find("setting", key, keys()); err != nil {
		return fault.Usagef("%s: %v", source, err)
	}
	return nil
}

// flagError names the flag that is nearest to an unknown one.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return fault.Usagef("--%s: %w", invalid.GetFlag().Name, badValue(invalid.GetValue(), invalid.GetFlag().Value.Type(), invalid))
	}
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		err = unknownFlag(c, unknown.GetSpecifiedName())
	}
	return fault.Usage(err)
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
