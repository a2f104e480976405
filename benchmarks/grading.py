"""How long does a class take: `gradlab check FOLDER` on 200 students, and is every score the one planned by hand?

Twelve styles of layout and failure, in turn: files and folders a student, lessons and whole files, notebooks, blanks,
misspelt names, endless loops, lost labels, files that are no Python, that crash, that look for the answers.
"""

from __future__ import annotations

import ast
import json
import os
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from measure import Result, Spread, Table, duration

from gradlab.classroom import grade_folder, write_lesson
from gradlab.manual import rnn
from gradlab.mistakes.catalogue import mistakes

LIMIT = 120.0  # seconds for 200 files on two cores
SEED = 2026
SOURCE = Path(rnn.__file__).read_text("utf-8")
LABEL = re.compile(r"= \.\.\. +# (\w+\.\w+)$", re.MULTILINE)
ATTACKS = {
    "an endless loop": "while True: pass",
    "a sleeper": "import time\ntime.sleep(1000)",
    "a crash": "import ctypes\nctypes.string_at(0)",
    "an exit": "import os\nos._exit(0)",
    "a fork bomb": "import os\nwhile True: os.fork()",
    "a hoarder": "held = [bytearray(2**30) for _ in range(100)]",
    "a forger": (
        "import os\nfor d in range(3, 64):\n    try: os.write(d, bytes(9))\n    except OSError: pass\nos._exit(0)"
    ),
    "the answers": "from gradlab.manual.rnn import bptt",
}


class Planned(NamedTuple):
    """A file of the class: where it lies in the folder, its text, and what is planned for it."""

    name: str
    text: str
    verdict: str
    score: float | None
    out_of: float | None


def answers() -> dict[str, str]:
    """The right-hand side of each labelled line of the shipped file, by label."""
    found = {}
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Assign):
            found[SOURCE.splitlines()[(node.end_lineno or 0) - 1].rpartition("# ")[2].strip()] = ast.unparse(node.value)
    return found


def lesson(changes: Mapping[str, str]) -> str:
    """A lesson filled in with what is right, and with what is not where `changes` has it."""
    right = answers() | changes
    filled = LABEL.sub(lambda match: f"= {right[match[1]]}  # {match[1]}", write_lesson("rnn"))
    return filled.replace("import numpy as np\n", "import numpy as np\nfrom gradlab.manual.gates import multiply\n")


def notebook(text: str) -> str:
    """The text as a notebook's code cells."""
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": part}
        for part in text.split("\n\n\n")
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def planned(number: int) -> Planned:
    """The file of one student."""
    who, turn = f"student {number:03}", number // 12
    known = [one for one in mistakes("rnn") if not one.square and len(one.changes) == 1]
    one, (attack, code) = known[turn % len(known)], list(ATTACKS.items())[turn % len(ATTACKS)]
    helped = SOURCE.replace("= (y_hat - y) * y_hat", "= difference(y_hat, y) * y_hat")
    styles = [
        Planned(f"{who}.py", SOURCE, "agree", 14, 14),
        Planned(f"{who}/lesson.py", lesson({}), "agree", 9, 9),
        Planned(f"{who}_77_assignsubmission_file_/lesson.ipynb", notebook(lesson({})), "agree", 9, 9),
        Planned(f"{who} {one.name}.py", mistaken(one.changes), "disagree", 13, 14),
        Planned(f"{who}/blanks.py", lesson({"rnn.grad_x": "...", "rnn.grad_W_input": "..."}), "cannot tell", 7, 9),
        Planned(f"{who}/misspelt.py", lesson({"rnn.delta_hidden": "delta_explict[t]"}), "disagree", 8, 9),
        Planned(f"{who}/endless.py", lesson({"rnn.grad_W_hidden": "[0 for _ in iter(int, 1)]"}), "disagree", 8, 9),
        Planned(f"{who}/lost.py", lesson({}).replace("# rnn.grad_W_output", ""), "cannot tell", 8, 9),
        Planned(f"{who}/typo.py", lesson({"rnn.delta_implicit": "multiply(delta_hidden[t + 1]"}), "disagree", 8, 9),
        Planned(
            f"{who}/late.py",
            SOURCE.replace("multiply(delta_hidden, W_input.T)", "multiply(delta, W_input.T)"),
            "refused",
            13,
            14,
        ),
        Planned(f"{who} {attack}.py", f"{SOURCE}\n{code}\n", "refused", 0, 14),
        Planned(f"{who}/helped.py", f"{helped}\nfrom helper import difference\n", "agree", 14, 14),
    ]
    return styles[number % len(styles)]


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


