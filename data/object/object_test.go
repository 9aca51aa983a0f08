package object

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// TestAddress: parts of addresses.
func TestAddress(t *testing.T) {
	for _, c := range [][3]string{{"s3://b/p/", "x/y", "s3://b/p/x/y"}, {"s3://b", "x", "s3://b/x"}} {
		if got := Join(c[0], c[1]); got != c[2] || Dir(Join(c[0], "x")) != strings.TrimRight(c[0], "/") || Base(got) != c[1][strings.LastIndex(c[1], "/")+1:] {
			t.Errorf("%s and %s: %s, in %s", c[0], c[1], got, Dir(got))
		}
	}
	for address, want := range map[string]string{"s3://b/k/l": "b k/l", "s3://b": "b ", "s3://": "", "s3:///k": "", "b/k": ""} {
		bucket, key, err := split(address)
		if (err != nil) != (want == "") || err == nil && bucket+" "+key != want {
			t.Errorf("%s: %q, %q, %v", address, bucket, key, err)
		}
	}
}

// TestBlocks: no more is kept than a bound, and nothing of a file that is closed.
func TestBlocks(t *testing.T) {
	fetched := 0
	f := &File{size: (mostKept + 9) * blockSize, fetch: func(p []byte, at int64) error {
		fetched++
		p[0] = byte(at / blockSize)
		return nil
	}}
	var p [1]byte
	for range 2 {
		for n := range int64(mostKept + 9) {
			if _, err := f.ReadAt(p[:], n*blockSize); err != nil || p[0] != byte(n) {
				t.Fatalf("block %d begins with %d, %v", n, p[0], err)
			}
		}
	}
	if len(kept.of) != mostKept || len(kept.order) != mostKept || fetched != 2*(mostKept+9) {
		t.Errorf("%d blocks are kept, %d were fetched", len(kept.of), fetched)
	}
	if err := f.Close(); err != nil || len(kept.of) != 0 || len(kept.order) != 0 {
		t.Errorf("%d blocks of a closed file are kept", len(kept.of))
	}
}

// TestWithout: a build without S3 says so.
func TestWithout(t *testing.T) {
	if err := Check("s3://b/k"); err != nil && !strings.Contains(err.Error(), "-tags s3") && !strings.Contains(err.Error(), "credentials") {
		t.Errorf("%v", err)
	}
	if err := Put(context.Background(), "s3:///", bytes.NewReader(nil), 0); err == nil {
		t.Error("an address without a bucket is taken")
	}
}
