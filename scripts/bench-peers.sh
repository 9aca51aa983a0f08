#!/usr/bin/env bash
# Times Fluxion and PyTorch in turn on this machine and prints, for each piece of
# work, minimum and median of both and the ratio of the medians.
# usage: [WORK="train:cifar:16 …"] scripts/bench-peers.sh [rounds]
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5}
python=$(scripts/peers.sh)
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export CUDA_VISIBLE_DEVICES=
fluxion=$(mktemp)
trap 'rm -f "$fluxion"' EXIT
go build -o "$fluxion" ./cmd/fluxion

ours() { "$fluxion" bench "$1" --preset "$2" --batch "$3" --precision fp32 --steps 3 --json |
  "$python" -c 'import json,sys; print(json.load(sys.stdin)["images_per_second"])'; }
torch() { # mode preset batch
  local mode=train
  [ "$1" = sample ] && mode=fwd
  "$python" scripts/torch_unet.py "$2" "$3" fp32 $mode 3 | sed -n 's/.* ms, \([0-9.]*\) img\/s/\1/p'
}
echo "$(date +%F), $("$fluxion" doctor | grep -i cpu | head -1), $rounds rounds, images/s"
for work in ${WORK:-train:cifar:16 sample:cifar:16 train:small:32 train:tiny:64 sample:tiny:64}; do
  work=${work//:/ }
  a= b=
  for _ in $(seq "$rounds"); do a="$a $(ours $work)"; b="$b $(torch $work)"; done
  "$python" - "$work" "$a" "$b" <<'P'
import statistics, sys
work, a, b = sys.argv[1], [float(x) for x in sys.argv[2].split()], [float(x) for x in sys.argv[3].split()]
m, n = statistics.median(a), statistics.median(b)
print(f"{work:16} fluxion min {min(a):7.2f} median {m:7.2f}   torch min {min(b):7.2f} median {n:7.2f}   ratio {m / n:.2f}")
P
done
