"""Compares every diffusers scheduler that Fluxion reads with diffusers itself, in float64, step by step.

    go build -o /tmp/fluxion ./cmd/fluxion
    "$(scripts/peers.sh)" scripts/check_schedulers.py /tmp/fluxion \
        [--only CLASS] [--report engine/scheduler/AGREEMENT.md] [--fixtures engine/scheduler/testdata/diffusers.json]

For each configuration and number of steps it runs diffusers' own loop (scale_model_input, network, step) on a formula in
place of the network and compares every state with `fluxion trace --scheduler … --json`:

  as it is             must agree to 1e-6, unless the trace names the defect of diffusers that it leaves out ("corrected")
  --compat diffusers   must always agree (run where something is corrected; otherwise it is the same)
  --compat none        must be finite where it differs: what else of diffusers departs from theory, by name (run where something is)

diffusers works in float32 in places (betas, sigmas, a cast in step). Its modules are therefore loaded a second time with
"float32" replaced by "float64" in their text and float64 as torch's default; nothing else is changed. The draws of
stochastic schedulers come from a list that `--noise` gives to Fluxion, too. Needs no network access and no GPU.
"""

import argparse
import concurrent.futures
import importlib.util
import itertools
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings
from collections import defaultdict
from pathlib import Path

import diffusers
import numpy as np
import torch

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
diffusers.logging.disable_progress_bar()
torch.set_default_dtype(torch.float64)

TOLERANCE = 1e-6  # of the largest value of a state
Z = [0.3, -1.1, 0.7, 2.0]
DIMENSION = len(Z)
FORMULA = "0.3*z + 0.6*sin(1.7*z + 0.004*n)"

# Where each class lives.
MODULES = {
    "DDPMScheduler": "scheduling_ddpm",
    "DDIMScheduler": "scheduling_ddim",
    "DDIMInverseScheduler": "scheduling_ddim_inverse",
    "DPMSolverMultistepScheduler": "scheduling_dpmsolver_multistep",
    "DPMSolverMultistepInverseScheduler": "scheduling_dpmsolver_multistep_inverse",
    "DPMSolverSinglestepScheduler": "scheduling_dpmsolver_singlestep",
    "UniPCMultistepScheduler": "scheduling_unipc_multistep",
    "DEISMultistepScheduler": "scheduling_deis_multistep",
    "EulerDiscreteScheduler": "scheduling_euler_discrete",
    "EulerAncestralDiscreteScheduler": "scheduling_euler_ancestral_discrete",
    "HeunDiscreteScheduler": "scheduling_heun_discrete",
    "LMSDiscreteScheduler": "scheduling_lms_discrete",
    "PNDMScheduler": "scheduling_pndm",
    "EDMEulerScheduler": "scheduling_edm_euler",
    "EDMDPMSolverMultistepScheduler": "scheduling_edm_dpmsolver_multistep",
    "FlowMatchEulerDiscreteScheduler": "scheduling_flow_match_euler_discrete",
    "FlowMatchHeunDiscreteScheduler": "scheduling_flow_match_heun_discrete",
    "LCMScheduler": "scheduling_lcm",
    "TCDScheduler": "scheduling_tcd",
    "CMStochasticIterativeScheduler": "scheduling_consistency_models",
}


def in_float64(module):
    """A second copy of a diffusers module that computes in float64."""
    name = f"diffusers.schedulers.{module}"
    origin = importlib.util.find_spec(name).origin
    text = re.sub(r"\b(torch|np)\.float32\b", r"\1.float64", Path(origin).read_text())
    copy = types.ModuleType(name + "_float64")
    copy.__package__, copy.__file__ = "diffusers.schedulers", origin
    sys.modules[copy.__name__] = copy
    exec(compile(text, origin, "exec"), copy.__dict__)
    return copy


class Draws:
    """Stands in for diffusers' randn_tensor: hands out a fixed list and remembers how much of it was used."""

    def __init__(self, seed, count):
        self.values = np.random.default_rng(seed).standard_normal((count, DIMENSION)).round(3)
        self.used = 0

    def __call__(self, shape, **_):
        self.used += 1
        return torch.from_numpy(self.values[self.used - 1].copy()).reshape(shape)


