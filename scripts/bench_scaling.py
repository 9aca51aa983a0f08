"""Times training by batch, resolution, recomputation and threads: see bench-scaling.sh, which runs this."""
import argparse, datetime, json, os, platform, subprocess, sys, time

import report
from bench_threads import by_launch, by_threads

PER_CELL = 6  # seconds of steps for one number, if the limit allows


class Bench:
    """Runs of the program, as long as there is time for them."""

    def __init__(self, binary, precision, limit):
        self.binary, self.precision, self.end = binary, precision, time.monotonic() + limit
        self.rate = {}  # FLOP/s of the last run, by threads

    def call(self, *arguments):
        p = subprocess.run([self.binary, *map(str, arguments), "--json"], capture_output=True, text=True)
        if p.returncode:
            sys.exit(f"bench-scaling: {' '.join(map(str, arguments))}: {p.stderr.strip()}")
        return json.loads(p.stdout)

    def plan(self, preset, batch, size):
        return self.call("inspect", "--preset", preset, "--batch", batch, "--size", size, "--precision", self.precision)

    def train(self, preset, batch, size, flop, recompute="none", threads=0, steps=None):
        """A run of as many steps as suit; None if they would end too late."""
        step = flop / self.rate.get(threads, 5e10)
        steps = steps or max(1, min(10, int(PER_CELL / step) - 1))
        if time.monotonic() + (steps + 1) * step * 1.3 + 2 > self.end:
            return None
        r = self.call("bench", "train", "--preset", preset, "--batch", batch, "--size", size, "--precision", self.precision,
                      "--steps", steps, "--recompute", recompute, "--threads", threads)
        self.rate[threads] = r["flops"]
        print(f"{preset} batch {batch} of {size}, {recompute}, threads {threads or 'all'}: {r['images_per_second']:.2f} img/s", file=sys.stderr, flush=True)
        return r


def mib(n):
    return f"{n / 2**20:,.0f}"


def by_batch(bench, preset, batches, sizes):
    """images/s | planned MiB | resident MiB for every batch and size."""
    rows = ["| batch |" + "".join(f" {s}×{s}: img/s | GFLOP/s | planned | resident MiB |" for s in sizes), "|---|" + "---|" * 4 * len(sizes)]
    off, lines = 0, []
    announced = {s: bench.plan(preset, 16, s)["memory"][0] for s in sizes}
    for batch in batches:
        row = f"| {batch} |"
        for s in sizes:
            plan, a = bench.plan(preset, batch, s), announced[s]
            said = max(l["fixed_bytes"] + l["bytes_per_image"] * batch for l in a["lines"])
            off = max(off, abs(said / plan["planned_bytes"] - 1))
            r = bench.train(preset, batch, s, plan["flops"])
            row += f" {r['images_per_second']:.1f} | {r['flops'] / 1e9:.0f} |" if r else " – | – |"
            row += f" {mib(plan['planned_bytes'])} | {mib(r['resident_bytes']) if r else '–'} |"
        rows.append(row)
    for s, a in announced.items():
        each = [f"{mib(l['fixed_bytes'])} + {l['bytes_per_image'] / 2**20:.2f} · batch" for l in a["lines"]]
        lines.append(f"{', '.join(each)} MiB at {s}×{s}")
    return rows + ["", f"Memory as announced at batch 16, the largest of: {'; '.join(lines)}. The plans are off that by {100 * off:.1f} % at most."]


def by_recomputation(bench, preset, batch, size):
    rows = ["| recompute | img/s | planned MiB | resident MiB | arithmetic | traffic |", "|---|---|---|---|---|---|"]
    plan = bench.plan(preset, batch, size)
    for m in plan["memory"]:
        r = bench.train(preset, batch, size, plan["flops"] + m["more_flops"], m["recompute"])
        rows.append(f"| `{m['recompute']}` | {r['images_per_second']:.2f} |" if r else f"| `{m['recompute']}` | – |")
        rows[-1] += (f" {mib(m['planned_bytes'])} | {mib(r['resident_bytes']) if r else '–'} |"
                     f" +{100 * m['more_flops'] / plan['flops']:.1f} % | +{100 * m['more_bytes'] / plan['bytes']:.1f} % |")
    return rows


def main():
    p = argparse.ArgumentParser(prog="bench-scaling.sh")
    p.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    p.add_argument("--limit", type=float, default=290, help="seconds")
    p.add_argument("--preset", default="small", help="by batch and resolution")
    p.add_argument("--network", default="cifar", help="the preset of the other tables")
    p.add_argument("--precision", default="bf16")
    p.add_argument("--batches", default="1,2,4,8,16,32,64,128")
    p.add_argument("--sizes", default="16,32,64")
    p.add_argument("--rounds", type=int, default=3, help="of one thread and all in turn")
    p.add_argument("--launches", action="store_true", help="print one thread against all launch by launch, and nothing else")
    p.add_argument("--write", action="store_true", help="put the tables into engine/BENCHMARKS.md")
    o = p.parse_args()
    numbers = lambda text: [int(n) for n in text.split(",")]
    bench = Bench(o.binary, o.precision, o.limit)
    if o.launches:
        print("\n".join(by_launch(bench, o.network, 16, o.rounds)))
        return
    sections = [
        by_threads(bench, o.network, 16, 32, o.rounds),
        by_recomputation(bench, o.network, 16, 32),
        by_batch(bench, o.preset, numbers(o.batches), numbers(o.sizes)),
    ]
    doctor = bench.call("doctor")
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.processor())
    command = " ".join(["scripts/bench-scaling.sh", *(a for a in sys.argv[1:] if a not in ("--binary", o.binary))])
    text = f"{datetime.date.today()}, {os.cpu_count()} cores of {cpu} ({' '.join(doctor['features'])}); training, {o.precision}.\n`{command}`\n\n"
    text += f"Threads: {sections[0][0]}\n\n`{o.network}`, batch 16, with every recomputation:\n\n" + "\n".join(sections[1])
    text += f"\n\n`{o.preset}`, by batch and resolution:\n\n" + "\n".join(sections[2]) + "\n"
    print(text)
    if o.write:
        report.write("bench-scaling", text)


main()
