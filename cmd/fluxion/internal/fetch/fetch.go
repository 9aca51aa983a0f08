// Package fetch brings models from a store to this machine, for as long as the program runs.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/durable"
	"fluxion/data/object"
)

// maxFiles bounds what is taken for a model.
const maxFiles = 10_000

// fetched is what lies in temporary folders, by address.
var fetched = struct {
	sync.Mutex
	at     map[string]string
	remove map[string]func() error // by address
}{at: map[string]string{}, remove: map[string]func() error{}}

// Model is the path of a model: of one in a store, that of a copy, of a run without what is
// not needed of it.
func Model(ctx context.Context, address string) (string, error) {
	if !object.Is(address) {
		return address, nil
	}
	fetched.Lock()
	defer fetched.Unlock()
	if local := fetched.at[address]; local != "" {
		return local, nil
	}
	dir, remove, err := durable.Scratch("fluxion-model-")
	if err != nil {
		return "", err
	}
	local := filepath.Join(dir, object.Base(address))
	if ending := path.Ext(address); ending == ".safetensors" || ending == ".npz" {
		err = copyTo(ctx, address, local)
	} else {
		err = folder(ctx, address, local)
	}
	if err != nil {
		return "", errors.Join(err, remove())
	}
	fetched.at[address], fetched.remove[address] = local, remove
	return local, nil
}

// Here refuses an address, given by a flag, where only this machine is looked at.
func Here(flag, path string) error {
	if object.Is(path) {
		return fault.Usagef("%s %s: want a path of this machine; data come from a store, and models, for sample, pairs and convert", flag, path)
	}
	return nil
}

// Remove takes away all copies.
func Remove() (err error) {
	fetched.Lock()
	defer fetched.Unlock()
	for address, remove := range fetched.remove {
		err = errors.Join(err, remove())
		delete(fetched.at, address)
		delete(fetched.remove, address)
	}
	return err
}

// folder copies a folder.
func folder(ctx context.Context, address, to string) error {
	all, err := object.List(ctx, address)
	if err != nil {
		return err
	}
	if all = needed(all); len(all) > maxFiles {
		return &object.Error{Address: address, Problem: fmt.Sprintf("has %d files; want a model, of at most %d", len(all), maxFiles)}
	}
	for _, i := range all {
		if !filepath.IsLocal(filepath.FromSlash(i.Name)) {
			return &object.Error{Address: object.Join(address, i.Name), Problem: "has a name that no file of a model has"}
		}
		if err := copyTo(ctx, object.Join(address, i.Name), filepath.Join(to, filepath.FromSlash(i.Name))); err != nil {
			return err
		}
	}
	return nil
}

// needed is what of a run a model is read from: its newest checkpoint, without the moments of its
// optimizer, and what lies beside; but no samples.
func needed(all []object.Info) []object.Info {
	newest := int64(-1)
	for _, i := range all {
		newest = max(newest, checkpoint(i.Name))
	}
	return slices.DeleteFunc(all, func(i object.Info) bool {
		n := checkpoint(i.Name)
		return strings.HasPrefix(i.Name, "checkpoints/") && n != newest || strings.HasPrefix(i.Name, "samples/") || strings.HasPrefix(i.Name, "evaluation/") ||
			strings.HasSuffix(i.Name, "training/optimizer.safetensors")
	})
}

// checkpoint is the number of the checkpoint that a file of a run is in; −1: none.
func checkpoint(name string) int64 {
	rest, ok := strings.CutPrefix(name, "checkpoints/")
	number, _, below := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || !below || err != nil {
		return -1
	}
	return n
}

// copyTo copies an object to a file, some megabytes a request.
func copyTo(ctx context.Context, address, to string) (err error) {
	from, err := object.Open(ctx, address)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{from}, make([]byte, 8<<20))
	return err
}
