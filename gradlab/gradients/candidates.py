"""What the gradient's code makes, and which truth in its place would close the gap to what is right.

    n executions of one instruction of the gradient's code   m of one of the loss's

A backward pass is affine in the derivatives that it hands on. So, with the executions of one instruction cut off from
what went into them, a leaf is right with U in the place of what stands there, S, if slope · (U − S) is what it is off
by. One sweep gives the slopes, one product tests all truths in all orders of time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gradlab.gradients.truths import ADJOINT, EDGE, OPERAND, PARTIAL_SUM, SOME_USES, Key, Truth, Truths, key_of
from gradlab.gradients.worlds import Slopes, World, close, masked
from gradlab.tape.program import Site

Array = np.ndarray[Any, Any]

RANK = {ADJOINT: 0, EDGE: 1, PARTIAL_SUM: 2, SOME_USES: 2, OPERAND: 3}
REVERSED, SHIFTED = "reversed", "shifted"
TRANSPOSED = 400_000  # entries of truths of which the transposed one is looked at
SCALES = 2  # multiples that are looked for, beside 1
FITS = 1e-6  # of the sizes that take part, how close a gap has to be closed by floats: a heuristic, replays decide


@dataclass(frozen=True, eq=False)
class Made:
    """One instruction of the gradient's code: the numbers of its blocks, in the order in which they ran."""

    key: Key
    numbers: tuple[int, ...]
    shape: tuple[int, ...]
    site: Site
    operation: str

    def stack(self, world: World) -> Array:
        """(n, …): what it gives."""
        return np.stack([world.of(n) for n in self.numbers])

    def itself(self, world: World) -> Array:
        """What it gives for what its operands are, whatever was put in its place."""
        return np.stack([world.itself(n) for n in self.numbers])


@dataclass(frozen=True, eq=False)
class Fit:
    """A truth in the place of what is made.

    turn: "", "transposed", or a block of the last axis. order: in words. at: (n,) the execution of the truth for each
    of what is made, -1 for none. scale: by what the code multiplies all derivatives there, and divides again later.
    """

    made: Made
    truth: Truth
    turn: str
    order: str
    at: Array
    scale: Fraction = Fraction(1)

    def value(self, truths: Truths, world: World) -> Array:
        """(n, …): what should be there."""
        rows = turned(truths.stack(self.truth, world), self.turn, self.made.shape)
        flat = rows.reshape(len(rows), -1) if len(self.at) > 1 else rows.reshape(1, -1)
        keep = np.broadcast_to((self.at >= 0)[:, None], (len(self.at), flat.shape[1]))
        found = masked(flat[self.at], keep).reshape(len(self.at), *self.made.shape)
        return found if self.scale == 1 else found * self.scale.numerator / self.scale.denominator

    @property
    def backwards(self) -> bool:
        return REVERSED in self.order

    @property
    def shifted(self) -> bool:
        return SHIFTED in self.order


def squeezed(shape: Iterable[int]) -> tuple[int, ...]:
    """A shape without its axes of length 1."""
    return tuple(n for n in shape if n != 1)


def turned(stack: Array, turn: str, shape: tuple[int, ...]) -> Array:
    """A truth's stack, without axes of length 1, turned as it is asked for."""
    found = stack.reshape(squeezed(stack.shape)) if squeezed(stack.shape) != stack.shape else stack
    if turn == "transposed":
        return np.swapaxes(found, -1, -2)
    if turn.startswith("block"):
        width, number = squeezed(shape)[-1], int(turn.split()[1])
        return found[..., number * width : (number + 1) * width]
    return found


