#!/usr/bin/env bash
# Runs Fluxion as a program for arm64 under qemu-aarch64-static: tests of what has to
# give the same bits everywhere, then a training run and samples, compared byte by byte
# with those of the portable path here.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "arm64: $*" >&2; exit 1; }

# On one core: qemu lets a store (STLR) pass a later load (LDAR) of another address, which
# the architecture forbids and Go's runtime relies on. On one core nobody can see it.
core=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
arm=(taskset -c "$core" qemu-aarch64-static)

GOARCH=arm64 go test -vet=off -short -exec "${arm[*]}" ./kernels/philox ./kernels/draw ./kernels/cpu ./kernels/adamw ./engine/process ./engine/plan

mkdir "$work/here" "$work/there"
go build -o "$work/fluxion-here" ./cmd/fluxion
GOARCH=arm64 go build -o "$work/fluxion-there" ./cmd/fluxion
for precision in fp32 bf16; do
  for side in here there; do
    fluxion=("$work/fluxion-$side")
    [ $side = here ] || fluxion=("${arm[@]}" "${fluxion[@]}")
    (
      cd "$work/$side" # pictures name their model
      export FLUXION_CPU=portable FLUXION_BLOCKINGS=off
      "${fluxion[@]}" train --preset micro --size 16 --batch 4 --images 12 --warmup 0 --precision $precision --sample-count 0 --json --out $precision >/dev/null
      sed -i '/elapsed_seconds/d' $precision/checkpoints/*/training/state.json # all that may differ
      "${fluxion[@]}" sample --model $precision --out $precision/pictures --precision $precision --count 3 --steps 3 --json >/dev/null
    )
  done
  for part in checkpoints pictures; do
    diff -r "$work/here/$precision/$part" "$work/there/$precision/$part" || fail "$part of $precision have other bits"
  done
done
echo "arm64: the same bits"
