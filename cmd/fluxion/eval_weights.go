package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/nets/feature"
)

// featureFiles are the names under which weights of networks of features are published.
// What stands before the dot is the beginning of their SHA-256.
var featureFiles = map[string][]string{
	"inception": {"pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"},
	"lite0":     {"efficientnet-lite0-57934424.pth"},
}

// published says whether weights are of a file whose name is known.
func published(network, hash string) bool {
	return slices.ContainsFunc(featureFiles[network], func(name string) bool { return strings.HasSuffix(strings.TrimSuffix(name, filepath.Ext(name)), hash) })
}

// readFeatures reads the weights of a network of features from the file that the user
// names, or from where it is looked for. It returns the beginning of the file's SHA-256,
// and what the user should know.
func readFeatures(n feature.Network, file string) (weights []float32, hash, note string, err error) {
	g, err := n.Build(1)
	if err != nil {
		return nil, "", "", err
	}
	path, hash, err := findFeatures(n.Name, file)
	if err != nil {
		return nil, "", "", err
	}
	if weights, err = n.ReadWeights(path, g.Params); err != nil {
		return nil, "", "", err
	}
	if !published(n.Name, hash) {
		note = fmt.Sprintf("the weights %s are none that were published for %s: numbers compare with those of these weights alone", hash, n.Name)
	}
	return weights, hash, note, nil
}

// featureFolders are where this program and PyTorch's hub keep files.
func featureFolders() []string {
	var folders []string
	if dir, err := os.UserCacheDir(); err == nil {
		folders = append(folders, filepath.Join(dir, "fluxion", "weights"))
	}
	if home := os.Getenv("TORCH_HOME"); home != "" {
		folders = append(folders, filepath.Join(home, "hub", "checkpoints"))
	} else if dir, err := os.UserCacheDir(); err == nil {
		folders = append(folders, filepath.Join(dir, "torch", "hub", "checkpoints"))
	}
	return folders
}

// findFeatures returns the file with the weights of a network, and the beginning of its
// SHA-256. Path is what the user says, or empty.
func findFeatures(network, path string) (file, hash string, err error) {
	candidates := []string{path}
	if path == "" {
		candidates = nil
		for _, folder := range featureFolders() {
			for _, name := range featureFiles[network] {
				candidates = append(candidates, filepath.Join(folder, name))
			}
		}
	}
	for _, c := range candidates {
		hash, err := hashOf(c)
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == "":
			continue
		case err != nil:
			return "", "", &data.Error{Path: c, Problem: "cannot be opened", Err: err}
		}
		name := strings.TrimSuffix(filepath.Base(c), filepath.Ext(c))
		for _, known := range featureFiles[network] {
			if known = strings.TrimSuffix(known, filepath.Ext(known)); known == name && !strings.HasSuffix(name, hash) {
				return "", "", &data.Error{Path: c, Problem: fmt.Sprintf("has a SHA-256 that begins with %s and not as its name says: it is damaged or another file", hash)}
			}
		}
		return c, hash, nil
	}
	return "", "", fault.Usagef("the weights of %s are needed: give %s with --weights FILE, or put it into %s", network, strings.Join(featureFiles[network], " or "), strings.Join(featureFolders(), " or "))
}

// hashOf is the beginning of the SHA-256 of a file, as names of weights have it.
func hashOf(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is a folder, pipe or device, want a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil))[:8], nil
}
