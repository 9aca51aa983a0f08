package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzReadState: a state.json is refused in a line that names it, or holds what a
// checkpoint after so many images can.
func FuzzReadState(f *testing.F) {
	for _, text := range []string{`{"images": 8, "steps": 2, "loss": 0.5}`, `{}`, `null`, `[]`, ``, `{"images": 8, "steps": 2, "los`, `{"images": 8.5, "steps": 2, "loss": 1}`,
		`{"images": 8, "steps": 1e300, "loss": 1}`, `{"images": "8", "steps": 2, "loss": 1}`, `{"images": 8, "steps": -9223372036854775808, "loss": 1e308}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), stateFile)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := readState(path, 8)
		switch {
		case err != nil && (!strings.HasPrefix(err.Error(), path) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "unmarshal")):
			t.Fatalf("no line for a user: %v", err)
		case err == nil && (s.Images != 8 || s.Steps < 1 || s.Steps > 8):
			t.Fatalf("%s is read as %+v", data, s)
		}
	})
}
