"""A program in another arithmetic: every block anew, with numbers changed where asked, and its comparisons asked again.

An arithmetic keeps numbers as arrays (C, …) of C channels; `numbers` gives what can be added, multiplied and divided,
`stored` the reverse. It has `exact` and `rounded` (numbers that stand for something near), `function(name, …)`,
`total`, `product`, `at_least` and `sign` (the slopes of a maximum and of a magnitude), `compare`, `constant`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gradlab.tape.program import Block, Guard, Program

Array = np.ndarray[Any, Any]

# Numbers that no rounding has touched before they came here; all others may stand for something near.
EXACT = ("parameter", "upstream", "unset")

# What they give moves with nothing, but where they jump.
STEPS = ("sign", "floor", "ceil", "rint", "trunc", "detach")

# From this size on a factor of products is kept in the arithmetic's own form, if it is used again.
LARGE = 1024


class Unsupported(Exception):
    """The arithmetic has no such function: its name, and where it was asked for."""


class Tie(NamedTuple):
    """A comparison that an arithmetic leaves open or answers otherwise than the run was steered by."""

    guard: Guard
    contrary: bool

    @property
    def where(self) -> str:
        return self.guard.site.where


class Run:
    """A program's numbers in one arithmetic.

    store: (C, N).
    """

    def __init__(self, program: Program, arithmetic: Any) -> None:
        self.program, self.arithmetic = program, arithmetic
        self.store = np.empty((arithmetic.channels, program.length), arithmetic.dtype)

    def stored(self, index: Array) -> Array:
        """The numbers of nodes as they are kept, (C, …)."""
        index = np.asarray(index)
        start = span(index)
        if start is None:
            return self.store.take(index, axis=1)
        return self._stretch(start, index.size, index.shape)

    def numbers(self, index: Array) -> Any:
        """The numbers of nodes, to calculate with."""
        return self.arithmetic.numbers(self.stored(index))

    def operands(self, block: Block) -> list[Any]:
        """The numbers of what a block's operation takes."""
        found = []
        for index, start in zip(block.operands, self.spans(block), strict=True):
            stored = self.store.take(index, axis=1) if start is None else self._stretch(start, index.size, index.shape)
            found.append(self.arithmetic.numbers(stored))
        return found

    def spans(self, block: Block) -> tuple[int | None, ...]:
        """Of each operand the first node, where its nodes follow each other; else None."""
        found = self.program.spans.get(id(block))
        if found is None:
            found = self.program.spans[id(block)] = tuple(map(span, block.operands))
        return found

    def result(self, block: Block) -> Any:
        """The numbers that a block gives."""
        return self.arithmetic.numbers(self._stretch(block.start, block.stop - block.start, block.shape))

    def _stretch(self, start: int, size: int, shape: tuple[int, ...]) -> Array:
        return self.store[:, start : start + size].reshape(len(self.store), *shape)

    def partials(self, block: Block) -> tuple[Any, ...]:
        """The partial derivatives of a block's elementwise operation or maximum, by each operand."""
        from gradlab.tape.derivatives import PARTIALS

        if block.operation in ("max", "min"):
            return (self._extreme_slopes(block),)
        return PARTIALS[block.operation](self.arithmetic, block.parameter, self.result(block), *self.operands(block))

    def _extreme_slopes(self, block: Block) -> Any:
        """Of a maximum over axes: the chosen one against the best of all others, each other against the chosen one."""
        ar, (index,) = self.arithmetic, block.operands
        moved = np.moveaxis(index, block.parameter, range(len(block.parameter)))
        rows = moved.reshape(-1, *moved.shape[len(block.parameter) :])
        sign = 1.0 if block.operation == "max" else -1.0
        chosen = np.argmax(sign * self.program.floats(rows), axis=0)[None]
        others = np.arange(len(rows)).reshape(-1, *[1] * (rows.ndim - 1)) != chosen
        best = np.take_along_axis(rows, chosen, 0)
        slopes = self._at_least(block, rows, np.broadcast_to(best, rows.shape))
        if len(rows) > 1:
            rest = rows.transpose(*range(1, rows.ndim), 0)[others.transpose(*range(1, rows.ndim), 0)]
            rest = rest.reshape(*rows.shape[1:], len(rows) - 1).transpose(-1, *range(rows.ndim - 1))
            second = _most(ar, block.operation, self.stored(rest))
            by_chosen = ar.stored(ar.at_least(*_ordered(block, self.numbers(best), ar.numbers(second))))
        else:
            by_chosen = ar.stored(ar.constant(1.0)).reshape(-1, *[1] * rows.ndim)
        stored = np.where(others, ar.stored(slopes), by_chosen)
        stored = stored.reshape(len(stored), *moved.shape)
        places = [axis + 1 for axis in block.parameter]
        return ar.numbers(np.moveaxis(stored, range(1, 1 + len(places)), places))

    def _at_least(self, block: Block, one: Array, other: Array) -> Any:
        return self.arithmetic.at_least(*_ordered(block, self.numbers(one), self.numbers(other)))


