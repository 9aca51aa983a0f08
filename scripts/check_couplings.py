"""Compares couplings of noise and images with SciPy, POT and torchcfm, on random problems of 2 to 512 images.

    "$(scripts/couplings.sh)" scripts/check_couplings.py

Assignments must cost what SciPy's and POT's cost, to 1e-6; those with classes, what an assignment costs in which other
classes are forbidden. How often Sinkhorn's draws give an image a noise is held against POT's plan: by how much shares
are off, beside draws of NumPy's from that plan. Pairs as torchcfm draws them are counted, too: they leave images out.
Means, deviations, velocities and scores of `--bridge brownian` are those of its Schrödinger bridge matcher, to 1e-6.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import ot
import torch
from scipy.optimize import linear_sum_assignment
from torchcfm.conditional_flow_matching import SchrodingerBridgeConditionalFlowMatcher
from torchcfm.optimal_transport import OTPlanSampler

ROOT = Path(__file__).parent.parent
DRAWS = 2000
SHORT = 1e-3  # of the plan, where our Sinkhorn stops


def solve(problems):
    text = "\n".join(json.dumps(p) for p in problems)
    done = subprocess.run(["go", "run", "./scripts/pairings"], cwd=ROOT, input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"check_couplings: {done.stderr}")
    return [np.array(json.loads(line)) for line in done.stdout.splitlines()]


def problem(rng, coupling, n, size, classes=0, steps=1):
    images = (rng.normal(size=(n, size)) * 0.5 + rng.choice([-1, 1], (n, 1))).astype(np.float32)
    labels = rng.integers(classes, size=n) if classes else np.full(n, -1)
    noise = rng.normal(size=(n, size)).astype(np.float32)
    return dict(coupling=coupling, images=images.tolist(), noise=noise.tolist(), classes=labels.tolist(), steps=steps)


def costs(p):
    x, e = (np.array(p[k], np.float32).astype(np.float64) for k in ("images", "noise"))
    c = ((x[:, None] - e[None]) ** 2).sum(2) if x.shape[1] < 100 else (x**2).sum(1)[:, None] + (e**2).sum(1)[None] - 2 * x @ e.T
    labels = np.array(p["classes"])
    return c, labels[:, None] != labels[None]


def assignments(rng):
    wrong = 0
    sizes = [(n, size) for n in (2, 3, 8, 31, 128, 256, 512) for size in (1, 2, 64, 3072) if n * size <= 512 * 64]
    problems = [problem(rng, "ot", n, size, classes) for n, size in sizes for classes in (0, 4)]
    print("| images | values | classes | cost | SciPy | POT | off by | images that torchcfm's draws keep |\n|---|---|---|---|---|---|---|---|")
    for p, answer in zip(problems, solve(problems)):
        to, (c, apart), n = answer[0], costs(p), len(p["images"])
        forbidden = np.where(apart, 1e6, c)
        rows, columns = linear_sum_assignment(forbidden)
        best, own = c[rows, columns].sum(), c[np.arange(n), to].sum()
        plan = ot.emd(ot.unif(n), ot.unif(n), forbidden)
        pots = (plan * c).sum() * n
        kept = ""
        if not apart.any():
            sampler = OTPlanSampler("exact")
            x, e = (torch.tensor(p[k], dtype=torch.float64) for k in ("images", "noise"))
            np.random.seed(0)
            i, _ = sampler.sample_map(sampler.get_map(x, e), n)
            kept = f"{100 * len(set(i)) / n:.0f} %"
        off = max(abs(own - best), abs(own - pots)) / best
        good = off <= 1e-6 and sorted(to) == list(range(n)) and not apart[np.arange(n), to].any()
        wrong += not good
        print(f"| {n} | {len(p['images'][0])} | {len(set(p['classes']))} | {own:.4f} | {best:.4f} | {pots:.4f} | {off:.0e} | {kept} |" + ("" if good else " **wrong**"), flush=True)
    return wrong


def entropic(rng):
    wrong = 0
    cases = [(n, size, reg) for n in (2, 8, 32, 128) for size, reg in ((2, 0.2), (2, 1.0), (64, 4.0))]
    problems = [problem(rng, f"sinkhorn:absolute={reg}", n, size, steps=DRAWS) for n, size, reg in cases]
    print(f"\n| images | values | reg | shares off by, of {DRAWS} draws | NumPy's draws |\n|---|---|---|---|---|")
    for (n, size, reg), p, answer in zip(cases, problems, solve(problems)):
        c, _ = costs(p)
        plan = ot.sinkhorn(ot.unif(n), ot.unif(n), c, reg, method="sinkhorn_log", numItermax=100000, stopThr=1e-12) * n
        off = lambda counts: np.abs(counts / DRAWS - plan).sum(1).mean() / 2
        ours = off(np.stack([np.bincount(answer[:, i], minlength=n) for i in range(n)]))
        others = [off(np.stack([rng.multinomial(DRAWS, row / row.sum()) for row in plan])) for _ in range(50)]
        good = ours <= np.mean(others) + 4 * np.std(others) + SHORT
        wrong += not good
        print(f"| {n} | {size} | {reg} | {ours:.4f} | {np.mean(others):.4f} ± {np.std(others):.4f} |" + ("" if good else " **wrong**"), flush=True)
    return wrong


def bridges(rng):
    wrong = 0
    print("\n| σ | mean | deviation | velocity | score |\n|---|---|---|---|---|")
    for sigma in (0.2, 0.5, 1.0, 2.0):
        time, start, end, third = rng.uniform(0.02, 0.98, 200), *rng.normal(size=(3, 200))
        p = dict(bridge=dict(name=f"brownian:sigma={sigma}", time=time.tolist(), third=third.tolist(), **{"from": start.tolist(), "to": end.tolist()}))
        ours = solve([p])[0]
        t, x0, x1, noise = (torch.tensor(a) for a in (time, start, end, third))
        m = SchrodingerBridgeConditionalFlowMatcher(sigma=sigma)
        mean, deviation = m.compute_mu_t(x0, x1, t), m.compute_sigma_t(t)
        score = -2 * noise / (m.sigma**2 * m.compute_lambda(t))  # its networks learn s = σ²/2 of the score by λs = −ε
        flow = m.compute_conditional_flow(x0, x1, t, mean + deviation * noise)
        off = [np.max(np.abs(a - b.numpy()) / (1 + np.abs(a))) for a, b in zip(ours.T, (mean, deviation, flow, score))]
        wrong += max(off) > 1e-6
        print(f"| {sigma} | " + " | ".join(f"{x:.0e}" for x in off) + " |" + (" **wrong**" if max(off) > 1e-6 else ""), flush=True)
    return wrong


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    if wrong := assignments(rng) + entropic(rng) + bridges(rng):
        sys.exit(f"check_couplings: {wrong} problems are solved otherwise")


if __name__ == "__main__":
    main()
