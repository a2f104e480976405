"""What each equation is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gradlab.cells import Cell
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.lesson import Grade, Status


@dataclass(frozen=True)
class Points:
    """Points by label; an equation that is not among them is worth 1."""

    worth: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, texts: Iterable[str], cell: Cell) -> Points:
        """From texts like "rnn.delta_implicit=3", or "delta_implicit=3".

        Raises:
            SubmissionError: one is none of these, no equation of the cell, or its number is negative.
        """
        worth = {}
        for text in texts:
            label, _, number = text.partition("=")
            label = label if "." in label else f"{cell.name}.{label}"
            if label not in cell.equations:
                raise SubmissionError(f"--points {text}: {cell.name} has no equation {label}")
            try:
                worth[label] = float(number)
            except ValueError:
                worth[label] = -1.0
            if not 0 <= worth[label] < math.inf:
                raise SubmissionError(f"--points {text}: wanted LABEL=NUMBER, the number at least 0")
        return cls(worth)

    def of(self, grade: Grade) -> Grade:
        """The grade with the points that it brings, and those it could have brought."""
        worth = self.worth.get(grade.label, 1.0)
        return replace(grade, points=worth if grade.status is Status.RIGHT else 0.0, out_of=worth)


def shown(number: float) -> str:
    """Points as people write them: 2, 2.5."""
    return f"{number:g}"
