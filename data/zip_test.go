package data

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"image/color"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// member is a file of a zip as a tool may write it.
type member struct {
	name  string
	utf8  bool // the tool says so
	raw   bool // sizes before the data, not behind it
	extra []byte
	body  []byte
}

func zipOf(t *testing.T, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate, NonUTF8: !m.utf8, Extra: m.extra}
		var w io.Writer
		var err error
		body := m.body
		if m.raw {
			var packed bytes.Buffer
			deflate, _ := flate.NewWriter(&packed, 9) // 9 is a level
			if _, err := deflate.Write(body); err != nil {
				t.Fatal(err)
			}
			if err := deflate.Close(); err != nil {
				t.Fatal(err)
			}
			h.CRC32, h.UncompressedSize64, h.CompressedSize64 = crc32.ChecksumIEEE(body), uint64(len(body)), uint64(packed.Len())
			body = packed.Bytes()
			w, err = z.CreateRaw(h)
		} else {
			if strings.HasSuffix(m.name, "/") {
				h.Method = zip.Store
			}
			w, err = z.CreateHeader(h)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "set.zip")
	write(t, path, b.Bytes())
	return path
}

// TestNamesInZips: however a tool spells the paths, the classes and pictures are the same.
func TestNamesInZips(t *testing.T) {
	red, green := encoded(t, "png", 3, 3, color.RGBA{255, 0, 0, 255}), encoded(t, "png", 3, 3, color.RGBA{0, 255, 0, 255})
	unicodePath := func(raw, name string) []byte {
		body := append([]byte{1}, le32(crc32.ChecksumIEEE([]byte(raw)))...)
		body = append(body, name...)
		return append([]byte{0x75, 0x70, byte(len(body)), 0}, body...)
	}
	for name, members := range map[string][]member{
		"plain":             {{name: "chat/1.png", body: red}, {name: "été/2.png", utf8: true, body: green}},
		"macOS tar":         {{name: "./"}, {name: "./chat/"}, {name: "./chat/1.png", body: red}, {name: "./été/2.png", utf8: true, body: green}},
		"Windows":           {{name: `chat\`}, {name: `chat\1.png`, raw: true, body: red}, {name: `été\2.png`, utf8: true, raw: true, body: green}},
		"absolute":          {{name: "/data/chat/1.png", body: red}, {name: "/data/été/2.png", utf8: true, body: green}},
		"drive":             {{name: `C:\data\chat\1.png`, body: red}, {name: `C:\data\été\2.png`, utf8: true, body: green}},
		"parents":           {{name: "../../chat/1.png", body: red}, {name: "x/../été/2.png", utf8: true, body: green}},
		"doubled":           {{name: "set//chat//1.png", body: red}, {name: "set/./été//2.png", utf8: true, body: green}},
		"unmarked UTF-8":    {{name: "chat/1.png", body: red}, {name: "été/2.png", body: green}},
		"code page 437":     {{name: "chat/1.png", body: red}, {name: "\x82t\x82/2.png", body: green}},
		"Info-ZIP":          {{name: "chat/1.png", body: red}, {name: "?t?/2.png", extra: unicodePath("?t?/2.png", "été/2.png"), body: green}},
		"later ones count":  {{name: "chat/1.png", body: green}, {name: "été/2.png", utf8: true, body: red}, {name: "./chat/1.png", body: red}, {name: `été\2.png`, utf8: true, body: green}},
		"macOS Archive":     {{name: "chat/1.png", body: red}, {name: "__MACOSX/chat/._1.png", body: red}, {name: "chat/.DS_Store"}, {name: "été/2.png", utf8: true, body: green}},
		"a folder's ending": {{name: "chat.png/"}, {name: "chat/1.png", body: red}, {name: "été/2.png", utf8: true, body: green}},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustOpen(t, zipOf(t, members...))
			if !slices.Equal(d.Classes(), []string{"chat", "été"}) || d.Len() != 2 {
				t.Fatalf("%d pictures of %q", d.Len(), d.Classes())
			}
			for i, want := range [][]byte{{255, 0, 0}, {0, 255, 0}} {
				dst := make([]byte, 27)
				if label, err := readBytes(d, i, dst); err != nil || label != i || !bytes.Equal(dst[:3], want) {
					t.Errorf("picture %d: class %d, %v, %v", i, label, dst[:3], err)
				}
			}
		})
	}
}

func le32(v uint32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)} }

// TestZip64: a zip with so many members that its directory needs 64 bits.
func TestZip64(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range 1<<16 + 1 {
		if _, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%d.txt", i)}); err != nil {
			t.Fatal(err)
		}
	}
	w, err := z.Create("cat/a.png")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(encoded(t, "png", 3, 3, color.White)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.zip")
	write(t, path, b.Bytes())
	if d := mustOpen(t, path); d.Len() != 1 || d.Classes()[0] != "cat" {
		t.Errorf("%d pictures of %v", d.Len(), d.Classes())
	}
}

// TestClosedMembers: encrypted members, and methods that are not read, are called so.
func TestClosedMembers(t *testing.T) {
	body := encoded(t, "png", 3, 3, color.White)
	for want, change := range map[string]func(*zip.FileHeader){
		"a.png: is encrypted":                                                     func(h *zip.FileHeader) { h.Flags |= zipEncrypted },
		"a.png: is encrypted; unpack":                                             func(h *zip.FileHeader) { h.Flags |= zipEncrypted; h.Method = 99 },
		"a.png: is compressed by Deflate64, which":                                func(h *zip.FileHeader) { h.Method = 9 },
		"a.png: is compressed by method 77, which":                                func(h *zip.FileHeader) { h.Method = 77 },
		"a.png: cannot be read to its end; --skip-broken leaves it out: zip: che": func(h *zip.FileHeader) { h.CRC32++ },
	} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		h := &zip.FileHeader{Name: "a.png", Method: zip.Store, CRC32: crc32.ChecksumIEEE(body), UncompressedSize64: uint64(len(body)), CompressedSize64: uint64(len(body))}
		change(h)
		w, err := z.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.zip")
		write(t, path, b.Bytes())
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestFolderWithEndingOfZip is a folder.
func TestFolderWithEndingOfZip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pictures.zip")
	write(t, filepath.Join(dir, "a.png"), encoded(t, "png", 3, 3, color.White))
	if n := mustOpen(t, dir).Len(); n != 1 {
		t.Errorf("%d pictures", n)
	}
}
