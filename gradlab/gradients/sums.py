"""Leaves of which no single value is wrong that stands for something, but their sum: too few steps, or other terms.

    T terms of the loss, in the order of time   J executions of one use of a leaf

What a term t sends back through execution j of a use has gone back t − j steps. A truncated recursion gives the sum of
all paths that are at most so long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradlab.gradients import expressions
from gradlab.gradients.kinds import Kind
from gradlab.gradients.locate import Locator
from gradlab.gradients.places import Place
from gradlab.gradients.worlds import World, close
from gradlab.tape import Adjoints
from gradlab.tape.program import Frame

Array = np.ndarray[Any, Any]

MOST = 64  # terms of a loss that are taken apart
LITERAL = "literal"


def truncated(locator: Locator) -> tuple[Place, Kind, str] | None:
    """The loop that ends too early, if the leaves that are wrong still are sums of paths of at most so many steps."""
    terms = list(_terms(locator.world))
    if not 2 < len(terms) <= MOST or len({nodes.size for nodes, _ in terms}) > 1:
        return None
    worlds = _apart(locator.world, terms)
    steps: set[int] = set()
    for path in locator.left:
        found = _longest(locator, worlds, path)
        if found is None:
            return None
        steps.add(found)
    if len(steps) != 1 or 0 in steps:  # that would be no recursion at all
        return None
    (most,) = steps
    frame = _making(locator, locator.left[0])
    loops = [] if frame is None else expressions.loops(frame)
    if frame is None or not loops:
        return None
    where = Place(frame.file, loops[0].lineno, (), 1, tuple(locator.left))
    return (
        where,
        Kind.TRUNCATION,
        f"the loop goes {most} steps back from each term of the loss, and the loss {len(worlds) - 1}",
    )


def added_up(locator: Locator) -> Iterator[Place]:
    """Of leaves that are wrong still: the line that makes them, if all that it is fed with is right."""
    found: dict[tuple[str, int], list[str]] = {}
    for path in locator.left:
        frames = {(f.file, f.line): f for f in _frames(locator, path)}
        if len(frames) == 1 and _fed_right(locator, path, next(iter(frames))):
            found.setdefault(next(iter(frames)), []).append(path)
    for (file, line), paths in found.items():
        yield Place(file, line, (), 1, tuple(paths))


def _terms(world: World) -> Iterator[tuple[Array, float]]:
    """(nodes, weight) of the terms that the loss is a weighted sum of."""
    blocks = world.program.blocks
    number = {block.start: n for n, block in enumerate(blocks)}
    waiting = [(int(world.recorded.outputs[0]), 1.0)]
    while waiting:
        node, weight = waiting.pop(0)
        block = blocks[number[node]] if node in number else None
        if block is None or block.stop - block.start != 1:
            if node >= 2:
                yield np.array([node]), weight
            continue
        operands = [index.reshape(-1) for index in block.operands]
        if block.operation == "sum" and block.operands[0].shape[:1] != (1,) and block.operands[0].size > 1:
            yield from ((row.reshape(-1), weight) for row in block.operands[0])
        elif block.operation == "sum" or block.operation == "negative":
            waiting[:0] = [(int(at), -weight if block.operation == "negative" else weight) for at in operands[0]]
        elif block.operation in ("add", "subtract"):
            sign = 1.0 if block.operation == "add" else -1.0
            waiting[:0] = [(int(operands[0][0]), weight), (int(operands[1][0]), sign * weight)]
        elif block.operation in ("multiply", "divide") and (k := _literal(blocks, number, operands)) is not None:
            factor = float(world.values[operands[k][0]])
            if block.operation == "multiply" or k == 1:
                scaled = weight * factor if block.operation == "multiply" else weight / factor
                waiting.insert(0, (int(operands[1 - k][0]), scaled))
        elif node >= 2:
            yield np.array([node]), weight


def _literal(blocks: Any, number: dict[int, int], operands: list[Array]) -> int | None:
    for k, index in enumerate(operands):
        at = int(index[0])
        if at < 3 or (at in number and blocks[number[at]].parameter == LITERAL):
            return k
    return None


def _apart(world: World, terms: list[tuple[Array, float]]) -> list[World]:
    """The world with each term alone as the loss."""
    sweep = Adjoints(world.run, np.stack([nodes for nodes, _ in terms]))
    rows = sweep.rows(np.arange(world.recorded.loss[0]))
    made = []
    for row, (_, weight) in zip(rows, terms, strict=True):
        one = world.replayed({})
        one.adjoints, one._sent = row * weight, {}
        made.append(one)
    return made


def _longest(locator: Locator, worlds: list[World], path: str) -> int | None:
    """How many steps the longest path goes back that a leaf holds, if it holds all that are no longer, and no other."""
    leaf = locator.world.recorded.leaves[path]
    start, last = int(leaf.min()), int(leaf.max())
    by_lag: dict[int, Array] = {}
    for uses in locator.truths.uses.values():
        mine = [(n, k) for n, k in uses if start <= locator.world.program.blocks[n].operands[k].min() <= last]
        for j, (n, k) in enumerate(mine):
            index = locator.world.program.blocks[n].operands[k]
            for t, world in enumerate(worlds):
                sent = world.sent(n, k)
                if sent.any():
                    lag = t - j - (len(worlds) - len(mine))
                    here = by_lag.setdefault(lag, np.zeros(leaf.shape)).reshape(-1)
                    np.add.at(here, index.reshape(-1) - start, sent.reshape(-1))
    if len(by_lag) < 2 or min(by_lag) < 0:
        return None
    total, given = np.zeros(leaf.shape), locator.repaired.gradients[path]
    for lag in sorted(by_lag)[:-1]:
        total = total + by_lag[lag]
        if close(given, total):
            return lag
    return None


def _frames(locator: Locator, path: str) -> Iterator[Frame]:
    """The innermost frames of what makes a leaf's gradient."""
    for n in _blocks(locator, locator.world.recorded.gradients[path]):
        site = locator.world.program.blocks[n].site
        if site.frames:
            yield site.frames[0]


def _making(locator: Locator, path: str) -> Frame | None:
    return next(_frames(locator, path), None)


def _blocks(locator: Locator, index: Array) -> list[int]:
    starts = np.array([block.start for block in locator.world.program.blocks])
    return [int(n) for n in np.unique(np.searchsorted(starts, index.reshape(-1), side="right") - 1)]


def _fed_right(locator: Locator, path: str, line: tuple[str, int]) -> bool:
    """Whether all derivatives that a line takes in, to make a leaf, are true ones as they stand."""
    made_of = {n: made for made in locator.candidates.made for n in made.numbers}
    right: dict[int, bool] = {}
    waiting, seen = _blocks(locator, locator.world.recorded.gradients[path]), set()
    taken = False
    while waiting:
        n = waiting.pop()
        if n in seen or n not in made_of:
            continue
        seen.add(n)
        made = made_of[n]
        frame = made.site.frames[0]
        if (frame.file, frame.line) == line:
            for index in locator.world.program.blocks[n].operands:
                waiting += _blocks(locator, index)
            continue
        if made.operation == "numbers":
            continue
        if id(made) not in right:
            fits = locator.candidates.fits(made, made.stack(locator.world))
            right[id(made)] = any(not fit.shifted for fit in fits)
        if not right[id(made)]:
            return False
        taken = True
    return taken
