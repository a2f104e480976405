"""A recorded gradient at one point: all its numbers, the true derivative by each number of the loss, and interventions.

    N nodes   R rows, one for each leaf that is looked at

A *world* is the program at one point in one arithmetic. In it anything can be put in the place of what some blocks
give, and the rest replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from gradlab.arithmetic.floats import FloatArithmetic
from gradlab.gradients.recording import Recorded
from gradlab.tape import Adjoints, Block, replay
from gradlab.tape.replay import computed, ties

Array = np.ndarray[Any, Any]


class World:
    """One point.

    Args:
        factor: what the gradient is of the derivative of the loss, by the conventions that were declared.
        leaves: what stands in the parameters, as of `gradlab.tape.replay.replay`; None for the recorded run's.
    """

    def __init__(self, recorded: Recorded, arithmetic: Any = None, factor: Any = 1.0, leaves: Any = None) -> None:
        self.recorded, self.program = recorded, recorded.program
        self.arithmetic = arithmetic or FloatArithmetic()
        self.run = replay(self.program, self.arithmetic, leaves=leaves)
        self.values: Array = self.run.store[0]
        sweep = Adjoints(self.run, recorded.outputs[:, None])
        self.adjoints: Array = sweep.rows(np.arange(recorded.loss[0]))[0]
        if not (isinstance(factor, float) and factor == 1.0):
            self.adjoints = self.adjoints * factor
        self._sent: dict[tuple[int, int], Array] = {}

    @property
    def steered(self) -> bool:
        """Whether the recorded program is what the code runs here, too: its comparisons say the same."""
        return not ties(self.run, self.program.guards)

    @cached_property
    def gradients(self) -> dict[str, Array]:
        """What the code gives, by path."""
        return {path: self.values[index[0]] for path, index in self.recorded.gradients.items()}

    @cached_property
    def true(self) -> dict[str, Array]:
        """What it should give, by path."""
        return {path: self.adjoints[self.recorded.leaves[path]] for path in self.recorded.gradients}

    def of(self, number: int) -> Array:
        """What a block gives."""
        block = self.program.blocks[number]
        return self.values[block.start : block.stop].reshape(block.shape)

    def adjoint(self, index: Array) -> Array:
        """The derivatives by nodes of the loss; 0 by those of the gradient."""
        known = index < len(self.adjoints)
        return masked(self.adjoints[np.where(known, index, 0)], known)

    def partials(self, number: int) -> tuple[Any, ...]:
        """The partial derivatives of a block that is no product; None stands for 1."""
        block = self.program.blocks[number]
        return (None,) if block.operation == "sum" else self.run.partials(block)

    def sent(self, number: int, k: int) -> Array:
        """What a block of the loss sends back to its operand k, an array of the operand's shape."""
        if (number, k) not in self._sent:
            block = self.program.blocks[number]
            reached = self.adjoints[block.start : block.stop].reshape(block.shape)
            if block.operation == "product":
                left, right = (self.run.numbers(index) for index in block.operands)
                product = self.arithmetic.product
                sides = (lambda: product(reached, np.swapaxes(right, -1, -2)),
                         lambda: product(np.swapaxes(left, -1, -2), reached))  # fmt: skip
                self._sent[number, k] = np.asarray(sides[k]())
            else:
                self._sent[number, k] = reduced(self.spread(number, k), block.operands[k].shape)
        return self._sent[number, k]

    def spread(self, number: int, k: int) -> Array:
        """What a block sends back to its operand k, before it is added up to the operand's shape."""
        block = self.program.blocks[number]
        reached = self.adjoints[block.start : block.stop].reshape(block.shape)
        partial = self.partials(number)[k]
        found = reached if partial is None else reached * np.asarray(partial)
        return np.broadcast_to(found, np.broadcast_shapes(np.shape(found), block.operands[k].shape, block.shape))

    def replayed(self, changed: Mapping[int, Array]) -> World:
        """The same with arrays in the place of what blocks give."""
        new = object.__new__(World)
        new.recorded, new.program, new.arithmetic = self.recorded, self.program, self.arithmetic
        dtype = self.values.dtype
        stored = {number: np.asarray(value, dtype)[None] for number, value in changed.items()}
        new.run = replay(self.program, self.arithmetic, changed=stored, base=self.run)
        new.values, new.adjoints, new._sent = new.run.store[0], self.adjoints, self._sent
        return new

    def itself(self, number: int) -> Array:
        """What a block gives for what its operands are here, whatever was put in its place."""
        block = self.program.blocks[number]
        return np.broadcast_to(np.asarray(computed(self.run, block)), block.shape)