def formula(z, n):
    return 0.3 * z + 0.6 * torch.sin(1.7 * z + 0.004 * n)


@torch.no_grad()
def run_diffusers(modules, case):
    """The loop of diffusers' pipelines; returns the times it told the network, the states and the draws."""
    module = modules[case.kind]
    module.randn_tensor = draws = Draws(7, 3 * case.steps + 16)
    kind = getattr(module, case.kind)
    known = {k: v for k, v in case.config.items() if k in kind.__init__.__wrapped__.__code__.co_varnames}
    scheduler = kind(**known)
    scheduler.register_to_config(**{k: v for k, v in case.config.items() if k not in known})  # as from_config does
    scheduler.set_timesteps(case.steps, **case.set_timesteps)
    # Their text-to-image pipelines do not call this; without it a grid that begins with the same time twice starts at the
    # second entry and ends with an index out of range.
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    scale = getattr(scheduler, "scale_model_input", lambda x, t: x)  # the flow schedulers have none
    x = torch.tensor(Z).reshape(1, 1, 1, DIMENSION)
    times, states = [], [Z]
    for t in scheduler.timesteps:
        y = formula(scale(x, t), t.item())
        x = scheduler.step(y, t, x, **case.step).prev_sample
        times.append(t.item())
        states.append(x.flatten().tolist())
    return times, states, draws.values[: draws.used].tolist()


class Case:
    def __init__(self, kind, config, steps, step=None, set_timesteps=None, flags=()):
        self.kind, self.config, self.steps = kind, config, steps
        self.step, self.set_timesteps, self.flags = step or {}, set_timesteps or {}, list(flags)

    def name(self):
        return f"{self.kind} {json.dumps(self.config)} steps={self.steps} {' '.join(self.flags)}".strip()


def axes(**named):
    """Every combination of the values; a value that is a dict is several keys at once."""
    for values in itertools.product(*named.values()):
        config = {}
        for key, value in zip(named, values):
            config.update(value if isinstance(value, dict) else {key: value})
        yield config


BETAS = [
    {"beta_schedule": "linear"},
    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    {"beta_schedule": "squaredcos_cap_v2"},
    {"num_train_timesteps": 60, "trained_betas": np.linspace(1e-3, 0.2, 60).tolist()},
]
PREDICTION = ["epsilon", "sample", "v_prediction"]
SPACING = [
    {"timestep_spacing": "leading"},
    {"timestep_spacing": "leading", "steps_offset": 1},
    {"timestep_spacing": "linspace"},
    {"timestep_spacing": "trailing"},
]
SIGMAS = [{}, {"use_karras_sigmas": True}, {"use_exponential_sigmas": True}, {"use_beta_sigmas": True}]
FINAL = ["zero", "sigma_min"]
FLOW = [
    {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0},
]
CHURN = {"step": {"s_churn": 1.5, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.1},
         "flags": ["--churn", "1.5", "--noise-min", "0.05", "--noise-max", "50", "--noise-scale", "1.1"]}
ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}


def ddpm():
    plain = {"clip_sample": False}
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=SPACING):
        yield plain | c, (1, 5, 13)
    for c in axes(variance_type=["fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"], spacing=SPACING):
        yield plain | c, (4,)
    for c in axes(beta_schedule=["sigmoid", "laplace"], prediction_type=PREDICTION):
        yield plain | c, (6,)
    for c in axes(prediction_type=PREDICTION, spacing=SPACING,
                  limit=[{}, {"clip_sample_range": 0.5}, {"thresholding": True}, {"thresholding": True, "sample_max_value": 3.0}]):
        yield c, (5,)
    yield plain | ZERO_SNR, (6,)


def ddim():
    plain = {"clip_sample": False}
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=SPACING, set_alpha_to_one=[True, False]):
        yield plain | c, (1, 5, 13)
    for c in axes(prediction_type=PREDICTION, spacing=SPACING,
                  limit=[{}, {"clip_sample_range": 0.5}, {"thresholding": True}, {"thresholding": True, "sample_max_value": 3.0}]):
        yield c, (5,)
    for c in axes(spacing=SPACING, eta=[0.4, 1.0]):
        eta = c.pop("eta")
        yield plain | c, (5,), {"step": {"eta": eta}, "flags": ["--eta", str(eta)]}
    yield plain | ZERO_SNR, (6,)


