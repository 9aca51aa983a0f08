"""Times Fluxion, PyTorch and OpenVINO in turn on this machine: see bench-peers.sh, which runs this."""
import argparse, datetime, json, os, platform, re, statistics, subprocess, sys

import report

here = os.path.dirname(os.path.abspath(__file__))

# mode, preset, batch, precision, peer; avx2 forces that instruction set on both.
WORK = """
train cifar 16 bf16 torch
train cifar 16 fp32 torch
train small 32 bf16 torch
train tiny 64 bf16 torch
train cifar 16 fp32 torch avx2
sample cifar 16 bf16 openvino
sample cifar 16 fp32 openvino
sample cifar 1 bf16 openvino
sample tiny 64 bf16 openvino
"""


def environment(avx2):
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env["CUDA_VISIBLE_DEVICES"] = ""
    if avx2:
        env.update(FLUXION_CPU="avx2", ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2")
    return env


def run(command, env):
    p = subprocess.run(command, env=env, capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"bench-peers: {' '.join(command)}: {p.stderr.strip() or p.stdout.strip()}")
    return p.stdout


def ours(binary, mode, preset, batch, precision, env, steps):
    r = json.loads(run([binary, "bench", mode, "--device", "cpu", "--preset", preset, "--batch", batch, "--precision", precision, "--steps", steps, "--json"], env))
    return r["images_per_second"], r["resident_bytes"] / 1e9, r["start_to_first_step_seconds"]


def theirs(peer, mode, preset, batch, precision, env, steps):
    script = [sys.executable, os.path.join(here, peer + "_unet.py"), preset, batch, precision]
    if peer == "torch":
        script.append("fwd" if mode == "sample" else "train")
    out = run(script + [steps], env)
    m = re.search(r"first step after ([\d.]+) s, peak RSS ([\d.]+) GB.* ([\d.]+) img/s", out)
    return float(m[3]), float(m[2]), float(m[1])


def table(binary, rounds, steps, work):
    rows = ["| work | Fluxion img/s min, median | peer | peer img/s min, median | ratio of medians | resident GB | first step s |", "|---|---|---|---|---|---|---|"]
    for line in work:
        mode, preset, batch, precision, peer, *rest = line.split()
        env = environment("avx2" in rest)
        a, b = [], []
        for _ in range(rounds):
            a.append(ours(binary, mode, preset, batch, precision, env, steps))
            b.append(theirs(peer, mode, preset, batch, precision, env, steps))
        column = lambda runs, i: [r[i] for r in runs]
        median = lambda runs, i: statistics.median(column(runs, i))
        name = f"`{preset}` batch {batch}, {'training' if mode == 'train' else 'forward'}, {precision}{', AVX2' if rest else ''}"
        pair = lambda i: f"{median(a, i):.2f} of {median(b, i):.2f}"
        rows.append(f"| {name} | {min(column(a, 0)):.2f}, {median(a, 0):.2f} | {peer} | {min(column(b, 0)):.2f}, {median(b, 0):.2f} "
                    f"| {median(a, 0) / median(b, 0):.2f} | {pair(1)} | {pair(2)} |")
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main():
    p = argparse.ArgumentParser(prog="bench-peers.sh")
    p.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", default="3", help="steps timed in a run")
    p.add_argument("--work", action="append", help="'mode preset batch precision peer [avx2]', as often as wanted")
    p.add_argument("--write", action="store_true", help="put the table into engine/BENCHMARKS.md")
    o = p.parse_args()
    doctor = json.loads(run([o.binary, "doctor", "--json"], environment(False)))
    import openvino, torch
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.processor())
    command = "scripts/bench-peers.sh " + " ".join(f"'{a}'" if " " in a else a for a in sys.argv[1:] if a not in ("--binary", o.binary))
    text = (f"{datetime.date.today()}, {os.cpu_count()} cores of {cpu} ({' '.join(doctor['features'])}); PyTorch {torch.__version__}, OpenVINO {openvino.__version__.split('-')[0]}; "
            f"{o.rounds} rounds in turn.\n`{command.strip()}`\n\n")
    text += "\n".join(table(o.binary, o.rounds, o.steps, o.work or WORK.strip().splitlines())) + "\n"
    print(text)
    if o.write:
        report.write("bench-peers", text)


main()
