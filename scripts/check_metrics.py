"""Compares fluxion eval with pytorch-fid, torch-fidelity, clean-fid and prdc, on the same images and weights.

    "$(scripts/metrics.sh)" scripts/check_metrics.py FLUXION CIFAR10 [--count 400]

FLUXION is the program, CIFAR10 a folder with train.zip and test.zip of images in class folders. The weights are those of
scripts/features.py: made by a formula, in the very shapes, since published ones cannot be had everywhere. Prints a table in
Markdown and fails if a number is off by more than 1e-3, relative.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))


def extract(archive, folder, count):
    """count images, of all classes alike, as PNG files in the order of their names."""
    from PIL import Image

    folder.mkdir()
    with zipfile.ZipFile(archive) as z:
        names = sorted(n for n in z.namelist() if n.endswith((".jpg", ".png")))
        for i in range(count):
            with z.open(names[i * len(names) // count]) as f:
                Image.open(f).convert("RGB").save(folder / f"{i:06}.png")


def fluxion(program, a, b, weights, metrics, *more):
    out = subprocess.run([program, "eval", a, b, "--weights", weights, "--metrics", metrics, "--json", *more], check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])["metrics"]


def pytorch_fid(a, b, weights):
    from pytorch_fid import fid_score, inception

    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights)
    return fid_score.calculate_fid_given_paths([str(a), str(b)], 50, "cpu", 2048, num_workers=0)


def torch_fidelity(a, b, weights, count):
    import torch_fidelity as tf

    m = tf.calculate_metrics(
        input1=str(a), input2=str(b), cuda=False, fid=True, kid=True, isc=True, prc=True, isc_splits=1, kid_subsets=1, feature_extractor="inception-v3-compat", kid_subset_size=count,
        feature_extractor_weights_path=str(weights), feature_extractor_internal_dtype="float32", verbose=False, save_cpu_ram=True, cache=False,
    )
    return {"fid": m["frechet_inception_distance"], "kid": m["kernel_inception_distance_mean"], "is": m["inception_score_mean"], "precision": m["precision"], "recall": m["recall"]}


def features(folder, weights, resize):
    """of torch-fidelity's network, of images that another function resizes to 299."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Inception
    from torch_fidelity import feature_extractor_inceptionv3 as module
    from PIL import Image

    net = Inception("inception", ["2048"], feature_extractor_weights_path=str(weights))
    plain = module.interpolate_bilinear_2d_like_tensorflow1x
    rows = []
    for path in sorted(folder.glob("*.png")):
        x = np.array(Image.open(path))
        if resize:
            module.interpolate_bilinear_2d_like_tensorflow1x = lambda *_, y=resize(x), **__: torch.tensor(np.asarray(y, np.float32)).permute(2, 0, 1)[None]
        with torch.no_grad():
            rows.append(net(torch.tensor(x).permute(2, 0, 1)[None])[0].numpy())
    module.interpolate_bilinear_2d_like_tensorflow1x = plain
    return np.concatenate(rows).astype(np.float64)


def distance(a, b):
    from pytorch_fid.fid_score import calculate_frechet_distance

    return calculate_frechet_distance(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fluxion")
    parser.add_argument("cifar10", type=Path)
    parser.add_argument("--count", type=int, default=400)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        a, b, weights = tmp / "a", tmp / "b", tmp / "weights.pth"
        extract(args.cifar10 / "test.zip", a, args.count)
        extract(args.cifar10 / "train.zip", b, args.count)
        subprocess.run([sys.executable, Path(__file__).parent / "features.py", "--weights", weights], check=True, stdout=subprocess.DEVNULL)
        rows = []

        def compare(what, ours, theirs):
            rows.append((what, ours, theirs, abs(ours - theirs) / max(abs(theirs), 1e-12)))

        ours = fluxion(args.fluxion, a, b, weights, "fid,kid,is,prdc", "--splits", "1", "--kid-size", str(args.count))
        theirs = torch_fidelity(a, b, weights, args.count)
        for name in ("fid", "kid", "is"):
            compare(f"{name}, torch-fidelity", ours[name], theirs[name])
        compare("precision, torch-fidelity", ours["precision"], theirs["precision"])
        compare("recall, torch-fidelity", ours["recall"], theirs["recall"])
        from prdc import compute_prdc

        fa, fb = features(a, weights, None), features(b, weights, None)
        for name, value in compute_prdc(fb, fa, nearest_k=5).items():
            if name in ("density", "coverage"):
                compare(f"{name}, prdc", ours[name], float(value))
        compare("fid, convention pytorch, pytorch-fid", fluxion(args.fluxion, a, b, weights, "fid", "--convention", "pytorch")["fid"], pytorch_fid(a, b, weights))
        from cleanfid.resize import build_resizer

        clean = build_resizer("clean")
        compare("fid, convention clean, clean-fid's resizer", fluxion(args.fluxion, a, b, weights, "fid", "--convention", "clean")["fid"],
                distance(features(a, weights, clean), features(b, weights, clean)))
    print(f"| metric, {args.count} against {args.count} images of CIFAR-10 | fluxion | the other | relative difference |\n|---|---|---|---|")
    for what, ours, theirs, off in rows:
        print(f"| {what} | {ours:.6g} | {theirs:.6g} | {off:.1e} |")
    if not all(r[3] <= 1e-3 for r in rows):
        raise SystemExit("a number is off by more than 1e-3")


main()
