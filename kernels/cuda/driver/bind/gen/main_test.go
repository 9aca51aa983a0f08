package main

import (
	"bytes"
	"os"
	"testing"
)

// TestCommitted checks that trampolines.c is what symbols.txt makes it.
func TestCommitted(t *testing.T) {
	list, err := os.ReadFile("../symbols.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Trampolines(list)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../trampolines.c")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			t.Fatalf("trampolines.c line %d is\n%s\nbut the generator writes\n%s\nRun: go generate -tags gpu ./kernels/cuda/driver/bind", i+1, g[i], w[i])
		}
	}
	t.Fatalf("trampolines.c has %d lines, the generator writes %d", len(g), len(w))
}

func TestUnknownType(t *testing.T) {
	if _, err := Trampolines([]byte("cuNothing pq\n")); err == nil {
		t.Error("a type that is not known is accepted")
	}
}
