#!/usr/bin/env bash
# Trains preset `tiny` for 2,000 steps on MNIST in float32 and in bf16, on the same images, times and noise, side by
# side, and fails if their losses at the end, averaged over about 1,000 images, differ by more than 1 %.
# usage: scripts/check_precision.sh MNIST_FOLDER [batch]
set -euo pipefail
mnist=$(cd "${1:?usage: scripts/check_precision.sh MNIST_FOLDER [batch]}" && pwd)
batch=${2:-8}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/fluxion" ./cmd/fluxion

threads=$(($(nproc) > 1 ? $(nproc) / 2 : 1))
pids=()
for precision in fp32 bf16; do
  "$work/fluxion" train --preset tiny --data "mnist:$mnist" --batch "$batch" --images $((2000 * batch)) --precision $precision --device cpu \
    --threads $threads --sample-count 0 --checkpoint-every 0 --json --out "$work/$precision" >"$work/$precision.jsonl" &
  pids+=($!)
done
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
for pid in "${pids[@]}"; do wait "$pid"; done

loss() { sed -n 's/^ *"loss": \([0-9.e-]*\).*/\1/p' "$work/$1/checkpoints/$((2000 * batch))/training/state.json"; }
echo "fp32 $(loss fp32) bf16 $(loss bf16)" | awk '{ d = $4 / $2 - 1; printf "losses after 2,000 steps of %d images: float32 %.6f, bf16 %.6f: %+.2f %%\n", '"$batch"', $2, $4, 100 * d; exit d > 0.01 || d < -0.01 }'
