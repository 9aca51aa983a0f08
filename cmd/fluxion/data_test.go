package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
)

// TestDuplicates: copies and duller copies are found with their names and classes, and
// drawn; nothing else of the set is.
func TestDuplicates(t *testing.T) {
	dir := t.TempDir()
	set, err := data.Open("glyphs:letters", data.Options{Size: data.Square(32), Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	write := func(name string, i int, change func(v byte) byte) {
		t.Helper()
		e := data.NewExample(set)
		if err := set.Read(i, e); err != nil {
			t.Fatal(err)
		}
		for k, v := range e.Bytes {
			e.Bytes[k] = change(v)
		}
		path := filepath.Join(dir, "set", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		datatest.WritePNG(t, path, e.Bytes, 32, 32, 1, nil)
	}
	same := func(v byte) byte { return v }
	for i, name := range []string{"a/1.png", "a/2.png", "b/3.png", "b/4.png", "b/5.png"} {
		write(name, i, same)
	}
	write("b/again.png", 0, same)
	write("b/dull.png", 2, func(v byte) byte { return v/2 + 40 })
	pictures, sheet := filepath.Join(dir, "set"), filepath.Join(dir, "sheet.png")
	found := func(args ...string) (r shownDuplicates) {
		t.Helper()
		out, code, err := fluxion(t, with([]string{"data", "duplicates", pictures, "--json"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %d, %v", args, code, err)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := found("--correlation", "0.98", "--sheet", sheet)
	if r.Images != 7 || r.Duplicates != 2 || len(r.Groups) != 2 || r.Mixed != 1 {
		t.Fatalf("%+v", r)
	}
	if g := r.Groups[0]; !g.Mixed || g.Images[0] != (shownImage{0, "a/1.png", "a", "b/again.png", 0, 1}) || g.Images[1] != (shownImage{5, "b/again.png", "b", "a/1.png", 0, 1}) {
		t.Errorf("the copy: %+v", g)
	}
	if g := r.Groups[1]; g.Mixed || g.Images[1].Name != "b/dull.png" || g.Images[1].Near != "b/3.png" || g.Images[1].Correlation > 1 {
		t.Errorf("the duller copy: %+v", g)
	}
	if _, height, width, _, err := data.ReadPNG(sheet); err != nil || width < 4*96 || height >= 2*96 {
		t.Errorf("a sheet of %d×%d: %v", width, height, err)
	}
	out, _, err := fluxion(t, "data", "duplicates", pictures, "--correlation", "0.98")
	if err != nil || !strings.Contains(out, "2 of 7 images") || !strings.Contains(out, "groups of several classes: 1") {
		t.Errorf("%v:\n%s", err, out)
	}
	if err := os.Remove(filepath.Join(pictures, "b", "again.png")); err != nil {
		t.Fatal(err)
	}
	if r := found("--correlation", "1", "--sheet", sheet); len(r.Groups) != 0 || r.Sheet != "" || len(r.Notes) != 1 {
		t.Errorf("of nothing: %+v", r)
	}
	broken := filepath.Join(pictures, "b", "broken.png")
	if err := os.WriteFile(broken, []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	if r := found("--skip-broken"); r.Images != 6 || !strings.Contains(strings.Join(r.Notes, "\n"), "broken.png cannot be read") {
		t.Errorf("beside a broken picture: %+v", r)
	}
	photo := filepath.Join(dir, "photo.png")
	datatest.WritePNG(t, photo, make([]byte, 4), 2, 2, 1, nil)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "want data info, check, duplicates or pack"},
		{[]string{"look"}, exitUsage, `no command data "look"`},
		{[]string{"duplicates"}, exitUsage, "there are 0 arguments"},
		{[]string{"duplicates", pictures}, exitInput, "broken.png"},
		{[]string{"duplicates", "toy:moons"}, exitUsage, "want pictures"},
		{[]string{"duplicates", filepath.Join(dir, "nowhere")}, exitInput, "no such data"},
		{[]string{"duplicates", "glyphs", "--threshold", "17"}, exitUsage, "want 0 to 16"},
		{[]string{"duplicates", "glyphs", "--sheet", "x.jpg"}, exitUsage, ".png"},
		{[]string{"duplicates", "glyphs", "--sheet", photo}, exitUsage, "no such sheet"},
	} {
		_, code, err := fluxion(t, with([]string{"data"}, c.args...)...)
		if code != c.code || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %d, %v; want %d and %q", c.args, code, err, c.code, c.want)
		}
	}
}

// TestPackStopped: a signal leaves no file, and says so.
func TestPackStopped(t *testing.T) {
	out := filepath.Join(t.TempDir(), "packed.npz")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(signalError{signal: syscall.SIGINT})
	root := newRoot()
	root.SetOut(&bytes.Buffer{})
	root.SetArgs([]string{"data", "pack", "glyphs", out, "--size", "8"})
	err := root.ExecuteContext(ctx)
	if code := exitCode(err); code != 130 || err.Error() != "stopped by signal: interrupt; nothing is written, and the same command starts anew" {
		t.Errorf("exit code %d, %v", code, err)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
