package average

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"fluxion/data/stable"
	"fluxion/nets"
	"fluxion/nets/safetensors"
)

// Dir is the folder of a run that keeps its averages as they were now and then. Each
// lies in a file of safetensors, under the names of the network's own.
const Dir = "snapshots"

// ending is that of a snapshot's name.
const ending = ".safetensors"

// Keys of a snapshot's metadata.
const (
	imagesKey  = "images"
	sigmaKey   = "sigma_rel"
	networkKey = "config" // the network's config.json
)

// Types are those in which snapshots can be written, by their names in settings.
var Types = []struct {
	Name string
	As   safetensors.Dtype
}{{"fp16", safetensors.F16}, {"bf16", safetensors.BF16}, {"fp32", safetensors.F32}}

// Error is a folder of snapshots, or one of them, that cannot be used.
type Error struct{ Path, Problem string }

func (e *Error) Error() string { return e.Path + " " + e.Problem }

// FileName is the name of a snapshot.
func FileName(p Profile) string {
	return fmt.Sprintf("%09d-%s%s", p.Images, FormatSigma(p.Sigma), ending)
}

// ParseFileName reads it.
func ParseFileName(name string) (p Profile, ok bool) {
	images, sigma, _ := strings.Cut(strings.TrimSuffix(name, ending), "-")
	var err1, err2 error
	p.Images, err1 = strconv.ParseInt(images, 10, 64)
	p.Sigma, err2 = ParseSigma(sigma)
	return p, err1 == nil && err2 == nil && p.Images > 0 && name == FileName(p)
}

func (p Profile) metadata(n nets.Network) map[string]string {
	return map[string]string{"format": "pt", imagesKey: strconv.FormatInt(p.Images, 10), sigmaKey: FormatSigma(p.Sigma), networkKey: string(n.JSON())}
}

// Write writes a snapshot of an average as a type, or as F32 where that cannot hold it.
// wide then names the tensor at fault, else it is "".
func Write(w io.Writer, n nets.Network, params []nets.Param, flat []float32, p Profile, as safetensors.Dtype) (wide string, err error) {
	if wide = nets.TooLarge(as, params, flat); wide != "" {
		as = safetensors.F32
	}
	return wide, nets.WriteWeights(w, as, params, flat, p.metadata(n))
}

// FileSize is the length of a snapshot's file.
func FileSize(n nets.Network, params []nets.Param, p Profile, as safetensors.Dtype) (int64, error) {
	_, bytes, err := safetensors.Sizes(nets.TensorsAs(as, params), p.metadata(n))
	return bytes, err
}

// List is the snapshots in a folder, the oldest first. A folder that is not there has none.
func List(dir string) ([]Profile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []Profile
	for _, e := range entries { // in the order of their names, which is that of time
		if p, ok := ParseFileName(e.Name()); ok && !e.IsDir() {
			list = append(list, p)
		}
	}
	stable.Sort(list, func(p, q Profile) int { return int(min(max(p.Images-q.Images, -1), 1)) })
	return list, nil
}
