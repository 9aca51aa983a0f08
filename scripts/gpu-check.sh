#!/usr/bin/env bash
# Everything that only a GPU can tell, in one command and one report, the most valuable
# first, so that a few minutes on a card teach something: the tests on the real driver, kernels
# before all others; launch by launch, what was measured beside what the model of the card says; the
# benchmarks against PyTorch if that is there; two GPUs; the tests again under compute-sanitizer if it
# is there; and what two cores of the machine's processor do, since servers with GPUs are where AMX is found.
#
#     scripts/gpu-check.sh [--binaries FILE] [--report FILE]
#     scripts/gpu-check.sh build FILE       on a machine with Go: pack the binaries for one without
#
# --binaries  what `build` packed; then this file is all that is needed of the repository
#             (default: build here, which needs Go and a C compiler)
# --report    the report, Markdown (default gpu-report.md)
# PYTHON      a python with PyTorch for GPUs (default python3)
# PARTS       which to run, in this order, where time is short (default tests launches benchmarks several sanitizer processor)
# WORK        mode:preset:batch … to time
# CPU_WORK    the same for the processor
# FLUXION_CUDA_DRIVER=sim runs the tests on the simulated driver and stops where a GPU is needed.
#
# Exit code 0 if every test passed, 1 if one failed, 2 if nothing could be run.
set -uo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build DIR: the program, a test binary in the folder of each package, the data
# that tests read, and what PyTorch is timed with.
build() (
  cd "$repository" && scripts/build-gpu.sh "$1/fluxion" || return
  environment=$(scripts/gpu-env.sh) && eval "$environment" || return
  # Every package with a CUDA module, and those that run them.
  for p in $(ls kernels/*/*.ptx | xargs -n1 dirname | sort -u) kernels/cpu kernels/cuda/driver engine/{device,generate,latent,train,train/equality,evaluate}; do
    mkdir -p "$1/$p" && CGO_ENABLED=1 go test -c -tags gpu -trimpath -ldflags='-s -w' -o "$1/$p/test" "./$p" || return
  done
  cp -R --parents nets/unet/testdata engine/train/testdata kernels/gemm/README.md scripts/torch_unet.py scripts/nccl.sh "$1"
)

if [ "${1:-}" = build ]; then
  # The binaries have most of their code in common: a dictionary that reaches back several of them makes a third of the size.
  build "$work" && tar -C "$work" -c . | xz --lzma2=preset=2,dict=96MiB >"${2:?usage: scripts/gpu-check.sh build FILE}"
  exit
fi

binaries= report=gpu-report.md
while [ $# -gt 0 ]; do
  case $1 in
    --binaries) binaries=${2:?gpu-check: --binaries wants a file}; shift 2 ;;
    --report) report=${2:?gpu-check: --report wants a file}; shift 2 ;;
    *) echo "gpu-check: unknown argument $1; see the head of $0" >&2; exit 2 ;;
  esac
done
parts=${PARTS:-tests launches benchmarks several sanitizer processor}
for part in $parts; do
  case $part in
    tests | launches | benchmarks | several | sanitizer | processor) ;;
    *) echo "gpu-check: no part is called $part; there are tests launches benchmarks several sanitizer processor" >&2; exit 2 ;;
  esac
done
simulated=
[ "${FLUXION_CUDA_DRIVER:-}" = sim ] && simulated=yes

if [ -n "$binaries" ]; then
  tar -C "$work" -xJf "$binaries" || exit 2
else
  build "$work" || { echo "gpu-check: the binaries could not be built here; bring them with --binaries" >&2; exit 2; }
fi
fluxion=$work/fluxion
: >"$report" || exit 2
say() { printf '%s\n' "$*" | tee -a "$report"; }
block() { say '```'; tee -a "$report"; say '```'; } # standard input, word for word

say "# Fluxion on a GPU, $(date -u +%FT%TZ)"
say
"$fluxion" doctor 2>&1 | block
# What the program sees, as CUDA_VISIBLE_DEVICES says, of which nvidia-smi knows nothing: a line for each GPU.
gpus=$("$fluxion" doctor --json 2>/dev/null | tr -d '\n' | sed 's/.*"devices":\[\([^]]*\)\].*/\1/' | sed 's/},{/}\n{/g')
field() { sed -n "1s/.*\"$1\":\"*\([^\",}]*\).*/\1/p" <<<"$gpus"; }
if [ -z "$simulated" ]; then
  case "$(field kernels)" in
    "") say "No GPU was found; nothing was run."; exit 2 ;;
    none*) say "The first GPU cannot be used, as the second line of its report above says; nothing was run. CUDA_VISIBLE_DEVICES=N takes another."; exit 2 ;;
  esac
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv 2>&1 | block
fi