class Slopes:
    """Derivatives of combinations of the gradient's leaves by what its blocks give, in floats.

    Args:
        still: numbers of blocks that count as constants: the forward once more.
    """

    def __init__(self, world: World, still: Iterable[int]) -> None:
        self.world, self.blocks = world, world.program.blocks
        first, held = world.recorded.loss[0], set(still)
        self.numbers = [
            n for n, block in enumerate(self.blocks)
            if block.start >= first and block.operation != "numbers" and n not in held
        ]  # fmt: skip
        self.partials: dict[int, tuple[Any, ...]] = {}
        for n in self.numbers:
            if self.blocks[n].operation != "product":
                self.partials[n] = world.partials(n)
        # Nothing is asked of what the loss computed, nor of the forward once more.
        self.live = np.zeros(world.program.length, bool)
        for n in self.numbers:
            self.live[self.blocks[n].start : self.blocks[n].stop] = True
        for block in self.blocks:
            if block.start >= first and block.operation == "numbers":
                self.live[block.start : block.stop] = True

    def of(self, leaves: list[Array], seeds: list[Array], cut: Iterable[int]) -> Array:
        """(R, N): of Σ seed · leaf, with the blocks in `cut` independent of what went into them."""
        rows, held = len(leaves), set(cut)
        found = np.zeros((rows, self.world.program.length))
        for row, (index, seed) in enumerate(zip(leaves, seeds, strict=True)):
            np.add.at(found[row], index.reshape(-1), seed.reshape(-1))
        for n in reversed(self.numbers):
            block = self.blocks[n]
            reached = found[:, block.start : block.stop]
            if n not in held and reached.any():
                self._through(n, block, reached.reshape(rows, *block.shape), found)
        return found

    def _through(self, n: int, block: Block, reached: Array, found: Array) -> None:
        if block.operation == "product":
            left, right = (self.world.run.numbers(index) for index in block.operands)
            for k, index in enumerate(block.operands):
                if self.live[index].any():
                    turned = reached @ np.swapaxes(right, -1, -2) if k == 0 else np.swapaxes(left, -1, -2) @ reached
                    _add(found, index, turned)
            return
        for index, partial in zip(block.operands, self.partials[n], strict=True):
            if not self.live[index].any():
                continue
            at = reached if partial is None else reached * np.asarray(partial)[None]
            _add(found, index, _reduced_rows(at, index.shape))


def _reduced_rows(at: Array, shape: tuple[int, ...]) -> Array:
    """(R, …) added up to (R, *shape), or spread to it, as either broadcasts."""
    if at.shape[1:] == shape:
        return at
    whole = np.broadcast_shapes(at.shape[1:], shape)
    at = np.broadcast_to(at.reshape(len(at), *(1,) * (len(whole) - at.ndim + 1), *at.shape[1:]), (len(at), *whole))
    extra = len(whole) - len(shape)
    axes = (*range(1, 1 + extra), *(1 + extra + i for i, n in enumerate(shape) if n == 1 < whole[extra + i]))
    return np.asarray(at.sum(axis=axes, keepdims=True).reshape(len(at), *shape) if axes else at)


def _add(found: Array, index: Array, values: Array) -> None:
    flat, values = index.reshape(-1), values.reshape(len(found), -1)
    if flat.size > 1 and len(np.unique(flat)) < flat.size:
        for row, each in zip(found, values, strict=True):
            np.add.at(row, flat, each)
    else:
        found[:, flat] += values


def reduced(spread: Array, shape: tuple[int, ...]) -> Array:
    """An array, added up to a shape that broadcasts to its own."""
    extra = spread.ndim - len(shape)
    found = spread.sum(axis=tuple(range(extra))) if extra else spread
    wide = tuple(i for i, (n, kept) in enumerate(zip(np.shape(found), shape, strict=True)) if kept == 1 < n)
    return np.asarray(found.sum(axis=wide, keepdims=True) if wide else found)


def masked(values: Array, keep: Array) -> Array:
    """0 where not to be kept, in whatever arithmetic."""
    return values if keep.all() else values * np.where(keep, 1, 0).astype(values.dtype)


def close(a: Array, b: Array, scale: float | None = None, part: float = 1e-8) -> bool:
    """Whether arrays are equal, as far as floats can show; a heuristic, as what it suggests is shown on balls."""
    if a.shape != b.shape:
        return False
    if scale is None:
        scale = max(float(np.abs(b).max(initial=0)), 1e-3 * float(np.abs(a).max(initial=0)), 1e-300)
    return bool(np.abs(a - b).max(initial=0) <= part * scale)
