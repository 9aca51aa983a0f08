package data

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
)

// otherwise are files that are no pictures, but data in a form that has a name of its own before the folder.
var otherwise = []struct {
	file *regexp.Regexp
	form string
}{
	{regexp.MustCompile(`-images-idx3-ubyte(\.gz)?$`), "mnist:"},
	{regexp.MustCompile(`^(data_batch_1|test_batch|train|test)(\.bin)?$`), "cifar:"},
	{regexp.MustCompile(`\.parquet$`), "parquet:"},
	{regexp.MustCompile(`\.tar$`), "tar:"},
	{regexp.MustCompile(`^` + regexp.QuoteMeta(PairsFile) + `$`), "pairs:"},
	{regexp.MustCompile(`^` + regexp.QuoteMeta(LatentsFile) + `$`), "latents:"},
}

// formOf is how the folder of a file is given as data if the file is one of those, else "".
func formOf(file string) string {
	for _, o := range otherwise {
		if o.file.MatchString(filepath.Base(file)) {
			return o.form
		}
	}
	if e := path.Ext(file); e == ".npy" || e == ".npz" {
		return file
	}
	return ""
}

// otherForm says how the data is given that a folder without pictures holds; "" if that is not known.
func (l *listing) otherForm(root string) string {
	if l.other == "" {
		return ""
	}
	file := filepath.Join(root, filepath.FromSlash(l.other))
	form := formOf(file)
	if form != file {
		form += filepath.Dir(file)
	}
	return fmt.Sprintf("; %s is read as %s", l.other, form)
}
