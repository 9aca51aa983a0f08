#!/usr/bin/env bash
# Times Fluxion and its peers in turn on this machine and prints, for each piece
# of work, minimum and median of both, the ratio of the medians, resident memory
# and the time from start to the first step.
# usage: scripts/bench-peers.sh [--rounds N] [--steps N] [--work 'mode preset batch precision peer [avx2]']… [--write]
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/peers.sh)
fluxion=$(mktemp)
trap 'rm -f "$fluxion"' EXIT
go build -o "$fluxion" ./cmd/fluxion
"$python" scripts/bench_peers.py --binary "$fluxion" "$@"
