package pickle

import (
	"errors"
	"fmt"
	"strings"

	"fluxion/nets/safetensors"
)

var (
	errStack = errors.New("an instruction without its operands")
	errShort = errors.New("the file ends in the middle: it was cut short")
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

// storage is the numbers of one or more tensors.
type storage struct {
	key   string
	dtype safetensors.Dtype
	count int64 // numbers
}

// strided is a tensor: a view of a storage.
type strided struct {
	storage        *storage
	offset         int64
	shape, strides []int64
}

// array is one of numpy, which brings its own bytes.
type array struct {
	dtype   safetensors.Dtype
	shape   []int64
	fortran bool
	data    []byte
}

// elementType is numpy's dtype.
type elementType struct {
	of  safetensors.Dtype
	big bool
}

// storages are PyTorch's, by name.
var storages = map[string]safetensors.Dtype{
	"FloatStorage": safetensors.F32, "DoubleStorage": safetensors.F64, "HalfStorage": safetensors.F16, "BFloat16Storage": safetensors.BF16,
	"LongStorage": safetensors.I64, "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8", "BoolStorage": "BOOL",
}

// numpyTypes by their code without the byte order.
var numpyTypes = map[string]safetensors.Dtype{
	"f2": safetensors.F16, "f4": safetensors.F32, "f8": safetensors.F64, "i8": safetensors.I64, "i4": "I32", "i2": "I16", "i1": "I8", "u1": "U8", "b1": "BOOL",
}

// known says whether the name is one that data need.
func (g global) known() bool {
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
func (g global) script() bool {
	return g.module == "__torch__" || strings.HasPrefix(g.module, "__torch__.")
}

// typed says whether the name is a function that tells TorchScript the type of its
// first argument, and returns it.
func (g global) typed() bool {
	return strings.HasPrefix(g.name, "build_") && strings.HasSuffix(g.name, "list") || g.name == "restore_type_tag"
}

// construct does what the few known functions do.
func construct(function, arguments any) (any, error) {
	g, ok := function.(global)
	args, isTuple := arguments.(tuple)
	if !ok || !isTuple {
		return nil, fmt.Errorf("a call of %s with %s", kind(function), kind(arguments))
	}
	made, err := g.call(args)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", g, err)
	}
	return made, nil
}

func (g global) call(args tuple) (any, error) {
	switch {
	case g.name == "OrderedDict" && len(args) == 0:
		return &dict{}, nil
	case (g.name == "_rebuild_tensor_v2" || g.name == "_rebuild_tensor") && len(args) >= 4:
		return rebuild(args)
	case g.name == "_rebuild_parameter" && len(args) >= 1:
		if t, ok := args[0].(*strided); ok {
			return t, nil
		}
	case g.name == "Size" && len(args) == 1, g.typed() && len(args) > 0:
		return args[0], nil
	case g.name == "_reconstruct":
		return &array{}, nil
	case g.name == "dtype" && len(args) >= 1:
		return numpyType(args[0])
	case g.name == "scalar" && len(args) == 2:
		a := &array{} // without axes
		return a, a.fill(tuple{int64(1), tuple{}, args[0], false, args[1]})
	case g.name == "encode" && len(args) == 2:
		return latin1(args[0])
	}
	return nil, fmt.Errorf("arguments %s", kind(args))
}

func rebuild(args tuple) (any, error) {
	s, ok := args[0].(*storage)
	offset, also := args[1].(int64)
	if !ok || !also {
		return nil, fmt.Errorf("arguments %s", kind(args))
	}
	t := &strided{storage: s, offset: offset}
	var err error
	if t.shape, err = numbers(args[2]); err == nil {
		t.strides, err = numbers(args[3])
	}
	if err == nil {
		err = t.check()
	}
	return t, err
}

// check says whether the view lies within its storage. A view that repeats numbers
// is none that a file of weights has.
func (t *strided) check() error {
	if len(t.shape) != len(t.strides) {
		return fmt.Errorf("a shape %v with strides %v", t.shape, t.strides)
	}
	last, count := t.offset, int64(1)
	if t.offset < 0 || t.offset > t.storage.count {
		return fmt.Errorf("a tensor that begins at %d of %d numbers", t.offset, t.storage.count)
	}
	for i, n := range t.shape {
		if n < 0 || t.strides[i] < 0 {
			return fmt.Errorf("a shape %v with strides %v", t.shape, t.strides)
		}
		if n == 0 {
			return nil
		}
		if count > t.storage.count/n || n > 1 && t.strides[i] > t.storage.count {
			return fmt.Errorf("a tensor of shape %v and strides %v in %d numbers", t.shape, t.strides, t.storage.count)
		}
		count *= n
		last += (n - 1) * t.strides[i]
		if last >= t.storage.count {
			return fmt.Errorf("a tensor of shape %v and strides %v in %d numbers", t.shape, t.strides, t.storage.count)
		}
	}
	if last >= t.storage.count {
		return fmt.Errorf("a number at %d of %d", last, t.storage.count)
	}
	return nil
}

// axes is more than a tensor of weights has.
const axes = 8

func numbers(v any) ([]int64, error) {
	t, ok := v.(tuple)
	if !ok || len(t) > axes {
		return nil, fmt.Errorf("%s is no shape", kind(v))
	}
	n := make([]int64, len(t))
	for i, e := range t {
		if n[i], ok = e.(int64); !ok {
			return nil, fmt.Errorf("%s is no shape", kind(v))
		}
	}
	return n, nil
}

func numpyType(code any) (any, error) {
	s, _ := code.(string)
	if of := numpyTypes[strings.TrimLeft(s, "<>|=")]; of != "" {
		return &elementType{of, strings.HasPrefix(s, ">")}, nil
	}
	return nil, fmt.Errorf("element type %s; want one of floats or integers", kind(code))
}

// latin1 is how old versions of the protocol write bytes.
func latin1(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("bytes of %s", kind(v))
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
	case *object:
		v.attributes = given
		return nil
	case *dict: // _metadata, of versions of modules
		return nil
	case *elementType:
		t, ok := given.(tuple)
		if ok && len(t) > 1 {
			v.big = t[1] == any(">")
			return nil
		}
	case *array:
		return v.fill(given)
	}
	return fmt.Errorf("a state %s for %s", kind(given), kind(of))
}

