package pickle

import (
	"errors"
	"fmt"
	"strings"
)

var (
	errStack = errors.New("an instruction without its operands")
	ErrShort = errors.New("the file ends in the middle: it was cut short")
)

// InstructionError is an instruction of pickles that data do not need.
type InstructionError struct{ Code byte }

func (e *InstructionError) Error() string {
	return fmt.Sprintf("instruction 0x%02x is not one that tensors need: is it a file of PyTorch's?", e.Code)
}

// ProgramError is a pickle that wants something of Python's to be run.
type ProgramError struct{ Name string }

func (e *ProgramError) Error() string {
	return fmt.Sprintf("it calls %s: a program, which is not run; want tensors alone, as torch.save(model.state_dict(), FILE) writes them", e.Name)
}

// Storage is the numbers of one or more tensors.
type Storage struct {
	Key   string
	Dtype string // as safetensors has it
	Count int64  // numbers
}

// Strided is a tensor: a view of a storage.
type Strided struct {
	Storage        *Storage
	Offset         int64
	Shape, Strides []int64
}

// Array is one of numpy, which brings its own bytes.
type Array struct {
	Dtype   string // as safetensors has it; "": it has no numbers
	Shape   []int64
	Fortran bool
	Data    []byte
}

// elementType is numpy's dtype.
type elementType struct {
	of  string
	big bool
}

// Widths are the bytes of a number of each type.
var Widths = map[string]int{"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "F16": 2, "BF16": 2, "I32": 4, "F32": 4, "F64": 8, "I64": 8}

// storages are PyTorch's, by name.
var storages = map[string]string{
	"FloatStorage": "F32", "DoubleStorage": "F64", "HalfStorage": "F16", "BFloat16Storage": "BF16",
	"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8", "BoolStorage": "BOOL",
}

// numpyTypes by their code without the byte order.
var numpyTypes = map[string]string{
	"f2": "F16", "f4": "F32", "f8": "F64", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u1": "U8", "b1": "BOOL",
}

// known says whether the name is one that data need.
func (g Global) known() bool {
	switch g.module {
	case "collections":
		return g.name == "OrderedDict"
	case "torch._utils":
		return g.name == "_rebuild_tensor_v2" || g.name == "_rebuild_tensor" || g.name == "_rebuild_parameter"
	case "torch":
		return storages[g.name] != "" || g.name == "Size"
	case "numpy", "numpy.core.multiarray", "numpy._core.multiarray":
		return g.name == "_reconstruct" || g.name == "ndarray" || g.name == "dtype" || g.name == "scalar"
	case "_codecs":
		return g.name == "encode"
	case "torch.jit._pickle":
		return g.typed()
	}
	return g.script()
}

// script says whether the name is a class of TorchScript, whose objects are attributes alone.
func (g Global) script() bool {
	return g.module == "__torch__" || strings.HasPrefix(g.module, "__torch__.")
}

// typed says whether the name is a function that tells TorchScript the type of its
// first argument, and returns it.
func (g Global) typed() bool {
	return strings.HasPrefix(g.name, "build_") && strings.HasSuffix(g.name, "list") || g.name == "restore_type_tag"
}

// construct does what the few known functions do.
func construct(function, arguments any) (any, error) {
	g, ok := function.(Global)
	args, isTuple := arguments.(Tuple)
	if !ok || !isTuple {
		return nil, fmt.Errorf("a call of %s with %s", Kind(function), Kind(arguments))
	}
	made, err := g.call(args)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", g, err)
	}
	return made, nil
}

func (g Global) call(args Tuple) (any, error) {
	switch {
	case g.name == "OrderedDict" && len(args) == 0:
		return &Dict{}, nil
	case (g.name == "_rebuild_tensor_v2" || g.name == "_rebuild_tensor") && len(args) >= 4:
		return rebuild(args)
	case g.name == "_rebuild_parameter" && len(args) >= 1:
		if t, ok := args[0].(*Strided); ok {
			return t, nil
		}
	case g.name == "Size" && len(args) == 1, g.typed() && len(args) > 0:
		return args[0], nil
	case g.name == "_reconstruct":
		return &Array{}, nil
	case g.name == "dtype" && len(args) >= 1:
		return numpyType(args[0])
	case g.name == "scalar" && len(args) == 2:
		a := &Array{} // without axes
		return a, a.fill(Tuple{int64(1), Tuple{}, args[0], false, args[1]})
	case g.name == "encode" && len(args) == 2:
		return latin1(args[0])
	}
	return nil, fmt.Errorf("arguments %s", Kind(args))
}

func rebuild(args Tuple) (any, error) {
	s, ok := args[0].(*Storage)
	offset, also := args[1].(int64)
	if !ok || !also {
		return nil, fmt.Errorf("arguments %s", Kind(args))
	}
	t := &Strided{Storage: s, Offset: offset}
	var err error
	if t.Shape, err = numbers(args[2]); err == nil {
		t.Strides, err = numbers(args[3])
	}
	if err == nil {
		err = t.check()
	}
	return t, err
}

