// Package formula evaluates formulas that come from the command line, such as
// a schedule's scale or a denoiser, on real numbers.
package formula

import (
	"fmt"
	"math"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// functions that formulas may call, beside expr's own abs, ceil, floor, round,
// min and max.
var functions = map[string]func(float64) float64{
	"exp": math.Exp, "expm1": math.Expm1, "log": math.Log, "ln": math.Log, "log1p": math.Log1p, "sqrt": math.Sqrt,
	"sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "asin": math.Asin, "acos": math.Acos, "atan": math.Atan,
	"sinh": math.Sinh, "cosh": math.Cosh, "tanh": math.Tanh, "erf": math.Erf,
}

// Formula is a compiled formula.
type Formula struct {
	Text    string
	names   []string
	program *vm.Program
}

// Compile reads a formula in the given variables, with pi, the four operations,
// ^ and ** for powers, and the functions above. It returns a number.
func Compile(text string, variables ...string) (*Formula, error) {
	env := map[string]any{}
	for _, name := range variables {
		env[name] = 0.0
	}
	env["pi"] = math.Pi
	options := []expr.Option{expr.Env(env), expr.AsFloat64()}
	for name, f := range functions {
		options = append(options, expr.Function(name, func(arguments ...any) (any, error) {
			return f(number(arguments[0])), nil
		}, new(func(any) float64)))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("formula %q: %s; it may use %s, pi, + - * / ^ and functions such as exp, log, sqrt, sin, min, max",
			text, first, strings.Join(variables, ", "))
	}
	return &Formula{Text: text, names: variables, program: program}, nil
}

// number is an argument as expr passes it: whole numbers are ints.
func number(x any) float64 {
	switch x := x.(type) {
	case int:
		return float64(x)
	case float64:
		return x
	}
	return math.NaN()
}

// At evaluates the formula; the values are those of Compile's variables, in order.
func (f *Formula) At(values ...float64) (float64, error) {
	env := make(map[string]any, len(f.names)+1)
	env["pi"] = math.Pi
	for i, name := range f.names {
		env[name] = values[i]
	}
	result, err := expr.Run(f.program, env)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return 0, fmt.Errorf("formula %q: %s", f.Text, first)
	}
	return result.(float64), nil
}
