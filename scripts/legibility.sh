#!/usr/bin/env bash
# Trains the default run, samples 200 images from its averaged weights and prints
# the share whose nearest neighbour among glyphs never trained on has their class.
# usage: scripts/legibility.sh [run folder]
set -euo pipefail
cd "$(dirname "$0")/.."
run=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$run" ]; then
  run=$work/run
  start=$(date +%s)
  go run ./cmd/fluxion train --out "$run"
  echo "trained in $(($(date +%s) - start)) s, compilation included"
fi
go run ./cmd/fluxion sample --model "$run" --out "$work/samples" --count 200
go run ./scripts/legibility -samples "$work/samples"