// fill takes numpy's state: version, shape, type, order, bytes.
func (a *array) fill(given any) error {
	t, ok := given.(tuple)
	if !ok || len(t) != 5 {
		return fmt.Errorf("an array of %s", kind(given))
	}
	shape, err := numbers(t[1])
	if err != nil {
		return err
	}
	e, ok := t[2].(*elementType)
	fortran, isBool := t[3].(bool)
	data, isData := t[4].([]byte)
	if !ok || !isBool || !isData || e.big {
		return fmt.Errorf("an array of type %s; want little-endian numbers", kind(t[2]))
	}
	a.dtype, a.shape, a.fortran, a.data = e.of, shape, fortran, data
	size := int64(e.of.Width())
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

// kind says what a value is, in a few words: values may hold each other.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return fmt.Sprintf("%.40q", v)
	case bool, int64, float64, global:
		return fmt.Sprint(v)
	case tuple:
		text := make([]string, 0, len(v))
		for _, e := range v[:min(len(v), 6)] {
			if _, nested := e.(tuple); nested {
				text = append(text, "a tuple")
				continue
			}
			text = append(text, kind(e))
		}
		return "(" + strings.Join(text, ", ") + ")"
	case *dict:
		return "a dict"
	case *list:
		return "a list"
	case *strided:
		return "a tensor"
	case *array:
		return "an array"
	case []byte:
		return fmt.Sprintf("%d bytes", len(v))
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "*pickle.")
}
