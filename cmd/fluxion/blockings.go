package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"fluxion/engine/device"
	"fluxion/engine/device/tuning"
	"fluxion/kernels/cuda/driver"

	"github.com/spf13/pflag"
)

// Blockings of the CPU's launches are measured on the machine and kept in a folder.
const (
	blockingsHelp     = "where the machine's fastest cuts of work are kept, which training and sampling measure as they run and which change no result: auto is the user's cache folder; or a folder; off uses none"
	blockingsVariable = envPrefix + "BLOCKINGS"
)

// addBlockings adds the flag to commands whose settings have no other sources than the environment.
func addBlockings(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "blockings", cmp.Or(os.Getenv(blockingsVariable), "auto"), blockingsHelp)
}

// blockingsDir is the folder that a value means. A note says why there is none
// although there should be; without, tables are not kept.
func blockingsDir(value string) (dir, note string) {
	if value != "" && value != "auto" {
		return filepath.Clean(value), ""
	}
	dir, err := tuning.Dir()
	if err != nil {
		return "", fmt.Sprintf("measured blockings are not kept: %v", err)
	}
	return dir, ""
}

// openDevice opens a device by its name on the command line, with the blockings that
// were measured for it. One that learns tries others, which takes time from the runs
// in which it does.
func openDevice(name string, threads int, blockings string, learns bool) (device.Device, error) {
	if most := runtime.NumCPU(); threads > most {
		printNote(fmt.Sprintf("--threads %d: this machine runs %d at a time, which are used", threads, most))
		threads = most
	}
	if name == "auto" && os.Getenv(device.Variable) == driver.Simulated {
		printNote(device.Variable + "=" + driver.Simulated + ": --device auto takes no simulated GPU; --device cuda:0 does")
	}
	d, err := device.Open(name, threads)
	if err != nil {
		return nil, usageError{err}
	}
	if c, ok := d.(*device.CPU); ok && blockings != "off" {
		dir, note := blockingsDir(blockings)
		if note != "" {
			printNote(note)
		}
		c.Tune(tuning.New(tuning.Options{Dir: dir, Learns: learns, Note: printNote}))
	}
	return d, nil
}

// printNote tells what is wrong but stops nothing.
func printNote(note string) { fmt.Fprintln(os.Stderr, "fluxion: note:", visible(note)) }

// blockingsFound is what doctor says of the table of this machine.
type blockingsFound struct {
	Path      string `json:"path,omitempty"`
	State     string `json:"state"` // off, none yet, in use, not kept, unusable
	Settled   int    `json:"settled"`
	Otherwise int    `json:"otherwise"` // of these, those cut otherwise than kernels do by themselves
	Begun     int    `json:"begun"`
	Problem   string `json:"problem,omitempty"`
}

func examineBlockings(value string) blockingsFound {
	if value == "off" {
		return blockingsFound{State: "off"}
	}
	dir, note := blockingsDir(value)
	if note != "" {
		return blockingsFound{State: "not kept", Problem: note}
	}
	s := tuning.Inspect(dir)
	b := blockingsFound{Path: tuning.Path(dir), State: "in use", Settled: s.Settled, Otherwise: s.Otherwise, Begun: s.Begun, Problem: s.Problem}
	switch {
	case s.Problem != "":
		b.State = "unusable"
	case s.Settled+s.Begun == 0:
		b.State = "none yet"
	}
	return b
}

func (b blockingsFound) String() string {
	switch b.State {
	case "off":
		return "off (" + blockingsVariable + ")"
	case "not kept":
		return b.Problem
	case "unusable":
		return fmt.Sprintf("%s is left out and will be written anew: %s", b.Path, b.Problem)
	case "none yet":
		return fmt.Sprintf("none measured yet; training and sampling will, into %s (%s=off forbids it)", b.Path, blockingsVariable)
	}
	return fmt.Sprintf("%d launches measured, %d of them cut otherwise than by themselves, %d begun; %s (%s; may be deleted)", b.Settled, b.Otherwise, b.Begun, b.Path, blockingsVariable)
}
