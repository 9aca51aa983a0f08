package model

import (
	"os"
	"path/filepath"

	"fluxion/data/durable"
	"fluxion/nets"
	"fluxion/nets/safetensors"
)

// OriginFile is in TrainingDir of a folder that Write made.
const OriginFile = "origin.json"

// Origin is what the weights of such a folder are.
type Origin struct {
	From      string  `json:"from"`                // folder, from that of the run on
	Weights   string  `json:"weights"`             // of it, as Read names them
	Images    int64   `json:"images,omitempty"`    // seen, of an average that was made
	Sigma     float64 `json:"sigma_rel,omitempty"` // of it
	Snapshots int     `json:"snapshots,omitempty"` // that it is made of
	Residual  float64 `json:"residual,omitempty"`  // see average.Fit
	Untrained bool    `json:"untrained,omitempty"` // see Model
}

// Origin is that of the model as it was read.
func (m *Model) Origin() Origin {
	o := Origin{From: fromRun(m.from), Weights: m.weights, Untrained: m.Untrained}
	if m.Made != nil {
		o.Images, o.Sigma, o.Snapshots, o.Residual = m.Made.Want.Images, m.Made.Want.Sigma, len(m.Made.Of), m.Made.Residual
	}
	return o
}

// fromRun is a path without the folders that the run lies in, or the model where it is of none.
func fromRun(path string) string {
	for root := filepath.Clean(path); root != filepath.Dir(root); root = filepath.Dir(root) {
		if run, _ := runOf(root); run != "" {
			if within, err := filepath.Rel(filepath.Dir(run), path); err == nil {
				return filepath.ToSlash(within)
			}
		}
	}
	return filepath.Base(path)
}

// Write makes a folder of the model that Read and diffusers open, with weights of a type:
// a pipeline that diffusers runs as it is, and a card that says what it is and how it is
// called. Nothing may lie at path yet.
func (m *Model) Write(disk durable.Disk, path string, as safetensors.Dtype) (Pipeline, error) {
	p, unet, weights := m.Pipeline()
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return p, err
	}
	files := map[string][]byte{"model_index.json": p.index(m.method, unet.ClassName()), filepath.Join("scheduler", "scheduler_config.json"): m.scheduler}
	if p.Code || p.Labels != "" {
		files[PipelineFile] = pipelineCode
	}
	about, err := m.aboutLabels(p)
	if err != nil {
		return p, err
	}
	parts, err := m.Parts()
	if err != nil {
		return p, err
	}
	for name, text := range parts {
		files[filepath.Join(TrainingDir, name)] = text
	}
	grid, err := m.grid()
	if err != nil {
		return p, err
	}
	if grid != nil {
		files[GridFile] = grid
	}
	files[CardFile] = m.card(p, filepath.Base(path), as, grid != nil, parts[SettingsFile])
	return p, disk.Folder(path, func(dir string) error {
		for _, sub := range []string{"scheduler", TrainingDir} {
			if err := os.Mkdir(filepath.Join(dir, sub), 0o777); err != nil {
				return err
			}
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				return err
			}
		}
		if p.Autoencoder {
			if err := m.keepAutoencoder(filepath.Join(dir, AutoencoderDir)); err != nil {
				return err
			}
		}
		if p.Labels != "" {
			labels := filepath.Join(dir, p.Labels)
			if err := os.Mkdir(labels, 0o777); err != nil {
				return err
			}
			if err := nets.WriteLabels(as, labels, m.Network, m.Weights, unet, weights); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(labels, labelsAbout), about, 0o666); err != nil {
				return err
			}
		}
		return writeNetwork(filepath.Join(dir, WeightsDir), as, unet, weights)
	})
}

func writeNetwork(dir string, as safetensors.Dtype, n nets.Network, weights []float32) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	return nets.WriteModelAs(as, dir, n, nets.Params(n), weights)
}