class Candidates:
    """Everything that the gradient's code makes, beside everything that is true.

    way: whether its loops run against the loss's.
    """

    def __init__(self, world: World, truths: Truths) -> None:
        self.world, self.truths, self.program = world, truths, world.program
        self.first = world.recorded.loss[0]
        self.forward = self._forward_again()
        self.slopes = Slopes(world, self.forward)
        self.made = list(self._instructions())
        self._variants: dict[Any, list[Any]] = {}
        self._rows: dict[Any, list[Array]] = {}
        self.scales: tuple[Fraction, ...] = (Fraction(1),)
        self.backwards = self._orientation()
        self.scales = (Fraction(1), *self._multiples())

    def _forward_again(self) -> set[int]:
        """Blocks of the gradient that compute what the loss did: by the same code, the same numbers."""
        known: dict[Any, set[bytes]] = {}
        for (key, shape), numbers in self.truths.blocks.items():
            codes, nth = key
            here = known.setdefault((codes[:1], nth, shape), set())
            here.update(self.world.of(n).tobytes() for n in numbers)
        found = set()
        for number, block in enumerate(self.program.blocks):
            if block.start < self.first or block.operation == "numbers":
                continue
            codes, nth = key_of(block.site)
            if self.world.of(number).tobytes() in known.get((codes[:1], nth, block.shape), ()):
                found.add(number)
        return found

    def _instructions(self) -> Iterator[Made]:
        groups: dict[Any, list[int]] = {}
        for number, block in enumerate(self.program.blocks):
            if block.start < self.first or number in self.forward or not block.site.frames:
                continue
            if block.operation != "numbers" or block.parameter in ("captured", "made"):
                groups.setdefault((key_of(block.site), block.shape), []).append(number)
        for (key, shape), numbers in groups.items():
            first = self.program.blocks[numbers[0]]
            yield Made(key, tuple(numbers), shape, first.site, first.operation)

    def variants(self, made: Made) -> list[tuple[Truth, str, Array, list[tuple[str, Array]]]]:
        """Every truth of a shape: (truth, turn, X (m, size), orders); execution i is row at[i] of X, or 0 at −1."""
        n, shape = len(made.numbers), squeezed(made.shape)
        many = n > 1
        key = (n, made.shape)
        if key not in self._variants:
            found: list[tuple[Truth, str, Array, list[tuple[str, Array]]]] = []
            for truth in self.truths.all:
                stack = self.truths.stack(truth, self.world)
                for turn in _turns(stack, shape, many):
                    x = turned(stack, turn, made.shape)
                    if not many and x.shape == shape:
                        found.append((truth, turn, x.reshape(1, -1), [("", np.zeros(1, int))]))
                    elif many and x.ndim == len(shape) + 1 and x.shape[1:] == shape and abs(len(x) - n) <= 2:
                        found.append((truth, turn, x.reshape(len(x), -1), _orders(len(x), n)))
            self._variants[key] = found
        return self._variants[key]

    def fits(self, made: Made, stack: Array, world: World | None = None) -> Iterator[Fit]:
        """The truths that an array, of what an instruction makes, is."""
        flat = stack.reshape(len(stack), -1)
        draw = np.random.default_rng(2).normal(size=flat.shape[1])
        wanted, scale = flat @ draw, float(np.abs(flat).max(initial=0))
        if not scale or not np.isfinite(scale):
            return
        elsewhere = world is not None and world is not self.world
        for number, (truth, turn, x, orders) in enumerate(self.variants(made)):
            if elsewhere and world is not None:
                x = turned(self.truths.stack(truth, world), turn, made.shape).reshape(x.shape)
            rows = np.append(x @ draw, 0.0) if elsewhere else self._projected(made, draw)[number]
            allowed = 1e-7 * max(float(np.abs(wanted).max()), scale)
            for (order, at), times in itertools.product(orders, self.scales):
                if np.abs(float(times) * rows[at] - wanted).max() <= allowed:
                    fit = Fit(made, truth, turn, order, at, times)
                    if close(fit.value(self.truths, world or self.world), stack):
                        yield fit

    def _projected(self, made: Made, draw: Array) -> list[Array]:
        """Every truth of a shape along a draw, and 0 at the end."""
        key = (len(made.numbers), made.shape)
        if key not in self._rows:
            self._rows[key] = [np.append(x @ draw, 0.0) for _, _, x, _ in self.variants(made)]
        return self._rows[key]

    def _orientation(self) -> bool:
        votes = {True: 0, False: 0}
        for made in self.made:
            if len(made.numbers) > 1 and made.operation != "numbers":
                stack = made.stack(self.world)
                if stack.any() and np.isfinite(stack).all():
                    for fit in self.fits(made, stack):
                        votes[fit.backwards] += not fit.shifted
        return votes[True] >= votes[False]

    def _multiples(self) -> list[Fraction]:
        """The numbers by which the code has derivatives multiplied: a mean over the batch that is taken at the end."""
        votes: Counter[Fraction] = Counter()
        for made in self.made:
            stack = made.stack(self.world).reshape(len(made.numbers), -1)
            if made.operation == "numbers" or stack.size < 2 or not stack.any() or not np.isfinite(stack).all():
                continue
            draw = np.random.default_rng(2).normal(size=stack.shape[1])
            other = np.random.default_rng(3).normal(size=stack.shape[1])
            wanted, again = stack @ draw, stack @ other
            found = set()
            for (_, _, x, orders), rows in zip(self.variants(made), self._projected(made, draw), strict=True):
                for order, at in orders:
                    ratio = _ratio(wanted, rows[at])
                    if ratio is not None and SHIFTED not in order and stack.shape[1] > 1:
                        against = np.append(x @ other, 0.0)[at]
                        if np.abs(again - float(ratio) * against).max() <= 1e-9 * np.abs(again).max():
                            found.add(ratio)
            votes.update(found if Fraction(1) not in found else ())
        return [ratio for ratio, _ in votes.most_common(SCALES)]

    def closing(self, world: World, held: set[int], wrong: list[str], skip: set[Key]) -> list[tuple[Fit, list[str]]]:
        """Fits that close the gap of some of the leaves that are wrong, with those leaves.

        Args:
            world: with what was put right so far. held: the blocks in whose place something stands.
        """
        rng = np.random.default_rng(1)
        leaves = [world.recorded.gradients[path][0] for path in wrong]
        seeds = [rng.normal(size=index.shape) for index in leaves]
        off = [seed * (world.true[path] - world.gradients[path]) for path, seed in zip(wrong, seeds, strict=True)]
        need, size = np.array([o.sum() for o in off]), np.array([np.abs(o).sum() for o in off])
        self.slopes.world = world
        reach = self.slopes.of(leaves, seeds, held)
        found: list[tuple[Fit, list[str]]] = []
        for made in self.made:
            if made.key in skip or not any(reach[:, self.program.blocks[n].start : self.program.blocks[n].stop].any()
                                           for n in made.numbers):  # fmt: skip
                continue
            if not self.variants(made):
                continue
            swept = self.slopes.of(leaves, seeds, held | set(made.numbers))
            slope = np.stack([swept[:, self.program.blocks[n].start : self.program.blocks[n].stop]
                              for n in made.numbers], axis=1)  # fmt: skip
            stack = made.stack(world).reshape(len(made.numbers), -1)
            found += self._closed(made, slope, stack, need, size, wrong)
        return found

    def _closed(
        self, made: Made, slope: Array, stack: Array, need: Array, size: Array, wrong: list[str]
    ) -> Iterator[tuple[Fit, list[str]]]:
        """slope: (R, n, size)."""
        wanted: Array = np.sum(slope * stack, axis=(1, 2)) + need
        allowed: Array = FITS * (size + np.sum(np.abs(slope) * np.abs(stack), axis=(1, 2)))
        live = np.any(slope, axis=(1, 2))
        ways: dict[int, list[int]] = {}
        variants = self.variants(made)
        for number, (_, _, x, _) in enumerate(variants):
            ways.setdefault(len(x), []).append(number)
        n = len(made.numbers)
        for some in ways.values():
            orders = variants[some[0]][3]
            stacked = np.stack([variants[number][2] for number in some])  # (V, m, size)
            dots = np.einsum("rns,vms->rvnm", slope, stacked, optimize=True)
            dots = np.concatenate([dots, np.zeros((*dots.shape[:3], 1))], axis=3)
            at = np.array([each for _, each in orders])  # (O, n)
            sums = dots[:, :, np.arange(n), at].sum(axis=-1)  # (R, V, O)
            for times in self.scales:
                off = np.abs(float(times) * sums - wanted[:, None, None])
                close_by: Array = np.logical_and(off <= allowed[:, None, None], live.reshape(-1, 1, 1))
                for v, o in np.argwhere(np.logical_or.reduce(close_by)):
                    truth, turn, _, _ = variants[some[v]]
                    paths = [path for row, path in enumerate(wrong) if close_by[row, v, o]]
                    yield Fit(made, truth, turn, orders[o][0], orders[o][1], times), paths


