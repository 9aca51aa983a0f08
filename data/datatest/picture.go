package datatest

import (
	"os"
	"testing"

	"fluxion/data"
)

// WritePNG writes a picture for a test: HWC with 1 or 3 channels, and texts about it.
func WritePNG(t testing.TB, path string, pixels []byte, height, width, channels int, text map[string]string) {
	t.Helper()
	file, err := data.EncodePNG(pixels, height, width, channels, text)
	if err == nil {
		err = os.WriteFile(path, file, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
