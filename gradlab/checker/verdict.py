"""Three verdicts, entry by entry, from values and derived bounds. "Cannot tell" is never a pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import Compared, as_balls, compared, within

Array = np.ndarray[Any, Any]

# An entry is resolved when what the bounds leave open is under this part of it: a mistake that changes it by more
# would have been seen. Balls are refined until they are far narrower.
RESOLUTION = 2.0**-10
BALL_RESOLUTION = 2.0**-33


class Verdict(StrEnum):
    """What can be said: they agree, they disagree, or the evidence does not tell."""

    AGREE = "agree"
    DISAGREE = "disagree"
    CANNOT_TELL = "cannot tell"

    @classmethod
    def worst(cls, verdicts: Any) -> Verdict:
        """Of several: one that disagrees decides; otherwise one that cannot tell does; of none, nothing is known."""
        present = set(verdicts)
        return next((v for v in (cls.DISAGREE, cls.CANNOT_TELL, cls.AGREE) if v in present), cls.CANNOT_TELL)

    @property
    def exit_status(self) -> int:
        return {Verdict.AGREE: 0, Verdict.DISAGREE: 1, Verdict.CANNOT_TELL: 3}[self]


@dataclass
class Judged:
    """The verdict on every entry of one quantity by one oracle; arrays of the quantity's shape.

    distance: |value - oracle's value|; allowed: the two bounds together; scale: the larger of the two magnitudes.
    """

    agree: Array
    disagree: Array
    distance: Array
    allowed: Array
    scale: Array

    @property
    def undecided(self) -> Array:
        return ~(self.agree | self.disagree)

    def tally(self) -> Tally:
        decided = self.agree | self.disagree
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            in_bounds = np.where(self.distance == 0, 0.0, self.distance / self.allowed)
            ulps = np.where(self.distance == 0, 0.0, self.distance / np.spacing(self.scale))
        return Tally(
            int(self.agree.sum()),
            int(self.disagree.sum()),
            int(self.undecided.sum()),
            int((self.agree & (self.scale > 0)).sum()),
            _largest(in_bounds[decided]),
            _largest(ulps[decided]),
        )


def _largest(values: Array) -> float:
    return float(np.nan_to_num(values, nan=np.inf, posinf=np.inf).max(initial=0.0))


@dataclass
class Tally:
    """How many entries agreed, disagreed, were undecided; `probed`: how many agreed that are not zero on both sides."""

    agree: int = 0
    disagree: int = 0
    cannot_tell: int = 0
    probed: int = 0
    worst_in_bounds: float = 0.0
    worst_ulps: float = 0.0

    def add(self, other: Tally) -> None:
        self.agree += other.agree
        self.disagree += other.disagree
        self.cannot_tell += other.cannot_tell
        self.probed += other.probed
        self.worst_in_bounds = max(self.worst_in_bounds, other.worst_in_bounds)
        self.worst_ulps = max(self.worst_ulps, other.worst_ulps)

    @property
    def verdict(self) -> Verdict:
        """Zero equal to zero everywhere is no evidence: at least one entry that is not zero must agree."""
        if self.disagree:
            return Verdict.DISAGREE
        return Verdict.AGREE if self.probed else Verdict.CANNOT_TELL


@dataclass
class Settled(Judged):
    """Verdicts that nothing changes any more, and their tally."""

    counted: Tally

    def tally(self) -> Tally:
        return self.counted


def settled(judged: Mapping[str, Judged]) -> dict[str, Settled]:
    """The same verdicts by quantity, all of them counted at once."""
    joined = Joined(judged, [one.agree for one in judged.values()])
    agree, disagree, distance, allowed, scale = (
        joined.join([getattr(one, part) for one in judged.values()])
        for part in ("agree", "disagree", "distance", "allowed", "scale")
    )
    decided = agree | disagree
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        in_bounds = np.where(distance == 0, 0.0, distance / allowed)
        ulps = np.where(distance == 0, 0.0, distance / np.spacing(scale))
    counts = joined.sums(np.stack([agree, disagree, ~decided, agree & (scale > 0)]))
    worst = joined.maxima(np.where(decided, np.nan_to_num([in_bounds, ulps], nan=np.inf, posinf=np.inf), 0.0))
    tallies = [Tally(*map(int, count), *map(float, largest)) for count, largest in zip(counts.T, worst.T, strict=True)]
    return {
        name: Settled(one.agree, one.disagree, one.distance, one.allowed, one.scale, tally)
        for (name, one), tally in zip(judged.items(), tallies, strict=True)
    }


class Joined:
    """Arrays of several quantities, end to end: small arrays cost NumPy's overhead, once for all is cheap."""

    def __init__(self, names: Iterable[str], arrays: Sequence[Array]) -> None:
        self._names = list(names)
        self._shapes = [np.shape(array) for array in arrays]
        self._starts = np.cumsum([0, *[np.size(array) for array in arrays]])

    def join(self, arrays: Iterable[Array], dtype: Any = None) -> Array:
        """The entries of arrays of the same shapes."""
        return np.concatenate([np.asarray(array).reshape(-1) for array in arrays], dtype=dtype)

    def split(self, entries: Array) -> dict[str, Array]:
        """The arrays, by name, that these are the entries of."""
        parts = zip(self._names, self._shapes, self._starts[:-1], self._starts[1:], strict=True)
        return {name: entries[start:stop].reshape(shape) for name, shape, start, stop in parts}

    def sums(self, entries: Array) -> Array:
        """(…, entries) -> (…, quantities). Every quantity has entries, or reduceat would take its neighbour's."""
        return np.add.reduceat(entries, self._starts[:-1], axis=-1, dtype=int)

    def maxima(self, entries: Array) -> Array:
        """(…, entries) -> (…, quantities)."""
        return np.maximum.reduceat(entries, self._starts[:-1], axis=-1)


