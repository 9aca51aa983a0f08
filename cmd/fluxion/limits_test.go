package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// absurd are values that somebody may write in the place of a number.
var absurd = []string{"0", "-1", "1", "2147483648", "9007199254740992", "9223372036854775807", "18446744073709551615", "1e308", "1e-308", "1e999", "NaN", "Inf", "-Inf", "", "x"}

// TestAbsurdNumbers gives every number of every command every absurd value. What
// cannot be is refused in one line, as a wrong flag, without time or memory; what can
// be runs until it is stopped.
func TestAbsurdNumbers(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir := t.TempDir()
	model := filepath.Join(dir, "model")
	small := []string{"train", "--size=8", "--preset=micro", "--batch=4", "--images=8", "--sample-count=0", "--threads=1", "--device=cpu", "--blockings=off"}
	if err := command(t.Context(), append(small, "--out="+model)...); err != nil {
		t.Fatal(err)
	}
	bench := func(name string, more ...string) []string {
		return append([]string{"bench", name, "--preset=micro", "--size=8", "--batch=2", "--blockings=off"}, more...)
	}
	fresh := 0
	for _, base := range [][]string{
		append(small, "--fresh"),
		append(small, "--fresh", "--sample-count=2", "--sample-steps=2"),
		{"sample", "--model=" + model, "--count=2", "--batch=2", "--steps=2", "--threads=1", "--device=cpu", "--blockings=off"},
		{"sample", "--model=" + model, "--count=2", "--sampler=edm-churn", "--grid=karras", "--steps=2", "--device=cpu", "--blockings=off"},
		bench("train", "--steps=1"), bench("sample", "--steps=1"), bench("ops", "--steps=1"),
		{"inspect", "--preset=micro", "--batch=2", "--size=8"}, {"inspect", "--preset=micro", "--batch=2", "--size=8", "--sample"},
		{"inspect", "--model=" + model},
		{"trace", "--denoiser=gaussian:mean=0,var=1", "--z=0.5", "--steps=2"},
		{"trace", "--denoiser=gaussian:mean=0,var=1", "--z=0.5", "--steps=2", "--sampler=rk45"},
		{"figures", "--size=8", "--images=2", "--data=no such data"},
	} {
		c, _, err := newRoot().Find(base)
		if err != nil {
			t.Fatal(err)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !slices.Contains([]string{"int", "int64", "uint64", "float64"}, f.Value.Type()) {
				return
			}
			for _, value := range absurd {
				args := append(slices.Clone(base), "--"+f.Name+"="+value)
				if slices.Contains([]string{"train", "sample"}, base[0]) {
					fresh++
					args = append(args, "--out="+filepath.Join(dir, fmt.Sprint("out", fresh)))
				}
				t.Run(c.CommandPath()+" "+f.Name+"="+value, func(t *testing.T) { judge(t, args) })
			}
		})
	}
}

// judge runs a command line that is refused at once, or runs.
func judge(t *testing.T, args []string) {
	t.Helper()
	const patience, mib = 100 * time.Millisecond, 1 << 20
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	err := command(ctx, args...)
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	refused := err != nil && slices.Contains([]int{exitUsage, exitInput}, exitCode(err))
	switch {
	case err == nil, refused, errors.Is(err, context.DeadlineExceeded), exitCode(err) == exitDiverged && (args[0] == "train" || args[0] == "sample"):
	default:
		t.Errorf("%v: exit %d: %v", args, exitCode(err), err)
	}
	if refused {
		for _, leak := range []string{"\n", "strconv", "json:", "goroutine", "defect"} {
			if strings.Contains(err.Error(), leak) {
				t.Errorf("%v: %v, which shows %q", args, err, leak)
			}
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 200*mib {
			t.Errorf("%v: refused with %d MiB", args, used/mib)
		}
	}
	if took > 20*time.Second { // 2 on a machine of its own
		t.Errorf("%v: took %v", args, took)
	}
	if took > time.Second {
		t.Logf("%v: took %v", args, took)
	}
}

// command runs a command line.
func command(ctx context.Context, args ...string) error {
	root := newRoot()
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	_, err := execute(ctx, root, args)
	return err
}

// TestPanic: the last net makes one line of a panic, and names its place.
func TestPanic(t *testing.T) {
	root := newRoot()
	root.AddCommand(&cobra.Command{Use: "break", RunE: func(*cobra.Command, []string) error { panic("nothing holds") }})
	_, err := execute(t.Context(), root, []string{"break"})
	if err == nil || exitCode(err) != exitFailure {
		t.Fatalf("a panic: %v", err)
	}
	for _, want := range []string{"nothing holds", "TestPanic", "limits_test.go:", "report"} {
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("a panic: %v, want one line with %q", err, want)
		}
	}
}
