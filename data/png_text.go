package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const signature = "\x89PNG\r\n\x1a\n"

// headerEnd is where a PNG's first chunk ends: signature and IHDR.
const headerEnd = len(signature) + 4 + 4 + 13 + 4

// withText inserts texts, sorted by key, behind a PNG's header. Keys are ASCII.
func withText(file []byte, text map[string]string) []byte {
	out := slices.Clone(file[:headerEnd])
	for _, key := range slices.Sorted(maps.Keys(text)) {
		body := textChunk(key, text[key])
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)-4))
		out = append(out, body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
	}
	return append(out, file[headerEnd:]...)
}

// textChunk is tEXt, which holds Latin-1, for what is plain ASCII, and else iTXt,
// which holds UTF-8 (PNG, third edition, section 11.3.3). Neither holds a zero.
func textChunk(key, value string) []byte {
	value = strings.ReplaceAll(strings.ToValidUTF8(value, "\uFFFD"), "\x00", "\uFFFD")
	for i := range len(value) {
		if value[i] >= utf8.RuneSelf {
			return []byte("iTXt" + key + "\x00" + "\x00\x00" + "\x00" + "\x00" + value) // not compressed; no language, no translated key
		}
	}
	return []byte("tEXt" + key + "\x00" + value)
}

// latin1 reads bytes as ISO 8859-1.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// addText reads a chunk of text. Compressed ones are left out.
func addText(text map[string]string, kind string, body []byte) {
	key, rest, ok := bytes.Cut(body, []byte{0})
	if !ok {
		return
	}
	switch {
	case kind == "tEXt":
		value := string(rest)
		if !utf8.Valid(rest) { // older files of ours have UTF-8 here
			value = latin1(value)
		}
		text[string(key)] = value
	case kind == "iTXt" && len(rest) > 2 && rest[0] == 0:
		if _, rest, ok = bytes.Cut(rest[2:], []byte{0}); !ok {
			return
		}
		if _, rest, ok = bytes.Cut(rest, []byte{0}); ok {
			text[string(key)] = string(rest)
		}
	}
}

// Why a file is no picture of ours, wrapped in an *Error.
var (
	ErrNotPNG = errors.New("the file is no PNG")
	ErrCut    = errors.New("the file is not whole") // empty, cut short, or bytes were lost
)

// PNG is what a PNG file says beside its pixels.
type PNG struct {
	Height, Width, Channels int
	Text                    map[string]string
}

// maxText bounds the texts of a PNG or .npz that are read, in bytes.
const maxText = 1 << 20

// InspectPNG reads all of a PNG but its pixels. Every chunk is held against its
// checksum, so that a file without an error is whole.
func InspectPNG(path string) (PNG, error) {
	f, err := openRegular(path)
	if err != nil {
		return PNG{}, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	return InspectPNGOf(path, f)
}

// InspectPNGOf is InspectPNG of what is read elsewhere, which errors call name.
func InspectPNGOf(name string, r io.Reader) (PNG, error) {
	p, err := inspectPNG(r)
	if err != nil {
		return p, &Error{Path: name, Problem: "is not a whole PNG", Err: err}
	}
	return p, nil
}

func inspectPNG(r io.Reader) (PNG, error) {
	p := PNG{Text: map[string]string{}}
	var head [len(signature)]byte
	n, err := io.ReadFull(r, head[:])
	switch got := string(head[:n]); {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return p, err
	case !strings.HasPrefix(signature, strings.TrimRight(got, "\x00")):
		return p, ErrNotPNG
	case got != signature: // its beginning, and zeros where blocks were lost
		return p, ErrCut
	}
	for left := maxText; ; {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return p, cut(err)
		}
		n, kind := int64(binary.BigEndian.Uint32(head[:])), string(head[4:])
		sum := crc32.NewIEEE()
		sum.Write(head[4:])
		var body bytes.Buffer
		to := io.Writer(sum)
		if kind == "IHDR" || (kind == "tEXt" || kind == "iTXt") && n <= int64(left) {
			to = io.MultiWriter(sum, &body)
			left -= int(n)
		}
		if _, err := io.CopyN(to, r, n); err != nil {
			return p, cut(err)
		}
		var want [4]byte
		if _, err := io.ReadFull(r, want[:]); err != nil {
			return p, cut(err)
		}
		if binary.BigEndian.Uint32(want[:]) != sum.Sum32() {
			return p, ErrCut
		}
		switch kind {
		case "IHDR":
			p.header(body.Bytes())
		case "IEND":
			return p, nil
		default:
			addText(p.Text, kind, body.Bytes())
		}
	}
}

// header reads IHDR: width, height, bits, colour type (bit 1: colour).
func (p *PNG) header(body []byte) {
	if len(body) != 13 {
		return
	}
	p.Width, p.Height, p.Channels = int(binary.BigEndian.Uint32(body)), int(binary.BigEndian.Uint32(body[4:])), 1
	if body[9]&2 != 0 {
		p.Channels = 3
	}
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	return err
}

// ReadText returns the texts of a PNG.
func ReadText(path string) (map[string]string, error) {
	p, err := InspectPNG(path)
	if err != nil {
		return nil, err
	}
	return p.Text, nil
}
