"""Writes what was measured into engine/BENCHMARKS.md."""
import os, sys

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "engine", "BENCHMARKS.md")


def write(program, text):
    """Puts the text between the marks of a program."""
    begin, end = f"<!-- {program} begin -->", f"<!-- {program} end -->"
    with open(path) as f:
        old = f.read()
    if begin not in old or end not in old:
        sys.exit(f"{program}: {path} has no lines {begin} and {end} to write between")
    head, rest = old.split(begin, 1)
    with open(path, "w") as f:
        f.write(head + begin + "\n" + text + end + rest.split(end, 1)[1])
