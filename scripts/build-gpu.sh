#!/usr/bin/env bash
# Builds the program with the GPU path, as CI and Dockerfile.cuda do: the same
# sources give the same bytes. Needs Go and a C compiler; cuda.h is found, or
# fetched, by scripts/gpu-env.sh. No CUDA library is linked.
# FLUXION_VERSION and FLUXION_COMMIT are what fluxion --version says, if they are set.
# usage: scripts/build-gpu.sh OUTPUT
set -euo pipefail
out=$(realpath -m "${1:?usage: scripts/build-gpu.sh OUTPUT}")
cd "$(dirname "$0")/.."
eval "$(scripts/gpu-env.sh)"
export CGO_ENABLED=1
exec go build -tags gpu -trimpath -ldflags="-s -w -buildid= -extldflags=-Wl,--build-id=none -X main.release=${FLUXION_VERSION:-} -X main.commit=${FLUXION_COMMIT:-}" -o "$out" ./cmd/fluxion
