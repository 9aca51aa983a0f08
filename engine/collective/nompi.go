//go:build !mpi || !(linux || darwin)

package collective

import "fmt"

// openMPIOf says that this build has no MPI.
func openMPIOf(l launch) (Group, error) {
	return Group{}, fmt.Errorf("%v, and this build has no MPI: want one that was built with -tags mpi, or one process", l)
}
