package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/engine/collective"
	"fluxion/engine/train"
	"fluxion/kernels/cpu"
)

// ownKeys are settings in which the processes of a run may differ.
var ownKeys = []string{"device", "threads", "blockings"}

// alike refuses processes of which one is another program or was told other settings.
func alike(g collective.Group, said train.Settings) error {
	facts := [][2]string{{"version", version()}, {"Go or system", runtime.Version() + ", " + runtime.GOARCH}}
	for _, s := range said.List() {
		if !slices.Contains(ownKeys, s.Key) {
			facts = append(facts, [2]string{s.Key, s.Value.String()})
		}
	}
	return train.Alike(g, facts...)
}

// settled brings the settings of the first process, which alone knows the run folder, to
// all; what may differ stays.
func settled(g collective.Group, s train.Settings) (train.Settings, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	if text, err = g.Broadcast(text); err != nil || g.Rank == 0 {
		return s, err
	}
	var all train.Settings
	if err := json.Unmarshal(text, &all); err != nil {
		return s, err
	}
	all.Device, all.Threads, all.Blockings = s.Device, s.Threads, s.Blockings
	return all, nil
}

// cut cuts the steps of a new run into as many micro-batches as there are processes, or the
// next larger number that the batch can be cut into, if nobody says how many.
func (o *trainOptions) cut(s train.Settings) train.Settings {
	if o.world <= s.Accumulate || o.sources.Has("accumulate") {
		return s
	}
	for n := o.world; n <= s.Batch; n++ {
		if s.Batch%n == 0 {
			s.Accumulate = n
			break
		}
	}
	return s
}

// place is where a process of the group is.
type place struct {
	Host, Mask string
	Own, All   int // processors that it may run on, and that there are
	Told       int // threads that it is told to use; 0: nobody says
	Processes  int // of the group that have the same processors
	Here, Used int // processes of the group on this machine, and the processors that they have together
}

// places are those of all processes, by rank.
func places(g collective.Group, threads int) ([]place, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	own := place{Host: host, Own: cpu.Threads(), Told: threads}
	own.Mask, own.All = machine.OwnCores()
	all, err := collective.GatherValues(g, own)
	if err != nil {
		return nil, err
	}
	for i, p := range all {
		masks := map[string]int{}
		for _, q := range all {
			if p.Host != q.Host {
				continue
			}
			all[i].Here++
			if masks[q.Mask] = q.Own; p.Mask == q.Mask {
				all[i].Processes++
			}
		}
		for _, n := range masks {
			all[i].Used += n
		}
	}
	return all, nil
}

// threads are those of a process: if it is not told how many, processes that have the same
// processors share them.
func (p place) threads() int {
	if p.Told > 0 {
		return p.Told
	}
	return max(1, p.Own/p.Processes)
}

// mostPlaces is how many processes the start of a run lists.
const mostPlaces = 16

// processesHook tells at the start where the processes of a run are.
func processesHook(g collective.Group, all []place, micro int) train.Hook {
	return train.Hook{Name: "processes", About: func() [][2]string {
		rows := [][2]string{{"processes", fmt.Sprintf("%d, joined by %s, share the %d micro-batches of a step", g.World, g.About(), micro)}}
		for rank, p := range all[:min(len(all), mostPlaces)] {
			row := fmt.Sprintf("on %s, %s", p.Host, plural(p.threads(), "thread"))
			switch {
			case p.Used < p.All:
				row += fmt.Sprintf(" on %d of its %s, of which the processes have %d together: mpirun --bind-to none, or --map-by slot:PE=%d, has all used", p.Own, plural(p.All, "core"), p.Used, max(1, p.All/p.Here))
			case p.Processes > 1:
				row += fmt.Sprintf(", of %s for %d processes", plural(p.Own, "core"), p.Processes)
			default:
				row += fmt.Sprintf(" on %s", plural(p.Own, "core"))
			}
			rows = append(rows, [2]string{fmt.Sprint("process ", rank), row})
		}
		if n := len(all) - mostPlaces; n > 0 {
			rows = append(rows, [2]string{"and", fmt.Sprintf("%d more", n)})
		}
		return rows
	}}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// told is an error that the user has been told, or that another process tells.
type told struct {
	error
	first bool // by the first process
}

func (t told) Unwrap() error { return t.error }

// tell tells of an error before the group is left, behind which launchers end processes;
// of one that all share, the first process does.
func tell(g collective.Group, w io.Writer, err error) error {
	if err == nil || g.World == 1 {
		return err
	}
	var lost *collective.LostError
	if gone := errors.As(err, &lost) || g.Lost() != nil; gone || g.Rank == 0 {
		prefix := ""
		if g.Rank > 0 {
			prefix = fmt.Sprintf("process %d: ", g.Rank)
		}
		console.Error(w, fmt.Errorf("%s%w", prefix, err))
	}
	return told{err, g.Rank == 0}
}

// resumes adds to the loss of a process what goes on with the run.
func resumes(err error, command string) error {
	var lost *collective.LostError
	if !errors.As(err, &lost) {
		return err
	}
	return fmt.Errorf("%w; %s goes on from the last checkpoint, with any number of processes", err, command)
}
