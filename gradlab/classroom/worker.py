"""A grader in a process of its own: files in, rows out, a line of JSON each.

What a file does to its grader (a crash in a library, values that take for ever) is then said in the file's own row.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from typing import Any, TextIO

from gradlab.classroom.confine import die_with_parent
from gradlab.classroom.limits import Limits
from gradlab.classroom.row import REFUSED, Row, Task, judged
from gradlab.interrupts import held


def main(asked: TextIO = sys.stdin, answers: TextIO = sys.stdout) -> None:
    """Serve until no more is asked or a SIGTERM comes; a request holds the arguments of `judged`."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an exception, so that what is running is closed
    die_with_parent(signal.SIGTERM)
    with contextlib.suppress(KeyboardInterrupt):
        for line in asked:
            row = _row(json.loads(line))
            answers.write(json.dumps(row.to_json() | {"seconds": row.seconds}) + "\n")
            answers.flush()


def _row(said: dict[str, Any]) -> Row:
    task = Task(**said["task"])
    try:
        with held():
            return judged(task, Limits(**said["limits"]))
    except Exception as error:  # noqa: BLE001  a defect of gradlab's, which must not stop the other files
        text = f"gradlab failed on it: {type(error).__name__}: {error}"
        return Row(task.file, REFUSED, task.student, note=text, seed=task.seed)
