// Command archive packs a folder: the same files give the same bytes, whoever packs them.
//
//	go run ./scripts/archive OUT.tar.gz|OUT.zip FOLDER SECONDS
//
// Files lie below the folder's own name, in the order of names. All are of the time
// SECONDS after 1970, and belong to nobody.
package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: archive OUT.tar.gz|OUT.zip FOLDER SECONDS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "archive:", err)
		os.Exit(1)
	}
}

// packer takes files.
type packer interface {
	add(name string, mode fs.FileMode, content []byte) error
	io.Closer
}

func run(out, folder, seconds string) error {
	since, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	made := time.Unix(since, 0).UTC()
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	var p packer
	if strings.HasSuffix(out, ".zip") {
		p = &zipped{zip.NewWriter(file), made}
	} else {
		compressed, err := gzip.NewWriterLevel(file, gzip.BestCompression)
		if err != nil {
			return err
		}
		p = &tarred{tar.NewWriter(compressed), compressed, made}
	}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(filepath.Dir(folder), path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return p.add(filepath.ToSlash(name), mode, content)
	})
	return errors.Join(err, p.Close(), file.Close())
}

type zipped struct {
	*zip.Writer
	made time.Time
}

func (z *zipped) add(name string, mode fs.FileMode, content []byte) error {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: z.made}
	header.SetMode(mode)
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

type tarred struct {
	*tar.Writer
	compressed *gzip.Writer
	made       time.Time
}

func (t *tarred) add(name string, mode fs.FileMode, content []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: int64(mode), Size: int64(len(content)), ModTime: t.made, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}

func (t *tarred) Close() error { return errors.Join(t.Writer.Close(), t.compressed.Close()) }
