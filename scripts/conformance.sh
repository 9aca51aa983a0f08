#!/usr/bin/env bash
# Every kernel of products and convolutions in every combination of tile, taps, stride, addend,
# vectors of images, statistics and shared sums, on the simulator, against float64: minutes.
# `go test ./kernels/gemm` runs a set that covers each pair of them.
#
#     scripts/conformance.sh                                  on the simulator
#     FLUXION_TEST_DEVICE=cuda:0 scripts/conformance.sh       on a GPU
#
# Exit code 0 if all agree; those that differ are named.
set -euo pipefail
cd "$(dirname "$0")/.."
tags=
if [ -n "${FLUXION_TEST_DEVICE:-}" ]; then
  eval "$(scripts/gpu-env.sh)"
  tags=-tags=gpu
fi
# Passed ones are not listed.
go test $tags -count=1 -timeout 3h -run '^TestConformance$' -v ./kernels/gemm -every | grep -v -e '^=== ' -e '--- PASS: .*/'
