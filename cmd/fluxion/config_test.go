package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/engine/train"
)

// TestConfigShow: what is shown, read back as a file, gives the same settings; each line
// says where its setting is from.
func TestConfigShow(t *testing.T) {
	t.Setenv(machine.BlockingsVariable, "")
	t.Setenv("FLUXION_SEED", "7")
	args := []string{"--preset", "small", "-s", "optimizer=sgd", "--lr", "0.5"}
	shown, code, err := fluxion(t, append([]string{"config", "show"}, args...)...)
	if err != nil {
		t.Fatal(code, err)
	}
	for line, source := range map[string]string{
		"preset: small": "--preset", "optimizer: sgd": "-s optimizer", "lr: 0.5": "--lr", "seed: 7": "FLUXION_SEED", "images: 100000": "preset small", "momentum: 0.9": "follows from others", "beta2: 0": "follows from others",
	} {
		if i := strings.Index(shown, "\n"+line+" "); i < 0 || !strings.HasPrefix(strings.TrimLeft(shown[i+1+len(line):], " "), "# "+source+"\n") {
			t.Errorf("%s is not shown to be from %s:\n%s", line, source, shown)
		}
	}
	if !strings.HasPrefix(shown, "data: glyphs\nsize: 0\n") {
		t.Errorf("defaults have no source:\n%s", shown)
	}
	want := drySettings(t, args...)
	t.Setenv("FLUXION_SEED", "")
	asJSON, code, err := fluxion(t, append([]string{"config", "show", "--json", "--seed", "7"}, args...)...)
	if err != nil {
		t.Fatal(code, err)
	}
	changed, code, err := fluxion(t, append([]string{"config", "show", "--changed", "--seed", "7"}, args...)...)
	if err != nil || strings.Contains(changed, "schedule:") {
		t.Fatal(code, err, changed)
	}
	for name, text := range map[string]string{"shown.yaml": shown, "shown.json": asJSON, "changed.yaml": changed} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := drySettings(t, "--config", file); got != want {
			t.Errorf("%s, read back, is %+v, want %+v", name, got, want)
		}
	}
}

// TestConfigSchema: a schema has every setting of its command, and no other, and what a
// run's config.json has is of the types that it says.
func TestConfigSchema(t *testing.T) {
	for _, c := range withSettings() {
		if c.Name() == showName {
			continue
		}
		path := strings.Fields(c.CommandPath())[1:]
		out, code, err := fluxion(t, append([]string{"config", "schema"}, path...)...)
		if err != nil {
			t.Fatal(code, err)
		}
		var schema struct {
			Schema               string `json:"$schema"`
			AdditionalProperties bool
			Properties           map[string]struct {
				Type        any
				Description string
				Default     any
			}
		}
		if err := json.Unmarshal([]byte(out), &schema); err != nil || schema.Schema != schemaDraft || schema.AdditionalProperties {
			t.Fatalf("%v: %v: %s", path, err, out)
		}
		list := settings.Of(c)
		if len(schema.Properties) != len(list) {
			t.Errorf("%v: %d properties, and %d settings", path, len(schema.Properties), len(list))
		}
		for _, s := range list {
			p := schema.Properties[s.Key]
			if p.Description == "" || p.Default != nil && !typed(p.Default, p.Type) {
				t.Errorf("%v: %s: %+v", path, s.Key, p)
			}
		}
		if len(path) == 1 && path[0] == "train" {
			text, err := json.Marshal(train.Default())
			var values map[string]any
			if err == nil {
				err = json.Unmarshal(text, &values)
			}
			if err != nil {
				t.Fatal(err)
			}
			for key, v := range values {
				if !typed(v, schema.Properties[key].Type) {
					t.Errorf("%s: %v is not of %v", key, v, schema.Properties[key].Type)
				}
			}
		}
	}
	if _, code, err := fluxion(t, "config", "schema", "trian"); code != exitUsage || !strings.Contains(err.Error(), `did you mean "train"?`) {
		t.Error(code, err)
	}
}

// typed says whether a value of JSON is of a type of a schema, or of one of them.
func typed(v, of any) bool {
	name := map[bool]string{true: "boolean"}[v == true || v == false]
	switch v := v.(type) {
	case string:
		name = "string"
	case []any:
		name = "array"
	case float64:
		name = "number"
		if of == "integer" && v == float64(int64(v)) {
			name = "integer"
		}
	}
	if list, ok := of.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return typed(v, one) })
	}
	return of == name
}