python=${PYTHON:-python3}
table() { say; say "| work | round | precision | program | images/s |"; say "|---|---|---|---|---|"; }
row() { say "| $1 $2 $3 | $4 | $5 | $6 | ${7:-failed: $(tail -n 1 "$work/log" | tr '|' '/')} |"; }
# ours DEVICE MODE PRESET BATCH PRECISION STEPS, theirs MODE PRESET BATCH PRECISION STEPS HOW: images a second.
ours() {
  "$fluxion" bench $2 --device $1 --threads $threads --preset $3 --batch $4 --precision $5 --steps $6 --json 2>>"$work/log" |
    sed -n 's/.*"images_per_second":\([0-9.]*\).*/\1/p'
}
theirs() {
  local kind=train; [ $1 = sample ] && kind=fwd
  timeout 300 "$python" "$work/scripts/torch_unet.py" $2 $3 $4 $kind $5 $6 2>>"$work/log" | sed -n 's/.* ms, \([0-9.]*\) img\/s/\1/p'
}

# Two GPUs, a process each: bytes against one, a kill, and images a second beside one GPU.
several() {
  say; say "## Two GPUs joined by NCCL"; say
  local n=$(grep -c uuid <<<"$gpus") nccl
  if [ "$n" -lt 2 ]; then
    say "Not measured, for want of a second GPU (here: $n): that NCCL's sends and receives bring two GPUs to the bytes of one; that a process that is killed ends the other with exit code 6;"
    say "that NCCL is captured and waits as the stand-in of simulated GPUs does; images a second on two GPUs against one."
    return
  fi
  if ! "$fluxion" doctor --json | grep -q '"nccl":'; then # that of PyTorch, perhaps
    nccl=$("$python" -c 'import nvidia.nccl as n; print(list(n.__path__)[0] + "/lib/libnccl.so.2")' 2>/dev/null)
    if [ ! -e "$nccl" ]; then
      say "Not measured, for want of libnccl.so.2: install it, or say where it is by FLUXION_NCCL=PATH."
      return
    fi
    export FLUXION_NCCL=$nccl
  fi
  if bash "$work/scripts/nccl.sh" "$fluxion" >"$work/log" 2>&1; then status=ok; else status=FAILED failed=1; fi
  say "- scripts/nccl.sh: $status"; block <"$work/log"
  say "| GPUs | images/s |"; say "|---|---|"
  for n in 1 2; do
    for ((rank = 0; rank < n; rank++)); do
      RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=$n MASTER_ADDR=127.0.0.1 MASTER_PORT=29610 "$fluxion" train --device cuda --preset cifar --size 32 --batch $((256 * n)) --accumulate $((2 * n)) \
        --images $((256 * n * 40)) --sample-count 0 --checkpoint-every 0 --out "$work/speed$n" >"$work/speed$n.$rank" 2>&1 &
    done
    wait
    say "| $n | $(grep -o '[0-9.,]* img/s' "$work/speed$n.0" | tail -1) |"
  done
}

processor() {
  say; say "## Two cores of the processor"; say
  say "Images a second (for sample, images × evaluations), Fluxion and PyTorch in turn, medians of 5 steps, 3 rounds."
  threads=2
  torch=
  "$python" -c 'import torch' 2>/dev/null && torch=yes
  [ -n "$torch" ] || say "PyTorch was not found (PYTHON=$python): only Fluxion was timed."
  table
  for round in 1 2 3; do
    for w in ${CPU_WORK:-train:cifar:16 train:small:32 train:tiny:64 sample:cifar:16}; do
      IFS=: read -r mode preset batch <<<"$w"
      row $mode $preset $batch $round bf16 fluxion "$(ours cpu $mode $preset $batch bf16 5)"
      [ -z "$torch" ] || row $mode $preset $batch $round bf16 torch "$(CUDA_VISIBLE_DEVICES='' theirs $mode $preset $batch bf16 5 eager)"
    done
  done
  say
  "$fluxion" bench ops --device cpu --threads $threads --preset cifar --batch 16 --precision bf16 2>&1 | block
}

