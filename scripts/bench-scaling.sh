#!/usr/bin/env bash
# Tables of training: images/s and memory by batch and resolution, with every
# recomputation, and on one thread and all. What does not fit the limit of time is
# planned, not run.
# usage: scripts/bench-scaling.sh [--limit SECONDS] [--preset P] [--network P] [--precision P] [--batches 1,2,…] [--sizes 16,32,64] [--rounds N] [--launches] [--write]
set -euo pipefail
cd "$(dirname "$0")/.."
fluxion=$(mktemp)
trap 'rm -f "$fluxion"' EXIT
go build -o "$fluxion" ./cmd/fluxion
python3 scripts/bench_scaling.py --binary "$fluxion" "$@"
