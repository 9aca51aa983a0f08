#!/usr/bin/env bash
# Compiles the CUDA kernels: each kernels/**/NAME.cu becomes NAME.ptx and NAME.ptx.zst
# beside it, and what ptxas says of it goes to kernels/cuda/resources.tsv. Needs no GPU and no
# toolkit: compiler, headers and assembler come from pinned wheels.
#
#     scripts/ptx.sh [NAME…]        regenerates all modules, or those named
#     scripts/ptx.sh --check        compares with what is committed; 1 if it differs
#     scripts/ptx.sh --environment  only makes the environment and prints its folder
#
# FLUXION_VENV  where the environment lives (default ~/.cache/fluxion/ptx; about 250 MB)
# PYTHON        the interpreter it is made from (default python3; 3.9 or newer)
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh

venv=${FLUXION_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/fluxion/ptx}
pins='nvidia-cuda-nvrtc-cu12==12.1.105 nvidia-cuda-runtime-cu12==12.1.105 nvidia-cuda-nvcc-cu12==12.1.105 zstandard==0.25.0'

environment ptx FLUXION_VENV "$venv" "$pins" zstandard

if [[ ${1:-} == --environment ]]; then
    echo "$venv"
else
    # Other assemblers than that of the toolkit above, an old one, and those of new drivers; see ptxas.py.
    for wheel in nvidia-cuda-nvcc-cu11==11.8.89 nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-nvcc==13.5.37; do
        version=${wheel#*==}
        [[ -f $venv/ptxas/$version/ptxas ]] && continue
        echo "ptx: fetching ptxas $version" >&2
        rm -rf "$venv/ptxas/part"
        "$venv/bin/python" -m pip install --quiet --no-deps --no-cache-dir --target "$venv/ptxas/part" "$wheel" >&2
        mkdir -p "$venv/ptxas/$version"
        find "$venv/ptxas/part" -path '*/bin/ptxas' -exec mv {} "$venv/ptxas/$version/ptxas" \;
        rm -rf "$venv/ptxas/part"
    done
    exec "$venv/bin/python" -X utf8 scripts/ptx.py "$@"
fi
