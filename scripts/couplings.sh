#!/usr/bin/env bash
# Makes the Python environment with the programs that couplings are compared with: POT and torchcfm, pinned, beside PyTorch
# and SciPy of scripts/peers.sh. Prints the path of its python as the only line on stdout:
#
#     "$(scripts/couplings.sh)" scripts/check_couplings.py
#
# FLUXION_COUPLINGS  where the environment lives (default ~/.cache/fluxion/couplings; about 100 MB)
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh

peers=$(scripts/peers.sh)
venv=${FLUXION_COUPLINGS:-$HOME/.cache/fluxion/couplings}
pins='POT==0.9.7.post1 torchcfm==1.0.7'

environment couplings FLUXION_COUPLINGS "$venv" "$pins" 'ot, torchcfm' "$peers"
echo "$venv/bin/python"
