#!/usr/bin/env bash
# Kills training runs at random moments, by every signal, as often as told, and
# compares what they come to with a run that was left alone:
#
#	scripts/kills.sh [KILLS] [SEED]          runs of one process
#	scripts/kills.sh KILLS SEED group        one of several processes, whose number changes each time
set -euo pipefail
cd "$(dirname "$0")/.."
export FLUXION_KILLS=${1:-400} FLUXION_KILLS_SEED=${2:-$RANDOM}
echo "kills: $FLUXION_KILLS, seed $FLUXION_KILLS_SEED"
case ${3:-} in
  '') CGO_ENABLED=0 go test -count=1 -timeout 0 -v -run 'TestKills$' ./cmd/fluxion ;;
  group) CGO_ENABLED=0 go test -count=1 -timeout 0 -v -run 'TestGroupKills$' ./cmd/fluxion ;;
  *) echo "kills: $3: want group, or nothing" >&2; exit 2 ;;
esac
