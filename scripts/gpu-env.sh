#!/usr/bin/env bash
# Prints what a build with tag gpu needs in its environment:
#
#     eval "$(scripts/gpu-env.sh)"
#     go build -tags gpu ./cmd/fluxion
#
# That is a C compiler and CUDA's headers: of CUDA_PATH if it is set, else of the
# usual places, else of the pinned wheel, which is then installed. No CUDA library
# is needed to link; the driver is looked for when the program runs.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

if ! command -v "${CC:-gcc}" >/dev/null; then
    echo "gpu-env: no C compiler (${CC:-gcc}); a build with tag gpu needs one" >&2
    exit 1
fi

# cu is written against the headers of CUDA 11 and 12; those of 13 changed functions it calls.
usable() { [[ -f $1/include/cuda.h ]] && grep -Eq '^#define CUDA_VERSION 1[12][0-9]{3}\b' "$1/include/cuda.h"; }

found=
if [[ -n ${CUDA_PATH:-} ]]; then
    if ! usable "$CUDA_PATH"; then
        echo "gpu-env: CUDA_PATH is $CUDA_PATH, but it has no include/cuda.h of CUDA 11 or 12" >&2
        exit 1
    fi
    found=$CUDA_PATH
fi
for place in "${CUDA_HOME:-}" /usr/local/cuda /opt/cuda /usr; do
    [[ -n $found ]] && break
    if [[ -n $place ]] && usable "$place"; then found=$place; fi
done
if [[ -z $found ]]; then
    found=$(echo "$("$root/scripts/ptx.sh" --environment)"/lib/python3*/site-packages/nvidia/cuda_runtime)
fi
printf 'export CGO_ENABLED=1\n'
printf 'export CUDA_PATH=%q\n' "$found"
printf 'export CGO_CFLAGS=%q\n' "-I$found/include ${CGO_CFLAGS:--g -O2}"
