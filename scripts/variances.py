"""Writes what PyTorch and diffusers say of a variance that a network learns, for tests.

    "$(scripts/peers.sh)" scripts/variances.py

engine/objective/testdata/hybrid.json has terms of the variational bound in bits and their gradients by autograd, by the
variance and by the noise that is predicted, written here from Nichol and Dhariwal 2021 (equations 4 to 6, 10, 11 and 15; at the first step the likelihood of levels of Ho et al.
2020, equation 13, with the normal distribution itself); engine/sampler/testdata/learned.json has steps of diffusers'
DDPMScheduler with variance_type learned_range; resampler.json has how the paper's code draws times of the bound by its terms;
engine/likelihood/testdata/chain.json has whole bounds of images.
"""

import json
import math
from pathlib import Path

import diffusers.schedulers.scheduling_ddpm as scheduling
import numpy
import torch

from check_training import normal  # Fluxion's random numbers

ROOT = Path(__file__).resolve().parent.parent
SCHEDULES = {"ddpm-linear": "linear", "ddpm-squaredcos": "squaredcos_cap_v2"}
torch.set_default_dtype(torch.float64)


def round_trip(x):
    """Numbers that float32 holds."""
    return x.float().double()


def schedule(name, **keys):
    """The scheduler with products in float64: of float32 the variance of a small step would keep few digits."""
    scheduler = scheduling.DDPMScheduler(beta_schedule=name, **keys)
    scheduler.alphas_cumprod = (1 - scheduler.betas.double()).cumprod(0)
    return scheduler


def bound(scheduler, t, x, noise, eps, v, levels):
    """The term of one step, in bits per dimension."""
    alphas = scheduler.alphas_cumprod
    a, before = alphas[t], alphas[t - 1] if t > 0 else torch.tensor(1.0)
    beta = 1 - a / before
    tilde = lambda t: (1 - alphas[t - 1]) / (1 - alphas[t]) * (1 - alphas[t] / alphas[t - 1])
    least, largest = tilde(max(t, 1)).log(), beta.log()
    z = a.sqrt() * x + (1 - a).sqrt() * noise
    guess = (z - (1 - a).sqrt() * eps) / a.sqrt()
    mean = lambda x: before.sqrt() * beta / (1 - a) * x + (a / before).sqrt() * (1 - before) / (1 - a) * z
    log = (v + 1) / 2 * largest + (1 - v) / 2 * least
    if t > 0:
        nats = (log - least + (least.exp() + (mean(x) - mean(guess)) ** 2) / log.exp() - 1) / 2
    elif levels:
        normal = torch.distributions.Normal(mean(guess), (log / 2).exp())
        low = torch.where(x < -0.999, 0.0, normal.cdf(x - 1 / 255))
        high = torch.where(x > 0.999, 1.0, normal.cdf(x + 1 / 255))
        nats = -(high - low).clamp(min=1e-12).log()
    else:
        nats = -torch.distributions.Normal(mean(guess), (log / 2).exp()).log_prob(x)
    return nats.mean() / math.log(2)


def losses():
    cases = []
    for ours, theirs in SCHEDULES.items():
        scheduler = schedule(theirs)
        for t in (0, 1, 17, 400, 998):
            for levels in (True, False) if t == 0 else (True,):
                draw = lambda: round_trip(torch.randn(1, 2, 3, 3))
                x = torch.randint(0, 256, (1, 2, 3, 3)).double()
                x[0, 0, 0, 0], x[0, 0, 0, 1] = 0, 255
                x = round_trip((2 * x - 255) / 255)
                noise, off, v = draw(), draw(), round_trip(torch.rand(1, 2, 3, 3) * 2.4 - 1.2)
                eps = round_trip(noise + 0.1 * off).requires_grad_()
                v.requires_grad_()
                loss = bound(scheduler, t, x, noise, eps.detach(), v, levels)
                loss.backward()
                bound(scheduler, t, x, noise, eps, v.detach(), levels).backward()
                cases.append({
                    "schedule": ours, "step": t, "levels": levels, "bits": loss.item(),
                    **{k: a.detach().flatten().tolist() for k, a in {"x": x, "noise": noise, "eps": eps, "v": v, "gradient": v.grad, "mean": eps.grad}.items()},
                })
    return cases


