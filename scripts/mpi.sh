#!/usr/bin/env bash
# Trains under every MPI launcher that is here, in a minute: two processes come to the bytes
# of one, go on where one of them was told to end, killed or stopped, and leave nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "mpi: $*" >&2; exit 1; }
export FLUXION_BLOCKINGS=off
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
CGO_ENABLED=0 go build -tags mpi -o "$work/fluxion" ./cmd/fluxion
CGO_ENABLED=0 go test -tags mpi -c -o "$work/collective.test" ./engine/collective
train=("$work/fluxion" train --preset micro --size 8 --batch 24 --accumulate 12 --sample-count 0 --images)
learnt() { cat "$1/checkpoints/$2"/{unet,unet_ema,training}/*.safetensors | sha256sum; }
newest() { find "$work/cut/checkpoints" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' 2>/dev/null | sort -n | tail -1 || true; }
running() { pgrep -f "^$work/fluxion train" || true; }

for precision in fp32 bf16; do
  "${train[@]}" 480 --precision $precision --out "$work/$precision" >/dev/null
done

tried=0
for mpirun in mpirun.openmpi mpirun.mpich ${MPIRUN:-}; do
  command -v "$mpirun" >/dev/null || continue
  tried=$((tried + 1))
  "$mpirun" -n 2 "$work/collective.test" -test.run TestMPI -test.v >"$work/said" || { cat "$work/said"; fail "$mpirun: TestMPI"; }
  [ "$(grep -c -- '--- PASS: TestMPI' "$work/said")" = 2 ] || fail "$mpirun: TestMPI was not run by two processes"
  for precision in fp32 bf16; do
    "$mpirun" -n 2 "${train[@]}" 480 --precision $precision --out "$work/two" >"$work/said"
    grep -q 'processes.* 2, joined by' "$work/said" || fail "$mpirun: the start does not tell of two processes"
    [ "$(learnt "$work/two" 480)" = "$(learnt "$work/$precision" 480)" ] || fail "$mpirun, $precision: two processes have other bytes than one"
    rm -r "$work/two"
  done
  # One of three is told to end: all do, after the same step. One of two is killed, one of three
  # stopped: the others name it. None comes to its end before, however long a signal takes; one
  # process then does, a checkpoint later.
  cut=("${train[@]}" 100000000 --checkpoint-every 240 --decay 0 --out "$work/cut")
  for signal in TERM KILL STOP; do
    seen=$(newest)
    "$mpirun" -n $([ $signal = KILL ] && echo 2 || echo 3) "${cut[@]}" >"$work/said" 2>&1 &
    launcher=$!
    until [ "$(newest)" != "$seen" ] || ! kill -0 $launcher 2>/dev/null; do sleep 0.02; done
    running | tail -1 | xargs -r kill -$signal 2>/dev/null || true
    begin=$SECONDS
    wait $launcher && fail "$mpirun: SIG$signal came too late"
    [ $((SECONDS - begin)) -le 10 ] || fail "$mpirun: it took $((SECONDS - begin)) s to end after SIG$signal"
    while [ -n "$(running)" ] && [ $((SECONDS - begin)) -le 10 ]; do sleep 0.1; done
    [ -z "$(running)" ] || fail "$mpirun: processes run on after SIG$signal: $(running)"
    [ $signal != STOP ] || grep -q 'process [0-2] of the group is lost: it has shown no sign of life' "$work/said" || fail "$mpirun: $(cat "$work/said")"
    [ $signal != TERM ] || grep -q 'of the group: stopped by signal: terminated; the same command goes on from here\|fluxion: stopped by signal' "$work/said" || fail "$mpirun: $(cat "$work/said")"
  done
  end=$(($(newest) + 240))
  "${cut[@]}" --images $end >/dev/null
  "${train[@]}" $end --decay 0 --out "$work/uncut" >/dev/null
  [ "$(learnt "$work/cut" $end)" = "$(learnt "$work/uncut" $end)" ] || fail "$mpirun: other bytes after a stop and a kill"
  rm -r "$work/cut" "$work/uncut"
  # A library without the functions of MPI is one line.
  ! FLUXION_MPI=libc.so.6 "$mpirun" -n 2 "${train[@]}" 480 --out "$work/none" >"$work/said" 2>&1 || fail "$mpirun: the C library is taken for MPI"
  grep -q 'the MPI library libc.so.6 has no MPI_.*; want another, FLUXION_MPI=PATH' "$work/said" || fail "$mpirun: $(cat "$work/said")"
  echo "mpi: $mpirun: the bytes of one process"
done
[ $tried -gt 0 ] || fail "no mpirun is here; Debian has openmpi-bin and mpich"
