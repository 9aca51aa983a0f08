package data

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"fluxion/data/parquet"
)

// Sets of images as the hub of datasets stores them: parquet files with a column of
// pictures' files, and mostly one of labels. Headers of pages are read once; a picture is
// then a value of a page.

// openParquet opens FILE.parquet, or those of a folder as parquet:DIR; parquet:DIR#test
// are those whose names, or whose folder's, begin with test.
func openParquet(spec string, o Options) (Dataset, error) {
	dir, all := strings.CutPrefix(spec, "parquet:")
	if !all {
		if !strings.EqualFold(filepath.Ext(spec), ".parquet") {
			return nil, nil
		}
		if info, err := os.Stat(spec); err == nil && info.IsDir() {
			return nil, nil // a folder's name may end so
		}
		d, err := readParquet([]string{spec}, o)
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	dir, split, _ := strings.Cut(dir, "#")
	shards, err := parquetShards(dir, split)
	if err != nil {
		return nil, err
	}
	d, err := readParquet(shards, o)
	if err != nil {
		return nil, err
	}
	d.name = baseName(dir) // not data, where the files lie
	return d, nil
}

// parquetShards lists the files of a split: train, or the only one there is, if none is
// named. They lie in the folder, in data, or in a folder of the split's name.
func parquetShards(dir, split string) ([]string, error) {
	named := cmp.Or(split, "train")
	var list []string
	var err error
	for _, at := range []string{dir, below(dir, "data"), below(dir, named)} {
		if list, err = filesOf(at, ".parquet"); err == nil {
			break
		}
	}
	if err != nil {
		_, err = filesOf(dir, ".parquet")
		return nil, err
	}
	splits := map[string][]string{}
	for _, p := range list {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(p), filepath.Ext(p)), "-")
		if _, err := strconv.Atoi(name); err == nil { // train/0000.parquet
			name = filepath.Base(filepath.Dir(p))
		}
		splits[name] = append(splits[name], p)
	}
	if len(splits) == 1 && (split == "" || splits[split] != nil) {
		return list, nil
	}
	if splits[named] == nil {
		names := slices.Sorted(maps.Keys(splits))
		return nil, &Error{Path: dir, Problem: fmt.Sprintf("has no %s-….parquet; there are %s: choose as in parquet:%s#%s", named, strings.Join(names, ", "), dir, names[0])}
	}
	return splits[named], nil
}

func readParquet(shards []string, o Options) (*files, error) {
	name, root, open, err := openShards(shards)
	if err != nil {
		return nil, err
	}
	f := &files{name: name, root: root, closer: open}
	t := newTable(o)
	for i, file := range open {
		prefix := ""
		if len(open) > 1 {
			prefix = filepath.Base(shards[i]) + shardMark
		}
		info, err := file.Stat()
		if err == nil {
			err = t.read(shards[i], prefix, file, info.Size())
		}
		if err != nil {
			return nil, errors.Join(err, open.Close())
		}
	}
	if err := t.complete(f, o); err != nil {
		return nil, errors.Join(err, open.Close())
	}
	return f, nil
}

// table is what was found in the files of a set.
type table struct {
	listing
	texts []string          // labels; nil: there is no column of them
	known map[string]string // among them
	names []string          // of the classes
	kept  *pageCache

	numbers *columnNumbers // instead of classes; nil: they are not asked for
	marks   []mark         // of the pictures, where they are
}

func newTable(o Options) *table {
	t := &table{kept: &pageCache{}}
	if columns, asked := columnsOf(o.Labels); asked {
		t.numbers = &columnNumbers{columns: columns}
	}
	return t
}

// parquetFile is a file of a set, and where its pictures are.
type parquetFile struct {
	*parquet.File
	pages []*parquet.Page
	kept  *pageCache
}

// parquetRow is a picture in a file.
type parquetRow struct {
	in  *parquetFile
	row int64
}

