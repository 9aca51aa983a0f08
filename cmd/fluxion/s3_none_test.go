//go:build !s3

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWithoutS3: a build without S3 says so wherever an address is given.
func TestWithoutS3(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	out := filepath.Join(t.TempDir(), "o")
	for _, c := range []struct {
		args string
		code int
	}{
		{"sample --model none --count 1 --out s3://b/x", exitUsage}, {"sample --model none --count 1 --out tar:s3://b/x", exitUsage}, {"sample --model none --count 1 --out s3://b/x.npz", exitUsage},
		{"sample --model s3://b/x --count 1 --out " + out, exitInput}, {"data info s3://b/x", exitInput}, {"data info s3://b/x.zip", exitInput}, {"data info tar:s3://b/x", exitInput},
		{"convert s3://b/x " + out, exitInput},
	} {
		_, code, err := fluxion(t, strings.Fields(c.args)...)
		if code != c.code || err == nil || !strings.Contains(err.Error(), "this build has no S3; want one that was built with -tags s3") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: exit %d, %v", c.args, code, err)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("what failed left %v, %v", left, err)
	}
}