failed=0
# suite TITLE FLAG PREFIX…: every test binary, in its package's folder, under a command.
suite() {
  local title=$1 flag=$2 p begin status; shift 2
  say; say "## $title"; say
  for p in $(cd "$work" && find kernels -name test -type f | xargs -n1 dirname | sort) $(cd "$work" && find engine -name test -type f | xargs -n1 dirname | sort); do
    begin=$SECONDS status=ok only=
    [ $p = engine/train ] && only='-test.run=GPU|Roles|OneStep|FrozenFolder|Pairing' # the others are of the processor, and take minutes
    (cd "$work/$p" && FLUXION_TEST_DEVICE=cuda:0 timeout 600 "$@" ./test $flag $only -test.timeout 590s) >"$work/log" 2>&1 || status=FAILED
    say "- $p: $status, $((SECONDS - begin)) s"
    if [ $status = FAILED ]; then
      failed=1
      tail -40 "$work/log" | block
    fi
  done
}

tests() { suite "Tests" ""; }

sanitizer() {
  local command=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -1 || true) tool
  if [ -z "$command" ]; then
    say; say "compute-sanitizer is not installed: not run."
    return
  fi
  for tool in memcheck racecheck; do suite "compute-sanitizer $tool" -test.short "$command" --tool $tool --error-exitcode 1; done
}

# modelled is the name that the model has for this card, if any: a slice of one (MIG) has its name, and is none.
modelled() {
  [ "$(field mig)" = false ] || return
  case "$(field name)" in
    *"RTX 3090") echo rtx3090 ;; *"RTX 4090") echo rtx4090 ;; *"RTX 5090") echo rtx5090 ;; *"RTX PRO 6000"*) echo rtxpro6000 ;;
    *"RTX A6000") echo a6000 ;; *"A100-SXM"*) echo a100 ;; *"H100 80GB HBM3"*) echo h100 ;; *H200*) echo h200 ;;
  esac
}

launches() {
  local card=$(modelled)
  say; say "## Launches of a training step of cifar, batch 128, bf16: measured"; say
  "$fluxion" bench ops --device cuda:0 --preset cifar --batch 128 --precision bf16 --top 0 2>&1 | block
  if [ -z "$card" ]; then
    say "The model has no row for this card."
    return
  fi
  say; say "## The same by the model of $card"; say
  "$fluxion" bench ops --device model:$card --preset cifar --batch 128 --precision bf16 --top 0 2>&1 | block
}

benchmarks() {
  say; say "## Benchmarks"; say
  say "Images a second (for sample, images × evaluations), Fluxion and PyTorch in turn, medians of 20 steps, 3 rounds."
  threads=0
  torch=
  "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null && torch=yes
  [ -n "$torch" ] || say "PyTorch with a GPU was not found (PYTHON=$python): only Fluxion was timed."
  table
  for round in 1 2 3; do
    for w in ${WORK:-train:cifar:128 train:cifar:512 train:small:256 sample:cifar:1 sample:cifar:16 sample:cifar:256}; do
      IFS=: read -r mode preset batch <<<"$w"
      for precision in bf16 fp32; do
        row $mode $preset $batch $round $precision fluxion "$(ours cuda:0 $mode $preset $batch $precision 20)"
        [ -n "$torch" ] || continue
        for how in eager compile reduce-overhead graph; do
          [ $round = 1 ] || [ $how != reduce-overhead ] || continue
          row $mode $preset $batch $round $precision "torch $how" "$(theirs $mode $preset $batch $precision 20 $how)"
        done
      done
    done
  done
}

for part in $parts; do
  if [ -n "$simulated" ] && [ $part != tests ]; then
    say; say "Simulated driver: what follows needs a GPU and was not run."
    break
  fi
  $part
done
exit $failed