// StorageOf reads what a pickle says of a storage: ('storage', type, key, place, count).
func StorageOf(id any) (*Storage, error) {
	t, ok := id.(Tuple)
	if !ok || len(t) < 5 {
		return nil, fmt.Errorf("a storage of %s", Kind(id))
	}
	class, isGlobal := t[1].(Global)
	key, isText := t[2].(string)
	count, isNumber := t[4].(int64)
	if t[0] != any("storage") || !isGlobal || storages[class.name] == "" || !isText || !isNumber || count < 0 {
		return nil, fmt.Errorf("a storage of %s", Kind(id))
	}
	return &Storage{Key: key, Dtype: storages[class.name], Count: count}, nil
}

// check says whether the view lies within its storage. A view that repeats numbers
// is none that a file of weights has.
func (t *Strided) check() error {
	if len(t.Shape) != len(t.Strides) {
		return fmt.Errorf("a shape %v with strides %v", t.Shape, t.Strides)
	}
	last, count := t.Offset, int64(1)
	if t.Offset < 0 || t.Offset > t.Storage.Count {
		return fmt.Errorf("a tensor that begins at %d of %d numbers", t.Offset, t.Storage.Count)
	}
	for i, n := range t.Shape {
		if n < 0 || t.Strides[i] < 0 {
			return fmt.Errorf("a shape %v with strides %v", t.Shape, t.Strides)
		}
		if n == 0 {
			return nil
		}
		if count > t.Storage.Count/n || n > 1 && t.Strides[i] > t.Storage.Count {
			return fmt.Errorf("a tensor of shape %v and strides %v in %d numbers", t.Shape, t.Strides, t.Storage.Count)
		}
		count *= n
		last += (n - 1) * t.Strides[i]
		if last >= t.Storage.Count {
			return fmt.Errorf("a tensor of shape %v and strides %v in %d numbers", t.Shape, t.Strides, t.Storage.Count)
		}
	}
	if last >= t.Storage.Count {
		return fmt.Errorf("a number at %d of %d", last, t.Storage.Count)
	}
	return nil
}

// axes is more than a tensor of weights has.
const axes = 8

func numbers(v any) ([]int64, error) {
	t, ok := v.(Tuple)
	if !ok || len(t) > axes {
		return nil, fmt.Errorf("%s is no shape", Kind(v))
	}
	n := make([]int64, len(t))
	for i, e := range t {
		if n[i], ok = e.(int64); !ok {
			return nil, fmt.Errorf("%s is no shape", Kind(v))
		}
	}
	return n, nil
}

func numpyType(code any) (any, error) {
	if old, ok := code.([]byte); ok { // of Python 2
		code = string(old)
	}
	s, _ := code.(string)
	if of := numpyTypes[strings.TrimLeft(s, "<>|=")]; of != "" {
		return &elementType{of, strings.HasPrefix(s, ">")}, nil
	}
	return nil, fmt.Errorf("element type %s; want one of floats or integers", Kind(code))
}

// latin1 is how old versions of the protocol write bytes.
func latin1(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("bytes of %s", Kind(v))
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 255 {
			return nil, fmt.Errorf("a byte of %d", r)
		}
		b = append(b, byte(r))
	}
	return b, nil
}

// state is what BUILD gives something that was made before.
func state(of, given any) error {
	switch v := of.(type) {
	case *Object:
		v.Attributes = given
		return nil
	case *Dict: // _metadata, of versions of modules
		return nil
	case *elementType:
		t, ok := given.(Tuple)
		if ok && len(t) > 1 {
			v.big = t[1] == any(">")
			return nil
		}
	case *Array:
		return v.fill(given)
	}
	return fmt.Errorf("a state %s for %s", Kind(given), Kind(of))
}

// fill takes numpy's state: version, shape, type, order, bytes.
func (a *Array) fill(given any) error {
	t, ok := given.(Tuple)
	if !ok || len(t) != 5 {
		return fmt.Errorf("an array of %s", Kind(given))
	}
	shape, err := numbers(t[1])
	if err != nil {
		return err
	}
	e, ok := t[2].(*elementType)
	fortran, isBool := t[3].(bool)
	data, isData := t[4].([]byte)
	if !ok || !isBool || !isData || e.big {
		return fmt.Errorf("an array of type %s; want little-endian numbers", Kind(t[2]))
	}
	a.Dtype, a.Shape, a.Fortran, a.Data = e.of, shape, fortran, data
	size := int64(Widths[e.of])
	for _, n := range shape {
		if n < 0 || n > 0 && size > int64(len(data))/n {
			return fmt.Errorf("an array of shape %v in %d bytes", shape, len(data))
		}
		size *= n
	}
	if size != int64(len(data)) {
		return fmt.Errorf("an array of shape %v in %d bytes", shape, len(data))
	}
	return nil
}

// Kind says what a value is, in a few words: values may hold each other.
func Kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return fmt.Sprintf("%.40q", v)
	case bool, int64, float64, Global:
		return fmt.Sprint(v)
	case Tuple:
		text := make([]string, 0, len(v))
		for _, e := range v[:min(len(v), 6)] {
			if _, nested := e.(Tuple); nested {
				text = append(text, "a Tuple")
				continue
			}
			text = append(text, Kind(e))
		}
		return "(" + strings.Join(text, ", ") + ")"
	case *Dict:
		return "a dict"
	case *List:
		return "a list"
	case *Strided:
		return "a tensor"
	case *Array:
		return "an array"
	case []byte:
		return fmt.Sprintf("%d bytes", len(v))
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "*pickle.")
}
