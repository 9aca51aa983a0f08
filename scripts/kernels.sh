#!/usr/bin/env bash
# Counts anew what the CUDA kernels do, for kernels/cuda/KERNELS.md: keeps what is said there, and
# writes both tables and the date. Takes some minutes of two cores for each precision.
#
#     scripts/kernels.sh [PROGRAM]     default: build it
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=${1:-}
if [ -z "$program" ]; then
  program=$work/fluxion
  CGO_ENABLED=0 go build -o "$program" ./cmd/fluxion
fi
file=kernels/cuda/KERNELS.md
# What is said of them, which ends where the first table's heading is. `2026-11-30; of launches` has the date.
sed -n '/^## /q;p' "$file" | sed -E "s/^[0-9]{4}-[0-9]{2}-[0-9]{2}; of launches/$(date -u +%F); of launches/" >"$work/new"
for precision in bf16 fp32; do
  "$program" bench kernels --preset cifar --batch 16 --precision $precision >"$work/counted"
  heading=$precision
  [ $precision = fp32 ] && heading=float32 && echo >>"$work/new"
  { printf '## %s\n\n' "$heading"; grep '^|' "$work/counted"; } >>"$work/new"
done
mv "$work/new" "$file"
git diff --stat -- "$file"
