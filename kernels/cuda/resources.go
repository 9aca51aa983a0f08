package cuda

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// Resources are what a function needs of a multiprocessor, as ptxas assembled it for a
// GPU: that of CUDA 12.1, or of 12.9 for those that 12.1 does not know.
type Resources struct {
	Module, Function string
	GPU              string // sm_80, sm_86, sm_89, sm_90a, sm_100a or sm_120
	Threads          int    // of the largest block, its __launch_bounds__
	Registers        int    // of a thread
	Shared           int    // bytes of static shared memory of a block
	Stack, Spills    int    // bytes of a thread
	Instructions     int    // of the machine, as they stand
	Blocks           int    // that a multiprocessor holds, without dynamic shared memory
}

//go:embed resources.tsv.zst
var table string

// resources returns those of every function on every GPU, in the order of modules,
// functions and GPUs. They are read from the table of scripts/ptx.sh when the first is
// asked for: a run on a CPU asks for none.
var resources = sync.OnceValue(func() []Resources {
	text, err := unpack(table)
	if err != nil {
		panic("cuda: resources.tsv.zst: " + err.Error())
	}
	return parse(text)
})

// parse panics where the file is not what scripts/ptx.py writes; the tests see to that.
func parse(table string) (rows []Resources) {
	_, body, _ := strings.Cut(table, "\n")
	for line := range strings.Lines(body) {
		var r Resources
		n, err := fmt.Sscan(line, &r.Module, &r.Function, &r.GPU, &r.Threads, &r.Registers, &r.Shared, &r.Stack, &r.Spills, &r.Instructions, &r.Blocks)
		if err != nil {
			panic(fmt.Errorf("resources.tsv: field %d of %q: %w", n+1, line, err))
		}
		rows = append(rows, r)
	}
	return rows
}

// Needs returns the resources of a call's function on a GPU; false if the table
// does not know it.
func (c Call) Needs(gpu string) (Resources, bool) {
	for _, r := range resources() {
		if r.Function == c.Function && r.Module == c.Module.Name && r.GPU == gpu {
			return r, true
		}
	}
	return Resources{}, false
}
