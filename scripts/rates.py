#!/usr/bin/env python3
"""Learning rates that schedules of PyTorch and diffusers come to, for engine/train/rate_test.go.

    $(scripts/peers.sh) scripts/rates.py

Prints them for a run of 100 steps of 10 images with a largest rate of 0.02. Warm-up is
LinearLR's, whose first step has a rate above 0; diffusers' rises from 0, one step behind.
"""
import torch
from diffusers.optimization import get_polynomial_decay_schedule_with_warmup, get_scheduler
from torch.optim import lr_scheduler

STEPS, BATCH, WARMUP, AT = 100, 10, 10, (0, 4, 9, 10, 29, 30, 55, 75, 90, 99)


def rates(schedule):
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.02)
    scheduler = schedule(optimizer)
    all = []
    for _ in range(STEPS):
        all.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [all[k] for k in AT]


def diffusers(name):
    return lambda o: get_scheduler(name, o, num_warmup_steps=WARMUP, num_training_steps=STEPS)


for name, schedule in {
    "warm-up": lambda o: lr_scheduler.LinearLR(o, start_factor=1 / WARMUP, total_iters=WARMUP - 1),
    "constant_with_warmup": diffusers("constant_with_warmup"),
    "linear": diffusers("linear"),
    "polynomial to 1e-3": lambda o: get_polynomial_decay_schedule_with_warmup(o, WARMUP, STEPS, lr_end=1e-3),
    "cosine": diffusers("cosine"),
    "CosineAnnealingLR to 1e-3": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=1e-3),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 30, gamma=0.5),
}.items():
    print(name, [float(f"{x:.12g}") for x in rates(schedule)])
