package nets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"fluxion/nets/safetensors"
)

// LabelsDir is the folder of the network that is told labels, in a pipeline whose unet is
// the same network told none: it is the one that is read.
const LabelsDir = "unet_labels"

// LabelsFile in LabelsDir holds what that network has beside the weights of unet, or otherwise:
// what both have is stored once. Folders of before have all of its weights there.
const LabelsFile = "labels.safetensors"

// WriteLabels writes a network and its weights into an existing folder LabelsDir, where those
// of unet beside it lie already, or will.
func WriteLabels(as safetensors.Dtype, dir string, n Network, weights []float32, unet Network, of []float32) error {
	there := map[string][]float32{}
	for _, p := range Params(unet) {
		there[p.Name] = of[p.Offset:][:p.Size()]
	}
	own := slices.DeleteFunc(slices.Clone(Params(n)), func(p Param) bool {
		return slices.Equal(there[p.Name], weights[p.Offset:][:p.Size()])
	})
	return writeModel(as, dir, LabelsFile, n, own, weights)
}

// openLabels opens the weights of a folder LabelsDir: its own, over those of unet.
func openLabels(dir string, modernName func(string) string) (*weights, error) {
	path := filepath.Join(dir, LabelsFile)
	w, err := openWeights(filepath.Join(dir, "..", componentName), modernName)
	if err != nil {
		return nil, fmt.Errorf("%w (%s holds only what it has otherwise)", err, path)
	}
	f, err := OpenTensors(path)
	if err != nil {
		w.Close()
		return nil, err
	}
	w.path, w.files = path, append(w.files, f)
	for _, t := range f.List() {
		w.entries[t.Name] = entry{f, t.Name}
	}
	return w, nil
}

// hasLabels says whether a folder is LabelsDir with LabelsFile.
func hasLabels(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, LabelsFile))
	return err == nil && info.Mode().IsRegular()
}

// IsLabels refuses LabelsFile as a model of its own.
func IsLabels(path string) error {
	if filepath.Base(path) != LabelsFile {
		return nil
	}
	return errors.New(path + " holds only what that network has beside unet/; want the folder of the pipeline around it")
}
