//go:build s3

package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxion/data/object/objecttest"
)

// use makes the package use a server, or none, for a test.
func use(t *testing.T, environment ...string) {
	t.Helper()
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	for _, e := range environment {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	before := open
	open = connect
	t.Cleanup(func() { open = before })
}

// TestObjects: what is put is read back, wherever reading begins, and listed.
func TestObjects(t *testing.T) {
	s := objecttest.Start(t)
	use(t, s.Environment()...)
	ctx := context.Background()
	content := make([]byte, 3*blockSize+17)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	put := func(key string, content []byte) {
		t.Helper()
		if err := Put(ctx, s.Address(key), bytes.NewReader(content), int64(len(content))); err != nil {
			t.Fatal(err)
		}
	}
	put("a/large", content)
	put("a/b/small", []byte("x"))
	put("a/empty", nil)
	put("ab", []byte("not below a"))
	all, err := List(ctx, s.Address("a"))
	if want := []Info{{"b/small", 1}, {"empty", 0}, {"large", int64(len(content))}}; err != nil || !slices.Equal(all, want) {
		t.Errorf("listed %v, %v, want %v", all, err, want)
	}
	names, err := Names(ctx, s.Address("a/"))
	if err != nil || len(names) != 3 || !names["b"] || !names["large"] || !names["empty"] {
		t.Errorf("names %v, %v", names, err)
	}
	if _, err := List(ctx, s.Address("nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing below: %v", err)
	}
	f, err := Open(ctx, s.Address("a/large"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int{0, 5, blockSize - 1, blockSize, 2*blockSize + 3, len(content) - 1} {
		for _, n := range []int{1, 100, blockSize, 2 * blockSize} {
			p := make([]byte, n)
			want := content[at:min(at+n, len(content))]
			got, err := f.ReadAt(p, int64(at))
			if !bytes.Equal(p[:got], want) || (err != nil) != (len(want) < n) {
				t.Errorf("%d bytes at %d: %d, %v", n, at, got, err)
			}
		}
	}
	if read, err := io.ReadAll(f); err != nil || !bytes.Equal(read, content) {
		t.Errorf("%d bytes in a row, %v", len(read), err)
	}
	asked := s.Asked.Load()
	if _, err := f.ReadAt(make([]byte, 10), 7); err != nil || s.Asked.Load() != asked {
		t.Errorf("what was read is asked for again: %v", err)
	}
	if file, err := ReadFile(ctx, s.Address("a/empty")); err != nil || len(file) != 0 {
		t.Errorf("an empty object: %q, %v", file, err)
	}
	put("a/large", []byte("another"))
	g, err := Open(ctx, s.Address("a/large"))
	if err != nil {
		t.Fatal(err)
	}
	put("a/large", []byte("changed"))
	if _, err := g.ReadAt(make([]byte, 3), 0); err == nil || !strings.Contains(err.Error(), "was changed while it was read") {
		t.Errorf("an object that has changed: %v", err)
	}
}

// TestFaults: a server that is busy or ends its answers is asked again, so many times; what is
// wrong is said in one line; and nothing is half written.
func TestFaults(t *testing.T) {
	s := objecttest.Start(t)
	use(t, s.Environment()...)
	ctx := context.Background()
	put := func(address string) error { return Put(ctx, address, strings.NewReader("content"), 7) }
	s.Busy.Store(3)
	if err := put(s.Address("a")); err != nil || s.Busy.Load() != 0 {
		t.Errorf("a server that was busy three times: %v", err)
	}
	s.Busy.Store(3)
	if file, err := ReadFile(ctx, s.Address("a")); err != nil || string(file) != "content" {
		t.Errorf("read %q, %v, of a server that was busy three times", file, err)
	}
	s.Cut.Store(2)
	if file, err := ReadFile(ctx, s.Address("a")); err != nil || string(file) != "content" {
		t.Errorf("read %q, %v, of answers that were cut", file, err)
	}
	oneLine := func(what string, err error, want ...string) {
		t.Helper()
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%s: %v", what, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %s", what, err, w)
			}
		}
	}
	s.Busy.Store(-1)
	begin, asked := time.Now(), s.Asked.Load()
	oneLine("a busy server", put(s.Address("b")), "s3://bucket/b: cannot be written: the server is too busy, 8 times in a row; the same command goes on later")
	if took, n := time.Since(begin), s.Asked.Load()-asked; took > 15*time.Second || n > 2*tries {
		t.Errorf("it took %v and %d requests", took, n)
	}
	_, err := List(ctx, s.Address(""))
	oneLine("a busy server", err, "cannot be listed: the server is too busy")
	s.Busy.Store(0)
	if _, err := os.Stat(filepath.Join(s.Folder, "b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what could not be written is there: %v", err)
	}
	oneLine("no bucket", put("s3://nobucket/a"), "s3://nobucket/a: there is no such bucket")
	_, err = List(ctx, "s3://nobucket/a")
	oneLine("no bucket", err, "there is no such bucket")
	_, err = Open(ctx, s.Address("none"))
	oneLine("no object", err, "there is no such object")
	oneLine("no bucket's name", put("s3:///a"), "want s3://BUCKET/KEY")
	use(t, append(s.Environment(), "AWS_SECRET_ACCESS_KEY=wrong")...)
	oneLine("a wrong secret", put(s.Address("b")), "the credentials are refused")
	use(t, "AWS_ENDPOINT_URL_S3="+s.URL, "AWS_EC2_METADATA_DISABLED=true")
	begin = time.Now()
	oneLine("no credentials", put(s.Address("b")), "no credentials; want AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("no credentials are found in %v", took)
	}
	use(t, append(s.Environment(), "AWS_ENDPOINT_URL_S3=nowhere")...)
	oneLine("a server without a scheme", put(s.Address("b")), "is no http:// or https:// address")
}
