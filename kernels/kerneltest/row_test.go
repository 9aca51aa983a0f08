package kerneltest

import (
	"reflect"
	"slices"
	"testing"
)

// Names, places, types and lengths all count.
func TestFieldsOfRows(t *testing.T) {
	const source = "constexpr int threads = 4, slots = 2;\n\nstruct Step {\n  uint64_t seed; // key\n  float a, x_z;\n  float history[slots];\n  int32_t store;\n  uint32_t unused;\n};\n"
	want, err := fieldsOfCUDA(source, "Step")
	if err != nil {
		t.Fatal(err)
	}
	list := func(row any) []string { return fieldsOfGo(reflect.TypeOf(row)) }
	if got := list(struct {
		Seed    uint64
		A, XZ   float32
		History [2]float32
		Store   int32
		_       uint32
	}{}); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for what, row := range map[string]any{
		"two fields change places": struct {
			Seed    uint64
			XZ, A   float32
			History [2]float32
			Store   int32
			_       uint32
		}{},
		"an array is longer": struct {
			Seed    uint64
			A, XZ   float32
			History [3]float32
			Store   int32
		}{},
		"an integer for a float": struct {
			Seed    uint64
			A       float32
			XZ      int32
			History [2]float32
			Store   int32
			_       uint32
		}{},
		"a field is missing": struct {
			Seed    uint64
			A, XZ   float32
			History [2]float32
			Store   int32
		}{},
		"a wide field": struct {
			Seed    uint64
			A, XZ   float32
			History [2]float32
			Store   int64
		}{},
	} {
		if slices.Equal(list(row), want) {
			t.Errorf("%s, and nobody says so", what)
		}
	}
	if _, err := fieldsOfCUDA(source, "Head"); err == nil {
		t.Error("a struct that is not there was found")
	}
}
