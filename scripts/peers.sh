#!/usr/bin/env bash
# Makes the Python environment with the programs Fluxion is compared with: PyTorch, diffusers and OpenVINO,
# every package pinned. Prints the path of its python as the only line on stdout:
#
#     PY=$(scripts/peers.sh)
#     "$PY" scripts/fixtures.py
#
# FLUXION_PEERS  where the environment lives (default ~/.cache/fluxion/peers; about 5 GB)
# PYTHON         the interpreter it is made from (default python3; 3.11 or newer)
#
# Packages come from wherever pip is set up to find them. A second run only compares the pins and prints the path.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

venv=${FLUXION_PEERS:-$HOME/.cache/fluxion/peers}

# The peers themselves, and scipy, without which diffusers' LMS and beta grids do not run.
pins='
torch==2.15.0
diffusers==0.42.1
safetensors==0.8.0
numpy==2.4.6
scipy==1.17.1
openvino==2026.4.1
'

# What torch imports.
pins+='
filelock==4.2.11 fsspec==2026.9.0 Jinja2==3.1.6 MarkupSafe==3.0.4 mpmath==1.3.0 networkx==3.6.1 sympy==1.14.0
typing_extensions==4.16.0 setuptools==84.2.1
'

# What diffusers imports.
pins+='
anyio==4.16.0 certifi==2026.10.18 charset-normalizer==3.5.2 click==8.5.1 h11==0.16.0 hf-xet==1.8.0 httpcore2==2.16.2
httpx2==2.16.2 huggingface_hub==2.4.0 idna==3.20 importlib_metadata==10.2.0 lazy-importer==0.1.0 packaging==26.3
pillow==13.0.0 PyYAML==6.0.3 regex==2026.11.15 requests==2.34.2 tqdm==4.70.1 truststore==0.10.5 urllib3==2.8.0
zipp==4.1.2
'

# The Linux build of torch is linked against these and does not import without them, GPU or not.
# triton and cuda-bindings, which it names as well, are left out: only torch.compile on a GPU needs them.
if [[ $(uname -s) == Linux ]]; then
    pins+='
nvidia-cublas==13.4.1.3 nvidia-cuda-cupti==13.2.86 nvidia-cuda-nvrtc==13.2.86 nvidia-cuda-runtime==13.2.86
nvidia-cudnn-cu13==9.26.0.51 nvidia-cufft==12.2.0.57 nvidia-cufile==1.17.1.22 nvidia-cusolver==12.2.0.11
nvidia-cusparse==12.7.10.12 nvidia-cusparselt-cu13==0.8.1 nvidia-nccl-cu13==2.30.7 nvidia-nvjitlink==13.5.37
nvidia-nvshmem-cu13==3.7.2
'
fi

environment peers FLUXION_PEERS "$venv" "$pins" 'diffusers, numpy, openvino, safetensors, torch; torch.rand(2)'
echo "$venv/bin/python"