func (r parquetRow) page() *parquet.Page {
	i := sort.Search(len(r.in.pages), func(i int) bool { return r.in.pages[i].First > r.row })
	return r.in.pages[i-1]
}

func (r parquetRow) open(name string) (io.ReadCloser, error) {
	p := r.page()
	values, err := r.in.kept.values(r.in.File, p)
	if err != nil {
		return nil, &Error{Path: name, Problem: "cannot be read", Err: err}
	}
	b := values[r.row-p.First]
	if b == nil {
		return nil, &Error{Path: name, Problem: "has no picture in its row, perhaps a path of one alone"}
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// size is where the picture's page lies: its own size is not known before that is read.
func (r parquetRow) size() int64       { return r.page().At }
func (parquetRow) sum() (uint32, bool) { return 0, false }

// read finds the pictures of a file, and their labels.
func (t *table) read(name, prefix string, r io.ReaderAt, size int64) error {
	bad := func(err error) error {
		return &Error{Path: name, Problem: "cannot be read as parquet", Err: err}
	}
	p, err := parquet.NewFile(r, size)
	if err != nil {
		return bad(err)
	}
	hub := featuresOf(p.Meta["huggingface"])
	c := pictureColumn(p, hub)
	if c == nil {
		var columns []string
		for _, c := range p.Columns {
			columns = append(columns, c.Path)
		}
		return &Error{Path: name, Problem: fmt.Sprintf("has no column of pictures; want one called image, of their files' bytes, alone or as image.bytes; there are %.200s", strings.Join(columns, ", "))}
	}
	file := &parquetFile{File: p, kept: t.kept}
	if file.pages, err = p.Pages(c); err != nil {
		return bad(err)
	}
	if p.Rows > size {
		return bad(fmt.Errorf("it has %d rows in %d bytes", p.Rows, size))
	}
	if int64(len(t.pictures))+p.Rows > maxFiles {
		return &Error{Path: name, Problem: fmt.Sprintf("has more than %d rows with those before it", maxFiles)}
	}
	for i := range p.Rows {
		t.pictures = append(t.pictures, entry{path: fmt.Sprintf("%s%08d", prefix, i), in: parquetRow{file, i}})
	}
	if t.numbers != nil {
		if t.marks, err = t.numbers.readTable(p, t.marks); err != nil {
			return &Error{Path: name, Problem: err.Error()}
		}
		return nil
	}
	labels, names := labelColumn(p, hub)
	if labels == nil {
		if t.texts != nil {
			t.texts = append(t.texts, make([]string, p.Rows)...)
		}
		return nil
	}
	if t.texts == nil {
		t.texts = make([]string, int64(len(t.pictures))-p.Rows)
	}
	if t.names == nil {
		t.names = names
	}
	pages, err := p.Pages(labels)
	for _, page := range pages {
		if err == nil {
			err = t.label(p, page, labels.Type)
		}
	}
	if err != nil {
		return bad(err)
	}
	return nil
}

// mostLabel bounds a label, in bytes.
const mostLabel = 4 << 10

// label takes the labels of a page.
func (t *table) label(p *parquet.File, page *parquet.Page, kind parquet.Type) error {
	values, err := p.Values(page)
	for _, v := range values {
		text := ""
		switch {
		case v == nil:
		case kind == parquet.Int32:
			text = labelText(strconv.Itoa(int(int32(binary.LittleEndian.Uint32(v)))))
		case kind == parquet.Int64:
			text = labelText(strconv.FormatInt(int64(binary.LittleEndian.Uint64(v)), 10))
		default:
			if len(v) > mostLabel {
				return fmt.Errorf("a label has %d bytes; want at most %d", len(v), mostLabel)
			}
			text = labelText(string(v))
		}
		if t.known == nil {
			t.known = map[string]string{}
		}
		if known, ok := t.known[text]; ok { // many images have one label
			text = known
		} else {
			t.known[text] = text
		}
		t.texts = append(t.texts, text)
	}
	return err
}

// complete makes a set of what was found.
func (t *table) complete(f *files, o Options) error {
	err := f.complete(&t.listing, o)
	if err == nil && t.numbers != nil {
		if f.brought, err = t.numbers.numbers(f, t.marks); err != nil {
			return &Error{Path: strings.TrimSuffix(f.root, shardMark), Problem: err.Error()}
		}
		return nil
	}
	if err != nil || t.texts == nil || o.Labels == FolderLabels {
		return err
	}
	if err := f.mark(t.texts); err != nil {
		return &Error{Path: strings.TrimSuffix(f.root, shardMark), Problem: err.Error()}
	}
	if len(t.names) >= len(f.classes) && len(slices.Compact(slices.Sorted(slices.Values(t.names)))) == len(t.names) {
		f.classes = t.names
	}
	return nil
}

// feature is a column as the hub describes it.
type feature struct {
	Kind  string   `json:"_type"`
	Names []string `json:"names"`
}

// featuresOf reads what the hub's library writes beside a table.
func featuresOf(text string) map[string]feature {
	var about struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if json.Unmarshal([]byte(text), &about) != nil {
		return nil
	}
	all := map[string]feature{}
	for name, raw := range about.Info.Features {
		var f feature
		if json.Unmarshal(raw, &f) == nil { // others are lists
			all[name] = f
		}
	}
	return all
}

var pictureColumns = []string{"image", "img", "picture", "jpg", "png", "webp", "bytes"}

// pictureColumn is the column of the files' bytes: that which the hub calls an image, or
// one of a usual name.
func pictureColumn(p *parquet.File, hub map[string]feature) *parquet.Column {
	names := pictureColumns
	for _, c := range p.Columns {
		if top, _, _ := strings.Cut(c.Path, "."); hub[top].Kind == "Image" {
			names = append([]string{top}, names...)
			break
		}
	}
	for _, n := range names {
		for _, path := range []string{n + ".bytes", n} {
			if c := p.Find(path); c != nil && c.Type == parquet.ByteArray && !c.Repeated {
				return c
			}
		}
	}
	return nil
}

// labelColumn is the column of the labels, nil if there is none, and the names of its classes.
func labelColumn(p *parquet.File, hub map[string]feature) (*parquet.Column, []string) {
	readable := func(c *parquet.Column) bool {
		return c != nil && !c.Repeated && (c.Type == parquet.Int32 || c.Type == parquet.Int64 || c.Type == parquet.ByteArray)
	}
	for _, c := range p.Columns {
		if hub[c.Path].Kind == "ClassLabel" && readable(c) {
			return c, hub[c.Path].Names
		}
	}
	for _, n := range labelColumns {
		if c := p.Find(n); readable(c) {
			return c, nil
		}
	}
	return nil, nil
}

// pageCache keeps the pages that were read last: images in order share them.
type pageCache struct {
	mu    sync.Mutex
	pages []keptPage // the last one was used last
}

type keptPage struct {
	page   *parquet.Page
	values [][]byte
	bytes  int
}

// maxKept is the bytes of the pages that are kept.
const maxKept = 64 << 20

func (c *pageCache) values(f *parquet.File, p *parquet.Page) ([][]byte, error) {
	c.mu.Lock()
	i := slices.IndexFunc(c.pages, func(k keptPage) bool { return k.page == p })
	if i >= 0 {
		k := c.pages[i]
		c.pages = append(slices.Delete(c.pages, i, i+1), k)
		c.mu.Unlock()
		return k.values, nil
	}
	c.mu.Unlock()
	values, err := f.Values(p)
	if err != nil {
		return nil, err
	}
	k := keptPage{page: p, values: values, bytes: 24 * len(values)}
	for _, v := range values {
		k.bytes += len(v)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages = append(c.pages, k)
	total := 0
	for i, k := range slices.Backward(c.pages) {
		if total += k.bytes; total > maxKept {
			c.pages = slices.Delete(c.pages, 0, i+1)
			break
		}
	}
	return values, nil
}
