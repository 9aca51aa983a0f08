//go:build !mpi || !(linux || darwin)

package collective

import (
	"errors"
	"fmt"
)

// Libraries says that this build has no MPI.
func Libraries() ([]string, error) {
	return nil, errors.New("this program was built without MPI: build it with -tags mpi")
}

// openMPIOf says that this build has no MPI.
func openMPIOf(l launch) (Group, error) {
	return Group{}, fmt.Errorf("%v, and this build has no MPI: want one that was built with -tags mpi, or one process", l)
}
