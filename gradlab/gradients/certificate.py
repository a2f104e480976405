"""Proof: the gradient found and the derivative of the loss, both on balls, refined until every entry is decided.

An entry is proven wrong where the two enclosures lie apart by more than half an ulp of the value in the format that the
code runs in, and still do when the constants and data that were rounded before the code had them are known to no more
than a few ulp. It agrees where they overlap and are narrow, or lie apart by less than that; where the derivative is 0,
if both enclosures hold 0 and reach no further than a 2⁻²⁰⁰th of the largest entry.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import BallArithmetic, Compared, compared, finite, gaps, midpoints, precision
from gradlab.checker.verdict import BALL_RESOLUTION, RESOLUTION, Judged, judge_balls, judge_compared
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.recording import Recorded, Refused
from gradlab.tape import Adjoints, replay
from gradlab.tape.replay import EXACT, Tie, Unsupported, ties

Array = np.ndarray[Any, Any]

PRECISIONS = (128, 256, 512, 2048)
# An enclosure of 0 that reaches no further than this part of the largest entry: zero, as far as anything can show.
ZERO = 2.0**-200
# What was rounded before the code had it (0.1, 1/3, a mean that was stored) is known to within so much: the rounding of
# a few operations, each half an ulp.
INEXACT = 2.0**-50
# Draws of such constants, where their enclosures are too wide to tell what they explain, and by how much a difference
# has to exceed what the draws move it by.
DRAWS, EXCEEDS = 3, 2.0**10


# What a program may hold to be enclosed: at some 350 bytes a number on balls, and 6 microseconds.
MOST_NUMBERS = 10_000_000
SECONDS_A_NUMBER = 6e-6


class TooLarge(Refused):
    """A program that is beyond memory or time."""


class OutOfTime(Exception):
    """The limit of time was reached."""


@dataclass
class Enclosures:
    """found and true: by path, (K, …) of balls, true with the conventions; unclipped: the derivatives without them.

    tied: some slope is a choice, enclosed by all that it may be.
    """

    bits: int
    outputs: Array
    found: dict[str, Array]
    true: dict[str, Array]
    unclipped: dict[str, Array]
    tied: bool = False


@dataclass
class Certificate:
    """What is proven: judged by path; the enclosures it rests on, found and true side by side; which entries are zero.

    gap: the largest distance, relative to its entry, between enclosures that lie apart by less than half an ulp.
    undecided: why, where some entry is. inexact: how many arrays or numbers had been rounded before the code had them.
    kinks: by path, the leaf's shape: entries that agree with one of several slopes at a tie. underflown: those that
    are no zeros, and too small for the format.
    """

    enclosures: Enclosures
    seen: dict[str, Compared]
    judged: dict[str, Judged]
    zero: dict[str, Array]
    gap: float = 0.0
    undecided: str = ""
    inexact: int = 0
    kinks: dict[str, Array] = field(default_factory=dict)
    underflown: dict[str, Array] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether more digits may decide some entry."""
        return any((one.undecided & ~self.underflown[path]).any() for path, one in self.judged.items())


