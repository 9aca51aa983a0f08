package kerneltest

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// CheckRow holds a row's Go struct (see package row) against the struct that a CUDA
// source declares under this name: the names of the fields but for case and
// underscores, their places and their types, and the size of the whole.
func CheckRow(t *testing.T, source, name string, row any) {
	t.Helper()
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	want, err := fieldsOfCUDA(string(text), name)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	if got := fieldsOfGo(reflect.TypeOf(row)); !slices.Equal(got, want) {
		t.Errorf("%T is\n%s\nand struct %s of %s\n%s", row, strings.Join(got, "\n"), name, source, strings.Join(want, "\n"))
	}
}

var (
	comment   = regexp.MustCompile(`//.*`)
	declared  = regexp.MustCompile(`(?s)(\w+) (.+)`)
	elements  = regexp.MustCompile(`(\w+)(?:\[(\w+)\])?`)
	cudaTypes = map[string]struct {
		kind string
		size int
	}{"float": {"float", 4}, "double": {"float", 8}, "uint32_t": {"int", 4}, "int32_t": {"int", 4}, "uint64_t": {"int", 8}, "int64_t": {"int", 8}}
)

// field is a line for one field, or for an element of an array.
func field(name, kind string, size, at int) string {
	if name = strings.ToLower(strings.ReplaceAll(name, "_", "")); strings.HasPrefix(name, "unused") {
		name = ""
	}
	return fmt.Sprintf("%4d: %-12s %s%d", at, name, kind, 8*size)
}

func whole(size int) string { return fmt.Sprintf("%4d: the end", size) }

// fieldsOfCUDA lists the fields of a struct as C++ lays them out.
func fieldsOfCUDA(source, name string) ([]string, error) {
	body := regexp.MustCompile(`(?s)\nstruct ` + name + ` \{\n(.*?)\n\};`).FindStringSubmatch(source)
	if body == nil {
		return nil, fmt.Errorf("no struct %s", name)
	}
	var fields []string
	at, widest := 0, 1
	for line := range strings.SplitSeq(comment.ReplaceAllString(body[1], ""), ";") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		d := declared.FindStringSubmatch(line)
		if d == nil || cudaTypes[d[1]].size == 0 {
			return nil, fmt.Errorf("struct %s: %q is not understood", name, line)
		}
		of := cudaTypes[d[1]]
		widest = max(widest, of.size)
		for _, e := range elements.FindAllStringSubmatch(d[2], -1) {
			n := 1
			if e[2] != "" {
				var err error
				if n, err = constant(source, e[2]); err != nil {
					return nil, err
				}
			}
			for at = roundUp(at, of.size); n > 0; n-- {
				fields = append(fields, field(e[1], of.kind, of.size, at))
				at += of.size
			}
		}
	}
	return append(fields, whole(roundUp(at, widest))), nil
}

// constant is a number, or what a constant of the source is.
func constant(source, name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	value := regexp.MustCompile(`constexpr int [^;]*\b` + name + ` = (\d+)`).FindStringSubmatch(source)
	if value == nil {
		return 0, fmt.Errorf("no constant %s", name)
	}
	return strconv.Atoi(value[1])
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// fieldsOfGo lists the fields of a struct as Go lays them out.
func fieldsOfGo(row reflect.Type) []string {
	var fields []string
	for i := range row.NumField() {
		f := row.Field(i)
		of, n := f.Type, 1
		if of.Kind() == reflect.Array {
			of, n = of.Elem(), of.Len()
		}
		kind := of.Kind().String()
		switch of.Kind() {
		case reflect.Float32, reflect.Float64:
			kind = "float"
		case reflect.Int32, reflect.Uint32, reflect.Int64, reflect.Uint64:
			kind = "int"
		}
		for e := range n {
			fields = append(fields, field(f.Name, kind, int(of.Size()), int(f.Offset)+e*int(of.Size())))
		}
	}
	return append(fields, whole(int(row.Size())))
}
