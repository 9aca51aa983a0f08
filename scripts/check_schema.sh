#!/usr/bin/env bash
# Holds the JSON Schema of settings against another program's validator: the schema itself, what config show and runs write,
# and mistakes that must not pass. Needs python3; jsonschema and ruamel.yaml come into a virtual environment of their own.
#
# FLUXION_SCHEMA  where the environment lives (default ~/.cache/fluxion/schema; about 20 MB)
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${FLUXION_SCHEMA:-$HOME/.cache/fluxion/schema}
if [[ ! -x $venv/bin/jsonschema ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet jsonschema==4.26.0 ruamel.yaml==0.18.16 >&2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/fluxion" ./cmd/fluxion
"$work/fluxion" train --size 8 --preset micro --batch 4 --images 8 --sample-count 0 --ema 2000,power --out "$work/run" -q
"$venv/bin/python" - "$work" <<'PY'
import json, subprocess, sys
from ruamel.yaml import YAML
from jsonschema import Draft202012Validator

work = sys.argv[1]
fluxion = lambda *args: subprocess.run([work + "/fluxion", *args], check=True, capture_output=True, text=True).stdout
commands = ["train", "sample", "eval", "sweep", "pairs", "convert", "inspect", "trace", "figures", "data info", "data check", "data pack", "data duplicates", "bench train"]
for command in commands:
    schema = json.loads(fluxion("config", "schema", *command.split()))
    Draft202012Validator.check_schema(schema)
    if command != "train":
        continue
    v = Draft202012Validator(schema)
    v.validate(json.load(open(work + "/run/config.json")))
    for preset in "micro", "tiny", "small", "cifar", "ddpm64":
        v.validate(YAML(typ="safe").load(fluxion("config", "show", "--preset", preset)))
        v.validate(json.loads(fluxion("config", "show", "--preset", preset, "--json")))
    v.validate({"ema": [2000, "power"], "optimizer": "sgd:momentum=0.8", "images": 1e5, "weighting": "min-snr:gamma=5"})
    for bad in ({"bacth": 4}, {"batch": 0}, {"batch": 8.5}, {"batch": "many"}, {"lr": 0}, {"label_drop": 1}, {"flip": "maybe"}, {"optimizer": "adma"}, {"fit": "cut"}, {"seed": -1}, {"beta1": 1}, []):
        if v.is_valid(bad):
            sys.exit(f"the schema lets {bad} pass")
print(f"the schemas of {len(commands)} commands are sound; train's takes what is written and no mistake")
PY