def ddim_inverse():
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=[s for s in SPACING if s["timestep_spacing"] != "linspace"],
                  set_alpha_to_one=[True, False]):
        yield {"clip_sample": False} | c, (1, 5, 13)
    for c in axes(prediction_type=["epsilon", "v_prediction"], limit=[{}, {"clip_sample_range": 0.5}]):
        yield c, (5,)


def dpm(algorithms, extra=({},)):
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=SPACING, solver_order=[1, 2, 3]):
        yield c, (1, 5, 16)
    for c in axes(algorithm=algorithms, solver_order=[1, 2, 3], solver_type=["midpoint", "heun"], prediction_type=PREDICTION,
                  sigmas=SIGMAS):
        yield c, (4, 15)
    for c in axes(solver_order=[2, 3], sigmas=SIGMAS, final_sigmas_type=FINAL, lower_order_final=[True, False]):
        yield c, (6, 16)
    for c in axes(algorithm=algorithms, flow=FLOW, solver_order=[1, 2, 3], solver_type=["midpoint", "heun"]):
        yield c, (5,)
    for c in axes(algorithm=algorithms, prediction_type=PREDICTION, limit=[{"thresholding": True},
                                                                          {"thresholding": True, "sample_max_value": 2.5}]):
        yield c, (5,)
    for c in extra:
        yield c, (6, 15)


