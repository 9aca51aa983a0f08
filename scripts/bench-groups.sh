#!/usr/bin/env bash
# Weak scaling on one machine: two processes of one thread that train together, beside two that
# know nothing of each other, in turn. Each process takes as many images a step. The ratio of
# rates is told, and that of processor time, which other work on the machine changes less.
#
#	scripts/bench-groups.sh [ROUNDS] [PRESET] [BATCH] [IMAGES]     batch and images of a process
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3} preset=${2:-tiny} batch=${3:-16} images=${4:-512}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FLUXION_BLOCKINGS=off
CGO_ENABLED=0 go build -o "$work/fluxion" ./cmd/fluxion
# trains NAME PROCESSES [RANK]: leaves the processor time in seconds
trains() {
  local TIMEFORMAT='%U %S'
  { time "$work/fluxion" train --preset "$preset" --batch $((batch * $2)) --accumulate "$2" --images $((images * $2)) --threads 1 --sample-count 0 \
    --checkpoint-every 0 --out "$work/$1" --fresh >/dev/null 2>"$work/$1.err" || cat "$work/$1.err" >&2; } 2>"$work/$1${3:-}.time"
}
joins() { FLUXION_GROUP=$1/2:$work/meet trains together 2 "$1"; }
# rate NAME PROCESSES: images a second that went through the steps
rate() {
  grep -ho '"elapsed_seconds": [0-9.e+-]*' "$work/$1"/checkpoints/*/training/state.json | awk -v n=$((images * $2)) '{ printf "%.1f", n / $2 }'
}
# both COMMAND COMMAND at the same time
both() { $1 & local first=$!; $2 & wait $first; wait $!; }
seconds() { cat "$@" | awk '{ s += $1 + $2 } END { printf "%.1f", s }'; }
ratio() { awk "BEGIN { printf \"%.0f %%\", 100 * ($1) / ($2) }"; }

echo "$(date +%F), $preset, $batch images a process and step, $images images, one thread each, $(nproc) cores; load before: $(cut -d' ' -f1 /proc/loadavg)"
echo
echo "| round | two apart, img/s | two together, img/s | together of apart | processor time, s: apart, together | apart of together |"
echo "|---|---|---|---|---|---|"
for round in $(seq "$rounds"); do
  both "trains left 1" "trains right 1"
  mkdir "$work/meet"
  both "joins 0" "joins 1"
  rm -r "$work/meet"
  left=$(rate left 1) right=$(rate right 1) joint=$(rate together 2)
  apart=$(seconds "$work"/left.time "$work"/right.time) together=$(seconds "$work"/together[01].time)
  echo "| $round | $left + $right | $joint | $(ratio "$joint" "$left + $right") | $apart, $together | $(ratio "$apart" "$together") |"
done
