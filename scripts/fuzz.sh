#!/usr/bin/env bash
# Fuzzes every fuzz target of the tree for a time each, one after another:
#
#	scripts/fuzz.sh [TIME] [PATTERN]     TIME as 5s, 10m; PATTERN of targets, as in 'data/.*Tar'
#
# Seeds are in the targets. What is new is made smaller in 100 runs, not for a minute: that time is for others. An input that fails stays in testdata/fuzz of its package, where go test
# runs it from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-5s} pattern=${2:-.}
export CGO_ENABLED=0 FLUXION_BLOCKINGS=off
targets=$(git grep -oE "^func Fuzz[A-Za-z0-9]+" -- "*_test.go")
failed=() ran=0 said=$(mktemp)
trap 'rm -f "$said"' EXIT
while IFS=: read -r file found; do
  package=./$(dirname "$file") target=${found#func }
  [[ $package/$target =~ $pattern ]] || continue
  echo "== $package $target ($time)"
  if ! go test -run XXX -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x -parallel "${FLUXION_FUZZERS:-$(nproc)}" "$package" 2>&1 | tee "$said"; then
    # Where the time ends in the middle of a run, go test may fail by that alone: it names no input then.
    ended=$(grep -A1 -- '^--- FAIL' "$said" | tail -n1 || true)
    [[ $ended =~ ^\ *context\ deadline\ exceeded$ ]] || failed+=("$package $target")
  fi
  ran=$((ran + 1))
done <<<"$targets"
[ $ran -gt 0 ] || { echo "fuzz: no target is like $pattern"; exit 1; }
[ ${#failed[@]} = 0 ] || { printf 'fuzz: failed: %s\n' "${failed[@]}"; exit 1; }
echo "fuzz: $ran targets, $time each"
