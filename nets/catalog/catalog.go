// Package catalog lists all networks there are, and opens folders with any of them.
package catalog

import (
	"fluxion/nets"
	"fluxion/nets/edm"
	"fluxion/nets/edm2"
	"fluxion/nets/mlp"
	"fluxion/nets/song"
	"fluxion/nets/unet"
)

// classes is a network a line.
func classes() nets.Classes {
	return nets.Classes{
		unet.Class(),
		mlp.Class(),
		song.Class(),
		edm.Class(),
		edm.Guided(),
		edm2.Class(),
		edm2.Published(),
	}
}

// Preset returns a network by name, and how it is trained.
func Preset(name string) (nets.Preset, error) { return classes().Preset(name) }

// Presets returns all presets, those of each class smallest first.
func Presets() []nets.Preset { return classes().Presets() }

// PresetNames returns their names.
func PresetNames() []string {
	var names []string
	for _, p := range Presets() {
		names = append(names, p.Name)
	}
	return names
}

// PresetBySize is for a network that is none of the presets: see nets.Classes.
func PresetBySize(n nets.Network) (nets.Preset, error) { return classes().PresetBySize(n) }

// ReadConfig reads the network of a folder: see nets.Classes.
func ReadConfig(dir string, ignore ...string) (nets.Network, error) {
	return classes().ReadConfig(dir, ignore...)
}

// ReadModel reads the network of a folder and its weights: see nets.Classes.
func ReadModel(dir string, ignore ...string) (nets.Network, []float32, error) {
	return classes().ReadModel(dir, ignore...)
}

// ReadDenoiser reads a network that denoises, and its weights: see nets.Classes.
func ReadDenoiser(dir string, ignore ...string) (nets.Network, []float32, error) {
	return classes().ReadDenoiser(dir, ignore...)
}

// ReadTensors reads a network that denoises, and its weights, from a config.json and an
// open file.
func ReadTensors(config []byte, f nets.TensorFile, ignore ...string) (nets.Network, []float32, error) {
	return classes().ReadTensors(config, f, ignore...)
}

// Parse reads the network of a config.json.
func Parse(config []byte, ignore ...string) (nets.Network, error) {
	return classes().Parse(config, ignore...)
}
