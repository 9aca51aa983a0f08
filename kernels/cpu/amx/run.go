package amx

import (
	"errors"
	"os"
)

// Program is what to run.
type Program struct {
	Path  string
	Args  []string // with the name of the program
	Env   []string // nil: ours
	Files [3]*os.File
	// Refuse lets the system say that it has tiles, and refuse them when asked.
	Refuse bool
}

// Result is what became of it.
type Result struct {
	ExitCode int // 128 and the number of the signal that ended it, as shells have it
	// Executed counts the instructions that were executed here, by operation.
	Executed [MultiplyBFloat16 + 1]int
}

// ErrUnsupported is that the system cannot run programs so: it is not Linux on amd64,
// or does not let one process trace another.
var ErrUnsupported = errors.New("AMX cannot be emulated here")
