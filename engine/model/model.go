package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fluxion/engine/process"
	"fluxion/engine/scheduler"
	"fluxion/nets"
)

// Model is what is needed to sample from a folder.
type Model struct {
	Config  nets.Config
	Weights []float32 // flat
	Process process.Process
	Classes []string // names, if known
	Guided  bool     // the last class stands for none
	Path    string   // where the weights were found
}

// Read reads the averaged weights, or the raw ones, of a folder.
func Read(dir string, average bool) (*Model, error) {
	root, err := Newest(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{Path: root}
	if average {
		if _, err := os.Stat(filepath.Join(root, AverageDir)); err == nil {
			m.Path = filepath.Join(root, AverageDir)
		}
	}
	if m.Config, m.Weights, err = nets.ReadModel(m.Path); err != nil {
		return nil, err
	}
	config, err := scheduler.Open(root)
	if err != nil {
		return nil, fmt.Errorf("%w (the folder must say how its network was trained)", err)
	}
	if m.Process, err = config.Process(); err != nil {
		return nil, fmt.Errorf("%s: %w", root, err)
	}
	return m, m.readClasses(filepath.Join(root, TrainingDir, ClassesFile))
}

func (m *Model) readClasses(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m.Classes)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.Guided = len(m.Classes) > 0 && m.Config.NumClassEmbeds == len(m.Classes)+1
	return nil
}
