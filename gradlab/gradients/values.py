"""What the forward pass of a loss had in hand, as operands that a backward pass may need: values, and slopes.

m executions of one instruction of the loss
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradlab.gradients.expressions import text
from gradlab.gradients.truths import Truths
from gradlab.gradients.worlds import World
from gradlab.tape.program import Site

Array = np.ndarray[Any, Any]

Stack = Callable[[World], Array]

NUMBERS = {"upstream": "the upstream gradient", "parameter": "the parameter"}
DEPTH = 6  # operations that one slope is composed of


@dataclass(frozen=True, eq=False)
class Value:
    """One: what it is in words, where, and how to get its stack (m, …) in a world. slope: it is a partial derivative.
    data: nothing computed it. numbers: the blocks it is of.
    """

    said: str
    site: Site
    numbers: tuple[int, ...]
    stack: Stack
    slope: bool = False
    data: bool = False


class Values:
    """All of a recorded loss."""

    def __init__(self, truths: Truths) -> None:
        self.truths, self.program = truths, truths.program
        self.starts = {block.start: number for number, block in enumerate(self.program.blocks)}

    @cached_property
    def all(self) -> list[Value]:
        return [*self._results(), *self._data(), *self._operands(), *self._slopes()]

    def _results(self) -> Iterator[Value]:
        for numbers in self.truths.blocks.values():
            block = self.program.blocks[numbers[0]]
            yield Value(f"`{text(block.site, block.operation)}`", block.site, tuple(numbers), _given(numbers))

    def _operands(self) -> Iterator[Value]:
        known: set[bytes] = set()
        for numbers in self.truths.blocks.values():
            block = self.program.blocks[numbers[0]]
            for k in range(len(block.operands) if block.site.frames else 0):
                shapes = {self.program.blocks[n].operands[k].shape for n in numbers}
                for shape in shapes:
                    some = tuple(n for n in numbers if self.program.blocks[n].operands[k].shape == shape)
                    index = np.stack([self.program.blocks[n].operands[k] for n in some])
                    if index[0].size < 2 or index.tobytes() in known or self.truths.literal[index].all():
                        continue
                    known.add(index.tobytes())
                    said = f"what `{text(block.site, block.operation)}` takes"
                    yield Value(said, block.site, some, _taken(index))

    def _data(self) -> Iterator[Value]:
        for number, block in enumerate(self.program.blocks):
            if block.start >= self.truths.first:
                return
            if block.operation == "numbers" and block.parameter not in ("literal", "unset"):
                said = NUMBERS.get(block.parameter, "the data")
                yield Value(said, block.site, (number,), _given([number]), data=True)

    def _slopes(self) -> Iterator[Value]:
        """Of single operations, and of chains of them."""
        for numbers in self.truths.blocks.values():
            block = self.program.blocks[numbers[0]]
            if block.operation in ("product", "sum", "max", "min", "multiply", "add", "subtract", "negative"):
                continue
            for k in range(len(block.operands)):
                for depth in range(1, DEPTH):
                    if not self._reaches(numbers[0], k, depth):
                        break
                    said = f"the slope of `{text(block.site, block.operation)}`"
                    yield Value(said, block.site, tuple(numbers), self._sloped(numbers, k, depth), slope=True)

    def _sloped(self, numbers: list[int], k: int, depth: int) -> Stack:
        return lambda world: np.stack([self._slope(world, n, k, depth) for n in numbers])

    def _before(self, number: int, k: int) -> int | None:
        """The block that gives all of an operand."""
        block = self.program.blocks[number]
        index = block.operands[k]
        before = self.starts.get(int(index.flat[0])) if index.size and index.shape == block.shape else None
        if before is None or self.program.blocks[before].stop - self.program.blocks[before].start != index.size:
            return None
        inner = self.program.blocks[before]
        chained = inner.operation not in ("numbers", "product", "sum", "max", "min")
        return before if chained and inner.shape == block.shape else None

    def _reaches(self, number: int, k: int, depth: int) -> bool:
        found: int | None = number
        for step in range(1, depth):
            found = self._before(found, k if step == 1 else self._inward(found)) if found is not None else None
        return found is not None

    def _inward(self, number: int) -> int:
        """The operand that a chain follows: the largest."""
        sizes = [index.size for index in self.program.blocks[number].operands]
        return int(np.argmax(sizes))

    def _slope(self, world: World, number: int, k: int, depth: int) -> Array:
        shape = self.program.blocks[number].shape
        partial = world.partials(number)[k]
        found = np.broadcast_to(1.0 if partial is None else np.asarray(partial), shape)
        for _ in range(1, depth):
            before = self._before(number, k)
            if before is None:
                return found * np.nan
            number, k = before, self._inward(before)
            partial = world.partials(number)[k]
            found = found * (1.0 if partial is None else np.asarray(partial))
        return found


def _given(numbers: list[int]) -> Stack:
    return lambda world: np.stack([world.of(n) for n in numbers])


def _taken(index: Array) -> Stack:
    return lambda world: world.values[index]
