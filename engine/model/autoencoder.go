package model

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"fluxion/engine/scheduler"
	"fluxion/nets/autoencoder"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

// AutoencoderDir is the folder of the autoencoder whose latents a model makes.
const AutoencoderDir = autoencoder.Dir

// KeepAutoencoder puts the files of an autoencoder's folder into another that is not there
// yet: as links where the disk can, since every checkpoint has them and none changes them.
func KeepAutoencoder(from, to string) error {
	entries, err := os.ReadDir(from)
	if err == nil {
		err = os.Mkdir(to, 0o777)
	}
	for _, e := range entries {
		if err == nil && e.Type().IsRegular() {
			old, next := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
			if os.Link(old, next) != nil { // another disk, or one without links
				err = copyFile(old, next)
			}
		}
	}
	return err
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// ReadAutoencoder reads the autoencoder of a model of latents.
func (m *Model) ReadAutoencoder(ignore ...string) (*autoencoder.Model, error) {
	if m.vae != nil {
		return m.vae(ignore...)
	}
	return autoencoder.Read(m.Autoencoder, ignore...)
}

// keepAutoencoder puts it into a folder that is not there yet.
func (m *Model) keepAutoencoder(to string) error {
	if m.vae == nil {
		return KeepAutoencoder(m.Autoencoder, to)
	}
	vae, err := m.vae()
	if err == nil {
		err = os.Mkdir(to, 0o777)
	}
	if err == nil {
		err = vae.Write(to, safetensors.F32)
	}
	return err
}

// AutoencoderDigest is that of the autoencoder whose latents the model makes; "": it makes
// images, or the folder does not tell.
func (m *Model) AutoencoderDigest() string { return m.autoencoder }

// findAutoencoder is the folder of a pipeline's autoencoder; "": it has none.
func findAutoencoder(root string) string {
	dir := filepath.Join(root, AutoencoderDir)
	if info, err := os.Stat(filepath.Join(dir, "config.json")); err == nil && info.Mode().IsRegular() {
		return dir
	}
	return ""
}

// LatentFiles are the model_index.json of a checkpoint whose model makes latents, and the code
// that diffusers calls it by: none of its pipelines does what latents of any autoencoder need.
func LatentFiles(method, network string, classes int, guided bool) map[string][]byte {
	p := Pipeline{Class: ownPipeline, Steps: fewSteps, Code: true, Classes: classes, Guided: guided, Autoencoder: true}
	return map[string][]byte{"model_index.json": p.index(method, network), PipelineFile: pipelineCode}
}

// components are the parts of a pipeline, as model_index.json has them.
func (p Pipeline) components(method, network string) map[string]any {
	values := map[string]any{
		"_class_name":        p.Class,
		"_diffusers_version": scheduler.Version,
		"scheduler":          []any{"diffusers", method},
		"unet":               []any{"diffusers", network},
	}
	if p.Autoencoder {
		values[AutoencoderDir] = []any{"diffusers", "AutoencoderKL"}
	}
	return values
}

// Index is the model_index.json of a checkpoint.
func Index(method, network string) []byte {
	return pyjson.Marshal(Pipeline{Class: plainPipeline}.components(method, network))
}
