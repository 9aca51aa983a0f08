package durable

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// failing is a disk whose n-th sync fails, counted from 0.
func failing(n int) Disk {
	return Disk{Sync: func(path string) error {
		if n--; n == -1 {
			return &fs.PathError{Op: "sync", Path: path, Err: syscall.EIO}
		}
		return Sync(path)
	}}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// names below a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestFailedSyncPublishesNothing(t *testing.T) {
	fill := func(dir string) error {
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "sub", "file"), []byte("text"), 0o666)
	}
	for n := range 4 { // the folder, the one in it, the file, the folder that holds its name
		dir := t.TempDir()
		if err := failing(n).Folder(filepath.Join(dir, "whole"), fill); !errors.Is(err, syscall.EIO) {
			t.Errorf("sync %d failed: %v", n, err)
		}
		if got := names(t, dir); got != "" {
			t.Errorf("sync %d failed and left %q", n, got)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, "old")
	if err := failing(0).WriteFile(file, []byte("new")); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync of a file failed: %v", err)
	}
	if text, err := os.ReadFile(file); string(text) != "old" || err != nil || names(t, dir) != "file" {
		t.Errorf("after a failed sync: %q, %v; the folder holds %q", text, err, names(t, dir))
	}
	// The last sync is that of the name: the file is whole, but may be gone after a power loss.
	if err := failing(1).WriteFile(file, []byte("new")); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync of the folder failed: %v", err)
	}
}

func TestSyncedBeforeNamed(t *testing.T) {
	dir := t.TempDir()
	synced := map[string]bool{}
	disk := Disk{
		Sync: func(path string) error { synced[path] = true; return Sync(path) },
		Rename: func(old, new string) error {
			err := filepath.WalkDir(old, func(path string, _ fs.DirEntry, err error) error {
				if !synced[path] {
					t.Errorf("%s takes its name before %s is synced", new, path)
				}
				return err
			})
			return errors.Join(err, os.Rename(old, new))
		},
	}
	if err := disk.WriteFile(filepath.Join(dir, "file"), []byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := disk.Folder(filepath.Join(dir, "folder"), func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o666)
	}); err != nil {
		t.Fatal(err)
	}
	if !synced[dir] {
		t.Error("the folder that holds the names was not synced")
	}
}

// TestNoFiles: a socket, as any device or pipe, keeps its place.
func TestNoFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not say what is a socket")
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := (Disk{}).WriteFile(path, []byte("x")); err == nil || !strings.Contains(err.Error(), "it is a pipe, socket or device") {
		t.Error(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("the socket is %v, %v", info, err)
	}
}

func TestFolderReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "there")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (Disk{}).Folder(path, func(string) error { return nil }); !errors.Is(err, fs.ErrExist) {
		t.Errorf("folder over a folder: %v", err)
	}
	if got := names(t, dir); got != "there" {
		t.Errorf("left %q", got)
	}
}

// TestRemove: the name goes first, and is gone on the disk before the content is.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "there")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(path, "file"), "text")
	if err := failing(0).Remove(path); !errors.Is(err, syscall.EIO) {
		t.Errorf("the sync of the name failed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, Temporary+"there", "file")); err != nil {
		t.Errorf("content is gone before its name is: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, Temporary+"there"), path); err != nil {
		t.Fatal(err)
	}
	if err := (Disk{}).Remove(path); err != nil || names(t, dir) != "" {
		t.Errorf("removed: %v, left %q", err, names(t, dir))
	}
}

func TestModeIsThatOfOtherFiles(t *testing.T) {
	dir := t.TempDir()
	if err := (Disk{}).WriteFile(filepath.Join(dir, "ours"), nil); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "plain"), "")
	ours, err1 := os.Stat(filepath.Join(dir, "ours"))
	plain, err2 := os.Stat(filepath.Join(dir, "plain"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if ours.Mode() != plain.Mode() {
		t.Errorf("mode %v, other files have %v", ours.Mode(), plain.Mode())
	}
}

func TestSweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[a]*") // names are no patterns
	if err := os.MkdirAll(filepath.Join(dir, Temporary+"1", "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, Temporary+"2"), "half")
	write(t, filepath.Join(dir, "kept"), "whole")
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "kept" {
		t.Errorf("swept to %q", got)
	}
	if err := Sweep(filepath.Join(dir, "nowhere")); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// Of many files each is synced before it takes its name, the folder once.
func TestPut(t *testing.T) {
	dir := t.TempDir()
	folders := 0
	disk := Disk{Sync: func(path string) error {
		if path == dir {
			folders++
		}
		return Sync(path)
	}}
	for _, name := range []string{"a", "b"} {
		if err := disk.Put(filepath.Join(dir, name), []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if folders != 0 || names(t, dir) != "a b" {
		t.Errorf("%d syncs of the folder, which holds %q", folders, names(t, dir))
	}
	if err := disk.Settle(dir); err != nil || folders != 1 {
		t.Errorf("%d syncs of the folder, %v", folders, err)
	}
	if err := failing(0).Put(filepath.Join(dir, "c"), nil); !errors.Is(err, syscall.EIO) || names(t, dir) != "a b" {
		t.Errorf("after a failed sync: %v; the folder holds %q", err, names(t, dir))
	}
}

// Leftovers go when somebody comes to an empty folder or leaves it empty, and stay while
// others may be writing them.
func TestShare(t *testing.T) {
	dir := t.TempDir()
	share := func() func() error {
		t.Helper()
		leave, err := Share(dir)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	left := filepath.Join(dir, Temporary+"1")
	write(t, left, "half")
	first := share()
	if names(t, dir) != "" {
		t.Errorf("left %q", names(t, dir))
	}
	write(t, left, "half")
	second := share()
	if names(t, dir) == "" {
		t.Error("swept what another process may be writing")
	}
	if err := first(); err != nil || names(t, dir) == "" {
		t.Errorf("%v; swept what the other may be writing", err)
	}
	if err := second(); err != nil || names(t, dir) != "" {
		t.Errorf("%v; the last left %q", err, names(t, dir))
	}
	write(t, left, "half")
	if err := share()(); err != nil || names(t, dir) != "" {
		t.Errorf("%v, left %q", err, names(t, dir))
	}
}

// TestAlone: one process at a time, and who comes sweeps.
func TestAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, Temporary+"left"), "half")
	leave, err := Alone(dir)
	if err != nil || names(t, dir) != "" {
		t.Fatalf("%v; the folder holds %q", err, names(t, dir))
	}
	if _, err := Alone(dir); !errors.Is(err, ErrBusy) {
		t.Errorf("beside another: %v", err)
	}
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	leave, err = Alone(dir)
	if err != nil {
		t.Fatal("after it left:", err)
	}
	if err := leave(); err != nil {
		t.Error(err)
	}
}
