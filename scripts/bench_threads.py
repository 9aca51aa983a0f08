"""Compares one thread with all: whole steps, and launch by launch. bench-scaling.sh has its tables."""
import collections, os, statistics


def in_turn(rounds):
    """One thread and all (0), in an order that turns with every round: neither has the machine to itself longer."""
    return [[1, 0] if i % 2 == 0 else [0, 1] for i in range(rounds)]


def by_threads(bench, preset, batch, size, rounds):
    """The fastest steps of each, and the ratios of the rounds: others may use the machine, too."""
    flop = bench.plan(preset, batch, size)["flops"]
    fastest, ratios, many = {}, [], os.cpu_count()
    for turn in in_turn(rounds):
        step = {}
        for threads in turn:
            r = bench.train(preset, batch, size, flop, threads=threads, steps=3)
            if r is None:
                break
            many = max(many if threads == 0 else 1, r["threads"])
            step[threads] = r["step_seconds"]["min"]
            fastest[threads] = min(fastest.get(threads, 1e9), step[threads])
        if len(step) == 2:
            ratios.append(step[1] / step[0])
    if not ratios:
        return ["No time was left for one thread and all in turn."]
    return [f"`{preset}`, batch {batch}: {1e3 * fastest[1]:.0f} ms on one thread, {1e3 * fastest[0]:.0f} ms on {many}: {fastest[1] / fastest[0]:.2f} times as fast; "
            f"median of {len(ratios)} rounds {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}."]


def by_launch(bench, preset, batch, rounds, top=30):
    """The fastest of every launch on one thread and on all, those first where most time is lost to what threads there are."""
    seconds, times, many = {1: {}, 0: {}}, {}, os.cpu_count()
    for turn in in_turn(rounds):
        for threads in turn:
            ops = bench.call("bench", "ops", "--preset", preset, "--batch", batch, "--precision", bench.precision, "--threads", threads)["ops"]
            for op in ops:
                name = f"{op['operator']}: {op['operands']}"
                seconds[threads][name] = min(seconds[threads].get(name, 1e9), op["seconds"])
                times[name] = op["times"]
    kinds = {1: collections.Counter(), 0: collections.Counter()}
    for threads, launches in seconds.items():
        for name, t in launches.items():
            kinds[threads][name.split()[0].rstrip(":")] += t
    head = ["| {} | times | ms on 1 | ms on {} | ratio | lost ms |", "|---|---|---|---|---|---|"]

    def rows(title, one, all, count):
        lost = {name: all[name] - one[name] / many for name in one}
        order = sorted(one, key=lambda name: -lost[name])[:top]
        return [head[0].format(title, many), head[1]] + [
            f"| {n} | {count.get(n, '')} | {1e3 * one[n]:.2f} | {1e3 * all[n]:.2f} | {one[n] / all[n]:.2f} | {1e3 * lost[n]:.2f} |" for n in order if all[n] > 0]

    total = {threads: sum(launches.values()) for threads, launches in seconds.items()}
    steps = {}
    for threads in (1, 0):
        r = bench.call("bench", "train", "--preset", preset, "--batch", batch, "--precision", bench.precision, "--threads", threads, "--steps", 5)
        steps[threads] = r["step_seconds"]["min"]
    gap = ", ".join(f"{1e3 * steps[t]:.0f} ms a step and {1e3 * total[t]:.0f} ms in launches on {t or many}" for t in (1, 0))
    return [f"`{preset}`, batch {batch}, the fastest of {rounds} rounds in turn: {gap}; launches together {total[1] / total[0]:.2f} times as fast.", ""] + rows(
        "kind", kinds[1], kinds[0], {}) + [""] + rows("launch", seconds[1], seconds[0], times)
