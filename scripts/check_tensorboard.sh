#!/usr/bin/env bash
# Trains for a moment and lets TensorBoard read the events back: every scalar of stats.jsonl must be there, the grids, the
# histograms and the settings. Needs python3; TensorBoard comes into a virtual environment of its own.
#
# FLUXION_TENSORBOARD  where the environment lives (default ~/.cache/fluxion/tensorboard; about 60 MB)
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${FLUXION_TENSORBOARD:-$HOME/.cache/fluxion/tensorboard}
if [[ ! -x $venv/bin/tensorboard ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet tensorboard==2.21.0 "setuptools<81" >&2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/fluxion" ./cmd/fluxion
run=$work/run
train=("$work/fluxion" train --out "$run" --size 16 --preset micro --sample-count 10 --sample-steps 2 --sample-every 400 --eval-every 400 --eval-count 16 --eval-real-count 64 --tensorboard)
"${train[@]}" --images 800 >"$work/log"
"${train[@]}" --images 1600 >>"$work/log" # goes on, in a file of its own
"$venv/bin/python" - "$run" <<'PY'
import json, sys
from tensorboard.backend.event_processing import event_accumulator as ea
from tensorboard.plugins.hparams import plugin_data_pb2

run = sys.argv[1]
events = ea.EventAccumulator(run + "/tensorboard", {ea.SCALARS: 0, ea.IMAGES: 0, ea.HISTOGRAMS: 0, ea.TENSORS: 0})
events.Reload()
lines = [json.loads(line) for line in open(run + "/stats.jsonl")]
checked = 0
for tag, key in ("train/loss", "loss"), ("train/lr", "lr"), ("train/grad_norm", "grad_norm"), ("train/images_per_second", "images_per_second"), ("eval/fd", "fd"):
    want = [(l["images"], l["metrics"][key] if "metrics" in l else l[key]) for l in lines if ("metrics" in l) == tag.startswith("eval")]
    got = [(e.step, e.value) for e in events.Scalars(tag)]
    assert len(got) == len(want), (tag, len(got), len(want))
    for (a, x), (b, y) in zip(got, want):
        assert a == b and abs(x - y) <= 1e-6 * abs(y), (tag, a, b, x, y)
        checked += 1
images = events.Images("samples")
assert [i.step for i in images] == [0, 400, 800, 1200, 1600], images
histograms = events.Tags()["histograms"]
for tag in histograms:
    for h in events.Histograms(tag):
        v = h.histogram_value
        assert sum(v.bucket) == v.num and v.min <= v.max and list(v.bucket_limit) == sorted(v.bucket_limit), (tag, v)
content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
settings = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
assert settings["preset"].string_value == "micro" and settings["size"].number_value == 16, settings
print(f"TensorBoard reads {checked} scalars as stats.jsonl has them, {len(images)} grids, {len(histograms)} histograms, {len(settings)} settings")
PY
