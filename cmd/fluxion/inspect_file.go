package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/stable"
	"fluxion/engine/model"
	"fluxion/nets"
	"fluxion/nets/safetensors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// weightEndings are those of files that hold tensors.
var weightEndings = []string{".safetensors", ".bin", ".pt", ".pth", ".ckpt"}

// pickleEnding is that of files which may hold tensors, and are looked for in no folder.
const pickleEnding = ".pkl"

// setEndings are those of files that are data of their own, not a part of their folder.
var setEndings = []string{".npy", ".npz", ".zip", ".tar", ".parquet"}

// maxWeightFiles bounds those of a folder.
const maxWeightFiles = 1000

// inspectedFile is what inspect prints of a file of weights.
type inspectedFile struct {
	File       string            `json:"file"`
	Parameters int               `json:"parameters"`
	Bytes      int64             `json:"bytes"` // of the numbers
	NotFinite  int               `json:"not_finite"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Tensors    []inspectedTensor `json:"tensors"`
}

type inspectedTensor struct {
	Name  string            `json:"name"`
	Dtype safetensors.Dtype `json:"dtype"`
	Shape []int             `json:"shape"`
	safetensors.Summary
}

// inspectFiles prints what tensors a file of weights or those below a folder hold.
func inspectFiles(ctx context.Context, face console.Face, path string) error {
	files, err := weightFiles(path)
	if err != nil {
		return err
	}
	list := []inspectedFile{}
	for _, file := range files {
		f, err := inspectFile(ctx, file)
		if err != nil {
			return err
		}
		list = append(list, f)
	}
	return face.Result(list, func(out io.Writer) error {
		for i, f := range list {
			if i > 0 {
				fmt.Fprintln(out)
			}
			if err := f.print(out); err != nil {
				return err
			}
		}
		return nil
	})
}

// weightFiles are a file, or those of a folder and the folders in it; of a run, those of
// its newest checkpoint.
func weightFiles(path string) (files []string, err error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return []string{path}, nil
	}
	root, err := model.Newest(path)
	if err != nil {
		return nil, modelError{path, err}
	}
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return nil, modelError{path, errors.New("there is no such file or folder; want a file of weights, a run, a checkpoint or the folder of a diffusers model")}
	}
	err = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == model.TrainingDir {
			return fs.SkipDir // the optimizer's
		}
		if err == nil && !e.IsDir() && slices.Contains(weightEndings, strings.ToLower(filepath.Ext(name))) {
			files = append(files, name)
		}
		if len(files) > maxWeightFiles {
			err = fmt.Errorf("it holds more than %d files of weights; want one of them", maxWeightFiles)
		}
		return err
	})
	if err == nil && files == nil {
		err = fmt.Errorf("it holds no file of weights (%s); want a run, a checkpoint or the folder of a diffusers model; of pictures and other data: fluxion data info %s",
			strings.Join(weightEndings, ", "), console.ShellWords(path))
	}
	if err != nil {
		return nil, modelError{path, err}
	}
	return files, nil
}

func inspectFile(ctx context.Context, path string) (r inspectedFile, err error) {
	f, err := openWeights(path)
	if err != nil {
		return r, modelError{path, err}
	}
	defer f.Close()
	r = inspectedFile{File: path, Tensors: []inspectedTensor{}}
	stored, whole := f.(*safetensors.File)
	if whole {
		r.Metadata = stored.Metadata
	}
	for _, t := range f.List() {
		if err := context.Cause(ctx); err != nil {
			return r, err
		}
		row := inspectedTensor{Name: t.Name, Dtype: t.Dtype, Shape: t.Shape}
		if row.Shape == nil {
			row.Shape = []int{}
		}
		if whole {
			row.Summary, err = stored.Summarise(t.Name)
		} else {
			row.Summary, err = summarise(f, t)
		}
		if err != nil {
			return r, modelError{path, err}
		}
		r.Parameters += t.Elements()
		r.Bytes += t.Size()
		r.NotFinite += row.NotFinite
		r.Tensors = append(r.Tensors, row)
	}
	stable.Sort(r.Tensors, func(a, b inspectedTensor) int { return strings.Compare(a.Name, b.Name) })
	return r, nil
}

// openWeights opens a file of weights, or says what else to do with a file that is none.
func openWeights(path string) (nets.TensorFile, error) {
	if model.IsArrays(path) {
		f, _, err := model.OpenArrays(path)
		if err == nil || model.Is(path) {
			return f, err
		}
	} else if f, err := nets.OpenTensors(path); err == nil || slices.Contains(append(weightEndings, pickleEnding), strings.ToLower(filepath.Ext(path))) {
		return f, err
	}
	if f, _, err := safetensors.OpenFile(path); err != nil {
		return nil, err
	} else if err = f.Close(); err != nil {
		return nil, err
	}
	set := path
	if !slices.Contains(setEndings, strings.ToLower(filepath.Ext(path))) {
		set = filepath.Dir(path)
	}
	return nil, fmt.Errorf("it is no file of weights: want one of %s, or a .npz that convert wrote; of pictures and other data: fluxion data info %s", strings.Join(weightEndings, ", "), console.ShellWords(set))
}

// summarise reads a tensor of a file of PyTorch's, where its type is one of floats.
func summarise(f nets.TensorFile, t safetensors.Tensor) (s safetensors.Summary, err error) {
	if safetensors.Float32s[t.Dtype] == nil {
		return s, nil
	}
	values := make([]float32, t.Elements())
	if err := f.ReadFloat32(t.Name, values); err != nil {
		return s, err
	}
	for _, x := range values {
		s.Add(float64(x))
	}
	return s, nil
}

// longest text of metadata that is shown.
const longest = 60

func (r inspectedFile) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d tensors, %s numbers, %s\n", r.File, len(r.Tensors), console.Thousands(int64(r.Parameters)), console.Size(r.Bytes))
	for _, key := range slices.Sorted(maps.Keys(r.Metadata)) {
		text := strings.Join(strings.Fields(r.Metadata[key]), " ")
		if runes := []rune(text); len(runes) > longest {
			text = string(runes[:longest]) + "…"
		}
		fmt.Fprintf(&b, "metadata    %s: %s\n", console.Visible(key), console.Visible(text))
	}
	const widest = 80
	width := 4
	for _, t := range r.Tensors {
		width = min(max(width, len(t.Name)), widest)
	}
	fmt.Fprintf(&b, "\n%-*s  %-7s %-16s %10s %10s %10s %10s\n", width, "name", "type", "shape", "norm", "mean", "least", "largest")
	for _, t := range r.Tensors {
		fmt.Fprintf(&b, "%-*s  %-7s %-16s ", width, console.Visible(t.Name), t.Dtype, strings.Trim(strings.ReplaceAll(fmt.Sprint(t.Shape), " ", "×"), "[]"))
		if t.Known {
			fmt.Fprintf(&b, "%10.4g %10.3g %10.3g %10.3g", t.Norm, t.Mean, t.Least, t.Largest)
		}
		if t.NotFinite > 0 {
			fmt.Fprintf(&b, "  %d not finite", t.NotFinite)
		}
		b.WriteByte('\n')
	}
	if r.NotFinite > 0 {
		fmt.Fprintln(&b, noteLine(fmt.Sprintf("%d numbers are not finite: no model can be made of this file", r.NotFinite)))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// otherFlag is one that is given besides --json; "" if there is none.
func otherFlag(c *cobra.Command) (name string) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"json", "verbose", "quiet"}, f.Name) {
			name = f.Name
		}
	})
	return name
}

// oneFile is the only argument, "" without; others are refused.
func oneFile(args []string) (string, error) {
	switch {
	case len(args) > 1:
		return "", fault.Usagef("inspect takes one file or folder; there are %d arguments", len(args))
	case len(args) == 1 && args[0] == "":
		return "", fault.Usagef("inspect takes a file or folder, and it is empty")
	case len(args) == 1:
		return args[0], nil
	}
	return "", nil
}
