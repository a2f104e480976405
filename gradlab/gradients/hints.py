"""What a wrong gradient looks like beside the right one: measured, and worded as evidence, never as certainty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# A residual so small that a factor, or a rearrangement, explains all of it.
EXPLAINED = 1e-7
# How close to a simple fraction, or to the root of one, a factor must be to be called by that name.
SIMPLE = 1e-10


class Likeness:
    """How alike two arrays are: cosine; the factor that brings `right` closest to `value`; the residual that is left,
    as a part of `value`. None where an array is zero or not finite.
    """

    def __init__(self, value: Array, right: Array) -> None:
        self.cosine: float | None = None
        self.factor: float | None = None
        self.residual: float | None = None
        a, b = np.asarray(value, float).ravel(), np.asarray(right, float).ravel()
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return
        most, other = np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0)
        if not most or not other:
            return
        a, b = a / most, b / other  # a gradient of 1e-200 has no square
        lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
        factor = float(a @ b) / lengths[1] ** 2
        self.cosine = max(-1.0, min(1.0, float(a @ b) / (lengths[0] * lengths[1])))
        with np.errstate(over="ignore"):
            self.factor = factor * float(most / other)
        self.residual = float(np.linalg.norm(a - factor * b)) / lengths[0]


def hints(
    found: Mapping[str, Array], right: Mapping[str, Array], wrong: list[str], params: Mapping[str, Array]
) -> Iterator[str]:
    """A sentence for each thing that stands out about a wrong gradient.

    Args:
        found: what was returned. right: what should have been. wrong: the paths that disagree.
    """
    paths = [path for path in found if path in right]
    likeness = {path: Likeness(found[path], right[path]) for path in paths}
    whole = Likeness(*(np.concatenate([np.ravel(part[p]) for p in paths]) for part in (found, right)))
    if whole.factor is not None and all(_explains(whole.factor, likeness[path]) for path in wrong):
        yield _factor(whole.factor) + _by_norm(whole.factor, [right[path] for path in paths])
        return
    clip = _clip(found, right)
    if clip is not None:
        yield f"agrees if clip={clip:g}"
        return
    for path in wrong:
        said = list(_leaf(path, found, right, likeness[path]))
        yield from said or _decay(path, found[path] - right[path], params[path])
    good = [path for path in paths if path not in wrong]
    if good and wrong:
        yield f"right: {', '.join(good)}; wrong: {', '.join(wrong)}"


def _explains(factor: float, likeness: Likeness) -> bool:
    """Whether one factor is all that is the matter with a leaf."""
    if likeness.residual is None or likeness.factor is None:
        return False
    return likeness.residual <= EXPLAINED and abs(likeness.factor / factor - 1) <= EXPLAINED


def _by_norm(factor: float, right: list[Array]) -> str:
    """The other reading of a factor below 1: a length that is a round number."""
    length = factor * float(np.linalg.norm(np.concatenate([np.ravel(leaf) for leaf in right])))
    if not 0 < factor < 1 or abs(length / float(f"{length:.3g}") - 1) > SIMPLE:
        return ""
    return f"; or agrees if clip=('norm', {length:.3g})"


def _factor(factor: float) -> str:
    if abs(factor - 1) <= EXPLAINED:
        return "nearly right: the difference is of the size of an epsilon that one of the two has and the other has not"
    if abs(factor + 1) <= EXPLAINED:
        return "agrees if sign=-1: the gradient has the opposite sign"
    said = _fraction(factor)
    kind = "points to a mean taken for a sum, or a sum for a mean, or a factor forgotten"
    return f"agrees if {'sign=-1, ' if factor < 0 else ''}scale={said}: a pure factor, which {kind}"


def _fraction(factor: float) -> str:
    for text, power in (("{}", 1), ("sqrt({})", 2)):
        simple = Fraction(abs(factor) ** power).limit_denominator(1000)
        if simple and abs(float(simple) / abs(factor) ** power - 1) <= SIMPLE:
            return text.format(simple)
    return f"{abs(factor):.9g}"


def _clip(found: Mapping[str, Array], right: Mapping[str, Array]) -> float | None:
    """The limit at which clipping each entry of what is right gives what was returned."""
    limit = max((float(np.abs(leaf).max(initial=0.0)) for leaf in found.values()), default=0.0)
    if not np.isfinite(limit) or not limit:
        return None
    clipped = {path: np.clip(right[path], -limit, limit) for path in right}
    cut = any((np.abs(right[path]) > limit * (1 + EXPLAINED)).any() for path in found if path in right)
    close = all(np.abs(clipped[p] - found[p]).max(initial=0.0) <= EXPLAINED * limit for p in found if p in clipped)
    return limit if cut and close and sum(int((np.abs(leaf) == limit).sum()) for leaf in found.values()) > 1 else None


def _leaf(path: str, found: Mapping[str, Array], right: Mapping[str, Array], likeness: Likeness) -> Iterator[str]:
    value, wanted = found[path], right[path]
    if not np.isfinite(value).all():
        yield f"{path}: {int((~np.isfinite(value)).sum())} of {value.size} entries are not finite"
        return
    if not value.any():
        yield f"{path} is zero everywhere and should not be: a path that is missing, or never written"
        return
    if not wanted.any():
        yield f"{path} should be zero everywhere: a path that does not exist"
        return
    if likeness.residual is not None and likeness.residual <= EXPLAINED and likeness.factor is not None:
        yield f"{path}: {_factor(likeness.factor).removeprefix('agrees if ')}"
        return
    for what, other in _rearranged(wanted):
        if _same(value, other):
            yield f"{path} is what it should be, {what}"
            return
    for other_path, leaf in right.items():
        if other_path != path and leaf.shape == value.shape and leaf.any() and _same(value, leaf):
            yield f"{path} is the gradient by {other_path}: two are swapped, or a wrong operand"
            return
    yield from _partly(path, value, wanted)


def _partly(path: str, value: Array, wanted: Array) -> Iterator[str]:
    """Rows or columns that alone are wrong."""
    scale = np.abs(wanted).max()
    off = np.abs(value - wanted) > EXPLAINED * np.maximum(np.abs(wanted), 1e-9 * scale)
    for axis in range(1, value.ndim):
        others = tuple(i for i in range(value.ndim) if i != axis)
        bad = np.flatnonzero(off.any(axis=others))
        if 0 < len(bad) < value.shape[axis]:
            yield f"{path} is wrong only at {bad[:8].tolist()} of axis {axis - 1} ({value.shape[axis]} long)"
            return


def _decay(path: str, difference: Array, parameter: Array) -> Iterator[str]:
    """Whether all that is wrong is a multiple of the parameter itself."""
    likeness = Likeness(difference, np.broadcast_to(parameter, difference.shape))
    if likeness.residual is not None and likeness.residual <= EXPLAINED and likeness.factor is not None:
        yield f"{path} is off by {likeness.factor:.6g} times the parameter: a penalty that one of the two leaves out"


def _rearranged(wanted: Array) -> Iterator[tuple[str, Array]]:
    if wanted.ndim == 3 and wanted.shape[1] == wanted.shape[2] > 1:
        yield "transposed: a missing transpose", np.swapaxes(wanted, 1, 2)
    for axis in range(1, wanted.ndim):
        if wanted.shape[axis] > 1:
            yield f"reversed along axis {axis - 1}: points to the order of time", np.flip(wanted, axis)


def _same(value: Array, wanted: Array) -> bool:
    likeness = Likeness(value, wanted)
    return (
        likeness.residual is not None
        and likeness.residual <= EXPLAINED
        and abs((likeness.factor or 0) - 1) <= EXPLAINED
    )
