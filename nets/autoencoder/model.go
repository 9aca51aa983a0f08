package autoencoder

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"fluxion/nets"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Dir is the folder of an autoencoder in a pipeline.
const Dir = "vae"

// Half is the encoder or the decoder.
type Half int

// The halves of an autoencoder.
const (
	Encoder Half = iota
	Decoder
)

// String names it as weights do.
func (h Half) String() string { return [...]string{"encoder", "decoder"}[h] }

// Sizes are the channels that it takes and gives.
func (c Config) channels(h Half) (in, out int) {
	if h == Encoder {
		return c.InChannels, 2 * c.LatentChannels
	}
	return c.LatentChannels, c.OutChannels
}

func (c Config) apply(h Half, s *nets.Scope, x *gorgonia.Node) *gorgonia.Node {
	if b := (builder{s, c}); h == Encoder {
		return b.encode(x)
	} else {
		return b.decode(x)
	}
}

// input is what a half takes of so many images.
func (c Config) input(h Half, g *gorgonia.ExprGraph, batch, height, width int) *gorgonia.Node {
	in, _ := c.channels(h)
	return gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(batch, height, width, in), gorgonia.WithName(h.String()))
}

// declare applies halves to the smallest image, as their parameters are found.
func (c Config) declare(halves ...Half) func(s *nets.Scope, g *gorgonia.ExprGraph) {
	return func(s *nets.Scope, g *gorgonia.ExprGraph) {
		side := map[Half]int{Encoder: c.Factor(), Decoder: 1}
		for _, h := range halves {
			c.apply(h, s, c.input(h, g, 1, side[h], side[h]))
		}
	}
}

// params are those of both halves.
func (c Config) params() ([]nets.Param, error) {
	p, err := nets.PlaceParameters(gorgonia.NewGraph(), tensor.Float32, "", c.declare(Encoder, Decoder))
	if err != nil {
		return nil, err
	}
	return p.Params, nil
}

// Model is an autoencoder and its weights.
type Model struct {
	Config
	Params []nets.Param // of both halves
	Flat   []float32    // weights
}

// Empty is a model whose weights are zeros.
func (c Config) Empty() (*Model, error) {
	params, err := c.params()
	return &Model{Config: c, Params: params, Flat: make([]float32, nets.FlatSize(params))}, err
}

// ReadConfig reads the configuration of an autoencoder in a folder, as Read finds it.
func ReadConfig(dir string, ignore ...string) (Config, error) {
	path := filepath.Join(component(dir), "config.json")
	text, err := pyjson.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("%w (want the folder of an %s, as diffusers writes it)", err, className)
	}
	c, err := Parse(text, ignore...)
	if fault := (*nets.ConfigError)(nil); errors.As(err, &fault) {
		fault.File = path
		return c, err
	}
	return c, pyjson.In(path, err)
}

// Read reads the folder of an autoencoder: dir itself, or its sub-folder vae or vqvae, as
// pipelines have it. Unknown keys to ignore are left out.
func Read(dir string, ignore ...string) (*Model, error) {
	dir = component(dir)
	c, err := ReadConfig(dir, ignore...)
	if err != nil {
		return nil, err
	}
	m := &Model{Config: c}
	if m.Params, err = c.params(); err != nil {
		return nil, err
	}
	var notes []string
	if m.Flat, notes, err = nets.ReadWeights(dir, m.Params, nets.ModernAttention); err != nil {
		return nil, err
	}
	m.Noted = m.And(notes...)
	return m, nil
}

// FromTensors reads an autoencoder from a config.json and an open file of its tensors alone.
func FromTensors(config []byte, f nets.TensorFile, ignore ...string) (*Model, error) {
	c, err := Parse(config, ignore...)
	if err != nil {
		return nil, pyjson.In(f.Path(), err)
	}
	m := &Model{Config: c}
	if m.Params, err = c.params(); err != nil {
		return nil, err
	}
	m.Flat, err = nets.ReadTensorWeights(f, m.Params, nets.ModernAttention)
	return m, err
}

func component(dir string) string {
	for _, name := range []string{Dir, "vqvae"} { // the latter is LDMPipeline's name
		if info, err := os.Stat(filepath.Join(dir, name, "config.json")); err == nil && info.Mode().IsRegular() {
			return filepath.Join(dir, name)
		}
	}
	return dir
}

// Write writes the model into an existing folder, as nets.WriteModel does.
func (m *Model) Write(dir string, as safetensors.Dtype) error {
	return nets.WriteModelAs(as, dir, m, m.Params, m.Flat)
}

// Digest is the same for autoencoders that make the same latents and images.
func (m *Model) Digest() string {
	sum := sha256.New()
	keys, _ := json.Marshal(m.Config) // what a configuration says, without how it is written; plain values always encode
	sum.Write(keys)
	for part := range slices.Chunk(m.Flat, 1<<14) {
		_ = binary.Write(sum, binary.LittleEndian, part) // into memory
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Graph is half of an autoencoder applied to images or latents.
type Graph struct {
	Input, Output *gorgonia.Node
	*nets.Parameters
}

// Build makes the graph of a half, for so many images or latents.
func (c Config) Build(h Half, batch, height, width int) (*Graph, error) {
	if batch < 1 || height < 1 || width < 1 {
		return nil, fmt.Errorf("building the %v: a batch of %d of %d×%d", h, batch, height, width)
	}
	g := gorgonia.NewGraph()
	p, err := nets.PlaceParameters(g, tensor.Float32, "", c.declare(h))
	if err != nil {
		return nil, err
	}
	out := &Graph{Input: c.input(h, g, batch, height, width), Parameters: p}
	err = p.Use(func(s *nets.Scope) { out.Output = c.apply(h, s, out.Input) })
	return out, err
}

// Weights are those of some of the parameters, as a flat buffer of theirs.
func (m *Model) Weights(params []nets.Param) []float32 {
	flat := make([]float32, nets.FlatSize(params))
	at := map[string]int{}
	for _, p := range m.Params {
		at[p.Name] = p.Offset
	}
	for _, p := range params {
		copy(flat[p.Offset:][:p.Size()], m.Flat[at[p.Name]:])
	}
	return flat
}
