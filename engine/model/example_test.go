package model_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"fluxion/engine/model"
	"fluxion/nets"
	"fluxion/nets/unet"
)

// A folder of diffusers holds a network, its weights, and what it was trained on.
func ExampleRead() {
	dir, err := os.MkdirTemp("", "pipeline")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := writePipeline(dir); err != nil {
		panic(err)
	}

	m, err := model.Read(dir, model.EMA) // the averaged weights, if the folder has them
	if err != nil {
		panic(err)
	}
	fmt.Printf("%v: %d numbers\n", m.Process, len(m.Weights))
	// Output:
	// fm/u: 45520 numbers
}

// writePipeline writes a network with its first weights, as training would.
func writePipeline(dir string) error {
	config, err := unet.Preset("micro")
	if err != nil {
		return err
	}
	params := nets.Params(config)
	weights := make([]float32, nets.FlatSize(params))
	nets.Initialise(params, 1, weights)
	scheduler := `{"_class_name": "FlowMatchEulerDiscreteScheduler"}`
	return errors.Join(
		os.Mkdir(filepath.Join(dir, "unet"), 0o777), os.Mkdir(filepath.Join(dir, "scheduler"), 0o777),
		nets.WriteModel(filepath.Join(dir, "unet"), config, params, weights),
		os.WriteFile(filepath.Join(dir, "scheduler", "scheduler_config.json"), []byte(scheduler), 0o666))
}
