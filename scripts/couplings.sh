#!/usr/bin/env bash
# Makes the Python environment with the programs that couplings are compared with: POT and torchcfm, pinned, beside PyTorch
# and SciPy of scripts/peers.sh. Prints the path of its python as the only line on stdout:
#
#     "$(scripts/couplings.sh)" scripts/check_couplings.py
#
# FLUXION_COUPLINGS  where the environment lives (default ~/.cache/fluxion/couplings; about 100 MB)
set -euo pipefail
cd "$(dirname "$0")/.."

peers=$(scripts/peers.sh)
venv=${FLUXION_COUPLINGS:-$HOME/.cache/fluxion/couplings}
pins='POT==0.9.7.post1 torchcfm==1.0.7'

# The stamp is written last, so an interrupted run starts over.
stamp=$venv/fluxion-pins.txt
if ! cmp --silent "$stamp" <(printf '%s' "$pins$peers"); then
    # --clear below empties the folder, so it must be one of ours.
    if [[ -n $(ls -A "$venv" 2>/dev/null) && ! -f $venv/pyvenv.cfg ]]; then
        echo "couplings: $venv is neither empty nor a virtual environment; set FLUXION_COUPLINGS to another folder" >&2
        exit 2
    fi
    echo "couplings: making $venv" >&2
    "$peers" -m venv --clear "$venv"
    read -r -d '' -a wanted <<<"$pins" || true
    # --no-deps: what they need of the field's libraries is there, and nothing may be pulled in beside it.
    "$venv/bin/python" -m pip install --quiet --no-deps --no-cache-dir "${wanted[@]}" >&2
    # What scripts/peers.sh installed is seen from here.
    "$peers" -c 'import site; print(site.getsitepackages()[0])' >"$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')/peers.pth"
    "$venv/bin/python" -c 'import ot, torchcfm' >&2
    printf '%s' "$pins$peers" >"$stamp"
fi

echo "$venv/bin/python"
