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
	env := environment()
	for _, name := range variables {
		env[name] = 0.0
	}
	program, err := expr.Compile(text, expr.Env(env), expr.AsFloat64())
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("formula %q: %s; it may use %s, pi, + - * / ^ and functions such as exp, log, sqrt, sin, min, max",
			text, first, strings.Join(variables, ", "))
	}
	return &Formula{Text: text, names: variables, program: program}, nil
}

func environment() map[string]any {
	env := map[string]any{"pi": math.Pi}
	for name, f := range functions {
		env[name] = func(x any) float64 { return f(number(x)) }
	}
	return env
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
	env := environment()
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