def steps():
    cases = []
    for ours, theirs in SCHEDULES.items():
        for count in (4, 10, 1000):
            scheduler = schedule(theirs, variance_type="learned_range", timestep_spacing="leading", clip_sample=False)
            scheduler.set_timesteps(count)
            for i in (0, count // 2, count - 2, count - 1):
                eps, v, z, noise = (round_trip(torch.randn(1, 3, 2, 2)) for _ in range(4))
                scheduling.randn_tensor = lambda *_, **__: noise
                after = scheduler.step(torch.cat([eps, v], 1), scheduler.timesteps[i], z).prev_sample
                cases.append({
                    "schedule": ours, "steps": count, "row": i,
                    **{k: a.flatten().tolist() for k, a in {"eps": eps, "v": v, "z": z, "noise": noise, "after": after}.items()},
                })
    return cases


def resampler():
    """Shares of steps as LossSecondMomentResampler of Nichol and Dhariwal's code has them, after each step of training: guesses
    of 4 images each, of 3 steps of a chain with a history of 2."""
    steps, history, uniform = 3, 2, 0.001
    losses, counts, after = numpy.zeros((steps, history)), numpy.zeros(steps, dtype=int), []
    draw = numpy.random.default_rng(1)
    for _ in range(6):
        ts, terms = draw.integers(0, steps, 4), draw.gamma(1, 2, 4).astype(numpy.float32)
        for t, loss in zip(ts, terms):
            if counts[t] == history:
                losses[t, :-1] = losses[t, 1:]
                losses[t, -1] = loss
            else:
                losses[t, counts[t]] = loss
                counts[t] += 1
        weights = numpy.ones(steps)
        if (counts == history).all():
            weights = numpy.sqrt(numpy.mean(losses**2, axis=-1))
            weights /= weights.sum()
            weights *= 1 - uniform
            weights += uniform / len(weights)
        after.append({"steps": ts.tolist(), "terms": terms.tolist(), "shares": (weights / weights.sum()).tolist()})
    return after


def chains():
    """The whole bound of an image of levels, with x̂ in ±1: L_0, the terms between, L_T. The network is a formula of z and the
    step; the noise of a step is what Fluxion draws for it. Without learnt variances they are beta, at the first step the posterior's."""
    cases, bits = [], lambda nats: nats.mean().item() / math.log(2)
    for ours, theirs in SCHEDULES.items():
        alphas = schedule(theirs).alphas_cumprod
        for learnt in True, False:
            image = (torch.arange(18) * 37 % 256).clamp(0, 255)
            image[0], image[1] = 0, 255
            x, between = (2 * image.double() - 255) / 255, 0.0
            for t in range(1000):
                a, before = alphas[t], alphas[t - 1] if t > 0 else torch.tensor(1.0)
                beta = 1 - a / before
                tilde = lambda t: (1 - alphas[t - 1]) / (1 - alphas[t]) * (1 - alphas[t] / alphas[t - 1])
                least = tilde(max(t, 1)).log()
                noise = torch.from_numpy(normal(5, 15, 3, t, 18).astype(numpy.float32)).double()
                z = a.sqrt() * x + (1 - a).sqrt() * noise
                eps, v = round_trip((z + t / 300).sin()), round_trip((2 * z).cos())
                guess = ((z - (1 - a).sqrt() * eps) / a.sqrt()).clamp(-1, 1)
                mean = lambda x: before.sqrt() * beta / (1 - a) * x + (a / before).sqrt() * (1 - before) / (1 - a) * z
                log = (v + 1) / 2 * beta.log() + (1 - v) / 2 * least if learnt else least if t == 0 else beta.log()
                if t > 0:
                    between += bits((log - least + (least.exp() + (mean(x) - mean(guess)) ** 2) / log.exp() - 1) / 2)
                    continue
                gauss = torch.distributions.Normal(mean(guess), (log / 2).exp() if learnt else (log / 2).exp() * torch.ones(18))
                low = torch.where(x < -0.999, 0.0, gauss.cdf(x - 1 / 255))
                high = torch.where(x > 0.999, 1.0, gauss.cdf(x + 1 / 255))
                first = bits(-(high - low).clamp(min=1e-12).log())
            a = alphas[-1]
            last = bits((a * x**2 - a - torch.log1p(-a)) / 2)
            cases.append({"schedule": ours, "learnt": learnt, "image": image.tolist(), "first": first, "between": between, "last": last})
    return cases


def write(path, cases):
    path = ROOT / path
    path.parent.mkdir(exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


torch.manual_seed(1)
write("engine/objective/testdata/hybrid.json", losses())
write("engine/sampler/testdata/learned.json", steps())
write("engine/objective/testdata/resampler.json", resampler())
write("engine/likelihood/testdata/chain.json", chains())
