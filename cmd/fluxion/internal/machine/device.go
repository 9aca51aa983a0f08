package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/engine/device"
	"fluxion/engine/device/tuning"
	"fluxion/kernels/cuda/driver"
)

// BlockingsVariable sets where tile sizes are kept, or that none are.
const BlockingsVariable = settings.VariablePrefix + "BLOCKINGS"

// blockingsDir is the folder that a value means. A note says why there is none
// although there should be; without, tables are not kept.
func blockingsDir(value string) (dir, note string) {
	if value != "" && value != "auto" {
		return filepath.Clean(value), ""
	}
	dir, err := tuning.Dir()
	if err != nil {
		return "", fmt.Sprintf("measured tile sizes are not kept: %v", err)
	}
	return dir, ""
}

// Open opens a device by its name on the command line, with the tile sizes that
// were measured for it. One that learns tries others, which takes time from the runs
// in which it does.
func Open(name string, threads int, blockings string, learns bool) (device.Device, error) {
	if most := runtime.NumCPU(); threads > most {
		console.Note(fmt.Sprintf("--threads %d: this machine runs %d at a time, which are used", threads, most))
		threads = most
	}
	if name == "auto" && os.Getenv(device.Variable) == driver.Simulated {
		console.Note(device.Variable + "=" + driver.Simulated + ": --device auto takes no simulated GPU; --device cuda:0 does")
	}
	d, err := device.Open(name, threads, console.Note)
	if err != nil {
		return nil, fault.Usage(err)
	}
	if c, ok := d.(*device.CPU); ok && blockings != "off" {
		dir, note := blockingsDir(blockings)
		if note != "" {
			console.Note(note)
		}
		c.Tune(tuning.New(tuning.Options{Dir: dir, Learns: learns, Note: console.Note}))
	}
	return d, nil
}

// Blockings is what doctor says of the table of this machine.
type Blockings struct {
	Path      string `json:"path,omitempty"`
	State     string `json:"state"` // off, none yet, in use, not kept, unusable
	Settled   int    `json:"settled"`
	Otherwise int    `json:"otherwise"` // of these, those cut otherwise than kernels do by themselves
	Begun     int    `json:"begun"`
	Problem   string `json:"problem,omitempty"`
}

func ExamineBlockings(value string) Blockings {
	if value == "off" {
		return Blockings{State: "off"}
	}
	dir, note := blockingsDir(value)
	if note != "" {
		return Blockings{State: "not kept", Problem: note}
	}
	s := tuning.Inspect(dir)
	b := Blockings{Path: tuning.Path(dir), State: "in use", Settled: s.Settled, Otherwise: s.Otherwise, Begun: s.Begun, Problem: s.Problem}
	switch {
	case s.Problem != "":
		b.State = "unusable"
	case s.Settled+s.Begun == 0:
		b.State = "none yet"
	}
	return b
}

func (b Blockings) String() string {
	switch b.State {
	case "off":
		return "off (" + BlockingsVariable + ")"
	case "not kept":
		return b.Problem
	case "unusable":
		return fmt.Sprintf("%s is left out and will be written anew: %s", b.Path, b.Problem)
	case "none yet":
		return fmt.Sprintf("none measured yet; training and sampling will, into %s (%s=off forbids it)", b.Path, BlockingsVariable)
	}
	return fmt.Sprintf("%d launches measured, %d of them cut otherwise than by themselves, %d begun; %s (%s; may be deleted)", b.Settled, b.Otherwise, b.Begun, b.Path, BlockingsVariable)
}
