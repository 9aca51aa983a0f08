package collective

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
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
	// Where it brings no library:
	rank, local int           // local: on its machine; -1: it does not say
	place       string        // where the processes meet, as the user said it
	address     string        // where the first answers the others
	wait        time.Duration // for how long
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
	torchrun := environment("WORLD_SIZE") != "" && environment("RANK") != ""
	switch {
	case environment(Variable) != "":
		return byHand(environment(Variable))
	case torchrun && environment("TORCHELASTIC_RUN_ID") != "":
		return byTorch(environment) // whatever started torchrun
	case environment("OMPI_COMM_WORLD_SIZE") != "":
		l = launch{by: openMPI, world: number("OMPI_COMM_WORLD_SIZE")}
	case environment("PMIX_RANK") != "":
		l = launch{by: pmix, world: step}
	case environment("PMI_RANK") != "" && (environment("PMI_FD") != "" || environment("PMI_PORT") != ""):
		l = launch{by: hydra, world: number("PMI_SIZE")}
	case torchrun:
		return byTorch(environment)
	case step > 1:
		return l, fmt.Errorf("srun started %d processes that do not know of each other: want srun --mpi=pmix or --mpi=pmi2, of the kind that the MPI library is of (srun --mpi=list), or one process", step)
	default:
		if err := halfTorch(environment); err != nil {
			return l, err
		}
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

// most is how many processes may train together: far more micro-batches than a step has.
const most = 1 << 16

// torch is what sets the variables that processes of PyTorch find each other by.
const torch = "torchrun"

// torchVariables say which process this is, of how many, and which of its machine.
var torchVariables = []string{"RANK", "WORLD_SIZE", "LOCAL_RANK"}

// halfTorch refuses a process that is told a part of what it needs to find the others: alone,
// it would be one of several that do the same.
func halfTorch(environment func(string) string) error {
	for _, name := range torchVariables {
		if text := environment(name); text != "" {
			lacks := "WORLD_SIZE"
			if environment("RANK") == "" {
				lacks = "RANK"
			}
			return fmt.Errorf("%s=%s is set, and %s is not: want all that torchrun sets, RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, or none of them, env -u %s", name, text, lacks, name)
		}
	}
	return nil
}

// byTorch reads them: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, where
// torchrun itself answers, so that the port behind it is taken. NCCL_COMM_ID, HOST:PORT, may
// stand for the last two. One process is none.
func byTorch(environment func(string) string) (l launch, err error) {
	l = launch{by: torch, local: -1, wait: gathering}
	for i, to := range []*int{&l.rank, &l.world, &l.local} {
		name := torchVariables[i]
		text := environment(name)
		if text == "" {
			continue // the number of this machine is counted
		}
		if *to, err = strconv.Atoi(text); err != nil || *to < 0 {
			return l, fmt.Errorf("%s=%s: want a number, as torchrun sets it", name, text)
		}
	}
	if at := max(l.rank, l.local); at >= l.world || l.world > most {
		name := torchVariables[0]
		if l.local > l.rank {
			name = torchVariables[2]
		}
		return l, fmt.Errorf("%s=%d of WORLD_SIZE=%d: want ranks from 0 to WORLD_SIZE - 1, and %d processes at most", name, at, l.world, most)
	}
	if l.world == 1 {
		return launch{}, nil
	}
	host, port, from := environment("MASTER_ADDR"), environment("MASTER_PORT"), "MASTER_PORT"
	if id := environment("NCCL_COMM_ID"); host == "" && id != "" {
		if host, port, err = net.SplitHostPort(id); err != nil {
			return l, fmt.Errorf("NCCL_COMM_ID=%s: want HOST:PORT", id)
		}
		from = "NCCL_COMM_ID"
	}
	if host == "" {
		return l, fmt.Errorf("RANK=%d and WORLD_SIZE=%d are set, and MASTER_ADDR is not: want all that torchrun sets, or neither", l.rank, l.world)
	}
	if l.address, err = next(host, port); err != nil {
		return l, fmt.Errorf("%s: %w", from, err)
	}
	_, behind, _ := net.SplitHostPort(l.address)
	l.place = fmt.Sprintf("%s (its next port, %s)", net.JoinHostPort(host, port), behind)
	return l, nil
}

// Size is how many processes were started with this one, as far as their launcher says; 0: it
// does not. It waits for none of them.
func Size() (int, error) {
	l, err := launched(os.Getenv)
	if err == nil && l.by == "" {
		return 1, nil
	}
	return l.world, err
}

// Open joins the processes that a launcher has started; without one, or with one of one
// process, it is alone and no library is looked for. Every process then knows how many of
// them are on its machine. tell is told where it waits for long.
func Open(tell func(text string)) (Group, error) {
	g, local, err := open(tell)
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
	if local >= 0 {
		g.LocalRank = local
	}
	return g, nil
}

// open returns the group, and this process's number on its machine if that is told, or -1.
func open(tell func(text string)) (g Group, local int, err error) {
	l, err := launched(os.Getenv)
	switch {
	case err != nil || l.by == "":
		return Alone, -1, err
	case l.by == torch:
		g, err = meetAt(l, tell)
	case l.by == Variable:
		g, err = meet(l, tell)
	default:
		l.local = -1
		g, err = openMPIOf(l)
	}
	return g, l.local, err
}

// byHand reads what Variable says. One process is none.
func byHand(text string) (l launch, err error) {
	numbers, dir, _ := strings.Cut(text, ":")
	first, second, _ := strings.Cut(numbers, "/")
	rank, err1 := strconv.Atoi(first)
	world, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil || rank < 0 || rank >= world || world > most || dir == "" {
		return l, fmt.Errorf("%s=%s: want RANK/WORLD:FOLDER, with ranks from 0, as in 0/2:/tmp/group", Variable, text)
	}
	if world == 1 {
		return l, nil
	}
	return launch{by: Variable, world: world, rank: rank, local: -1, place: filepath.Clean(dir), wait: meeting}, nil
}

// Started says what has started this process with others; "": nothing.
func Started() (string, error) {
	l, err := launched(os.Getenv)
	if err != nil || l.by == "" {
		return "", err
	}
	return l.String(), nil
}

// String says what was started.
func (l launch) String() string {
	if l.world == 0 {
		return l.by + " started this process with others"
	}
	return fmt.Sprintf("%s started %d processes", l.by, l.world)
}
