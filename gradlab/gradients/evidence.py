"""What every oracle says of a gradient, and what rounding may have done to its float run.

certified            the formula: gradient and derivative both on balls; or, where the gradient does not run there,
                     its float run held against the enclosure
float_run            what the gradient gives in floats, against the enclosure, within the derived rounding bound
complex_step, finite_difference, twin      the float run against other derivatives
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradlab.arithmetic import bounds
from gradlab.checker.verdict import Judged, judge
from gradlab.gradients.enclosures import chain_rounding
from gradlab.gradients.runs import Arithmetic, Refused, gradients
from gradlab.gradients.subject import Subject

Array = np.ndarray[Any, Any]


@dataclass
class Evidence:
    """judged: by leaf and oracle. refused: why an oracle does not apply. truth: the best derivatives known, as floats.
    zero: the entries proven to be zero, or zero to a hundred digits, on both sides. estimated: oracles whose bounds are
    estimates. notes: what else was seen. witnesses: oracles asked in a few directions only.
    """

    judged: dict[str, dict[str, Judged]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    truth: dict[str, Array] = field(default_factory=dict)
    zero: dict[str, Array] = field(default_factory=dict)
    estimated: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    witnesses: dict[str, Judged] = field(default_factory=dict)
    bits: int | None = None

    def add(self, oracle: str, judged: dict[str, Judged]) -> None:
        for path, one in judged.items():
            self.judged.setdefault(path, {})[oracle] = one

    def drop(self, *oracles: str) -> None:
        for by_oracle in self.judged.values():
            for oracle in oracles:
                by_oracle.pop(oracle, None)


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


def gradient_rounding(subject: Subject, found: dict[str, Array]) -> tuple[dict[str, Array], str | None]:
    """Bounds on what rounding may have done to a float gradient; and, where they are an estimate, why."""
    try:
        return gradient_bounds(subject, found), None
    except Refused as refused:
        why = str(refused)
    estimate = _spread(subject, found)
    try:
        chain = chain_rounding(subject)
    except Refused:
        return estimate, why
    return {path: np.maximum(bound, chain[path]) for path, bound in estimate.items()}, why


def narrowest(subject: Subject, found: dict[str, Array]) -> Any:
    """The least precise dtype among the parameters and the gradients."""
    dtypes = [leaf.dtype for leaf in (*subject.params.leaves.values(), *found.values())]
    return np.dtype(np.float32 if any(dtype in (np.float32, np.float16) for dtype in dtypes) else np.float64)


def gradient_bounds(subject: Subject, found: dict[str, Array], *, blurred: bool = False) -> dict[str, Array]:
    """Derived bounds on what rounding may have done to a float gradient; `blurred`: constants are known to an ulp.

    Raises:
        Refused: the gradient does not run on error bounds.
    """
    arithmetic = Arithmetic(None, narrowest(subject, found), blurred=blurred)
    with arithmetic.entered():
        return {path: bounds(leaf) for path, leaf in gradients(subject, arithmetic).items()}


def _spread(subject: Subject, found: dict[str, Array]) -> dict[str, Array]:
    """An estimate from how far the gradient moves when every parameter moves by an ulp."""
    unit = float(np.finfo(narrowest(subject, found)).eps)
    rng = np.random.default_rng(0)
    moved: dict[str, Array] = {path: np.zeros(leaf.shape) for path, leaf in found.items()}
    for _ in range(4):
        leaves = {
            path: leaf * (1 + unit * rng.choice([-1, 1], leaf.shape)).astype(leaf.dtype)
            for path, leaf in subject.params.leaves.items()
        }
        trees = subject.call(
            lambda given: subject.gradients(subject.functions, given),
            subject.params.rebuilt(leaves),
            name=subject.gradient_name,
        )
        for path, leaf in subject.matched(trees).items():
            with np.errstate(all="ignore"):
                moved[path] = np.maximum(
                    moved[path], np.nan_to_num(np.abs(leaf.astype(float) - found[path]), nan=np.inf)
                )
    return {
        path: 8 * spread + 64 * unit * np.abs(found[path].astype(float)) + np.finfo(float).tiny
        for path, spread in moved.items()
    }
