#!/usr/bin/env python3
"""Weights that optimizers of PyTorch come to, for the tests of kernels/optim/optimtest.

    python3 -m venv VENV && VENV/bin/pip install torch numpy
    VENV/bin/python scripts/optimizers.py

Prints, in float64, four weights after 1, 4 and 20 steps; for Muon a matrix of 3x2. PyTorch
has no Lion, and its Muon rounds to bfloat16: both are written out here as their papers have them.
"""
import math

import torch

torch.set_default_dtype(torch.float64)
RATE, BETAS, DECAY = 0.01, (0.9, 0.99), 0.1


def gradient(n, t):
    return torch.tensor([math.sin(0.7 * t + 1.3 * i) + 0.3 * math.cos(2.1 * i) for i in range(n)])


class Lion(torch.optim.Optimizer):
    """Chen et al., arXiv 2302.06675, algorithm 2."""

    def __init__(self, params):
        super().__init__(params, {})

    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            m = self.state[p].setdefault("m", torch.zeros_like(p))
            c = BETAS[0] * m + (1 - BETAS[0]) * p.grad
            p -= RATE * (torch.sign(c) + DECAY * p)
            m.mul_(BETAS[1]).add_(p.grad, alpha=1 - BETAS[1])


class Muon(torch.optim.Optimizer):
    """Jordan et al. 2024, with Nesterov's momentum, and the scale of Liu et al., arXiv 2502.16982."""

    def __init__(self, params):
        super().__init__(params, {})

    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            m = self.state[p].setdefault("m", torch.zeros_like(p))
            m.mul_(0.95).add_(p.grad)
            x = p.grad + 0.95 * m
            x = x / (x.norm() + 1e-7)
            tall = x.shape[0] > x.shape[1]
            if tall:
                x = x.T
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
            if tall:
                x = x.T
            p -= RATE * (0.2 * math.sqrt(max(p.shape)) * x + DECAY * p)


def run(make, start, shape):
    p = torch.nn.Parameter(torch.tensor(start).reshape(shape))
    optimizer = make([p])
    for t in range(1, 21):
        p.grad = gradient(len(start), t).reshape(shape)
        optimizer.step()
        if t in (1, 4, 20):
            yield t, p.detach().flatten().tolist()


o = torch.optim
ADAM = dict(lr=RATE, betas=BETAS, eps=1e-8, weight_decay=DECAY)
SGD = dict(lr=RATE, momentum=0.9, weight_decay=DECAY)
for name, make in {
    "adamw": lambda p: o.AdamW(p, **ADAM),
    "adam": lambda p: o.Adam(p, **ADAM),
    "radam": lambda p: o.RAdam(p, **ADAM),
    "sgd": lambda p: o.SGD(p, **SGD),
    "sgd nesterov": lambda p: o.SGD(p, nesterov=True, **SGD),
    "lion": Lion,
}.items():
    for t, weights in run(make, [1 - 0.5 * i for i in range(4)], (4,)):
        print(name, t, weights)
for t, weights in run(Muon, [1 - 0.25 * i for i in range(6)], (3, 2)):
    print("muon", t, weights)
