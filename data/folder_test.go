//go:build unix

package data

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// TestLinks: links to the set, to classes and to pictures are followed; loops are
// not, and what leads nowhere is named.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	png := encoded(t, "png", 3, 3, color.RGBA{200, 10, 10, 255})
	write(t, filepath.Join(dir, "store", "a", "1.png"), png)
	write(t, filepath.Join(dir, "store", "a", "2.png"), png)
	write(t, filepath.Join(dir, "set", "own", "3.png"), png)
	link(t, "../store/a", filepath.Join(dir, "set", "first"))
	link(t, filepath.Join(dir, "store", "a"), filepath.Join(dir, "set", "second"))
	link(t, "../../store/a/1.png", filepath.Join(dir, "set", "own", "4.png"))
	link(t, "..", filepath.Join(dir, "set", "own", "up"))
	link(t, ".", filepath.Join(dir, "set", "self"))
	link(t, "nowhere", filepath.Join(dir, "set", "gone"))
	link(t, "set", filepath.Join(dir, "link"))
	for _, spec := range []string{"set", "link", "set/", "./set", "set/.//", "link/"} {
		d := mustOpen(t, dir+"/"+spec)
		if d.Len() != 6 || !slices.Equal(d.Classes(), []string{"first", "own", "second"}) {
			t.Errorf("%s: %d pictures of %v, want 6 of first, own, second", spec, d.Len(), d.Classes())
		}
		if notes := strings.Join(Notes(d), "\n"); !strings.Contains(notes, "1 link that cannot be followed: gone") {
			t.Errorf("%s: notes %q", spec, notes)
		}
		for i := range d.Len() {
			if _, err := readBytes(d, i, make([]byte, 27)); err != nil {
				t.Error(err)
			}
		}
	}
	link(t, "nowhere.png", filepath.Join(dir, "set", "own", "0.png"))
	_, err := readBytes(mustOpen(t, filepath.Join(dir, "set")), 2, make([]byte, 27))
	if err == nil || !strings.Contains(err.Error(), "own/0.png: cannot be opened") {
		t.Errorf("a picture whose link leads nowhere: %v", err)
	}
}

// TestLinksThatMultiply: a ladder of links, each folder twice, has 2³⁰ paths.
func TestLinksThatMultiply(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		step := filepath.Join(dir, fmt.Sprint(i))
		if err := os.MkdirAll(step, 0o777); err != nil {
			t.Fatal(err)
		}
		link(t, fmt.Sprintf("../%d", i+1), filepath.Join(step, "a"))
		link(t, fmt.Sprintf("../%d", i+1), filepath.Join(step, "b"))
	}
	write(t, filepath.Join(dir, "30", "x.png"), nil)
	w := walk{root: filepath.Join(dir, "0"), links: 100}
	if err := w.folder(".", nil); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("error %v", err)
	}
}

// TestNoFiles: pipes and sockets never keep the start waiting, wherever a file is expected.
func TestNoFiles(t *testing.T) {
	dir := t.TempDir()
	fifo := func(name string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(p, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write(t, filepath.Join(dir, "set", "a.png"), encoded(t, "png", 3, 3, color.White))
	write(t, filepath.Join(dir, "set", "b.png"), encoded(t, "png", 3, 3, color.White))
	pipe := fifo("set/pipe.png")
	link(t, "pipe.png", filepath.Join(dir, "set", "linked.png"))
	link(t, "/dev/zero", filepath.Join(dir, "set", "zero.png"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		d := mustOpen(t, filepath.Join(dir, "set"))
		if notes := strings.Join(Notes(d), "\n"); d.Len() != 2 || !strings.Contains(notes, "3 names that are pipes, sockets or devices: linked.png, pipe.png, zero.png") {
			t.Errorf("%d pictures, %q", d.Len(), notes)
		}
		if err := os.Remove(filepath.Join(dir, "set", "b.png")); err != nil {
			t.Error(err)
		}
		fifo("set/b.png") // a picture that becomes a pipe
		if _, err := readBytes(d, 1, make([]byte, 9)); err == nil || !strings.Contains(err.Error(), "pipe") {
			t.Errorf("a picture that is a pipe now: %v", err)
		}
		if _, _, _, _, err := ReadPNG(pipe); err == nil {
			t.Error("a pipe was read as a picture")
		}
		if _, err := ReadText(pipe); err == nil {
			t.Error("texts of a pipe were read")
		}
		write(t, filepath.Join(dir, "mnist", "train-labels-idx1-ubyte"), nil)
		for _, spec := range []string{fifo("data.zip"), pipe, "mnist:" + filepath.Dir(fifo("mnist/train-images-idx3-ubyte"))} {
			if _, err := Open(spec, Options{}); err == nil {
				t.Errorf("%s was opened", spec)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("waits for the other end of a pipe")
	}
}

// TestLeftOut: pictures of formats that are not read are counted, by ending.
func TestLeftOut(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.png"), encoded(t, "grey", 3, 3, color.White))
	for _, name := range []string{"b.HEIC", "c.heic", "d.avif", "e.txt", ".f.heic"} {
		write(t, filepath.Join(dir, name), nil)
	}
	want := "left out 3 pictures in formats that are not read: 1 .avif, 2 .heic"
	if notes := Notes(mustOpen(t, dir)); !slices.Equal(notes, []string{want}) {
		t.Errorf("notes %q", notes)
	}
	os.Remove(filepath.Join(dir, "a.png"))
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "2 .heic") {
		t.Errorf("a folder of such pictures alone: %v", err)
	}
}
