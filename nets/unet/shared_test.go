package unet

import "fluxion/nets"

// The files of a model.
const (
	configFile  = "config.json"
	weightsFile = "diffusion_pytorch_model.safetensors"
	indexFile   = "diffusion_pytorch_model.safetensors.index.json"
)

func classes() nets.Classes { return nets.Classes{Class()} }

// config is a network of this room, or nothing.
func config(n nets.Network) Config {
	c, _ := n.(Config)
	return c
}

func readConfig(dir string) (Config, error) {
	n, err := classes().ReadConfig(dir)
	return config(n), err
}

func readModel(dir string) (Config, []float32, error) {
	n, flat, err := classes().ReadModel(dir)
	return config(n), flat, err
}

func readDenoiser(dir string) (Config, []float32, error) {
	n, flat, err := classes().ReadDenoiser(dir)
	return config(n), flat, err
}

func presetNames() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.Name)
	}
	return names
}
