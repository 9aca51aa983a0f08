package data

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A tar of pictures, or the shards of a set as WebDataset has them. Their headers are read
// once; a picture is then read where it lies, so the order of images is exact.

// shardMark stands between the name of one of several files and that of a member.
const shardMark = "!"

// Limits of tars.
const (
	maxShards  = 10_000     // of a set; all are open at a time
	maxMembers = 40_000_000 // of all of them, pictures or not
)

// shardRange is the numbers of shards in a name: name-{000000..000099}.tar.
var shardRange = regexp.MustCompile(`\{(\d{1,9})\.\.(\d{1,9})\}`)

// openTar opens FILE.tar, FILE-{000000..000099}.tar, or all of a folder as tar:DIR.
func openTar(spec string, o Options) (Dataset, error) {
	dir, all := strings.CutPrefix(spec, "tar:")
	ext := strings.ToLower(filepath.Ext(spec))
	var shards []string
	switch {
	case all:
		list, err := filesOf(dir, ".tar")
		if err != nil {
			return nil, err
		}
		shards = list
	case ext == ".tgz" || slices.Contains([]string{".gz", ".bz2", ".xz", ".zst"}, ext) && strings.HasSuffix(strings.ToLower(strings.TrimSuffix(spec, filepath.Ext(spec))), ".tar"):
		return nil, &Error{Path: spec, Problem: "is a compressed tar, of which no picture can be read without those before it; unpack it to a .tar or a folder"}
	case ext != ".tar":
		return nil, nil
	default:
		if info, err := os.Stat(spec); err == nil && info.IsDir() {
			return nil, nil // a folder's name may end so
		}
		list, err := expand(spec)
		if err != nil {
			return nil, err
		}
		shards = list
	}
	return readTars(shards, o)
}

// filesOf a folder with an ending, in order.
func filesOf(dir, ext string) (list []string, err error) {
	names, err := namesIn(dir)
	if err != nil {
		return nil, &Error{Path: dir, Problem: "cannot be read; want a folder of " + ext + " files", Err: err}
	}
	for _, name := range names {
		if strings.EqualFold(filepath.Ext(name), ext) && !hidden(name) {
			list = append(list, below(dir, name))
		}
	}
	if len(list) == 0 {
		return nil, &Error{Path: dir, Problem: "holds no " + ext + " files"}
	}
	return list, nil
}

// expand lists the shards of a name with a range of numbers; a name without is its own.
func expand(spec string) ([]string, error) {
	at := shardRange.FindStringSubmatchIndex(spec)
	if at == nil {
		return []string{spec}, nil
	}
	first, last := spec[at[2]:at[3]], spec[at[4]:at[5]]
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err := errors.Join(err1, err2); err != nil || to < from || to-from >= maxShards || strings.ContainsAny(spec[at[1]:], `/\{`) {
		return nil, &Error{Path: spec, Problem: fmt.Sprintf("is no range of shards; want one as in name-{000000..000099}.tar, of %d at most", maxShards)}
	}
	var list []string
	for n := from; n <= to; n++ {
		list = append(list, fmt.Sprintf("%s%0*d%s", spec[:at[0]], len(first), n, spec[at[1]:]))
	}
	return list, nil
}

// closers are closed together.
type closers []source

func (c closers) Close() (err error) {
	for _, f := range c {
		err = errors.Join(err, f.Close())
	}
	return err
}

// openShards opens files of a set, and says how it and they are called: the set by its one
// file or by the folder of several.
func openShards(shards []string) (name, root string, open closers, err error) {
	if len(shards) > maxShards {
		return "", "", nil, &Error{Path: filepath.Dir(shards[0]), Problem: fmt.Sprintf("holds %d shards, want at most %d", len(shards), maxShards)}
	}
	name, root = baseName(strings.TrimSuffix(shards[0], filepath.Ext(shards[0]))), shards[0]+shardMark
	if len(shards) > 1 {
		name, root = baseName(filepath.Dir(shards[0])), above(shards[0])
	}
	for _, s := range shards {
		f, err := openRegular(s)
		if err != nil {
			err := &Error{Path: s, Problem: "cannot be opened", Err: err}
			return "", "", nil, errors.Join(err, open.Close())
		}
		open = append(open, f)
	}
	return name, root, open, nil
}

func readTars(shards []string, o Options) (Dataset, error) {
	name, root, open, err := openShards(shards)
	if err != nil {
		return nil, err
	}
	f := &files{name: name, root: root, closer: open}
	t := newTars(o)
	for i, file := range open {
		prefix := ""
		if len(open) > 1 {
			prefix = filepath.Base(shards[i]) + shardMark
		}
		if err := t.read(shards[i], prefix, file); err != nil {
			return nil, errors.Join(err, open.Close())
		}
	}
	if err := t.complete(f, o); err != nil {
		return nil, errors.Join(err, open.Close())
	}
	return f, nil
}

// tars is what was found in the shards of a set.
type tars struct {
	listing
	members int
	labels  map[string]string // by the key of a sample
	beside  int               // pictures beside the one of a sample

	numbers *columnNumbers // instead of classes; nil: they are not asked for
	told    map[string]sample
}

func newTars(o Options) *tars {
	t := &tars{labels: map[string]string{}}
	if columns, asked := columnsOf(o.Labels); asked {
		t.numbers, t.told = newColumnNumbers(columns), map[string]sample{}
	}
	return t
}

// tarMember is a file in a tar, as it lies there.
type tarMember struct {
	in    io.ReaderAt
	at, n int64
}

