#!/usr/bin/env bash
# Everything that only a GPU can tell, in one command and one report: the tests
# on the real driver, again under compute-sanitizer if it is there, and the
# benchmarks against PyTorch if that is there.
#
#     scripts/gpu-check.sh [--binaries FILE] [--report FILE]
#     scripts/gpu-check.sh build FILE       on a machine with Go: pack the binaries for one without
#
# --binaries  what `build` packed; then this file is all that is needed of the repository
#             (default: build here, which needs Go and a C compiler)
# --report    the report, Markdown (default gpu-report.md)
# PYTHON      a python with PyTorch for GPUs (default python3)
# WORK        mode:preset:batch … to time
# FLUXION_CUDA_DRIVER=sim runs the tests on the simulated driver and stops where a GPU is needed.
#
# Exit code 0 if every test passed, 1 if one failed, 2 if nothing could be run.
set -uo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
packages="philox draw feed update cast adamw gradnorm loss embed estimate guide paint groupnorm reduce pointwise concat resample gemm conv linear attention"
packages="$(printf 'kernels/%s ' $packages) kernels/cuda/driver engine/device engine/generate engine/train engine/train/equality"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build DIR: the program, a test binary in the folder of each package, the data
# that tests read, and what PyTorch is timed with.
build() (
  cd "$repository" && scripts/build-gpu.sh "$1/fluxion" || return
  environment=$(scripts/gpu-env.sh) && eval "$environment" || return
  for p in $packages; do
    mkdir -p "$1/$p" && CGO_ENABLED=1 go test -c -tags gpu -trimpath -ldflags='-s -w' -o "$1/$p/test" "./$p" || return
  done
  cp -R --parents nets/testdata engine/train/testdata kernels/gemm/README.md scripts/torch_unet.py "$1"
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
if [ -z "$simulated" ]; then
  if ! "$fluxion" doctor --json | grep -q '"compute_capability"'; then
    say "No GPU was found; nothing was run."
    exit 2
  fi
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv 2>&1 | block
fi

failed=0
# suite TITLE PREFIX…: every test binary, in its package's folder, under a command.
suite() {
  local title=$1 p begin status; shift
  say; say "## $title"; say
  for p in $packages; do
    begin=$SECONDS status=ok
    (cd "$work/$p" && FLUXION_TEST_DEVICE=cuda:0 timeout 600 "$@" ./test -test.short -test.timeout 590s) >"$work/log" 2>&1 || status=FAILED
    say "- $p: $status, $((SECONDS - begin)) s"
    if [ $status = FAILED ]; then
      failed=1
      tail -40 "$work/log" | block
    fi
  done
}

suite "Tests"
if [ -n "$simulated" ]; then
  say; say "Simulated driver: what follows (compute-sanitizer, benchmarks) needs a GPU and was not run."
  exit $failed
fi
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -1 || true)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck; do suite "compute-sanitizer $tool" "$sanitizer" --tool $tool --error-exitcode 1; done
else
  say; say "compute-sanitizer is not installed: not run."
fi

say; say "## Benchmarks"; say
say "Images a second (for fwd, images × evaluations), Fluxion and PyTorch in turn, medians of 20 steps, 3 rounds."
python=${PYTHON:-python3}
torch=
"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null && torch=yes
[ -n "$torch" ] || say "PyTorch with a GPU was not found (PYTHON=$python): only Fluxion was timed."
say; say "| work | round | precision | program | images/s |"; say "|---|---|---|---|---|"
row() { say "| $1 $2 $3 | $4 | $5 | $6 | ${7:-failed} |"; }
for round in 1 2 3; do
  for w in ${WORK:-train:cifar:128 train:cifar:512 train:small:256 sample:cifar:1 sample:cifar:16 sample:cifar:256}; do
    IFS=: read -r mode preset batch <<<"$w"
    for precision in bf16 fp32; do
      row $mode $preset $batch $round $precision fluxion "$("$fluxion" bench $mode --device cuda:0 --preset $preset --batch $batch --precision $precision --steps 20 --json 2>>"$work/log" |
        sed -n 's/.*"images_per_second":\([0-9.]*\).*/\1/p')"
      [ -n "$torch" ] || continue
      kind=train; [ $mode = sample ] && kind=fwd
      for how in eager compile reduce-overhead graph; do
        [ $round = 1 ] || [ $how != reduce-overhead ] || continue
        row $mode $preset $batch $round $precision "torch $how" "$(timeout 300 "$python" "$work/scripts/torch_unet.py" $preset $batch $precision $kind 20 $how 2>>"$work/log" |
          sed -n 's/.* ms, \([0-9.]*\) img\/s/\1/p')"
      done
    done
  done
done
say; say "## Launches"; say
"$fluxion" bench ops --device cuda:0 --preset cifar --batch 128 --precision bf16 --top 0 2>&1 | block
exit $failed
