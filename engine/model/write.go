package model

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"fluxion/data/durable"
	"fluxion/engine/scheduler"
	"fluxion/nets"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

// Index is the model_index.json of a folder that diffusers opens as a pipeline.
func Index(method, network string) []byte {
	return pyjson.Marshal(map[string]any{
		"_class_name":        "DDPMPipeline",
		"_diffusers_version": scheduler.Version,
		"scheduler":          []any{"diffusers", method},
		"unet":               []any{"diffusers", network},
	})
}

// OriginFile is in TrainingDir of a folder that Write made.
const OriginFile = "origin.json"

// Origin is what the weights of such a folder are.
type Origin struct {
	From      string  `json:"from"`                // folder
	Weights   string  `json:"weights"`             // of it, as Read names them
	Images    int64   `json:"images,omitempty"`    // seen, of an average that was made
	Sigma     float64 `json:"sigma_rel,omitempty"` // of it
	Snapshots int     `json:"snapshots,omitempty"` // that it is made of
	Residual  float64 `json:"residual,omitempty"`  // see average.Fit
	Untrained bool    `json:"untrained,omitempty"` // see Model
}

// Origin is that of the model as it was read.
func (m *Model) Origin() Origin {
	o := Origin{From: m.from, Weights: m.weights, Untrained: m.Untrained}
	if m.Made != nil {
		o.Images, o.Sigma, o.Snapshots, o.Residual = m.Made.Want.Images, m.Made.Want.Sigma, len(m.Made.Of), m.Made.Residual
	}
	return o
}

// Write makes a folder of the model that Read and diffusers open, with weights of a type.
// Nothing may lie at path yet.
func (m *Model) Write(disk durable.Disk, path string, as safetensors.Dtype) error {
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	files := map[string][]byte{"model_index.json": Index(m.method, m.Network.ClassName()), filepath.Join("scheduler", "scheduler_config.json"): m.scheduler}
	for _, name := range []string{ClassesFile, DataFile, FewFile} {
		name = filepath.Join(TrainingDir, name)
		data, err := pyjson.ReadFile(filepath.Join(m.Root, name))
		switch {
		case err == nil:
			files[name] = data
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	origin, err := json.MarshalIndent(m.Origin(), "", "  ")
	if err != nil {
		return err
	}
	files[filepath.Join(TrainingDir, OriginFile)] = append(origin, '\n')
	return disk.Folder(path, func(dir string) error {
		for _, sub := range []string{WeightsDir, "scheduler", TrainingDir} {
			if err := os.Mkdir(filepath.Join(dir, sub), 0o777); err != nil {
				return err
			}
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				return err
			}
		}
		return nets.WriteModelAs(as, filepath.Join(dir, WeightsDir), m.Network, nets.Params(m.Network), m.Weights)
	})
}

// saidUntrained is what the folder's OriginFile says of Model.Untrained.
func saidUntrained(path string) (bool, error) {
	text, err := pyjson.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var o Origin
	if err == nil {
		err = pyjson.In(path, pyjson.Decode(text, &o))
	}
	return o.Untrained, err
}
