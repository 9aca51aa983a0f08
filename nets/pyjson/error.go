package pyjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

// Error is a JSON text that cannot be used.
type Error struct {
	File    string // "" if the text came from no file
	Key     string // of the value at fault, "" if it is the whole text
	Problem string // what is wrong, and what would be right
}

func (e *Error) Error() string {
	text := e.Problem
	if e.Key != "" {
		text = "key " + e.Key + " " + text
	}
	if e.File != "" {
		text = e.File + ": " + text
	}
	return text
}

// In returns the error with the name of its file.
func In(file string, err error) error {
	var e *Error
	if errors.As(err, &e) && e.File == "" {
		named := *e
		named.File = file
		return &named
	}
	return err
}

// MaxFile is the longest file that ReadFile reads: a list of a million numbers fits.
const MaxFile = 32 << 20

// ReadFile reads a JSON file whole, where it is one: a pipe or a device would not
// end, and a file of another kind would fill the memory.
func ReadFile(path string) ([]byte, error) { return ReadUpTo(MaxFile, path) }

// ReadUpTo is ReadFile for a file of at most so many bytes, whatever they are.
func ReadUpTo(most int64, path string) ([]byte, error) {
	f, err := open(most, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1)) // it may grow meanwhile
	if err == nil && int64(len(data)) > most {
		err = tooLong(most, path)
	}
	return data, err
}

func open(most int64, path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, notOpened(path, err)
	case info.IsDir():
		return nil, &Error{File: path, Problem: "is a folder, want a file"}
	case !info.Mode().IsRegular():
		return nil, &Error{File: path, Problem: "is a pipe or device, want a file"}
	case info.Size() > most:
		return nil, tooLong(most, path)
	}
	f, err := os.Open(path)
	return f, notOpened(path, err)
}

// notOpened is why a file cannot be opened: one that is not there is told as the system does.
func notOpened(path string, err error) error {
	var named *fs.PathError
	switch {
	case !errors.As(err, &named):
		return err
	case errors.Is(err, fs.ErrNotExist):
		named.Op = "open"
		return err
	}
	return &Error{File: path, Problem: fmt.Sprintf("cannot be opened: %v; want a file that can be read", named.Err)}
}

func tooLong(most int64, path string) error {
	return &Error{File: path, Problem: fmt.Sprintf("is longer than %d MiB, the most that is read", most>>20)}
}

// Decode reads JSON into a Go value, as encoding/json does, but says what is wrong in
// the words of the file. null is refused: it would leave the value as it was.
func Decode(data []byte, v any) error {
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return &Error{Problem: "is null, want " + kindName(reflect.TypeOf(v).Elem())}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return explain(data, err, kindName(reflect.TypeOf(v).Elem()))
	}
	return nil
}

// explain says in the words of the file what encoding/json says of it in Go's.
func explain(data []byte, err error, want string) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return &Error{Problem: "is empty, want " + want}
	case errors.As(err, &kind):
		return &Error{Key: kind.Field, Problem: fmt.Sprintf("is %s, want %s", valueName(kind.Value), kindName(kind.Type))}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && syntax.Offset >= int64(len(data)):
		return &Error{Problem: "ends in the middle of a value: it was cut short"}
	case syntax != nil:
		line := 1 + bytes.Count(data[:syntax.Offset], []byte("\n"))
		return &Error{Problem: fmt.Sprintf("is no JSON: line %d: %s", line, strings.TrimPrefix(syntax.Error(), "json: "))}
	}
	return &Error{Problem: strings.TrimPrefix(err.Error(), "json: ")}
}

// Explain is what is wrong with a value that a decoder of encoding/json read.
func Explain(err error) string {
	var e *Error
	errors.As(explain([]byte("{}"), err, "an object"), &e)
	return e.Error()
}

func valueName(v string) string {
	switch kind, number, _ := strings.Cut(v, " "); kind {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "number":
		if number != "" {
			return number
		}
		return "a number"
	case "bool":
		return "true or false"
	}
	return "a " + v
}

func kindName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0 up"
	}
	return "a whole number"
}