def judge_all(
    values: Mapping[str, Array], bounds: Mapping[str, Array], oracle: Mapping[str, Array], allowed: Mapping[str, Array]
) -> dict[str, Judged]:
    """`judge` of each quantity that the oracle gives."""
    joined = Joined(oracle, list(oracle.values()))
    arrays = ([of[name] for name in oracle] for of in (values, bounds, oracle, allowed))
    return split(joined, judge(*(joined.join(of, np.float64) for of in arrays)))


def split(joined: Joined, judged: Judged) -> dict[str, Judged]:
    """The verdicts on each quantity, of those on all of their entries."""
    parts = (judged.agree, judged.disagree, judged.distance, judged.allowed, judged.scale)
    agree, disagree, distance, allowed, scale = map(joined.split, parts)
    return {n: Judged(agree[n], disagree[n], distance[n], allowed[n], scale[n]) for n in agree}


def judge(value: Array, bound: Array, oracle: Array, oracle_bound: Array) -> Judged:
    """Floats against floats: they disagree where they lie further apart than both bounds together allow.

    They agree where they do not, and the bounds leave less than RESOLUTION of the entry open; where both bounds are
    0, they agree where they are equal. A value that is not a number disagrees, unless it has no finite bound.
    """
    value, oracle = np.asarray(value, np.float64), np.asarray(oracle, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        allowed = bound + oracle_bound
        distance = np.where(value == oracle, 0.0, np.abs(value - oracle))
        scale = np.maximum(np.abs(value), np.abs(oracle))
        disagree = ~((distance <= allowed) | ~np.isfinite(allowed))
        agree = ~disagree & (allowed <= RESOLUTION * scale) & np.isfinite(scale)
    return Judged(agree, disagree, distance, allowed, scale)


def judge_balls(value: Array, oracle: Array) -> Judged:
    """Enclosures against enclosures: disjoint is proven wrong; overlapping and narrow agrees to that many digits."""
    return judge_compared(compared(as_balls(value), as_balls(oracle), BALL_RESOLUTION))


def judge_compared(seen: Compared) -> Judged:
    """`judge_balls`, of balls that were compared."""
    with np.errstate(invalid="ignore"):
        allowed = seen.radius + seen.other_radius
        distance = np.abs(seen.middle - seen.other)
    scale = np.maximum(np.abs(seen.middle), np.abs(seen.other))
    return Judged(seen.overlap & seen.narrow, ~seen.overlap, distance, allowed, scale)


def narrow(balls: Array) -> Array:
    """Where an enclosure is as narrow as agreement takes."""
    return within(balls, BALL_RESOLUTION)
