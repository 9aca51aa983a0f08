package data

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// byPillow is what Pillow 12 writes for a grey picture 3 wide and 2 high, with
// text("seed", "17"), text("name", "café"), itxt("class", "猫 № 3") and a
// compressed itxt("zipped", …).
const byPillow = "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAB3RFWHRzZWVkADE3orBO9gAAAAl0RVh0bmFtZQBjYWbpUGmvKwAAABNpVFh0Y2xhc3MAAAAAAOeMqyDihJYgMxeHyB4AAAAcaVRYdHppcHBlZAABAAAAeJx73rP6+SgaRdRGAFlPp4B0w3GiAAAAEElEQVR4nGNkZ2BgYmBgAAAASQALywrnagAAAABJRU5ErkJggg=="

func TestTextsOfPillow(t *testing.T) {
	file, err := base64.StdEncoding.DecodeString(byPillow)
	if err != nil {
		t.Fatal(err)
	}
	p, err := inspectPNG(bytes.NewReader(file))
	if err != nil || p.Width != 3 || p.Height != 2 || p.Channels != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for key, want := range map[string]string{"seed": "17", "name": "café", "class": "猫 № 3"} {
		if p.Text[key] != want {
			t.Errorf("%s is %q, want %q", key, p.Text[key], want)
		}
	}
	// What Pillow wrote for the class, byte for byte.
	if chunk := textChunk("class", "猫 № 3"); !bytes.Contains(file, chunk) {
		t.Errorf("wrote %q", chunk)
	}
	if chunk := textChunk("seed", "17"); !bytes.Contains(file, chunk) {
		t.Errorf("wrote %q", chunk)
	}
}

func TestTextsComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.png")
	text := map[string]string{"class": "Fjällräv 🦊", "seed": "3", "empty": "", "lines": "one\ntwo"}
	writePNG(t, path, make([]byte, 2*3*3), 2, 3, 3, text)
	p, err := InspectPNG(path)
	if err != nil || p.Height != 2 || p.Width != 3 || p.Channels != 3 || len(p.Text) != len(text) {
		t.Errorf("%+v, %v", p, err)
	}
	for key, want := range text {
		if p.Text[key] != want {
			t.Errorf("%s is %q, want %q", key, p.Text[key], want)
		}
	}
	// A zero ends a text, and other bytes are no text.
	writePNG(t, path, make([]byte, 1), 1, 1, 1, map[string]string{"class": "a\x00b\xff"})
	if p, err := InspectPNG(path); err != nil || p.Text["class"] != "a\uFFFDb\uFFFD" {
		t.Errorf("%+v, %v", p, err)
	}
}

// Whatever a power loss leaves of a picture is not whole.
func TestInspectDamaged(t *testing.T) {
	file, err := EncodePNG([]byte{1, 2, 3, 4, 5, 6}, 1, 2, 3, map[string]string{"seed": "1"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	inspect := func(content []byte) error {
		path := filepath.Join(dir, "a.png")
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := InspectPNG(path)
		return err
	}
	if err := inspect(file); err != nil {
		t.Fatal(err)
	}
	for n := range file {
		if err := inspect(file[:n]); !errors.Is(err, ErrCut) {
			t.Errorf("%d of %d bytes: %v", n, len(file), err)
		}
		if err := inspect(append(bytes.Clone(file[:n]), make([]byte, len(file)-n)...)); !errors.Is(err, ErrCut) {
			t.Errorf("%d of %d bytes, then zeros: %v", n, len(file), err)
		}
	}
	for _, other := range []string{"a note", "\xff\xd8\xff\xe0 a JPEG", "\x89PNG as text"} {
		if err := inspect([]byte(other)); !errors.Is(err, ErrNotPNG) {
			t.Errorf("%q: %v", other, err)
		}
	}
}
