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
	"fluxion/engine/evaluate"
	"fluxion/nets/feature"
)

// featureFiles are the names under which weights of networks of features are published.
// Where eight digits stand before the dot, they are the beginning of their SHA-256.
var featureFiles = map[string][]string{
	"inception": {"pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"},
	"lite0":     {"efficientnet-lite0-57934424.pth"},
	"dinov2":    {"dinov2_vitl14_pretrain.pth"},
	"dinov2-b":  {"dinov2_vitb14_pretrain.pth"},
	"dinov2-s":  {"dinov2_vits14_pretrain.pth"},
}

// hashIn is the beginning of a SHA-256 that a known name ends in; empty: it has none.
func hashIn(name string) string {
	name = strings.TrimSuffix(name, filepath.Ext(name))
	end := name[strings.LastIndexByte(name, '-')+1:]
	if _, err := hex.DecodeString(end); err != nil || len(end) != 2*hashBytes {
		return ""
	}
	return end
}

// published says whether weights are of a file whose name is known.
func published(n feature.Network, hash string) bool {
	return n.Embedded() != nil && hash == sumOf(n.Embedded()) || slices.ContainsFunc(featureFiles[n.Name], func(name string) bool { return hashIn(name) == hash })
}

// networkFor is the network of features where the user names none: that of the metrics,
// or of a file of weights, or the first whose weights are here.
func networkFor(metrics []evaluate.Metric, file string) string {
	for _, m := range metrics {
		if m.Network != "" {
			return m.Network
		}
	}
	for _, n := range feature.Networks {
		switch {
		case file != "" && slices.Contains(featureFiles[n.Name], filepath.Base(file)), file == "" && (n.Embedded() != nil || hasFeatures(n.Name)):
			return n.Name
		}
	}
	return evaluate.NetworkOfFID
}

// embeddedNote says of which network features are that nobody chose.
func embeddedNote(n feature.Network, prefix string) string {
	return fmt.Sprintf("the features are those of %s, a small classifier of characters that is part of the program; photographs want --%snetwork inception or lite0", n.Name, prefix)
}

// hasFeatures says whether there is a file with the weights of a network.
func hasFeatures(network string) bool {
	return slices.ContainsFunc(candidates(network), func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	})
}

// readFeatures reads the weights of a network of features from the file that the user
// names, or from where it is looked for, which is the program itself where they are part
// of it. It returns the beginning of the file's SHA-256, and what the user should know.
// Errors name flags that begin with a prefix, as those of train do, and the metrics that
// want this network.
func readFeatures(n feature.Network, file, prefix string, metrics []evaluate.Metric) (weights []float32, hash, note string, err error) {
	g, err := n.Build(1)
	if err != nil {
		return nil, "", "", err
	}
	if file == "" && n.Embedded() != nil {
		weights, err = n.EmbeddedWeights(g.Params)
		return weights, sumOf(n.Embedded()), "", err
	}
	path, hash, err := findFeatures(n.Name, file, prefix, metrics)
	if err != nil {
		return nil, "", "", err
	}
	if weights, err = n.ReadWeights(path, g.Params); err != nil {
		return nil, "", "", err
	}
	switch {
	case published(n, hash):
	case !slices.ContainsFunc(featureFiles[n.Name], func(name string) bool { return hashIn(name) != "" }):
		note = fmt.Sprintf("the weights %s have the shapes of %s; whether they are its published ones cannot be told, as their SHA-256 is not known", hash, n.Name)
	default:
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

// candidates are the files in which the weights of a network are looked for.
func candidates(network string) []string {
	var files []string
	for _, folder := range featureFolders() {
		for _, name := range featureFiles[network] {
			files = append(files, filepath.Join(folder, name))
		}
	}
	return files
}

// findFeatures returns the file with the weights of a network, and the beginning of its
// SHA-256. Path is what the user says, or empty.
func findFeatures(network, path, prefix string, metrics []evaluate.Metric) (file, hash string, err error) {
	looked := []string{path}
	if path == "" {
		looked = candidates(network)
	}
	for _, c := range looked {
		hash, err := hashOf(c)
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == "":
			continue
		case err != nil:
			return "", "", &data.Error{Path: c, Problem: "cannot be opened", Err: err}
		}
		stem := func(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }
		for _, known := range featureFiles[network] {
			if want := hashIn(known); want != "" && want != hash && stem(known) == stem(c) {
				return "", "", &data.Error{Path: c, Problem: fmt.Sprintf("has a SHA-256 that begins with %s and not as its name says: it is damaged or another file", hash)}
			}
		}
		return c, hash, nil
	}
	var why []string
	for _, m := range metrics {
		if m.Network == network {
			why = append(why, m.Name)
		}
	}
	needed := ""
	if why != nil {
		needed = " for " + strings.Join(why, " and ")
	}
	return "", "", fault.Usagef("the weights of %s are needed%s: give %s with --%sweights FILE, or put it into %s; others, such as --%smetrics fd,kid, need no file with --%snetwork glyph",
		network, needed, strings.Join(featureFiles[network], " or "), prefix, strings.Join(featureFolders(), " or "), prefix, prefix)
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
	return hex.EncodeToString(h.Sum(nil)[:hashBytes]), nil
}

// hashBytes of a SHA-256 are in names of weights.
const hashBytes = 4

// sumOf is the beginning of the SHA-256 of a file in memory.
func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:hashBytes])
}