DPM_ALGORITHMS = [{}, {"algorithm_type": "sde-dpmsolver++"}, {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"},
                  {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"}]


def dpm_multistep():
    yield from dpm(DPM_ALGORITHMS, [
        {"euler_at_final": True}, {"euler_at_final": True, "lower_order_final": False, "final_sigmas_type": "sigma_min"},
        {"use_lu_lambdas": True}, {"lambda_min_clipped": -5.1}, {"lambda_min_clipped": -3.0, "timestep_spacing": "leading"},
        {"lambda_min_clipped": -3.0, "timestep_spacing": "trailing"}, {"solver_type": "logrho"}, ZERO_SNR,
        {"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 20.0}, {"use_karras_sigmas": True, "beta_schedule": "squaredcos_cap_v2"},
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "final_sigmas_type": "sigma_min"},
    ])


def dpm_inverse():
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=SPACING, solver_order=[1, 2, 3]):
        yield c, (1, 5, 16)
    for c in axes(solver_type=["midpoint", "heun"], solver_order=[2, 3], algorithm_type=["dpmsolver++", "dpmsolver"], sigmas=SIGMAS):
        yield c, (4, 15)
    yield {"use_karras_sigmas": True}, (40,)  # with repeated times
    for c in axes(limit=[{"thresholding": True}, {"lambda_min_clipped": -4.0}, {"euler_at_final": True}]):
        yield c, (5, 16)


def dpm_singlestep():
    for c, steps in dpm([a for a in DPM_ALGORITHMS if a.get("algorithm_type") != "sde-dpmsolver"],
                        [{"lambda_min_clipped": -5.1}, {"final_sigmas_type": "sigma_min"},
                         {"final_sigmas_type": "sigma_min", "solver_order": 3}]):
        c = {k: v for k, v in c.items() if k not in ("timestep_spacing", "steps_offset")}
        yield c, steps
    for order in (1, 2, 3):  # every remainder of the steps by the order
        yield {"solver_order": order, "lower_order_final": True}, (3, 4, 5, 6, 7, 8)


def unipc():
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=SPACING, solver_order=[1, 2, 3]):
        yield c, (1, 5, 16)
    for c in axes(solver_order=[1, 2, 3, 4], solver_type=["bh1", "bh2"], predict_x0=[True, False], prediction_type=PREDICTION,
                  final=[{"final_sigmas_type": "sigma_min"}]):
        yield c, (6, 15)
    for c in axes(solver_order=[2, 3], solver_type=["bh1", "bh2"], sigmas=SIGMAS, final_sigmas_type=FINAL, lower_order_final=[True, False]):
        yield c, (5, 16)
    for c in axes(flow=FLOW + [FLOW[0] | {"shift_terminal": 0.1234}, FLOW[0] | {"use_karras_sigmas": True}], solver_order=[1, 2, 3]):
        yield c, (5,)
    yield FLOW[0] | {"use_dynamic_shifting": True}, (5,), {"set_timesteps": {"mu": 0.8}, "flags": ["--mu", "0.8"]}
    yield FLOW[0] | {"use_dynamic_shifting": True, "time_shift_type": "linear"}, (5,), {"set_timesteps": {"mu": 0.8}, "flags": ["--mu", "0.8"]}
    for c in [{"disable_corrector": [0, 2]}, {"thresholding": True}, ZERO_SNR, {"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 20.0}]:
        yield c, (6,)


def deis():
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=SPACING, solver_order=[1, 2, 3]):
        yield c, (1, 5, 16)
    for c in axes(solver_order=[1, 2, 3], sigmas=SIGMAS, lower_order_final=[True, False]):
        yield c, (5, 16)
    for c in axes(flow=FLOW, solver_order=[1, 2, 3]):
        yield c, (5,)
    yield {"thresholding": True}, (5,)


def euler():
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=SPACING, sigmas=SIGMAS):
        yield c, (1, 5, 13)
    for c in axes(sigmas=SIGMAS, interpolation_type=["linear", "log_linear"], final_sigmas_type=FINAL):
        yield c, (6,)
    for c in axes(timestep_type=["continuous"], prediction_type=PREDICTION, sigmas=SIGMAS):
        yield c, (6,)
    yield {"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 20.0}, (6,)
    for spacing in SPACING:
        yield spacing | {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}, (6,)
    for c in axes(prediction_type=PREDICTION, sigmas=SIGMAS[:2]):
        yield c, (6,), CHURN


def euler_ancestral():
    for c in axes(betas=BETAS, prediction_type=["epsilon", "v_prediction"], spacing=SPACING):
        yield c, (1, 5, 13)
    yield ZERO_SNR, (6,)


def heun():
    for c in axes(betas=BETAS + [{"beta_schedule": "exp"}], prediction_type=PREDICTION, spacing=SPACING, sigmas=SIGMAS):
        yield c, (1, 5)
    for c in axes(prediction_type=PREDICTION, clip_sample=[True], clip_sample_range=[0.5, 1.0]):
        yield c, (6,)


def lms():
    for c in axes(betas=BETAS, prediction_type=PREDICTION, spacing=SPACING, sigmas=SIGMAS):
        yield c, (1, 7)


def pndm():
    for c in axes(betas=BETAS, prediction_type=["epsilon", "v_prediction"], spacing=SPACING, skip_prk_steps=[True, False],
                  set_alpha_to_one=[True, False]):
        yield c, (5, 8, 10, 13)


def edm_euler():
    for c in axes(sigma_schedule=["karras", "exponential"], prediction_type=["epsilon", "v_prediction"], final_sigmas_type=FINAL,
                  numbers=[{}, {"sigma_min": 0.02, "sigma_max": 50.0, "sigma_data": 1.0, "rho": 5.0}]):
        yield c, (2, 5, 12)
        yield c, (6,), CHURN


def edm_dpm():
    for c in axes(sigma_schedule=["karras", "exponential"], prediction_type=["epsilon", "v_prediction"], solver_order=[1, 2, 3],
                  solver_type=["midpoint", "heun"], numbers=[{}, {"sigma_min": 0.02, "sigma_max": 50.0, "sigma_data": 1.0, "rho": 5.0}]):
        yield c, (2, 5, 16)
    for c in axes(solver_order=[1, 2], solver_type=["midpoint", "heun"], algorithm_type=["sde-dpmsolver++"]):
        yield c, (6,)
    for c in axes(final_sigmas_type=FINAL, lower_order_final=[True, False], euler_at_final=[True, False], solver_order=[2, 3]):
        yield c, (6, 16)
    yield {"thresholding": True}, (5,)


def flow_euler():
    for c in axes(shift=[1.0, 3.0], sigmas=SIGMAS, terminal=[{}, {"shift_terminal": 0.1234}], stochastic_sampling=[False, True]):
        yield c, (1, 5, 12)
    yield {"invert_sigmas": True}, (5,)
    yield {"num_train_timesteps": 500}, (5,)
    for c in axes(use_dynamic_shifting=[True], time_shift_type=["exponential", "linear"], sigmas=SIGMAS):
        yield c, (5,), {"set_timesteps": {"mu": 0.8}, "flags": ["--mu", "0.8"]}


def flow_heun():
    for c in axes(shift=[1.0, 3.0], num_train_timesteps=[1000, 500]):
        yield c, (2, 5, 12)


def lcm():
    for c in axes(betas=BETAS[:3], prediction_type=PREDICTION, timestep_scaling=[10.0, 1.0], original_inference_steps=[50, 40]):
        yield c, (1, 4, 8)
    for c in axes(prediction_type=PREDICTION, limit=[{"clip_sample": True}, {"clip_sample": True, "clip_sample_range": 0.5},
                                                    {"thresholding": True, "sample_max_value": 2.0}]):
        yield c, (4,)


def tcd():
    for c in axes(betas=BETAS[:3], prediction_type=PREDICTION, eta=[0.0, 0.3, 1.0], original_inference_steps=[50, 40]):
        eta = c.pop("eta")
        yield c, (1, 4, 8), {"step": {"eta": eta}, "flags": ["--eta", str(eta)]}


def consistency():
    for c in axes(numbers=[{}, {"sigma_min": 0.02, "sigma_max": 50.0, "sigma_data": 1.0, "rho": 5.0}], clip_denoised=[True, False],
                  s_noise=[1.0, 0.5]):
        yield c, (1, 2, 5)


GENERATORS = dict(zip(MODULES, [ddpm, ddim, ddim_inverse, dpm_multistep, dpm_inverse, dpm_singlestep, unipc, deis, euler,
                                euler_ancestral, heun, lms, pndm, edm_euler, edm_dpm, flow_euler, flow_heun, lcm, tcd, consistency]))


def cases(only):
    for kind, generate in GENERATORS.items():
        if only and only not in kind:
            continue
        seen = set()
        for config, steps, *more in generate():
            for n in steps:
                case = Case(kind, config, n, **(more[0] if more else {}))
                if case.name() not in seen:
                    seen.add(case.name())
                    yield case


class Theirs:
    """What diffusers makes of a case: states and draws, or why there are none."""

    def __init__(self, modules, case):
        self.error, self.times, self.states, self.draws = "", [], [], []
        try:
            self.times, self.states, self.draws = run_diffusers(modules, case)
        except Exception as e:  # whatever it is, it is diffusers' answer
            self.error = f"{type(e).__name__}: {e}".split("\n")[0][:100]
        if not self.error and not np.isfinite(self.states).all():
            self.error = "not a number"


def trace(fluxion, folder, number, case, draws):
    """The answers of fluxion trace, or its errors, by mode; a mode that cannot differ from the one before is left out."""
    plain = ask(fluxion, folder, number, case, draws, "")
    answers = {"": plain}
    if plain[0] is None or plain[0]["scheduler"]["corrected"]:
        answers["diffusers"] = ask(fluxion, folder, number, case, draws, "diffusers")
    if plain[0] is not None and plain[0]["scheduler"]["repeated"]:
        answers["none"] = ask(fluxion, folder, number, case, draws, "none")
    return answers


def ask(fluxion, folder, number, case, draws, compat):
    """fluxion trace's answer, or its error."""
    config, noise = folder / f"{number}.json", folder / f"{number}.noise.json"
    config.write_text(json.dumps({"_class_name": case.kind} | case.config))
    noise.write_text(json.dumps(draws))
    command = [fluxion, "trace", "--scheduler", config, "--steps", str(case.steps), "--denoiser", "formula:" + FORMULA,
               "--z", ",".join(map(str, Z)), "--noise", f"@{noise}", "--json", *case.flags]
    if compat:
        command += ["--compat", compat]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, done.stderr.strip().split("\n")[-1]
    return json.loads(done.stdout), ""


def distance(ours, theirs):
    """The largest difference of a state, relative. Ours may leave a last call out that changes nothing."""
    pairs = list(zip(ours[:-1], theirs)) + [(ours[-1], theirs[-1])]
    worst = 0.0
    for a, b in pairs:
        a, b = np.array(a, dtype=float), np.array(b)  # null becomes NaN
        worst = max(worst, np.nan_to_num(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300), nan=math.inf))
    return worst


def judge(answer, error, theirs):
    """(verdict, detail, distance) of one trace."""
    if error:
        return "refused", error, math.inf
    if theirs.error:
        return "ours alone", theirs.error, math.inf
    d = distance(answer["states"], theirs.states)
    return ("agrees" if d <= TOLERANCE else "differs"), "", d


def fixture(case, theirs):
    eta, mu = case.step.get("eta"), case.set_timesteps.get("mu")
    churn = {key: case.step[name] for key, name in {"amount": "s_churn", "min": "s_tmin", "max": "s_tmax", "scale": "s_noise"}.items() if name in case.step}
    entry = {"config": {"_class_name": case.kind} | case.config, "steps": case.steps, "draws": theirs.draws,
             "times": theirs.times, "sample": theirs.states[-1]}
    return entry | ({"eta": eta} if eta is not None else {}) | ({"mu": mu} if mu is not None else {}) | ({"churn": churn} if churn else {})


def spread(kept, limit):
    """Cases that show every set of defects of each class once, and others evenly."""
    chosen = []
    for entries in kept.values():
        small = [(names, f) for names, f in entries if len(json.dumps(f)) < 1500]
        first = {}
        for names, f in small:
            first.setdefault((names, f["config"].get("prediction_type")), f)
        rest = [f for names, f in small if f not in first.values()]
        chosen += list(first.values()) + rest[:: max(1, len(rest) // limit)][:limit]
    return chosen


def report(path, described, counts, defects, refusals, failures, worst):
    total = sum(sum(c.values()) for c in counts.values())
    lines = [
        "# Agreement with diffusers",
        "",
        f"Written by `scripts/check_schedulers.py` with diffusers {diffusers.__version__}: {total} runs of diffusers' own loop in float64,",
        f"on the formula `{FORMULA}` in place of a network, each compared state by state with `fluxion trace --scheduler`.",
        "Agreement is 1e-6 of a state's largest value; stochastic schedulers were given the same draws.",
        "",
        "* **agrees**: as it is.",
        "* **corrected**: differs, and the trace names the defect of diffusers that it leaves out; with",
        "  `--compat diffusers` it agrees, unless the line under *What is refused* says why there is nothing to repeat.",
        "* **ours alone**: diffusers fails (an exception, or not a number) and Fluxion gives a finite sample.",
        "* **refused**: one line says why, and what would work.",
        "",
        "| class | runs | agrees | corrected | ours alone | refused | largest difference where it agrees |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in MODULES:
        if kind in counts:
            c = counts[kind]
            lines.append(f"| {kind} | {sum(c.values())} | {c['agrees']} | {c['corrected']} | {c['ours alone']} | {c['refused']} | {worst[kind]:.0e} |")
    lines += ["", "## Where diffusers departs from theory", "",
              "A **defect** is where the run is not what the config says: other steps than the grid's, another beginning or end, noise left in,",
              "wrong marginals, no number. A **convention** is where diffusers does what the config says in a way that others would do better:",
              "the sample is close, and closer with more steps; whoever has the config knows these pictures.", "",
              "| | defects | conventions |", "|---|---|---|",
              "| as it is | left out | kept |", "| `--compat diffusers` | kept | kept |", "| `--compat none` | left out | left out |", "",
              "Runs are those that it changes, alone or with others.", "",
              "| name | by default | runs | what and why |", "|---|---|---:|---|"]
    for name, about in described.items():
        kind, _, text = about.partition(": ")
        lines.append(f"| {name} | {kind} | {defects[name]} | {text} |")
    lines += ["",
              "Zero terminal SNR (`rescale_betas_zero_snr`) is each class's own: Euler's, DPM-Solver's and UniPC take ᾱ = 2⁻²⁴ at the last step, for",
              "z = x + σε and a multistep method need a finite λ there; DDIM and DDPM take 0, and refuse ε by name, which says nothing of x̂ there.", ]
    lines += ["", "## What is refused", "", "| class | as it is | with `--compat diffusers` | line |", "|---|---:|---:|---|"]
    lines += [f"| {kind} | {plain} | {compat} | {reason} |" for (kind, reason), (plain, compat) in sorted(refusals.items())]
    lines += ["", "## Where diffusers fails", "", "| class | runs | diffusers says |", "|---|---:|---|"]
    lines += [f"| {kind} | {n} | {reason} |" for (kind, reason), n in sorted(failures.items())]
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fluxion", type=Path)
    parser.add_argument("--only", default="", help="classes whose name contains this")
    parser.add_argument("--report", type=Path, help="write the table here")
    parser.add_argument("--fixtures", type=Path, help="write a selection of runs here, for go test")
    args = parser.parse_args()

    modules = {kind: in_float64(module) for kind, module in MODULES.items()}
    known = json.loads(subprocess.run([args.fluxion, "trace", "--list", "--json"], capture_output=True, text=True, check=True).stdout)
    described = {d["name"]: d["about"] for d in known["departures_of_diffusers"]}
    counts, worst = defaultdict(lambda: defaultdict(int)), defaultdict(float)
    defects, failures = defaultdict(int), defaultdict(int)
    refusals, kept, wrong = defaultdict(lambda: [0, 0]), defaultdict(list), []

    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = []
        for number, case in enumerate(cases(args.only)):
            theirs = Theirs(modules, case)
            draws = theirs.draws or Draws(7, 3 * case.steps + 16).values.tolist()
            jobs.append((case, theirs, pool.submit(trace, args.fluxion, Path(folder), number, case, draws)))
        for case, theirs, job in jobs:
            answers = job.result()
            plain, plain_error = answers[""]
            verdict, _, d = judge(plain, plain_error, theirs)
            names = set(plain["scheduler"]["corrected"]) if plain else set()
            if verdict == "differs" and names:
                verdict = "corrected"
            elif verdict == "agrees":
                worst[case.kind] = max(worst[case.kind], d)
            counts[case.kind][verdict] += 1
            if theirs.error:
                failures[case.kind, theirs.error] += 1
            again, again_error, far = judge(*answers["diffusers"], theirs) if "diffusers" in answers else (verdict, plain_error, d)
            for at, (outcome, reason) in enumerate([(verdict, plain_error), (again, again_error)]):
                if outcome == "refused":
                    refusals[case.kind, re.sub(r"^.*?" + case.kind + ": ", "", reason)][at] += 1
            theory, theory_error = answers.get("none", (plain, plain_error))
            if theory:
                names |= set(theory["scheduler"]["corrected"])
                if not theirs.error and distance(theory["states"], theirs.states) > TOLERANCE:
                    for name in names:
                        defects[name] += 1
            endless = [a for a, _ in answers.values() if a and not np.isfinite(np.array(a["states"][-1], dtype=float)).all()]
            if verdict == "differs" or again == "differs" or endless or theory_error != plain_error:
                wrong.append(f"{case.name()}: {verdict} {d:.1e}, with compat {again} {far:.1e}, {len(endless)} not finite {theory_error}")
            elif "agrees" in (verdict, again):
                kept[case.kind].append((tuple(sorted(names)), fixture(case, theirs)))

    for kind, c in counts.items():
        print(f"{kind:36} {dict(c)}  {worst[kind]:.0e}")
    for line in wrong:
        print("WRONG", line)
    if args.report:
        report(args.report, described, counts, defects, refusals, failures, worst)
    if args.fixtures:
        lines = [json.dumps(f, separators=(",", ":")) for f in spread(kept, 4)]
        args.fixtures.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        # The bytes that each class writes with its defaults.
        written = {kind: getattr(diffusers, kind)().to_json_string() for kind in MODULES}
        args.fixtures.with_name("defaults.json").write_text(json.dumps(written, indent=1) + "\n")
    print(f"{sum(sum(c.values()) for c in counts.values())} runs, {len(wrong)} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