func (m tarMember) open(string) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(m.in, m.at, m.n)), nil
}
func (m tarMember) size() int64         { return m.n }
func (m tarMember) sum() (uint32, bool) { return 0, false }

// tarFile is what tars are read from.
type tarFile interface {
	io.ReadSeeker
	io.ReaderAt
}

// read lists the members of a tar. Of two of one name the later counts, as for tar.
func (t *tars) read(name, prefix string, file tarFile) error {
	bad := func(problem string, err error) error { return &Error{Path: name, Problem: problem, Err: err} }
	r := tar.NewReader(file)
	found := map[string]tarMember{}
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // names are cleaned below
			return bad("is not a whole tar", err)
		}
		if t.members++; t.members > maxMembers {
			return bad(fmt.Sprintf("holds more than %d files", maxMembers), nil)
		}
		member := cleanName(h.Name)
		if hidden(member) {
			continue
		}
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeSymlink, tar.TypeLink:
			if isPicture(member) {
				t.dead = append(t.dead, prefix+member)
			}
			continue
		case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
			if isPicture(member) {
				t.devices = append(t.devices, prefix+member)
			}
			continue
		default:
			continue
		}
		if h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != "" {
			return bad("holds sparse files, which are not read; pack it without --sparse", nil)
		}
		at, err := file.Seek(0, io.SeekCurrent) // a reader of tars reads no further than it must
		if err != nil {
			return bad("cannot be read to its end", err)
		}
		beside, err := t.label(name+shardMark+member, prefix+member, r, h.Size)
		if err != nil {
			return err
		}
		if !beside {
			found[member] = tarMember{file, at, h.Size}
		}
	}
	for member, m := range found {
		if len(t.pictures) == maxFiles {
			return bad(fmt.Sprintf("holds more than %d pictures", maxFiles), nil)
		}
		t.add(entry{path: prefix + member, in: m})
	}
	return nil
}

// key of a sample of WebDataset: the path of a member up to the first dot of its name.
func key(member string) string {
	at := strings.LastIndexAny(member, "/"+shardMark) + 1
	before, _, _ := strings.Cut(member[at:], ".")
	return member[:at] + before
}

// label takes the class of a sample from its .cls, or from its .json if that has one, or what
// numbers are asked for. ok says whether the member is a file of labels.
func (t *tars) label(name, member string, r io.Reader, size int64) (ok bool, err error) {
	of := key(member)
	ext, column := strings.ToLower(path.Ext(member)), 0
	if ok = ext == ".cls" || ext == ".json"; t.numbers != nil && !isPicture(member) {
		var told bool
		column, told = t.numbers.toldBy(member[len(of):])
		if !told {
			return ok, nil
		}
		ok = true
	}
	if !ok || size > maxLabelValue && ext == ".json" { // not that of a sample
		return ok, nil
	}
	if size > maxLabelValue {
		return ok, &Error{Path: name, Problem: fmt.Sprintf("has %d bytes; want a label, of %d at most", size, maxLabelValue)}
	}
	text, err := io.ReadAll(r)
	switch {
	case err != nil:
		return ok, &Error{Path: name, Problem: "cannot be read to its end", Err: err}
	case t.numbers != nil:
		return ok, t.tell(name, of, column, text)
	case ext == ".cls":
		t.labels[of] = labelText(string(text))
		return ok, nil
	case t.labels[of] != "":
		return ok, nil
	}
	label, err := jsonLabel(text)
	if err != nil {
		return ok, &Error{Path: name, Problem: "is no JSON of a sample", Err: err}
	}
	if label != "" {
		t.labels[of] = label
	}
	return ok, nil
}

// tell takes the numbers that a file tells of a sample.
func (t *tars) tell(name, of string, column int, text []byte) error {
	told := t.told[of]
	if told == nil {
		told = make(sample, len(t.numbers.called))
		t.told[of], t.labels[of] = told, ""
	}
	if err := t.numbers.tell(told, column, name, text); err != nil {
		return asData(err, name)
	}
	return nil
}

// complete makes a set of what was found.
func (t *tars) complete(f *files, o Options) error {
	if o.Labels == FolderLabels {
		t.labels = nil
	}
	if len(t.labels) > 0 { // what else a sample has, such as a mask, has more than one ending
		t.pictures = slices.DeleteFunc(t.pictures, func(e entry) bool {
			_, sample := t.labels[key(e.path)]
			beside := sample && strings.Count(e.path[len(key(e.path)):], ".") > 1
			if beside {
				t.beside++
			}
			return beside
		})
	}
	if t.beside > 0 {
		f.notes = append(f.notes, "left out "+count(t.beside, "picture")+" with more than one ending, beside that of a sample")
	}
	if err := f.complete(&t.listing, o); err != nil {
		return err
	}
	bad := func(err error) error {
		return &Error{Path: strings.TrimSuffix(f.root, shardMark), Problem: err.Error()}
	}
	if t.numbers != nil {
		var err error
		if f.brought, err = t.numbers.ofSamples(f, t.told); err != nil {
			return bad(err)
		}
		return nil
	}
	if len(t.labels) == 0 {
		return nil
	}
	texts, without := make([]string, len(f.entries)), 0
	for i, e := range f.entries {
		if texts[i] = t.labels[key(e.path)]; texts[i] == "" {
			without++
		}
	}
	if without == len(texts) {
		return nil
	}
	if without > 0 {
		f.notes = append(f.notes, "without a label: "+count(without, "image"))
	}
	if err := f.mark(texts); err != nil {
		return bad(err)
	}
	return nil
}
