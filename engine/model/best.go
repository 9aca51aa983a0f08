package model

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"fluxion/nets/pyjson"
)

// BestFile of a run folder names the best checkpoint so far.
const BestFile = "best.json"

// Best is the best checkpoint of a run, by a metric.
type Best struct {
	Metric string  `json:"metric"` // one of its numbers
	Value  float64 `json:"value"`
	Images int64   `json:"images"` // seen
}

// Path of the checkpoint in the run folder.
func (b Best) Path(dir string) string {
	return filepath.Join(dir, CheckpointsDir, strconv.FormatInt(b.Images, 10))
}

// ReadBest reads which checkpoint of a run folder is the best; nil where nobody chose.
func ReadBest(dir string) (*Best, error) {
	path := filepath.Join(dir, BestFile)
	text, err := pyjson.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	b := &Best{}
	if err == nil {
		err = pyjson.In(path, pyjson.Decode(text, b))
	}
	if err == nil && (b.Metric == "" || b.Images <= 0) {
		err = &pyjson.Error{File: path, Problem: "names no checkpoint; want the keys metric, value and images"}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ofBest ends the name of a run whose best checkpoint is meant, as in RUN@best.
const ofBest = "@best"

// bestOf returns the run whose best checkpoint a name means.
func bestOf(name string) (run string, ok bool) {
	run, ok = strings.CutSuffix(name, ofBest)
	return run, ok && !isDir(name)
}

// best returns the best checkpoint of a run folder.
func best(run string) (string, error) {
	b, err := ReadBest(run)
	if err != nil {
		return run, err
	}
	if b == nil {
		return run, fmt.Errorf("%s has no best checkpoint: train --keep-best chooses one", run)
	}
	path := b.Path(run)
	if !isDir(path) {
		return path, fmt.Errorf("%s says that the best checkpoint is %d, and it is not there", filepath.Join(run, BestFile), b.Images)
	}
	return path, nil
}
