"""A program: every number that a run computed, in order, and how each came about.

    N nodes, one for each number          blocks: one for each operation, on a whole array, whatever its size

A node is known by its index. Moving numbers about is no operation: arrays of indices are moved, by NumPy itself. The
values kept are those of the recorded run, in the format in which it ran, held exactly by float64.
"""

from __future__ import annotations

import bisect
import functools
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

# The first nodes of every program: what np.zeros and np.ones fill with, and what np.empty leaves, which is no number.
ZERO, ONE, UNSET = 0, 1, 2

FLOAT64 = np.dtype(np.float64)

_PACKAGE = str(Path(__file__).parents[1])
_FOREIGN = (_PACKAGE, str(Path(np.__file__).parent), sysconfig.get_paths()["stdlib"], "<frozen", "<__array_function__")
# The package's own hand-written gradients are code under test as anybody's are.
_OWN = tuple(os.path.join(_PACKAGE, name) for name in ("manual", "addition"))  # noqa: PTH118  (as frames name files)


class Frame(NamedTuple):
    """A place in the user's code: which instruction of which function, and its line."""

    code: CodeType
    instruction: int
    line: int

    @property
    def file(self) -> str:
        return self.code.co_filename

    @property
    def columns(self) -> tuple[int, int] | None:
        """Where in the line the expression stands: its first and last column, from 0."""
        for at, (_, _, start, end) in enumerate(self.code.co_positions()):
            if at == self.instruction // 2:
                return None if start is None or end is None else (start, end)
        return None


class Site(NamedTuple):
    """Who asked for an operation: the user's frames, innermost first, and its number within one call of NumPy."""

    frames: tuple[Frame, ...]
    nth: int = 0

    @property
    def where(self) -> str:
        """file.py:27, or "" where no frame is the user's."""
        return f"{Path(self.frames[0].file).name}:{self.frames[0].line}" if self.frames else ""


class Block(NamedTuple):
    """One operation: its nodes are start … stop - 1, an array of `shape`.

    operation: "numbers" where there is nothing to calculate; parameter is then where they come from (parameter,
        upstream, captured, made, literal, unset). Else a name of `gradlab.tape.derivatives.PARTIALS`, "sum" or "max" or
        "min" over the axes in `parameter`, or "product" of two stacks of matrices.
    operands: arrays of nodes that broadcast against the result; of a sum, the result broadcasts against the operand.
    dtype: the format in which the recorded run computed it.
    """

    operation: str
    operands: tuple[Array, ...]
    start: int
    stop: int
    shape: tuple[int, ...]
    parameter: Any
    dtype: np.dtype[Any]
    site: Site

    @property
    def nodes(self) -> Array:
        return np.arange(self.start, self.stop).reshape(self.shape)


class Guard(NamedTuple):
    """A comparison of nodes that the run was steered by: what it said, and where it was made."""

    name: str
    left: Array
    right: Array
    result: Array
    site: Site


