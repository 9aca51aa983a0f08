//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// mostKilled is the largest number of processes of the runs of TestGroupKills.
const mostKilled = 4

// TestGroupKills kills a process of a run at random moments, by every signal. The others end
// within ten seconds, and each time another number of processes goes on. What they come to is
// what one process comes to that was left alone, to the bit, with every grid.
// FLUXION_KILLS says how often, FLUXION_KILLS_SEED which moments.
func TestGroupKills(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more for each")
	}
	kills := count(t, "FLUXION_KILLS", 4)
	random := rand.New(rand.NewPCG(uint64(count(t, "FLUXION_KILLS_SEED", 1)), 1))
	args := func(dir string) func(int) []string {
		return func(int) []string {
			return with(killArgs, "--accumulate", fmt.Sprint(mostKilled), "--time-sampler", "adaptive:bins=8", "--weighting", "sigmoid", "--out", dir)
		}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	begin := time.Now()
	if text, err := program(t, args(whole)(0)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	span := time.Since(begin)
	ends := map[string]int{}
	for world, killed := 1, 0; killed < kills; ends["runs"]++ {
		dir := filepath.Join(t.TempDir(), "run")
		for done := false; !done; {
			world = 1 + (world+random.IntN(mostKilled-1))%mostKilled // another than before
			rank, signal, after := random.IntN(world), killSignals[random.IntN(len(killSignals))], time.Duration(random.Float64()*float64(span))
			all, fresh := startGroup(t, world, args(dir)), newestOf(dir) == 0
			select {
			case <-all[0].out.started:
			case <-time.After(time.Minute):
				_ = all[0].Process.Kill()
				t.Fatalf("%d processes do not start behind %v, with checkpoint %d: %s", world, ends, newestOf(dir), all[0].errs.String())
			}
			begin := time.Now()
			if killed < kills {
				time.AfterFunc(after, func() { _ = all[rank].Process.Signal(signal) }) // it may have ended
			}
			wait(t, all)
			if done = all[0].code == 0; done {
				if took := time.Since(begin); fresh {
					span = min(span, took) // the first was slow
				}
				continue
			}
			codes := []int{exitSignal + int(signal), exitSignal + int(syscall.SIGTERM)} // the second: of those that are told
			if signal == syscall.SIGKILL {
				codes = []int{-1, exitLost}
			}
			for r, p := range all {
				if !slices.Contains(codes, p.code) && (p.code != 0 || signal == syscall.SIGKILL && r == rank) {
					t.Fatalf("%v to process %d of %d after %v: process %d ends with %d: %s", signal, rank, world, after, r, p.code, p.errs.String())
				}
			}
			killed++
			ends[fmt.Sprintf("%v, %d processes", signal, world)]++
		}
		compareRuns(t, dir, whole)
	}
	t.Log(ends, "in", time.Since(begin).Round(time.Second))
}