def replay(
    program: Program,
    arithmetic: Any,
    changed: Mapping[int, Any] | None = None,
    leaves: Callable[[Block, Array], Array | None] | None = None,
    length: int | None = None,
    tick: Callable[[], None] | None = None,
    base: Run | None = None,
    only: Container[int] | None = None,
) -> Run:
    """Compute a program's numbers.

    Args:
        changed: values (C, …) in the place of what some blocks give, by the number of the block.
        leaves: of a block of numbers and their floats, what stands there, (C, …); None for the arithmetic's own.
        length: stop after so many nodes.
        tick: called before each block, for limits of time.
        base: a run in the same arithmetic, whose numbers stand before the first block that is changed.
        only: the numbers of the blocks to compute (`needed`); by default all.

    Raises:
        Unsupported: the arithmetic has no such function.
    """
    run = Run(program, arithmetic)
    first = 0
    if base is not None:
        first = min(changed, default=len(program.blocks)) if changed else len(program.blocks)
        run.store[...] = base.store
    for number, block in enumerate(program.blocks[first:], first):
        if length is not None and block.start >= length:
            break
        if only is not None and number not in only:
            continue
        if tick is not None:
            tick()
        if changed is not None and number in changed:
            found = changed[number]
        elif block.operation == "numbers":
            found = _leaf(run, block, leaves)
        else:
            found = arithmetic.stored(computed(run, block))
        run.store[:, block.start : block.stop] = np.reshape(found, (arithmetic.channels, -1))
    return run


def needed(program: Program, indices: Iterable[Array]) -> frozenset[int]:
    """The numbers of the blocks that these nodes are calculated from."""
    starts = np.array([block.start for block in program.blocks])

    def owners(index: Array) -> Iterable[int]:
        return np.unique(np.searchsorted(starts, index.reshape(-1), side="right") - 1).tolist()

    found = {number for index in indices for number in owners(index)}
    for number in range(len(starts) - 1, -1, -1):
        if number in found:
            found.update(owner for index in program.blocks[number].operands for owner in owners(index))
    return frozenset(found)


def ties(run: Run, guards: Iterable[Guard]) -> list[Tie]:
    """The comparisons that the numbers do not decide as the recorded run did."""
    found = []
    for guard in guards:
        if guard.left.size and guard.right.size:
            holds, fails = run.arithmetic.compare(guard.name, run.numbers(guard.left), run.numbers(guard.right))
            # A number compared with itself, under whatever name, is no tie.
            wanted, one = guard.result.astype(bool), run.program.same(guard.left) == run.program.same(guard.right)
            if not (np.where(wanted, holds, fails) | one).all():
                found.append(Tie(guard, bool((np.where(wanted, fails, holds) & ~one).any())))
    return found