def _ratio(wanted: Array, rows: Array) -> Fraction | None:
    """The simple number by which one array is another."""
    live = rows != 0
    if not live.any() or not rows[live][0]:
        return None
    ratio = float(wanted[live][0] / rows[live][0])
    simple = Fraction(ratio).limit_denominator(1000) if 1e-3 <= abs(ratio) <= 1e4 else Fraction(0)
    if not simple or abs(float(simple) - ratio) > 1e-10 * abs(ratio):
        return None
    return simple if np.abs(wanted - ratio * rows).max() <= 1e-9 * np.abs(wanted).max() else None


def _turns(stack: Array, shape: tuple[int, ...], many: bool) -> Iterator[str]:
    yield ""
    whole = squeezed(stack.shape)
    axes = len(whole) - (many or len(whole) > len(shape))
    if axes >= 2 and stack.size <= TRANSPOSED:
        yield "transposed"
    if shape and whole and len(whole) == len(shape) + many and whole[-1] > shape[-1] and whole[-1] % shape[-1] == 0:
        yield from (f"block {number}" for number in range(whole[-1] // shape[-1]))


def _orders(m: int, n: int) -> list[tuple[str, Array]]:
    found: list[tuple[str, Array]] = []
    if m == n:
        for name, at in (("", np.arange(n)), (REVERSED, np.arange(n)[::-1])):
            found.append((name, at))
            for shift in (1, -1):
                moved = np.roll(at, shift)
                moved[0 if shift > 0 else -1] = -1
                found.append((f"{name} {SHIFTED} {shift:+d}".strip(), moved))
    else:
        spare = np.full(max(0, n - m), -1)
        at = np.concatenate([spare, np.arange(m), spare])
        for start in range(len(at) - n + 1):
            found.append((f"from {start}", at[start : start + n]))
            found.append((f"{REVERSED} from {start}", at[::-1][start : start + n]))
    return found
