"""Times Inception's features on the CPU: torch-fidelity's and Fluxion's, in turn on the same cores.

    "$(scripts/metrics.sh)" scripts/bench_features.py [--rounds 3]

The weights are those of scripts/features.py. Prints a table in Markdown: images a second of batches of 8, the best round.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch


def theirs(weights):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Inception

    torch.set_num_threads(os.cpu_count())
    net = Inception("inception", ["2048"], feature_extractor_weights_path=str(weights))
    x = torch.randint(0, 256, (8, 3, 299, 299), dtype=torch.uint8)
    best = 0
    with torch.no_grad():
        net(x)
        for _ in range(4):
            begin = time.perf_counter()
            net(x)
            best = max(best, 8 / (time.perf_counter() - begin))
    return best


def ours():
    out = subprocess.run(["go", "test", "-run", "XX", "-bench", "Features/inception", "-benchtime", "4x", "./engine/evaluate"], check=True, capture_output=True, text=True).stdout
    return {name: float(rate) for name, rate in re.findall(r"inception(fp32|bf16)\S*\s.*?([\d.]+) images/s", out)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        weights = Path(tmp) / "weights.pth"
        subprocess.run([sys.executable, "scripts/features.py", "--weights", weights], check=True, stdout=subprocess.DEVNULL)
        best = {}
        for _ in range(args.rounds):
            for name, rate in {"torch-fidelity fp32": theirs(weights), **{"fluxion " + k: v for k, v in ours().items()}}.items():
                best[name] = max(best.get(name, 0), rate)
    base = best["torch-fidelity fp32"]
    print("| | images/s | of torch-fidelity's |\n|---|---|---|")
    for name, rate in best.items():
        print(f"| {name} | {rate:.1f} | {rate / base:.2f} |")


main()
