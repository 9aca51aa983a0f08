#!/usr/bin/env bash
# Trains presets by their recipes for some images of real data and prints a table of their losses beside that of a network
# without knowledge. Fails if one does not learn, or if a learning rate that `cifar` cannot bear is not told of.
# Grids lie in the folder that is named at the end.
# usage: scripts/check_presets.sh [--images N] [--out FOLDER] MNIST_FOLDER CIFAR10_ZIP [preset…]
# Less work: `… micro tiny small` takes minutes on two cores, `cifar` a quarter of an hour, `ddpm64` an hour.
set -euo pipefail
images=2000
out=
while [[ ${1:-} == --* ]]; do
  case $1 in
    --images) images=$2 ;;
    --out) out=$2 ;;
    *) echo "check_presets: no option $1" >&2; exit 2 ;;
  esac
  shift 2
done
mnist=$(cd "${1:?usage: scripts/check_presets.sh [--images N] [--out FOLDER] MNIST_FOLDER CIFAR10_ZIP [preset…]}" && pwd)
cifar=$(realpath "${2:?the zip of CIFAR-10}")
shift 2
presets=("$@")
[ $# -gt 0 ] || presets=(micro tiny small cifar ddpm64)
[ -n "$out" ] || out=$(mktemp -d)
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "$0")/.."
go build -o "$out/fluxion" ./cmd/fluxion

number() { sed -n 's/.*"'"$1"'":\([-0-9.e+]*\).*/\1/p' <<<"$2"; }

# row PRESET DATA ARGUMENTS…: trains and prints a row; sets $events, and $learns to 1 if the loss is below the baseline.
row() {
  local name=$1-$2 start done baseline loss said
  local command=("$out/fluxion" train --json --preset "$1" --images "$images" --sample-count 20)
  case $2 in
    mnist) command+=(--data "mnist:$mnist" --size 32) ;;
    cifar10-64) command+=(--data "$cifar" --size 64) ;;
    *) command+=(--data "$cifar") ;;
  esac
  said="$1 | $2"
  shift 2
  name+=$(tr -d ' -' <<<"$*")
  events=$out/$name.jsonl
  "${command[@]}" --out "$out/$name" "$@" >"$events"
  start=$(grep '"event":"start"' "$events") done=$(grep '"event":"done"' "$events")
  baseline=$(number baseline "$start") loss=$(number loss "$done")
  learns=$(awk "BEGIN { print ($loss < $baseline) }")
  printf '| %s | %s | %s | %.3f | %.3f | %.0f |\n' "$said" "$(number lr "$start")" "$(number batch "$start")" "$baseline" "$loss" "$(number seconds "$done")"
}

echo "$(date +%F), $(nproc) cores of$(sed -n 's/^model name[^:]*://p' /proc/cpuinfo | head -1), after $images images:"
echo
echo "| preset | data | lr | batch | baseline | loss | seconds |"
echo "|---|---|---|---|---|---|---|"
failed=0
for preset in "${presets[@]}"; do
  case $preset in
    micro | tiny) sets=(mnist cifar10) ;;
    ddpm64) sets=(cifar10-64) ;;
    *) sets=(cifar10) ;;
  esac
  for set in "${sets[@]}"; do
    row "$preset" "$set"
    if [ "$learns" = 0 ] || grep -q '"event":"stuck"' "$events"; then failed=1; fi
  done
  [ "$preset" = cifar ] || continue
  row "$preset" cifar10 --lr 0.0015
  grep -q '"event":"stuck"' "$events" || { echo "a learning rate that is too high was not told of" >&2; failed=1; }
done
echo
echo "Grids: $out/*/samples"
exit $failed
