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