class Program:
    """What a run calculated, as it is being recorded.

    lost: where a number left the recording to be calculated with elsewhere; then the program is not the whole run.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.guards: list[Guard] = []
        self.lost: list[str] = []
        self.length = 0
        self.nth = 0
        self.depth = 0
        self.spans: dict[int, tuple[int | None, ...]] = {}  # by id of a block: where operands follow each other
        self._values = np.empty(4096)
        self._same = np.zeros(0, np.intp)
        self._literals: dict[tuple[float, str], int] = {}
        self.append("numbers", (), np.array([0.0, 1.0]), "literal")
        self.append("numbers", (), np.array([np.nan]), "unset")

    def append(self, operation: str, operands: tuple[Array, ...], value: Any, parameter: Any = None) -> Array:
        """Add a block with these values; the indices of its nodes, laid out in memory as the values are."""
        value = np.asarray(value)
        if value.dtype.kind == "c":
            raise TypeError("complex numbers are not recorded")
        start, stop = self.length, self.length + value.size
        if stop > len(self._values):
            grown = np.empty(max(2 * len(self._values), 2 * stop))
            grown[:start] = self._values[:start]
            self._values = grown
        self._values[start:stop] = value.reshape(-1)
        self.length = stop
        # Arrays that operands were taken from may be written to later.
        kept = tuple([index.copy("K") for index in operands])
        dtype = value.dtype if value.dtype.kind == "f" else FLOAT64
        self.blocks.append(Block(operation, kept, start, stop, value.shape, parameter, dtype, self.site()))
        if operation != "numbers":
            self.nth += 1
        index = np.empty_like(value, dtype=np.intp, subok=False)
        index[...] = np.arange(start, stop).reshape(value.shape)
        return index

    def literal(self, number: float, dtype: np.dtype[Any]) -> int:
        """The node of a number that the code writes down."""
        key = (number, dtype.char) if number == number else (np.inf, "nan")
        if number in (0.0, 1.0) and np.copysign(1.0, number) > 0:
            return ONE if number else ZERO
        if key not in self._literals:
            self._literals[key] = int(self.append("numbers", (), np.asarray(number, dtype), "literal"))
        return self._literals[key]

    def floats(self, index: Array, dtype: np.dtype[Any] = FLOAT64) -> Array:
        """The values of nodes, laid out in memory as the indices are, gaps, repeats and reversals too.

        The order in which NumPy and BLAS add up, and so the last bit, depends on it.
        """
        if not index.flags.c_contiguous:
            return self._strided(index, dtype)
        found = np.empty(index.shape)
        np.take(self._values, index, out=found, mode="clip")
        return found if dtype == FLOAT64 else found.astype(dtype)

    def _strided(self, index: Array, dtype: np.dtype[Any]) -> Array:
        steps = [step // index.itemsize for step in index.strides]
        reach = [(n - 1) * step for n, step in zip(index.shape, steps, strict=True)]
        buffer = np.empty(1 + sum(map(abs, reach)) if index.size else 0, dtype)
        first = -sum(one for one in reach if one < 0) if index.size else 0
        strides = [step * buffer.itemsize for step in steps]
        found: Array = np.ndarray(index.shape, buffer.dtype, buffer, first * buffer.itemsize, strides)
        found[...] = np.take(self._values, index, mode="clip")
        return found

    def end(self, index: Array) -> int:
        """Where the block ends that holds the last of some nodes."""
        last = int(index.max(initial=0))
        return self.blocks[bisect.bisect_right(self.blocks, last, key=lambda block: block.start) - 1].stop

    def span(self, start: int, stop: int) -> Array:
        """The values of the nodes start … stop - 1."""
        return self._values[start:stop]

    def overwrite(self, index: Array, value: Any) -> None:
        """Values as the code's own function gives them, where the operations that stand for it round otherwise."""
        self._values[index.reshape(-1)] = np.asarray(value).reshape(-1)

    def guard(self, name: str, left: Array, right: Array, result: Any) -> None:
        """Keep a comparison that was made."""
        self.guards.append(Guard(name, left.copy(), right.copy(), np.array(result), self.site()))

    def lose(self, what: str) -> None:
        """Say that a number has left the recording."""
        self.lost.append(f"{self.site().where}: {what}")

    def same(self, index: Array) -> Array:
        """The first nodes that are the same numbers as these: what was only passed on, or chosen as the largest."""
        if len(self._same) != self.length:
            self._same = _same_numbers(self)
        return self._same[index]

    def unset_read(self) -> Site | None:
        """Where an operation or a comparison first took an entry in which nothing was stored; None where none did."""
        for block in self.blocks:
            if any((index == UNSET).any() for index in block.operands):
                return block.site
        return next((g.site for g in self.guards if (g.left == UNSET).any() or (g.right == UNSET).any()), None)

    def site(self) -> Site:
        """Where in the user's code this is."""
        return Site(tuple(user_frames()), self.nth)


def _same_numbers(program: Program) -> Array:
    same = np.arange(program.length)
    for block in program.blocks:
        if block.operation in ("positive", "detach"):
            chosen: Any = block.operands[0]
        elif block.operation in ("maximum", "minimum"):
            one, other = np.broadcast_arrays(*block.operands)
            first = program.floats(one) == program.span(block.start, block.stop).reshape(block.shape)
            chosen = np.where(first, one, other)
        elif block.operation in ("max", "min"):
            moved = np.moveaxis(block.operands[0], block.parameter, range(len(block.parameter)))
            rows = moved.reshape(-1, *moved.shape[len(block.parameter) :])
            sign = 1.0 if block.operation == "max" else -1.0
            best = np.argmax(sign * program.floats(rows), axis=0)[None]
            chosen = np.take_along_axis(rows, best, 0)
        else:
            continue
        same[block.start : block.stop] = same[chosen].reshape(-1)
    return same


def user_frames() -> Iterator[Frame]:
    """The user's frames up to where recording began, innermost first."""
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code is called.__code__:
            return
        if not is_foreign(code.co_filename):
            yield Frame(code, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]


def called(function: Any, *args: Any) -> Any:
    """function(*args); frames beyond this one are not the user's."""
    return function(*args)


@functools.cache
def is_foreign(filename: str) -> bool:
    """Whether a file is Python's, this package's own or an installed one, and not the user's."""
    if filename.startswith(_OWN):
        return False
    return filename.startswith(_FOREIGN) or "site-packages" in filename
