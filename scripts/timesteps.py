"""Writes the time steps of diffusers' schedulers, for TestTimesteps of engine/scheduler.

    "$(scripts/peers.sh)" scripts/timesteps.py engine/scheduler/testdata/timesteps.json

For each class that has a discrete grid, each spacing, some lengths of the schedule and many numbers of steps it takes
the grid of diffusers as it is installed: `scheduler.timesteps`, without those that PNDM and Heun put between its entries. It
is kept as the CRC-32 of its times, each a little-endian float32, eight hexadecimal digits a number of steps; "failed  "
stands where diffusers fails and "outside " where a time is none of the schedule's. Configurations with the same grids stand
together.
"""

import json
import struct
import sys
import warnings
import zlib
from pathlib import Path

import diffusers

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()

# Every number of steps up to 100, where people sample, and some above.
STEPS = list(range(1, 101)) + [120, 150, 192, 200, 250, 333, 400, 500, 667, 750, 999, 1000]

SPACED = ["DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler", "DPMSolverMultistepInverseScheduler",
          "UniPCMultistepScheduler", "DEISMultistepScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
          "HeunDiscreteScheduler", "LMSDiscreteScheduler"]
SPACINGS = [{"timestep_spacing": "leading"}, {"timestep_spacing": "leading", "steps_offset": 1}, {"timestep_spacing": "linspace"},
            {"timestep_spacing": "trailing"}]
LENGTHS = [1000, 999, 100, 37]
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "final_sigmas_type": "sigma_min"}


def configs():
    for length in LENGTHS:
        for kind in SPACED:
            for spacing in SPACINGS:
                more = [{}]
                if kind == "PNDMScheduler":
                    more = [{"skip_prk_steps": True}, {"skip_prk_steps": False}]
                if kind.startswith("DPM"):
                    more = [{}, {"lambda_min_clipped": -3.0}]
                for m in more:
                    yield {"_class_name": kind, "num_train_timesteps": length} | spacing | m
        for spacing in SPACINGS:
            if spacing["timestep_spacing"] != "linspace":  # which the class does not have
                yield {"_class_name": "DDIMInverseScheduler", "num_train_timesteps": length} | spacing
        for m in ({}, {"lambda_min_clipped": -3.0}):
            yield {"_class_name": "DPMSolverSinglestepScheduler", "num_train_timesteps": length} | m
        for kind in ("DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler"):
            for shift in (1.0, 3.0):
                flow = {k: v for k, v in FLOW.items() if k != "final_sigmas_type" or kind != "DEISMultistepScheduler"}
                yield {"_class_name": kind, "num_train_timesteps": length, "flow_shift": shift} | flow
        for kind in ("LCMScheduler", "TCDScheduler"):
            for original in (50, 36):
                yield {"_class_name": kind, "num_train_timesteps": length, "original_inference_steps": original}


def grid(config, steps):
    scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
    scheduler.set_timesteps(steps)
    times = [float(t) for t in scheduler.timesteps]
    if config["_class_name"] == "PNDMScheduler":
        return [float(t) for t in scheduler._timesteps[::-1]]
    if config["_class_name"] == "HeunDiscreteScheduler":
        return times[:1] + times[1::2]
    return times


def digest(config, steps):
    try:
        times = grid(config, steps)
    except Exception:  # whatever it is, there is no grid
        return "failed  "
    if min(times) < 0 or max(times) > config["num_train_timesteps"] - 1:
        return "outside "
    return f"{zlib.crc32(struct.pack(f'<{len(times)}f', *times)):08x}"


groups = {}
for config in configs():
    steps = [s for s in STEPS if s <= config["num_train_timesteps"]]
    groups.setdefault("".join(digest(config, s) for s in steps), []).append(config)
rows = [json.dumps({"configs": configs, "crc": crc}, separators=(",", ":")) for crc, configs in groups.items()]
Path(sys.argv[1]).write_text("[\n" + ",\n".join(rows) + "\n]\n")
print(f"{sum(len(c) for c in groups.values())} configurations, {len(groups)} different")