def enrolled(folder: Path, count: int) -> list[Planned]:
    """Write a class; what is planned for every file of it, in the order of their names."""
    found = []
    for number in range(count):
        one = planned(number)
        found.append(one)
        if one.name.endswith("helped.py"):
            helper = Planned(f"{Path(one.name).parent}/helper.py", HELPER, "not judged", None, None)
            found.append(helper)
    for one in found:
        (folder / one.name).parent.mkdir(parents=True, exist_ok=True)
        (folder / one.name).write_text(one.text, "utf-8")
    return sorted(found, key=lambda one: one.name)


HELPER = "def difference(a, b):\n    return a - b\n"


def style(name: str) -> str:
    """What kind of file it is, by its name."""
    plain = re.sub(r"^student \d+(_77_\w+)?", "", name.removesuffix(".py")).strip(" /")
    if plain in ATTACKS:
        return "an attack"
    named = {"": "a whole file", "lesson.ipynb": "a notebook", "lesson": "a lesson"} | {one: one for one in STYLES}
    return named.get(plain, "a mistake")


STYLES = ("blanks", "misspelt", "endless", "lost", "typo", "late", "helped", "helper")


def used() -> float:
    """Seconds of processor time of all children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def main() -> None:
    """Write a class, grade it twice, judge."""
    result = Result(__doc__.strip().splitlines()[0])
    count = 24 if result.quick else 200
    with tempfile.TemporaryDirectory(prefix="class-") as scratch:
        plan = enrolled(Path(scratch), count)
        before, start = used(), time.perf_counter()
        report = grade_folder(scratch, seed=SEED)
        seconds, spent = time.perf_counter() - start, used() - before
        again = grade_folder(scratch, seed=SEED)
    table = Table(
        f"{count} students in {duration(seconds)}, {duration(spent)} of processor time",
        ["style", "files", "as planned", "median", "longest"],
    )
    by_name = {row.file: row for row in report.rows}
    wrong = [one.name for one in plan if one.name not in by_name or not as_planned(one, by_name[one.name])]
    kinds = Counter(style(one.name) for one in plan)
    for kind, files in kinds.items():
        rows = [by_name[one.name] for one in plan if style(one.name) == kind and one.name in by_name]
        times = Spread.of(row.seconds for row in rows)
        right = sum(one.name not in wrong for one in plan if style(one.name) == kind)
        table.rows.append([kind, str(files), str(right), duration(times.median), duration(times.largest)])
    table.note = "Attacks: " + ", ".join(ATTACKS) + ". Seconds of a file, of which as many are graded at once as there "
    table.note += "are processors."
    result.table(table)
    same = report.to_csv() == again.to_csv() and report.to_json() | {"folder": ""} == again.to_json() | {"folder": ""}
    result.data = {"seconds": seconds, "processor": spent, "wrong": wrong, "same": same}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    figure = f"{duration(seconds)} on {cores} cores, {duration(spent)} of processor time"
    result.target("grading.seconds", "200 students, twelve styles of files, in two minutes", figure, seconds < LIMIT)
    figure = f"{len(wrong)} of {len(plan)} files have another verdict or another score"
    result.target("grading.verdicts", "each file has the verdict and the score planned by hand", figure, not wrong)
    figure = "byte-identical" if same else "not the same"
    result.target("grading.same", "the table is the same twice", figure, same)
    result.close()


def as_planned(one: Planned, row: object) -> bool:
    """Whether a file's row says what was planned."""
    return all(getattr(row, name) == getattr(one, name) for name in ("verdict", "score", "out_of"))


if __name__ == "__main__":
    main()
