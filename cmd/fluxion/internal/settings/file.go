package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/nets/pyjson"
)

// fileFormats are the endings of configuration files and viper's names of their
// decoders. JSON is YAML, whose decoder keeps the last digits of a seed.
var fileFormats = map[string]string{".yaml": "yaml", ".yml": "yaml", ".json": "yaml", ".toml": "toml"}

// maxFile bounds a file of settings, of which there are some fifty.
const maxFile = 1 << 20

func readBounded(path string) ([]byte, error) {
	text, err := pyjson.ReadFile(path) // of any format: nothing that has no end
	var file *pyjson.Error
	if errors.As(err, &file) {
		err = errors.New(file.Problem)
	}
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("holds more than %d bytes, want settings", maxFile)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), err // editors of Windows write the mark
}

// moreDocuments says whether YAML goes on behind its first document, where decoders stop.
func moreDocuments(text []byte) bool {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	return d.Decode(&first) == nil && !errors.Is(d.Decode(&second), io.EOF)
}

// readFile returns what a configuration file says, by keys that must be known.
func (r *Sources) readFile() (map[string]any, error) {
	format, ok := fileFormats[strings.ToLower(filepath.Ext(r.file))]
	if !ok {
		return nil, fault.Usagef("--config %s: want a file that ends in .yaml, .toml or .json", r.file)
	}
	text, err := readBounded(r.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.Usagef("--config %s: no such file", r.file)
	}
	if err != nil {
		return nil, fault.Usagef("--config %s: %w", r.file, err)
	}
	if format == "yaml" && moreDocuments(text) {
		return nil, fault.Usagef("--config %s: holds more than one document, want one with all settings", r.file)
	}
	decoder, err := viper.NewCodecRegistry().Decoder(format)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if err := decoder.Decode(text, values); err != nil {
		return nil, fault.Usagef("--config %s: %s", r.file, strings.ReplaceAll(oneLine(err), "strconv.", ""))
	}
	said := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key := strings.ToLower(name) // as viper compares them
		if err := r.known(key, r.file); err != nil {
			return nil, err
		}
		if values[name] == nil {
			return nil, fault.Usagef("%s: %s: has no value", r.file, key)
		}
		said[key] = values[name]
	}
	return said, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