class Prover:
    """Enclosures of a recorded gradient at rising precision.

    Args:
        dtype: the format in which the code runs. deadline: of time.perf_counter().
    """

    def __init__(self, recorded: Recorded, conventions: Conventions, dtype: Any, deadline: float = np.inf) -> None:
        self.recorded, self.conventions, self.dtype = recorded, conventions, np.dtype(dtype)
        self.deadline = deadline

    def prove(self, least: int = 0) -> Certificate:
        """Refine until every entry is decided, or time is up.

        Args:
            least: the bits to begin with; of more, what suffices elsewhere.

        Raises:
            Refused: a comparison that steered the run is a tie, or something has no enclosure; or there was no time.
        """
        self._fits()
        certificate: Certificate | None = None
        previous: Certificate | None = None
        for bits in (one for one in PRECISIONS if one >= least):
            start = time.perf_counter()
            try:
                certificate = self._judged(self.enclosed(bits))
            except OutOfTime:
                if certificate is None:
                    raise Refused("there was no time for it (seconds=…)") from None
                certificate.undecided = "there was no time for more digits (seconds=…)"
                break
            if certificate.enclosures.tied:
                self._at_kinks(certificate, previous)
            previous = certificate
            if not certificate.is_open:
                break
            if time.perf_counter() + 2 * (time.perf_counter() - start) > self.deadline:
                certificate.undecided = "there was no time for more digits (seconds=…)"
                break
        assert certificate is not None
        if any(one.disagree.any() for one in certificate.judged.values()):
            self._excuse(certificate)
        return certificate

    def enclosed(self, bits: int, inexact: float = 0.0, leaves: Any = None) -> Enclosures:
        """Gradient and derivative on balls.

        Raises:
            Refused: as `prove`. OutOfTime: the deadline has passed.
        """
        recorded = self.recorded
        with precision(bits):
            arithmetic = BallArithmetic(inexact)
            try:
                run = replay(recorded.program, arithmetic, leaves=leaves, tick=self._tick)
                sweep = Adjoints(run, recorded.outputs[:, None], tick=self._tick)
                wanted = {path: sweep.rows(recorded.leaves[path]) for path in recorded.gradients}
            except Unsupported as error:
                raise Refused(str(error)) from None
            if not inexact and leaves is None:
                _decided(ties(run, recorded.program.guards))
            found = {path: run.stored(index)[0] for path, index in recorded.gradients.items()}
            true = self.conventions.enclosed(wanted, inexact)
            return Enclosures(bits, run.stored(recorded.outputs)[0], found, true, wanted, arithmetic.tied)

    def _fits(self) -> None:
        """Raises Refused for a program that is beyond memory, or beyond the time that is left."""
        numbers, left = self.recorded.program.length, self.deadline - time.perf_counter()
        if numbers > MOST_NUMBERS or numbers * SECONDS_A_NUMBER > left:
            raise TooLarge(
                f"its {numbers:,} numbers are too many to enclose"
                + ("" if numbers > MOST_NUMBERS else f" within {left:.0f} s")
            )

    def _tick(self) -> None:
        if time.perf_counter() > self.deadline:
            raise OutOfTime

    def _judged(self, enclosures: Enclosures) -> Certificate:
        true, found = enclosures.true, enclosures.found
        with precision(enclosures.bits):
            seen = {path: compared(found[path], true[path], BALL_RESOLUTION) for path in true}
        reach = [float(np.max(np.abs(one.other) + one.other_radius, initial=0.0)) for one in seen.values()]
        largest = max((size for size in reach if np.isfinite(size)), default=0.0)
        certificate = Certificate(enclosures, seen, {}, {})
        for path, pair in seen.items():
            one = judge_compared(pair)
            one.disagree &= pair.bounded
            zero = _zero(pair, largest)
            one.agree |= zero
            one.scale = np.where(zero, 0.0, one.scale)
            certificate.gap = max(certificate.gap, self._half_ulp(one, found[path], true[path], pair.other))
            certificate.underflown[path] = self._underflow(one, zero)
            certificate.judged[path], certificate.zero[path] = one, zero
        return certificate

    def _at_kinks(self, certificate: Certificate, previous: Certificate | None) -> None:
        """Enclosures that more digits do not narrow, because a slope is a choice: what lies in them agrees."""
        if previous is None:
            return
        for path, one in certificate.judged.items():
            now, before = (seen[path].radius + seen[path].other_radius for seen in (certificate.seen, previous.seen))
            chosen = one.undecided & ~certificate.underflown[path] & np.isfinite(now) & (now > 0.5 * before)
            one.agree |= chosen
            if chosen.any():
                certificate.kinks[path] = chosen.any(axis=0)

    def _half_ulp(self, one: Judged, value: Array, wanted: Array, middle: Array) -> float:
        """Enclosures that lie apart by less than half an ulp of the value agree; the largest such part of a value."""
        if not one.disagree.any():
            return 0.0
        apart = np.where(one.disagree, gaps(value, wanted), 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            ulp = np.spacing(np.abs(middle).astype(self.dtype)).astype(float)
        close = one.disagree & (apart <= ulp / 2)
        one.disagree &= ~close
        one.agree |= close
        one.allowed = np.where(close, np.maximum(one.allowed, apart), one.allowed)
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(np.max(np.where(close, apart / one.scale, 0.0), initial=0.0))

    def _underflow(self, one: Judged, zero: Array) -> Array:
        """A number that the format does not hold is no zero, and nothing that floats show of it is agreement."""
        lost = ~zero & (one.scale + one.allowed < np.finfo(self.dtype).tiny)
        one.agree &= ~lost
        one.disagree &= ~lost
        return lost

    def _excuse(self, certificate: Certificate) -> None:
        """Take back what constants and data that were rounded beforehand explain."""
        inexact = [
            block for block in self.recorded.program.blocks
            if block.operation == "numbers" and block.parameter not in EXACT
            and _is_rounded(self.recorded.program.span(block.start, block.stop))
        ]  # fmt: skip
        certificate.inexact = len(inexact)
        if not inexact:
            return
        bits = certificate.enclosures.bits
        try:
            near = self.enclosed(bits, INEXACT)
        except OutOfTime:
            self._withhold(certificate, "there was no time to see what rounded constants explain (seconds=…)")
            return
        unclear: dict[str, Array] = {}
        for path, one in certificate.judged.items():
            again = judge_balls(near.found[path], near.true[path])
            wide = ~(finite(near.found[path]) & finite(near.true[path])) | (again.allowed > RESOLUTION * again.scale)
            excused = one.disagree & ~again.disagree & ~wide
            one.agree |= excused
            one.disagree &= ~excused
            one.allowed = np.where(excused, np.maximum(one.distance, np.spacing(one.scale)), one.allowed)
            unclear[path] = one.disagree & wide
        if any(leaf.any() for leaf in unclear.values()):
            self._draw(certificate, unclear)

    def _draw(self, certificate: Certificate, unclear: dict[str, Array]) -> None:
        """Where enclosures of the constants are too wide to tell: how far draws of them move the difference."""
        bits, rng = certificate.enclosures.bits, np.random.default_rng(0)
        with precision(bits):
            base = {p: midpoints(certificate.enclosures.found[p] - certificate.enclosures.true[p]) for p in unclear}
            moved = {path: np.zeros(leaf.shape) for path, leaf in unclear.items()}
            for _ in range(DRAWS):
                try:
                    drawn = self.enclosed(bits, leaves=_moved_leaves(rng))
                except OutOfTime:
                    self._withhold(certificate, "there was no time to see what rounded constants explain (seconds=…)")
                    return
                for path in unclear:
                    difference = midpoints(drawn.found[path] - drawn.true[path]) - base[path]
                    moved[path] = np.maximum(moved[path], np.abs(difference))
        for path, leaf in unclear.items():
            open_ = leaf & ~(np.abs(base[path]) > EXCEEDS * moved[path])
            certificate.judged[path].disagree &= ~open_
        if any((leaf & ~certificate.judged[path].disagree).any() for path, leaf in unclear.items()):
            certificate.undecided = "what constants that were rounded beforehand explain is not known"

    def _withhold(self, certificate: Certificate, why: str) -> None:
        for one in certificate.judged.values():
            one.disagree &= False
        certificate.undecided = why


def _decided(open_: list[Tie]) -> None:
    if open_:
        tie = open_[0]
        if tie.contrary:
            raise Refused(f"{tie.where}: a comparison is decided by rounding at this point")
        raise Refused(f"{tie.where}: a comparison is a tie at this point")


def _zero(pair: Compared, largest: float) -> Array:
    """Where both enclosures hold 0 and reach no further than can show."""
    reach = np.maximum(np.abs(pair.middle) + pair.radius, np.abs(pair.other) + pair.other_radius)
    return pair.zero & (reach <= ZERO * largest)


def _is_rounded(numbers: Array) -> bool:
    """Whether some number has more bits than people write down."""
    with np.errstate(over="ignore"):
        return bool((numbers.astype(np.float32).astype(float) != numbers).any())


def _moved_leaves(rng: np.random.Generator) -> Any:
    """Constants moved by half of what they are known to, up or down at random."""

    def leaves(block: Any, values: Array) -> Array | None:
        if block.parameter in EXACT or not _is_rounded(values):
            return None
        exact = BallArithmetic().exact(values)
        with np.errstate(over="ignore"):
            many = values.astype(np.float32).astype(float) != values
        signs = rng.choice([-1.0, 1.0], values.shape) * many * (INEXACT / 2)
        moved = exact + exact * BallArithmetic().exact(signs)
        return np.asarray(moved, dtype=object).reshape(1, *values.shape)

    return leaves
