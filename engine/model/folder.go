// Package model opens folders with a network: a checkpoint, a run folder (its
// newest checkpoint), or a diffusers pipeline. It knows nothing of training.
package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"fluxion/data/object"
	"fluxion/data/stable"
	"fluxion/nets/pyjson"
)

// A checkpoint is a folder that diffusers opens as a pipeline:
//
//	model_index.json
//	unet/        weights
//	unet_ema/    averaged weights; unet_ema_20000/ or unet_ema_power_0.05/ those averaged otherwise
//	scheduler/   scheduler_config.json
//	training/    what sampling does not need, and classes.json
//
// A run folder holds them below checkpoints/, named by the images seen.
const (
	CheckpointsDir = "checkpoints"
	WeightsDir     = "unet"
	EMADir         = "unet_ema"
	TrainingDir    = "training"
	OptimizerFile  = "optimizer.safetensors" // in TrainingDir
	ClassesFile    = "classes.json"          // in TrainingDir: names of the classes
	DataFile       = "data.json"             // in TrainingDir: what the data were
	FewFile        = "few.json"              // in TrainingDir: the one way to sample a model of few steps
	GuidanceFile   = "guidance.json"         // in TrainingDir: that of the teacher, where it became part of the model
	SettingsFile   = "settings.json"         // in TrainingDir: those of the run
	settingsFile   = "config.json"           // of a run folder
)

// FloatValues is what DataFile says of data that were float32; of bytes it says nothing.
const FloatValues = "float32"

// Checkpoint is a checkpoint of a run.
type Checkpoint struct {
	Images int64 // seen
	Path   string
}

// Number reads the name of a checkpoint.
func Number(name string) (images int64, ok bool) {
	n, err := strconv.ParseInt(name, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == name
}

// LinkError is a link to a folder that is not there, as while a disk is not mounted.
type LinkError struct{ Path string }

func (e *LinkError) Error() string {
	return e.Path + " is a link to a folder that is not there; bring that folder back, or remove the link"
}

// Checkpoints lists the whole checkpoints of a run folder, oldest first. Links
// to folders count. A link that leads nowhere counts, too: it fails when it is
// read, instead of hiding a checkpoint.
func Checkpoints(dir string) ([]Checkpoint, error) {
	parent := filepath.Join(dir, CheckpointsDir)
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(parent); err == nil {
			return nil, &LinkError{parent}
		}
		return nil, nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, errors.New("it is no folder, and no file of weights; want a run, a checkpoint, the folder of a diffusers model, or a model in one file")
	}
	if err != nil {
		return nil, err
	}
	var list []Checkpoint
	for _, e := range entries {
		n, ok := Number(e.Name())
		if !ok {
			continue
		}
		path := filepath.Join(parent, e.Name())
		if info, err := os.Stat(path); err != nil && e.Type()&fs.ModeSymlink != 0 || err == nil && info.IsDir() {
			list = append(list, Checkpoint{n, path})
		}
	}
	stable.Sort(list, func(a, b Checkpoint) int { return cmp.Compare(a.Images, b.Images) })
	return list, nil
}

// Newest returns the newest checkpoint of a run folder, or dir itself if it is
// no run folder. RUN@best is the best checkpoint of a run.
func Newest(dir string) (string, error) {
	if object.Is(dir) {
		return dir, &AddressError{dir}
	}
	if run, ok := bestOf(dir); ok {
		return best(run)
	}
	all, err := Checkpoints(dir)
	if err != nil {
		return dir, err
	}
	if len(all) > 0 {
		return all[len(all)-1].Path, nil
	}
	return dir, noCheckpoint(dir)
}

// AddressError is a model in a store, where one of this machine is read.
type AddressError struct{ Address string }

func (e *AddressError) Error() string {
	return "it is no folder of this machine; fluxion convert " + e.Address + " OUT brings it here"
}

// Is says whether a folder is that of a run, a checkpoint or a model of diffusers, or a file a
// model in one, whole or not.
func Is(dir string) bool {
	if isModelFile(dir) {
		return true
	}
	if _, ok := bestOf(dir); !ok && !isDir(dir) {
		return false
	}
	path, err := Newest(dir)
	if err != nil {
		return true // what it lacks, opening it tells
	}
	for _, config := range []string{filepath.Join("unet", "config.json"), "config.json"} {
		if _, err := os.Stat(filepath.Join(path, config)); err == nil {
			return true
		}
	}
	return false
}

// NoCheckpointError is a run that has not saved anything yet.
type NoCheckpointError struct {
	Dir   string
	First int64 // images after which the first checkpoint is saved
}

func (e *NoCheckpointError) Error() string {
	return fmt.Sprintf("the run %s has no checkpoint yet; the first is saved after %d images, or when the run is stopped (Ctrl-C)", e.Dir, e.First)
}

// noCheckpoint is a *NoCheckpointError where dir is a run folder by its settings.
func noCheckpoint(dir string) error {
	data, err := pyjson.ReadFile(filepath.Join(dir, settingsFile))
	if err != nil {
		return nil // no run folder; who reads it says what it lacks
	}
	var run struct {
		Preset string `json:"preset"` // a network's config.json has none of these
		Images int64  `json:"images"`
		Every  int64  `json:"checkpoint_every"`
	}
	if json.Unmarshal(data, &run) != nil || run.Preset == "" || run.Images == 0 {
		return nil
	}
	if run.Every <= 0 {
		run.Every = run.Images
	}
	return &NoCheckpointError{dir, min(run.Every, run.Images)}
}
