//go:build !linux || !amd64

package amx

// Run says that it cannot.
func Run(Program) (Result, error) { return Result{}, ErrUnsupported }
