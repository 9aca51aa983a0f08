package main

import (
	"errors"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
)

// What doctor says of a GPU is one line, with the reason where no kernel runs.
func TestKernelsFor(t *testing.T) {
	for want, p := range map[string]cuda.Properties{
		"none: its compute capability is 7.5, the kernels need 8.0 (Ampere) or newer; use --device cpu":      {Major: 7, Minor: 5, DriverVersion: 12020},
		"none: its driver is one of CUDA 11.2, the program needs 11.4 or newer: install driver 470 or newer": {Major: 8, Minor: 6, DriverVersion: 11020},
		"none: lost":             {Problem: errors.New("lost")},
		"compiled by the driver": {Major: 8, Minor: 6, DriverVersion: 11040},
		"CUDA_VISIBLE_DEVICES=MIG-0 is this, nvidia-smi -L lists": {UUID: "MIG-0", Slice: true, Major: 8, DriverVersion: 12010},
		"executed on the CPU": {Major: 8, DriverVersion: 12010, Simulated: true},
	} {
		if got := kernelsFor(p); !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}
