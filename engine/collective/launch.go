package collective

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// Variable makes this process one of several of this machine, without MPI: it is
	// RANK/WORLD:FOLDER, of a folder in which they meet.
	Variable = "FLUXION_GROUP"
	// LibraryVariable is the path of the MPI library, where it is not the one that is found.
	LibraryVariable = "FLUXION_MPI"
)

// launch is what a launcher says of its processes.
type launch struct {
	by    string // its name
	world int    // processes; 0: it does not say
}

// launched looks for a launcher in the environment; without one by is empty. A launcher
// of MPI that started one process is none.
func launched(environment func(string) string) (launch, error) {
	number := func(names ...string) (n int) {
		for _, name := range names {
			if n, _ = strconv.Atoi(environment(name)); n > 0 {
				return n
			}
		}
		return 0
	}
	l := launch{}
	step := number("SLURM_STEP_NUM_TASKS")
	switch {
	case environment("OMPI_COMM_WORLD_SIZE") != "":
		l = launch{openMPI, number("OMPI_COMM_WORLD_SIZE")}
	case environment("PMIX_RANK") != "":
		l = launch{pmix, step}
	case environment("PMI_RANK") != "" && (environment("PMI_FD") != "" || environment("PMI_PORT") != ""):
		l = launch{hydra, number("PMI_SIZE")}
	case step > 1:
		return l, fmt.Errorf("srun started %d processes that do not know of each other: want srun --mpi=pmix or --mpi=pmi2, of the kind that the MPI library is of (srun --mpi=list), or one process", step)
	}
	if l.world == 1 {
		return launch{}, nil
	}
	return l, nil
}

// Launchers of MPI.
const (
	openMPI = "Open MPI"
	pmix    = "PMIx"
	hydra   = "Hydra"
)

// Open joins the processes that a launcher has started; without one, or with one of one
// process, it is alone and no library is looked for. Every process then knows how many of
// them are on its machine.
func Open() (Group, error) {
	g, err := open()
	if err != nil || g.World == 1 {
		return g, err
	}
	host, err := os.Hostname()
	if err != nil {
		return g, err
	}
	hosts, err := GatherValues(g, host)
	if err != nil {
		return g, err
	}
	for _, other := range hosts[:g.Rank] {
		if other == host {
			g.LocalRank++
		}
	}
	return g, nil
}

func open() (Group, error) {
	if text := os.Getenv(Variable); text != "" {
		rank, world, dir, err := parse(text)
		if err != nil || world == 1 {
			return Alone, err
		}
		return meet(dir, rank, world)
	}
	l, err := launched(os.Getenv)
	if err != nil || l.by == "" {
		return Alone, err
	}
	return openMPIOf(l)
}

// parse reads what Variable says.
func parse(text string) (rank, world int, dir string, err error) {
	numbers, dir, _ := strings.Cut(text, ":")
	first, second, _ := strings.Cut(numbers, "/")
	rank, err1 := strconv.Atoi(first)
	world, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil || rank < 0 || rank >= world || dir == "" {
		return 0, 0, "", fmt.Errorf("%s=%s: want RANK/WORLD:FOLDER, with ranks from 0, as in 0/2:/tmp/group", Variable, text)
	}
	return rank, world, filepath.Clean(dir), nil
}

// String says what was started.
func (l launch) String() string {
	if l.world == 0 {
		return l.by + " started this process with others"
	}
	return fmt.Sprintf("%s started %d processes", l.by, l.world)
}
