"""What every oracle says of a gradient.

certified            the formula: gradient and derivative both on balls
float_run            what the gradient gives in floats, against the enclosure, within the derived rounding bound
complex_step, finite_difference, twin      the float run against other derivatives
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradlab.checker.verdict import Judged, judge

Array = np.ndarray[Any, Any]


@dataclass
class Evidence:
    """judged: by leaf and oracle. refused: why an oracle does not apply. truth: the best derivatives known, as floats.
    zero: the entries proven to be zero, or zero to a hundred digits, on both sides. estimated: oracles whose bounds are
    estimates. notes: what else was seen. witnesses: oracles asked in a few directions only. kinks: entries that agree
    with one of several slopes at a tie.
    """

    judged: dict[str, dict[str, Judged]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    truth: dict[str, Array] = field(default_factory=dict)
    zero: dict[str, Array] = field(default_factory=dict)
    estimated: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    witnesses: dict[str, Judged] = field(default_factory=dict)
    kinks: dict[str, Array] = field(default_factory=dict)
    bits: int | None = None

    def add(self, oracle: str, judged: dict[str, Judged]) -> None:
        for path, one in judged.items():
            self.judged.setdefault(path, {})[oracle] = one

    def drop(self, *oracles: str) -> None:
        for by_oracle in self.judged.values():
            for oracle in oracles:
                by_oracle.pop(oracle, None)

    @property
    def is_certified(self) -> bool:
        return any("certified" in by_oracle for by_oracle in self.judged.values())


def against(
    found: dict[str, Array], rounding: dict[str, Array], values: dict[str, Array], errors: dict[str, Array]
) -> dict[str, Judged]:
    """A float run against another oracle's values and their bounds."""
    judged = {}
    for path in values:
        if path in found:
            judged[path] = judge(found[path], rounding[path], values[path], errors[path])
            if np.isfinite(errors[path]).any():
                refuse_infinite(found[path], judged[path], np.isfinite(errors[path]))
    return judged


def refuse_infinite(value: Array, judged: Judged, known: Any = True) -> None:
    """A value that is no number is wrong where the derivative is one, whatever rounding may do."""
    broken = ~np.isfinite(value) & known
    judged.disagree |= broken
    judged.agree &= ~broken
