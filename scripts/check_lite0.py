"""Compares what Fluxion's EfficientNet-lite0 with its published weights says of two photographs with its authors' code, and both with
what is on them: a palace, and a daisy. The photographs are those of scikit-learn (china.jpg, flower.jpg).

    "$(scripts/metrics.sh)" scripts/check_lite0.py [--weights FILE]

Without FILE, scripts/lite0.sh fetches the weights. Prints a table in Markdown and fails if a class is wrong or features differ by more
than 1e-4, relative.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from sklearn.datasets import load_sample_image
from torchvision.models._meta import _IMAGENET_CATEGORIES as CLASSES

ROOT = Path(__file__).parent.parent
SHOWN = {"china.jpg": "palace", "flower.jpg": "daisy"}
SIDE = 224


def square(name):
    """The middle of a photograph as the network takes it."""
    image = Image.fromarray(load_sample_image(name))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights")
    args = parser.parse_args()
    weights = args.weights or subprocess.run([ROOT / "scripts" / "lite0.sh"], check=True, capture_output=True, text=True).stdout.strip()
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    net.load_state_dict(torch.load(weights, weights_only=True))
    with tempfile.TemporaryDirectory() as tmp:
        images = {name: square(name) for name in SHOWN}
        paths = [str(Path(tmp) / f"{name}.png") for name in SHOWN]
        for path, image in zip(paths, images.values()):
            image.save(path)
        out = subprocess.run(["go", "run", "./scripts/classes", "-network", "lite0", "-weights", str(Path(weights).resolve()), *paths], cwd=ROOT, check=True, capture_output=True, text=True)
    rows, wrong = [], []
    for (name, image), line in zip(images.items(), out.stdout.splitlines(), strict=True):
        ours = json.loads(line)
        x = (torch.tensor(np.asarray(image, np.float32)).permute(2, 0, 1)[None] - 128) / 128
        with torch.no_grad():
            pooled = net.extract_features(x).mean((2, 3))
            scores = net._fc(pooled)[0]
        first = lambda of: [CLASSES[i] for i in np.argsort(-np.asarray(of))[:3]]
        features = np.asarray(ours["pooled"])
        off = float(np.linalg.norm(features - pooled[0].numpy()) / np.linalg.norm(pooled.numpy()))
        mine, theirs = first(ours["logits"]), first(scores)
        rows.append(f"| lite0, classes of {name} | {', '.join(mine)} | {', '.join(theirs)} | {off:.1e} (features) |")
        if mine[0] != SHOWN[name] or theirs[0] != SHOWN[name] or not off < 1e-4:
            wrong.append(name)
    print("| network, photograph | fluxion | its authors' code | relative difference |\n|---|---|---|---|")
    print("\n".join(rows))
    if wrong:
        raise SystemExit(f"{', '.join(wrong)}: another class or other features")


main()
