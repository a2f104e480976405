"""What the wrong leaves have to do with the right ones: one operation that leads from these to those, at every point.

Floats only choose what is worth asking: the operation is undone, and the oracle says whether what is left is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gradlab.gradients.conventions import Conventions
from gradlab.gradients.findings import Findings
from gradlab.gradients.hints import EXPLAINED, Likeness
from gradlab.gradients.kinds import Kind
from gradlab.gradients.repair.probes import Change, Probes
from gradlab.gradients.repair.search import near

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Relation:
    """One operation: its class, in words, and who vouches for it."""

    kind: Kind
    said: str
    report: Findings


def relations(probes: Probes, wrong: list[str]) -> Iterator[Relation]:
    """The operations that explain all that is wrong."""
    found, right = probes.report.found, probes.report.evidence.truth
    tried = [
        *_factor(found, right, wrong),
        *_clip(probes, wrong),
        *_penalty(probes, wrong),
        *_moved(found, right, wrong),
    ]
    for kind, said, change in tried:
        report = probes.right_as(change) if isinstance(change, Conventions) else probes.right_after(change)
        if report is not None:
            yield Relation(kind, said, report)
            return


Tried = tuple[Kind, str, Any]


def _factor(found: Mapping[str, Array], right: Mapping[str, Array], wrong: list[str]) -> Iterator[Tried]:
    """One factor for all leaves that are wrong."""
    factors = [_exact(found[path], right[path]) for path in wrong]
    first = factors[0]
    if first is None or any(one is None or abs(one / first - 1) > EXPLAINED for one in factors):
        return
    inverse = _simple(1 / first)
    if inverse is None:
        return
    whole = len(wrong) == len(found)
    who = "every leaf" if whole else ", ".join(wrong)
    if inverse[0] == -1:
        yield Kind.SIGN, f"{who}: the negative of what it should be", _scaled(wrong, -1)
        return
    yield Kind.FACTOR, f"{who}: right but for the factor {_said(first)}", _scaled(wrong, inverse)


def _scaled(wrong: list[str], by: Any) -> Change:
    def change(leaves: dict[str, Array], params: Mapping[str, Any]) -> dict[str, Array]:
        return {path: _times(leaf, by) if path in wrong else leaf for path, leaf in leaves.items()}

    return change


def _times(leaf: Array, by: Any) -> Array:
    if by == -1:
        return -leaf
    number, root = by
    made = leaf * number.numerator / number.denominator
    if not root:
        return made
    square = leaf * 0 + number.numerator
    return leaf * np.sqrt(square) / np.sqrt(leaf * 0 + number.denominator)


def _exact(value: Array, right: Array) -> float | None:
    likeness = Likeness(value, right)
    close = likeness.residual is not None and likeness.residual <= EXPLAINED
    return likeness.factor if close and likeness.factor else None


def _simple(factor: float) -> tuple[Any, bool] | None:
    """A factor as a fraction, or as the root of one: (fraction, whether its root is meant)."""
    if abs(factor + 1) <= EXPLAINED:
        return -1, False
    for root in (False, True):
        power = factor * abs(factor) if root else factor
        fraction = Fraction(power).limit_denominator(1000)
        if fraction and abs(float(fraction) / power - 1) <= EXPLAINED and (not root or factor > 0):
            return fraction, root
    return None


def _said(factor: float) -> str:
    found = _simple(factor)
    if found is None or found[0] == -1:
        return f"{factor:.9g}"
    return f"sqrt({found[0]})" if found[1] else str(found[0])


def _clip(probes: Probes, wrong: list[str]) -> Iterator[Tried]:
    """Entries cut off at one limit."""
    conventions = probes.conventions
    if conventions.clip is not None:
        return
    found, right = probes.report.found, probes.report.evidence.truth
    limit = max(float(np.abs(leaf).max(initial=0.0)) for leaf in found.values())
    if not 0 < limit < np.inf or sum(int((np.abs(found[path]) == limit).sum()) for path in found) < 2:
        return
    if all(near(found[path], np.clip(right[path], -limit, limit)) for path in found if path in right):
        said = f"every entry is cut off at {limit:.6g}: declare clip={limit:g}"
        yield Kind.CLIPPED, said, Conventions(conventions.sign, conventions.scale, limit)


def _penalty(probes: Probes, wrong: list[str]) -> Iterator[Tried]:
    """A multiple of the parameter itself, too much or too little."""
    report = probes.report
    leaves = report.subject.wide.leaves
    factors = {}
    for path in wrong:
        factor = _exact(
            report.found[path] - report.evidence.truth[path], np.broadcast_to(leaves[path], report.found[path].shape)
        )
        if factor is None:
            return
        factors[path] = Fraction(factor).limit_denominator(10000)
        if not factors[path] or abs(float(factors[path]) / factor - 1) > EXPLAINED:
            return

    def change(found: dict[str, Array], params: Mapping[str, Any]) -> dict[str, Array]:
        made = dict(found)
        for path, factor in factors.items():
            made[path] = found[path] - params[path] * factor.numerator / factor.denominator
        return made

    said = ", ".join(f"{path} by {float(factor):g}" for path, factor in factors.items())
    yield (
        Kind.LOSS,
        f"off by a multiple of the parameter itself ({said}): a penalty of another weight, or of none",
        change,
    )


def _moved(found: Mapping[str, Array], right: Mapping[str, Array], wrong: list[str]) -> Iterator[Tried]:
    """A leaf that is the right one transposed, or another leaf's."""
    if len(wrong) == 1 and found[wrong[0]].ndim == 3 and found[wrong[0]].shape[1] == found[wrong[0]].shape[2]:
        path = wrong[0]
        if near(found[path], np.swapaxes(right[path], 1, 2)):
            yield Kind.TRANSPOSE, f"{path} is the transpose of what it should be", _turned(path)
    if len(wrong) == 2:
        a, b = wrong
        if found[a].shape == found[b].shape and near(found[a], right[b]) and near(found[b], right[a]):
            yield Kind.OPERAND, f"{a} and {b} are swapped", _swapped(a, b)


def _turned(path: str) -> Change:
    return lambda leaves, params: {p: np.swapaxes(leaf, 1, 2) if p == path else leaf for p, leaf in leaves.items()}


def _swapped(a: str, b: str) -> Change:
    return lambda leaves, params: {**leaves, a: leaves[b], b: leaves[a]}
