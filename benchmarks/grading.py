"""How long does a class take: `gradlab check FOLDER` on 200 files, hostile ones among them?

The files are the shipped network with one equation each replaced by what a named mistake has there, right ones under
other names, lessons filled in, and attacks: endless loops, sleepers, crashes, hoarders of memory.
"""

from __future__ import annotations

import ast
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from measure import Result, Spread, Table, duration

from gradlab.classroom import grade_folder, write_lesson
from gradlab.manual import rnn
from gradlab.mistakes.catalogue import mistakes

LIMIT = 120.0  # seconds for 200 files on two cores
SOURCE = Path(rnn.__file__).read_text("utf-8")
HOSTILE = {
    "an endless loop": "while True: pass",
    "an endless loop in forward": "def forward(*a):\n    while True: pass",
    "a sleeper": "import time\ntime.sleep(1000)",
    "deaf to its timer": "def forward(*a):\n    import signal\n    signal.signal(14, 1)\n    while True: pass",
    "a crash": "import ctypes\nctypes.string_at(0)",
    "an exit": "import os\nos._exit(0)",
    "a fork bomb": "import os\nwhile True: os.fork()",
    "a hoarder": "held = [bytearray(2**30) for _ in range(100)]",
    "a flood": "import os\nfor _ in range(1000): os.write(1, bytes(2**20))",
    "a forger": "import os\nfor d in range(3, 64):\n    try: os.write(d, b'L' + bytes(8))\n    except OSError: pass",
    "no Python": "def f(:",
    "an error": "raise RuntimeError",
}
WANTED = {
    "right": ("agree",),
    "mistaken": ("disagree",),
    "lesson": ("cannot tell",),
    "hostile": ("refused", "agree"),
}


def mistaken(changes: Mapping[str, str]) -> str:
    """The shipped file with other right-hand sides, by the label at the end of an equation's line."""
    lines = SOURCE.splitlines()
    for node in sorted(ast.walk(ast.parse(SOURCE)), key=lambda node: -getattr(node, "lineno", 0)):
        if isinstance(node, ast.Assign):
            label = lines[(node.end_lineno or 0) - 1].rpartition("# ")[2].strip()
            if label in changes:
                target = ast.unparse(node.targets[0])
                wrong = f"{' ' * node.col_offset}{target} = {changes[label]}  # {label}"
                lines[node.lineno - 1 : node.end_lineno] = [wrong]
    return "\n".join(lines)


def enrolled(folder: Path, count: int) -> Counter[str]:
    """Write a class: of ten files five have a mistake, three are right, one is a lesson, and one is hostile."""
    known, attacks = [one for one in mistakes("rnn") if not one.square], list(HOSTILE.items())
    kinds: Counter[str] = Counter()
    for number in range(count):
        place, (kind, text) = number % 10, ("right", SOURCE)
        if place < 5:
            kind, text = "mistaken", mistaken(known[number % len(known)].changes)
        elif place == 8:
            kind, text = "lesson", write_lesson("rnn")
        elif place == 9:
            kind = "hostile"
            text = f"{SOURCE}\n{attacks[number // 10 % len(attacks)][1]}\n"
        kinds[kind] += 1
        (folder / f"{number:03}_{kind}.py").write_text(text, "utf-8")
    return kinds


def used() -> float:
    """Seconds of processor time of all children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def main() -> None:
    """Write a class, grade it, judge."""
    result = Result(__doc__.strip().splitlines()[0])
    count = 20 if result.quick else 200
    with tempfile.TemporaryDirectory(prefix="class-") as scratch:
        kinds = enrolled(Path(scratch), count)
        before, start = used(), time.perf_counter()
        report = grade_folder(scratch)
        seconds, spent = time.perf_counter() - start, used() - before
    table = Table(
        f"{count} files in {duration(seconds)}, {duration(spent)} of processor time",
        ["kind", "files", "agree", "disagree", "cannot tell", "refused", "median", "longest"],
    )
    wrong = []
    for kind, files in kinds.items():
        rows = [row for row in report.rows if row.file.endswith(f"_{kind}.py")]
        counts = [str(sum(row.verdict == verdict for row in rows)) for verdict in report.counts()]
        times = Spread.of(row.seconds for row in rows)
        table.rows.append([kind, str(files), *counts, duration(times.median), duration(times.largest)])
        wrong += [row.file for row in rows if row.verdict not in WANTED[kind]]
    table.note = "Hostile: " + ", ".join(HOSTILE) + ". A flood changes no number, so it agrees. Seconds of a file, of "
    table.note += "which as many are graded at once as there are processors."
    result.table(table)
    result.data = {"seconds": seconds, "processor": spent, "wrong": wrong, "report": report.to_json()}
    result.data["report"]["folder"] = "class"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    figure = f"{duration(seconds)} on {cores} cores, {duration(spent)} of processor time"
    result.target("grading.seconds", "200 files, hostile ones among them, in two minutes", figure, seconds < LIMIT)
    figure = f"{len(wrong)} of {count} files have another verdict"
    result.target("grading.verdicts", "each file has the verdict it was made for", figure, not wrong)
    result.close()


if __name__ == "__main__":
    main()
