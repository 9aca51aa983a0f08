package nets

import (
	"strings"

	"fluxion/nets/pickle"
	"fluxion/nets/safetensors"
)

// TensorFile is an open file of weights.
type TensorFile interface {
	Path() string
	List() []safetensors.Tensor
	Lookup(name string) (safetensors.Tensor, bool)
	// ReadFloat32 reads a tensor into dst, which must have its length.
	ReadFloat32(name string, dst []float32) error
	Close() error
}

// OpenTensors opens a file of safetensors by its name, any other as one of PyTorch's.
func OpenTensors(path string) (TensorFile, error) {
	if strings.HasSuffix(path, ".safetensors") {
		return opened(safetensors.Open(path))
	}
	return opened(pickle.Open(path))
}

// opened keeps a nil file from becoming an interface that is not nil.
func opened[F TensorFile](f F, err error) (TensorFile, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// TensorsWithin are the tensors of a file whose names begin with a prefix, without it.
func TensorsWithin(f TensorFile, prefix string) TensorFile { return section{f, prefix, true} }

// TensorsWithout are the others.
func TensorsWithout(f TensorFile, prefix string) TensorFile { return section{f, prefix, false} }

// section is some tensors of a file.
type section struct {
	TensorFile
	prefix string
	within bool
}

func (s section) List() (list []safetensors.Tensor) {
	for _, t := range s.TensorFile.List() {
		name, within := strings.CutPrefix(t.Name, s.prefix)
		if within == s.within {
			t.Name = name
			list = append(list, t)
		}
	}
	return list
}

func (s section) name(name string) string {
	if s.within {
		return s.prefix + name
	}
	return name
}

func (s section) Lookup(name string) (safetensors.Tensor, bool) {
	t, ok := s.TensorFile.Lookup(s.name(name))
	t.Name = name
	return t, ok
}

func (s section) ReadFloat32(name string, dst []float32) error {
	return s.TensorFile.ReadFloat32(s.name(name), dst)
}
