"""A grader in a process of its own: files in, rows out, a line of JSON each.

What a file does to its grader (a crash in a library, values that take for ever) is then said in the file's own row.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TextIO

from gradlab.grading.confine import die_with_parent
from gradlab.grading.limits import Limits
from gradlab.grading.row import REFUSED, Row, judged


def main(asked: TextIO = sys.stdin, answers: TextIO = sys.stdout) -> None:
    """Serve until no more is asked; a request holds the arguments of `judged`."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(1)

    signal.signal(signal.SIGTERM, end)  # an exception, so that what is running is closed
    die_with_parent(signal.SIGTERM)
    for line in asked:
        said = json.loads(line)
        limits = Limits(**said["limits"])
        try:
            row = judged(Path(said["path"]), said["file"], said["cell"], limits, said["diagnosis"])
        except Exception as error:  # noqa: BLE001  a defect of gradlab's, which must not stop the other files
            row = Row(said["file"], REFUSED, note=f"gradlab failed on it: {type(error).__name__}: {error}")
        answers.write(json.dumps(row.to_json()) + "\n")
        answers.flush()
