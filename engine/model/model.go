package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/engine/average"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/scheduler"
	"fluxion/nets"
	"fluxion/nets/autoencoder"
	"fluxion/nets/catalog"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

// Model is what is needed to sample from a folder.
type Model struct {
	Network nets.Network
	Weights []float32 // flat
	Process process.Process
	Classes []string // names, if known
	Labels  *Labels  // numbers that it is told instead of a class; nil: none
	Guided  bool     // there is what stands for no class, the last of the table, or for no numbers
	// Autoencoder is where that lies whose latents the model makes, which ReadAutoencoder
	// reads: a folder, or the model's own file; "": it makes images.
	Autoencoder string
	Tile        int // side of the tiles that its latents were encoded in; 0: whole images

	Floats bool     // its data were float32, taken as they are; else pictures, from −1 to 1
	Shapes [][2]int // heights and widths of its data, where they had several and the folder says so
	Path   string   // where the weights were found
	Root   string   // the checkpoint or pipeline that they belong to

	// Untrained says that no image went without its label while the model was
	// trained: the row of the class that stands for none is what it began with.
	// It is false where the folder does not tell.
	Untrained bool

	// Jumps is the scheduler's class where the network is one of those that jump along
	// trajectories, as consistency models do, and is no velocity; else empty.
	Jumps string

	// Few is the one way to sample the model; nil: there are many.
	Few *sampler.Few

	// Baked is the guidance of the model's teacher, which became part of it; 0: there was none.
	Baked float64

	Notes []string // what of the folder was not heeded, and which of several files was read

	// Made says how the weights were made of snapshots of averages; nil: they lay there.
	Made *average.Fit

	autoencoder   string                                             // digest of that of Autoencoder, if known
	vae           func(ignore ...string) (*autoencoder.Model, error) // reads it from the model's own file; nil: it lies in a folder
	from, weights string                                             // as Read was given them
	parts         map[string][]byte                                  // files of TrainingDir that go with the model
	scheduler     []byte                                             // the folder's own, in one spelling
	method        string                                             // its class
}

// Digest is the same for models that make the same images: of the network's
// configuration, its weights, the process that it was trained on, and what labels that are
// numbers mean to it.
func (m *Model) Digest() string {
	sum := sha256.New()
	sum.Write(m.Network.JSON())
	sum.Write(m.scheduler)
	sum.Write([]byte(m.autoencoder))
	sum.Write(m.parts[LabelsFile])
	buffer := make([]byte, 0, 1<<16)
	for w := range slices.Chunk(m.Weights, cap(buffer)/4) {
		buffer = buffer[:0]
		for _, x := range w {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(x))
		}
		sum.Write(buffer)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Read reads a folder with its EMA weights, its Raw ones, or another average: see EMA. Unknown keys of its configurations that are to be ignored are left out.
func Read(dir, weights string, ignore ...string) (*Model, error) {
	if isFile(dir) {
		return readFile(dir, weights, ignore)
	}
	root, err := Newest(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{Root: root, from: dir, weights: weights}
	var c choice
	if m.Path, c, err = weightsOf(root, weights); err != nil {
		return nil, err
	}
	if m.Path == "" {
		err = m.reconstruct(dir, c, ignore)
	} else {
		m.Network, m.Weights, err = catalog.ReadDenoiser(m.Path, ignore...)
	}
	if err != nil {
		if _, gone := os.Stat(dir); errors.Is(gone, fs.ErrNotExist) {
			err = errors.New("there is no such folder; want a run, a checkpoint or the folder of a diffusers model")
		}
		return nil, err
	}
	if m.parts, err = readParts(filepath.Join(root, TrainingDir)); err != nil {
		return nil, err
	}
	m.Autoencoder = findAutoencoder(root)
	config, err := scheduler.Open(root, ignore...)
	if errors.Is(err, fs.ErrNotExist) && bare(root) {
		config, err = m.assumed()
	}
	if err != nil {
		return nil, fmt.Errorf("%w (the folder must say how its network was trained)", err)
	}
	if err := m.heed(config, filepath.Join(root, TrainingDir)); err != nil {
		return nil, err
	}
	m.Untrained = m.Untrained || m.Guided && m.untrained(filepath.Join(root, TrainingDir, OptimizerFile))
	return m, nil
}

// bare says whether a folder is a network alone, and no pipeline or checkpoint, which
// lacks its scheduler if it has none.
func bare(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "model_index.json"))
	return errors.Is(err, fs.ErrNotExist) && !isDir(filepath.Join(dir, TrainingDir))
}

// assumed is the scheduler of a network whose folder has none: diffusers' own script
// trains for DDPM, by default.
func (m *Model) assumed() (scheduler.Config, error) {
	m.Notes = append(m.Notes, "there is no scheduler_config.json: the network is taken for DDPM's, of ε on linear βs; --scheduler or --schedule samples it otherwise")
	return scheduler.Parse("", []byte(`{"_class_name": "DDPMScheduler"}`))
}