def borders(run: Run, guards: Iterable[Guard]) -> list[Tie]:
    """The comparisons of equal numbers of which some depend on a parameter: beside this point they go both ways."""
    found, moves = [], None
    for guard in guards:
        equal, _ = run.arithmetic.compare("equal", run.numbers(guard.left), run.numbers(guard.right))
        equal &= run.program.same(guard.left) != run.program.same(guard.right)
        if equal.any():
            moves = moving(run.program) if moves is None else moves
            if (equal & (moves[guard.left] | moves[guard.right])).any():
                found.append(Tie(guard, False))
    return found


def moving(program: Program) -> Array:
    """(N,) whether a node depends on a parameter, and moves with it."""
    moves = np.zeros(program.length, bool)
    for block in program.blocks:
        reached: list[Any] = [moves[index] for index in block.operands]
        if block.operation in STEPS:
            continue
        if block.operation == "numbers":
            found: Any = block.parameter == "parameter"
        elif block.operation in ("sum", "max", "min"):
            found = reached[0].any(axis=block.parameter, keepdims=True)
        elif block.operation == "product":
            found = reached[0].any(axis=-1)[..., None] | reached[1].any(axis=-2)[..., None, :]
        else:
            found = np.logical_or.reduce(np.broadcast_arrays(*reached)) if len(reached) > 1 else reached[0]
        moves[block.start : block.stop] = np.broadcast_to(found, block.shape).reshape(-1)
    return moves


def span(index: Array) -> int | None:
    """The first of nodes that follow each other, row by row; None for others."""
    if not index.size or not index.flags.c_contiguous:
        return None
    flat = index.reshape(-1)
    first = int(flat[0])
    if int(flat[-1]) - first != flat.size - 1:
        return None
    return first if flat.size < 3 or (flat == np.arange(first, first + flat.size)).all() else None


def key(index: Array) -> Any:
    """What tells large arrays of nodes apart; None for small ones."""
    if index.size < LARGE:
        return None
    start = span(index)
    return (index.shape, start if start is not None else index.tobytes())


def _leaf(run: Run, block: Block, leaves: Any) -> Array:
    values = run.program.span(block.start, block.stop).reshape(block.shape)
    found = None if leaves is None else leaves(block, values)
    if found is None:
        exact = block.parameter in EXACT or bool((np.floor(values) == values).all())
        found = (run.arithmetic.exact if exact else run.arithmetic.rounded)(values, block.dtype)
    return found


def computed(run: Run, block: Block) -> Any:
    """What a block gives for the numbers that its operands have in a run.

    Raises:
        Unsupported: the arithmetic has no such function.
    """
    ar = run.arithmetic
    operands = run.operands(block)
    try:
        if block.operation == "sum":
            return ar.total(operands[0], block.parameter)
        if block.operation == "product":
            return ar.product(*operands, keys=tuple(map(key, block.operands)))
        if block.operation in ("max", "min"):
            return _extreme(ar, block, operands[0])
        return ar.function(block.operation, *operands, parameter=block.parameter)
    except KeyError as missing:
        raise Unsupported(f"{block.site.where}: no bounds are known for {missing.args[0]}") from None


def _ordered(block: Block, one: Any, other: Any) -> tuple[Any, Any]:
    return (one, other) if block.operation == "max" else (other, one)


def _extreme(ar: Any, block: Block, numbers: Any) -> Any:
    """The maximum or minimum over axes."""
    stored = ar.stored(numbers)
    axes = [axis + 1 for axis in block.parameter]
    kept = [axis for axis in range(1, stored.ndim) if axis not in axes]
    rows = stored.transpose(0, *axes, *kept).reshape(len(stored), -1, *[stored.shape[axis] for axis in kept])
    return ar.numbers(_most(ar, block.operation, rows).reshape(len(stored), *block.shape))


def _most(ar: Any, operation: str, rows: Array) -> Array:
    """The maximum or minimum of stored rows (C, n, …) -> (C, 1, …), by halves."""
    while rows.shape[1] > 1:
        half = rows.shape[1] // 2
        pair = (ar.numbers(part) for part in (rows[:, :half], rows[:, half : 2 * half]))
        rows = np.concatenate([ar.stored(ar.function(f"{operation}imum", *pair)), rows[:, 2 * half :]], axis=1)
    return rows
