#!/usr/bin/env bash
# Trains on two GPUs, a process each, joined by NCCL: to the bytes of one process, on one GPU
# after a kill, and what goes wrong ends with its exit code. Where two GPUs are, on them; with
# FLUXION_CUDA_DRIVER=sim on simulated ones.
#
#     scripts/nccl.sh [PROGRAM]     default: build it, with tag gpu unless the GPUs are simulated
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
running=()
trap 'for p in "${running[@]}"; do kill -9 "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT
fail() { echo "nccl: $*" >&2; exit 1; }
export FLUXION_BLOCKINGS=off
batch=48 accumulate=12 size=32 preset=tiny images=960
if [ "${FLUXION_CUDA_DRIVER:-}" = sim ]; then
  export FLUXION_NCCL=sim
  batch=2 accumulate=2 size=8 preset=micro images=8 # exchanges are in graphs from the third step on
fi
program=${1:-}
if [ -z "$program" ]; then
  program=$work/fluxion
  if [ "${FLUXION_CUDA_DRIVER:-}" = sim ]; then
    CGO_ENABLED=0 go build -o "$program" ./cmd/fluxion
  else
    environment=$(scripts/gpu-env.sh) && eval "$environment"
    go build -tags gpu -o "$program" ./cmd/fluxion
  fi
fi
train=("$program" train --preset $preset --size $size --batch $batch --accumulate $accumulate --sample-count 0 --device cuda)
learnt() { cat "$1/checkpoints/$2"/{unet,unet_ema,training}/*.safetensors | sha256sum; }
port=$((20000 + RANDOM % 20000))
# pair OUT ARGUMENT…: two processes by torchrun's variables; their exit codes are in $first and $second.
begin() {
  port=$((port + 2))
  running=()
  for rank in 0 1; do
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "${train[@]}" "$@" >"$work/said$rank" 2>&1 &
    running+=($!)
  done
}
finish() {
  first=0 second=0
  wait "${running[0]}" || first=$?
  wait "${running[1]}" || second=$?
  running=()
}
pair() { begin "$@"; finish; }

for precision in fp32 bf16; do
  "${train[@]}" --precision $precision --images $images --out "$work/one" >/dev/null
  pair --precision $precision --images $images --out "$work/two"
  [ "$first$second" = 00 ] || fail "$precision: exit codes $first and $second: $(cat "$work"/said?)"
  grep -q 'exchange.*NCCL' "$work/said0" || fail "the start does not tell of NCCL: $(cat "$work/said0")"
  [ "$(learnt "$work/one" $images)" = "$(learnt "$work/two" $images)" ] || fail "$precision: two processes have other bytes than one"
  rm -r "$work/one" "$work/two"
done
echo "nccl: two GPUs have the bytes of one"

# A process that is killed: the other ends by itself, with exit code 6, and names it.
begin --images 1000000 --checkpoint-every $batch --decay 0 --out "$work/cut"
until [ -n "$(ls "$work/cut/checkpoints" 2>/dev/null)" ]; do
  kill -0 "${running[0]}" 2>/dev/null || fail "$(cat "$work/said0")"
  sleep 0.1
done
lost=$SECONDS
kill -9 "${running[1]}"
finish 2>/dev/null
[ $first = 6 ] || fail "after a kill the other ended with exit code $first: $(tail -3 "$work/said0")"
[ $((SECONDS - lost)) -le 30 ] || fail "it took $((SECONDS - lost)) s to end after a kill"
grep -q 'of the group is lost' "$work/said0" || fail "$(tail -3 "$work/said0")"
echo "nccl: a process that is killed ends the other with exit code 6, after $((SECONDS - lost)) s"

# A library that is not there.
if [ "${FLUXION_CUDA_DRIVER:-}" != sim ]; then
  FLUXION_NCCL=/nowhere/libnccl.so.2 pair --images $images --out "$work/none"
  [ $first != 0 ] && grep -q 'NCCL cannot be loaded: /nowhere/libnccl.so.2' "$work/said0" || fail "$first: $(cat "$work/said0")"
fi