// heed takes what the scheduler and the parts, which lie somewhere, say of the model.
func (m *Model) heed(config scheduler.Config, where string) (err error) {
	if m.Process, err = config.Process(); err != nil {
		return fmt.Errorf("%s: %w", m.Root, err)
	}
	if err = m.Network.Spec().CheckOutput(m.Process.Output.Name); err != nil {
		return fmt.Errorf("%s: %w", m.Root, err)
	}
	if m.scheduler, m.method = config.Bytes(), config.Name; config.Jumps() {
		m.Jumps = config.Name
	}
	if m.Notes = slices.Concat(m.Network.Notes(), m.madeNotes(), m.Notes); len(config.Unused) > 0 {
		m.Notes = append(m.Notes, "scheduler_config.json: ignored "+strings.Join(config.Unused, ", "))
	}
	for name, read := range map[string]func(path string, text []byte) error{DataFile: m.readValues, FewFile: m.readFew, ClassesFile: m.readClasses, GuidanceFile: m.readBaked} {
		if text, there := m.parts[name]; there {
			if err := read(filepath.Join(where, name), text); err != nil {
				return err
			}
		}
	}
	for _, part := range []struct {
		name string
		read func(path string, text []byte) error
	}{{LabelsFile, m.readLabels}, {OriginFile, m.readOrigin}} { // which go by what classes were
		if text, there := m.parts[part.name]; there {
			if err := part.read(filepath.Join(where, part.name), text); err != nil {
				return err
			}
		}
	}
	m.assumeLabels()
	m.Untrained = m.Untrained && m.Guided
	m.Floats = m.Floats || m.Autoencoder != ""
	return nil
}

// readValues finds whether the data were floats, and of which shapes; pictures where the folder does not tell.
func (m *Model) readValues(path string, text []byte) error {
	var d struct {
		Values      string   `json:"values"`
		Autoencoder string   `json:"autoencoder"`
		Tile        int      `json:"tile"`
		Shapes      [][2]int `json:"shapes"`
	}
	err := pyjson.In(path, pyjson.Decode(text, &d))
	m.Floats, m.autoencoder, m.Tile, m.Shapes = d.Values == FloatValues, d.Autoencoder, d.Tile, d.Shapes
	return err
}

// readFew finds whether the model was trained for few steps.
func (m *Model) readFew(path string, text []byte) error {
	err := pyjson.In(path, pyjson.Decode(text, &m.Few))
	if err == nil && (m.Few == nil || m.Few.Steps < 1 || m.Few.Steps > sampler.MaxSteps) {
		err = &pyjson.Error{File: path, Problem: "key steps: want 1 or more"}
	}
	if err != nil {
		return err
	}
	if _, err := sampler.Get(m.Few.Sampler); err != nil {
		return &pyjson.Error{File: path, Problem: "key sampler: " + err.Error()}
	}
	return nil
}

func (m *Model) readClasses(path string, text []byte) error {
	if err := pyjson.In(path, pyjson.Decode(text, &m.Classes)); err != nil {
		return err
	}
	if n, rows := len(m.Classes), m.Network.Spec().Classes; n != 0 && n != rows && n != rows-1 {
		return &pyjson.Error{File: path, Problem: fmt.Sprintf("has %d names, where the network knows %d classes; want as many, or one less where its last class stands for none", n, rows)}
	}
	m.Guided = len(m.Classes) > 0 && m.Network.Spec().Classes == len(m.Classes)+1
	return nil
}

// readOrigin finds whether the model is known to be Untrained.
func (m *Model) readOrigin(path string, text []byte) error {
	var o Origin
	err := pyjson.In(path, pyjson.Decode(text, &o))
	m.Untrained = m.Untrained || o.Untrained
	return err
}

// untrained reports whether the last row of the table of classes never had a
// gradient though others had. It is false where the file does not tell.
func (m *Model) untrained(path string) bool {
	f, err := safetensors.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	name := "moment2." + nets.ClassTable // AdamW's
	if _, ok := f.Lookup(name); !ok {
		name = "momentum." + nets.ClassTable // SGD's
	}
	params := nets.Params(m.Network)
	i := slices.IndexFunc(params, func(p nets.Param) bool { return p.Name == nets.ClassTable })
	if i < 0 {
		return false
	}
	table, state := m.Weights[params[i].Offset:][:params[i].Size()], make([]float32, params[i].Size())
	if t, ok := f.Lookup(name); !ok || t.Elements() != len(state) || f.ReadFloat32(name, state) != nil {
		return false
	}
	width := params[i].Shape[1]
	last := len(state) - width
	for row := 0; row < last; row += width {
		if !decayed(state[row:][:width], table[row:][:width]) {
			return decayed(state[last:], table[last:])
		}
	}
	return false
}

// decayed says whether an optimizer's state is that of weights without gradients: a mean
// of squares is 0, a momentum what weight decay makes it, a multiple of the weights.
// Without weight decay a gradient is not lost from either, however long ago it was.
func decayed(state, weights []float32) bool {
	var product, square float64
	for i, w := range weights {
		product += float64(state[i]) * float64(w)
		square += float64(w) * float64(w)
	}
	for i, w := range weights {
		const rounding = 1e-4 // of many steps, and of an average of the weights
		if decay := product / square * float64(w); !(math.Abs(float64(state[i])-decay) <= rounding*math.Abs(decay)) {
			return false
		}
	}
	return true
}
