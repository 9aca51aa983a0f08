package data

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

func openZip(file string, o Options) (Dataset, error) {
	if !strings.EqualFold(filepath.Ext(file), ".zip") {
		return nil, nil
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return nil, nil // a folder's name may end so
	}
	r, err := openRegular(file)
	if err != nil {
		return nil, &Error{Path: file, Problem: "cannot be opened", Err: err}
	}
	info, err := r.Stat()
	if err != nil {
		r.Close()
		return nil, &Error{Path: file, Problem: "cannot be opened", Err: err}
	}
	d, err := readZip(file, r, info.Size(), o)
	if err != nil {
		r.Close()
		return nil, err
	}
	d.closer = r
	return d, nil
}

func readZip(file string, r io.ReaderAt, size int64, o Options) (*files, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are cleaned below
		return nil, &Error{Path: file, Problem: "is not a whole zip file", Err: err}
	}
	if len(z.File) > maxFiles {
		return nil, &Error{Path: file, Problem: fmt.Sprintf("holds %d files, want at most %d", len(z.File), maxFiles)}
	}
	f := &files{name: baseName(strings.TrimSuffix(file, filepath.Ext(file))), root: file + "!"}
	return f, f.complete(listZip(z), o)
}

// zipMember is a member of a zip.
type zipMember struct{ *zip.File }

func (m zipMember) open(name string) (io.ReadCloser, error) { return openMember(name, m.File) }
func (m zipMember) size() int64                             { return int64(m.UncompressedSize64) }
func (m zipMember) sum() (uint32, bool)                     { return m.CRC32, true }

// listZip lists the members of a zip, those of run folders left out. Of two of one
// name the later counts, as for unzip.
func listZip(z *zip.Reader) *listing {
	members := make(map[string]*zip.File, len(z.File))
	for _, m := range z.File {
		if name, isFile := memberName(m); isFile && !hidden(name) {
			members[name] = m
		}
	}
	l := &listing{runs: zippedRuns(members)}
	for name, m := range members {
		if within(name, l.runs) {
			continue
		}
		if m.Mode()&fs.ModeSymlink != 0 {
			l.dead = append(l.dead, name)
			continue
		}
		l.add(entry{path: name, in: zipMember{m}})
	}
	slices.Sort(l.dead)
	return l
}

// zippedRuns returns the run folders of this program in a zip, in order.
func zippedRuns(members map[string]*zip.File) (runs []string) {
	marked := map[string]bool{} // folders that hold one of runFiles, a file or a folder
	for name := range members {
		for ; name != "."; name = path.Dir(name) {
			if slices.Contains(runFiles, path.Base(name)) {
				marked[path.Dir(name)] = true
			}
		}
	}
	for dir := range marked {
		if m := members[path.Join(dir, runConfig)]; m != nil && isRunMember(m) {
			runs = append(runs, dir)
		}
	}
	slices.Sort(runs)
	return runs
}

func isRunMember(m *zip.File) bool {
	r, err := m.Open()
	if err != nil {
		return false
	}
	defer r.Close()
	return isRunConfig(r)
}

// within says whether a file lies below one of some folders, which are sorted.
func within(name string, folders []string) bool {
	for len(folders) > 0 && name != "." {
		name = path.Dir(name)
		if _, ok := slices.BinarySearch(folders, name); ok {
			return true
		}
	}
	return false
}

// memberName is a member's path with single slashes and without dots, from the
// root of the zip, whatever the tool that wrote it took for a separator.
func memberName(m *zip.File) (name string, isFile bool) {
	name = m.Name
	if unicodePath := infoZipName(m); unicodePath != "" {
		name = unicodePath
	} else if m.NonUTF8 && !utf8.ValidString(name) {
		name, _ = charmap.CodePage437.NewDecoder().String(name) // every byte is a character of it
	}
	name = strings.ReplaceAll(name, `\`, "/")
	isFile = !strings.HasSuffix(name, "/") && !m.Mode().IsDir()
	return path.Clean("/" + name)[1:], isFile
}

// infoZipName is the name in UTF-8 that Info-ZIP keeps beside one in another
// code page (APPNOTE 4.6.9); empty if there is none for this name.
func infoZipName(m *zip.File) string {
	for extra := m.Extra; len(extra) >= 4; {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return ""
		}
		if body := extra[:n]; id == 0x7075 && n > 5 && body[0] == 1 && binary.LittleEndian.Uint32(body[1:]) == crc32.ChecksumIEEE([]byte(m.Name)) {
			return string(body[5:])
		}
		extra = extra[n:]
	}
	return ""
}

// methods are compressions of zips (APPNOTE 4.4.5) that are met and not read.
var methods = map[uint16]string{9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd", 99: "AES"}

const zipEncrypted = 1 // bit of a member's flags

func openMember(name string, m *zip.File) (io.ReadCloser, error) {
	if m.Flags&zipEncrypted != 0 {
		return nil, &Error{Path: name, Problem: "is encrypted; unpack the zip with its password and give the folder"}
	}
	r, err := m.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		method := methods[m.Method]
		if method == "" {
			method = fmt.Sprintf("method %d", m.Method)
		}
		return nil, &Error{Path: name, Problem: "is compressed by " + method + ", which is not read here; unpack the zip and give the folder, or pack it with Deflate"}
	}
	return r, err
}
