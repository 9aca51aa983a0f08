package tensorboard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxion/engine/record"
)

// TestEvents: the bytes are those that TensorBoard 2.21 writes of the same events.
func TestEvents(t *testing.T) {
	at := time.Unix(1, 5e8)
	d := record.Distribution{Name: "weights/a"}
	d.Counts.Add([]float32{2, 0.25, -1}, 1)
	for _, c := range []struct {
		name  string
		event message
		want  string
	}{
		{"version", version(at), "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"},
		{"restart", restart(at, 299), "100000000000000095fbfe1809000000000000f83f10ac023a020801713b788a"},
		{"scalar", event(at, 300).summary(scalar("train/loss", 0.5)), "2100000000000000017becf609000000000000f83f10ac022a130a110a0a747261696e2f6c6f7373150000003fb56a6431"},
		{"histogram", event(at, 300).summary(histogram(d)), "b1000000000000009edb4b0e09000000000000f83f10ac022aa2010a9f010a09776569676874732f612a910109000000000000f0bf" +
			"11000000000000004019000000000000084021000000000000f43f2900000000004014403230000000000000f4bf000000000000f0bf000000000000d03f" +
			"000000000000d43f000000000000004000000000000004403a300000000000000000000000000000f03f0000000000000000000000000000f03f00000000" +
			"00000000000000000000f03f6772ff54"},
	} {
		if got := hex.EncodeToString(framed(c.event)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		name  string
		value message
		part  string // the plugin's message
	}{
		{"begin", beginning(at, map[string]any{"lr": 0.001}), "1a1a0a0f0a026c72120911fca9f1d24d62503f29000000000000f83f"},
		{"end", ending(at, succeeded), "220b080111000000000000f83f"},
	} {
		if got := hex.EncodeToString(c.value); !strings.Contains(got, c.part) {
			t.Errorf("%s: %s, want %s in it", c.name, got, c.part)
		}
	}
}

// read returns the events of a file, which must be whole.
func read(t *testing.T, path string) (events [][]byte) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := int(binary.LittleEndian.Uint64(data))
		if whole := framed(data[12 : 12+n]); !bytes.Equal(whole, data[:len(whole)]) {
			t.Fatalf("%s: an event has other checksums than its own", path)
		}
		events = append(events, data[12:12+n])
		data = data[16+n:]
	}
	return events
}

// TestSink: a run's file holds all that it was told, from its beginning to its end, and
// one that goes on has a file of its own.
func TestSink(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	var grid bytes.Buffer
	if err := png.Encode(&grid, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "grid.png")
	if err := os.WriteFile(path, grid.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	var warned []string
	s := New(dir, map[string]any{"lr": 1e-3, "flip": true, "data": "glyphs"}, 16, func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) })
	d := record.Distribution{Name: "gradients/b"}
	d.Counts.Add([]float32{1}, 1)
	for _, err := range []error{
		s.Begin(8), s.Status(record.Status{Images: 16, Loss: 0.5}), s.Evaluation(record.Evaluation{Images: 16, Values: []record.Value{{Name: "fd", Value: 2}}}),
		s.Grid(record.File{Path: path, Images: 16}), s.Grid(record.File{Path: dir, Images: 16}), s.Distributions(16, []record.Distribution{d}), s.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	events := read(t, files[0])
	for i, want := range []string{"brain.Event:2", "\x3a\x02\x08\x01", "glyphs", "train/loss", "eval/fd", grid.String(), "gradients/b", "session_end_info"} {
		if !strings.Contains(string(events[i]), want) {
			t.Errorf("event %d lacks %q: %q", i, want, events[i])
		}
	}
	if len(events) != 8 || len(warned) != 1 || !strings.Contains(warned[0], "no grid after 16 images") {
		t.Errorf("%d events; %q", len(events), warned)
	}
}

// TestLostEvents: a folder that cannot be made ends nothing, and is told once.
func TestLostEvents(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	var warned []string
	s := New(filepath.Join(file, "events"), nil, 16, func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) })
	for _, err := range []error{s.Begin(0), s.Status(record.Status{}), s.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(warned) != 1 || !slices.ContainsFunc(warned, func(w string) bool { return strings.Contains(w, "misses events") }) {
		t.Errorf("%q", warned)
	}
}
