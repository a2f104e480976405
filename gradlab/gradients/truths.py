"""What could belong somewhere in a gradient's code: the true derivatives that a backward pass is made of.

    m executions of one instruction of the loss

*adjoint* the derivative by what an instruction gives, or by what it takes; *edge* what one use of a number sends back
to it; *partial sum* of the edges of several executions, as a loop has them in hand; *some uses* the sum of what some of
a number's uses send back (a carry is all but that of its own step). Each is a recipe, to be followed at any point and
in any arithmetic.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.gradients.worlds import World, reduced
from gradlab.tape.program import Block, Site
from gradlab.tape.replay import needed

Array = np.ndarray[Any, Any]

# Which instruction: the chain of calls, and the how manyeth operation within one call of NumPy.
Key = tuple[Any, ...]
Use = tuple[Key, int]

ROWS = 64  # executions that one product or broadcast may stand for
LARGE = 1_000_000  # entries of such a stack
FEW = 6  # uses of which all subsets are looked at
WIDE = 20_000  # entries of arrays whose uses are looked at apart

ADJOINT, EDGE, PARTIAL_SUM, SOME_USES, OPERAND = "adjoint", "edge", "partial sum", "some uses", "operand"


def key_of(site: Site) -> Key:
    """What tells instructions apart."""
    return (tuple((id(frame.code), frame.instruction) for frame in site.frames), site.nth)


@dataclass(frozen=True, eq=False)
class Truth:
    """A recipe.

    numbers: the blocks of the loss that it is of, one for each execution. index: (m, …) nodes, of adjoints and sums of
    uses. operand: of which operand, of edges. along: 0, or the direction in which edges are added up. rows: whether one
    block stands for all executions, and along which of a product's sides. uses: which, of sums of some.
    """

    kind: str
    site: Site
    operation: str
    numbers: tuple[int, ...]
    index: Array
    operand: int = 0
    along: int = 0
    rows: int | None = None
    uses: tuple[Use, ...] = ()


class Truths:
    """All of a recorded loss.

    uses: every use of numbers of the loss: (block, operand) of each execution, by use.
    """

    def __init__(self, world: World) -> None:
        self.world, self.program = world, world.program
        self.first = world.recorded.loss[0]
        self.uses: dict[Use, list[tuple[int, int]]] = {}
        self.blocks: dict[tuple[Key, tuple[int, ...]], list[int]] = {}
        # Where one function gives loss and gradient, not all that the loss ran is part of it.
        part = needed(self.program, [world.recorded.outputs])
        for number, block in enumerate(self.program.blocks):
            if block.operation != "numbers" and number in part:
                self.blocks.setdefault((key_of(block.site), block.shape), []).append(number)
        self.literal = np.zeros(self.first, bool)
        for block in self.program.blocks:
            if block.operation == "numbers" and block.parameter in ("literal", "unset") and block.start < self.first:
                self.literal[block.start : block.stop] = True
        known: set[Any] = set()
        self.all: list[Truth] = []
        self._vectors: dict[Any, dict[Use, Array]] = {}
        for truth in itertools.chain(self._plain(), self._by_rows(), self._leaves()):
            self._keep(truth, known, world)
        for truth in list(self.all):
            for some in self._subsets(truth, world):
                self._keep(some, known, world)

    def _keep(self, truth: Truth, known: set[Any], world: World) -> None:
        """Of truths that are the same numbers, the first."""
        stack = self.stack(truth, world)
        if not np.isfinite(stack).all() or not stack.any():
            return
        size = float(np.abs(stack).max())
        key = (stack.shape, np.round(stack / size, 11).tobytes(), round(float(np.log(size)), 9))
        if key not in known:
            known.add(key)
            self.all.append(truth)

    def _plain(self) -> Iterator[Truth]:
        edges: dict[Any, list[int]] = {}
        for (key, _), numbers in self.blocks.items():
            first = self.program.blocks[numbers[0]]
            index = np.stack([self.program.blocks[n].nodes for n in numbers])
            yield Truth(ADJOINT, first.site, first.operation, tuple(numbers), index)
            for n in numbers:
                for k, operand in enumerate(self.program.blocks[n].operands):
                    self.uses.setdefault((key, k), []).append((n, k))
                    edges.setdefault((key, k, operand.shape), []).append(n)
        for (_, k, _), numbers in edges.items():
            first = self.program.blocks[numbers[0]]
            index = np.stack([self.program.blocks[n].operands[k] for n in numbers])
            if self.literal[index].all():
                continue
            for kind, along in ((OPERAND, 0), (EDGE, 0), (PARTIAL_SUM, 1), (PARTIAL_SUM, -1)):
                if not along or len(numbers) > 1:
                    yield Truth(kind, first.site, first.operation, tuple(numbers), index, k, along)

    def _by_rows(self) -> Iterator[Truth]:
        """Of products and broadcasts, what is added up in one go, a row for each execution of a loop."""
        for numbers in self.blocks.values():
            for n in numbers:
                block = self.program.blocks[n]
                for k, length in _rows(block):
                    index = np.broadcast_to(block.operands[k], (length, *block.operands[k].shape))
                    for along in (0, 1, -1):
                        kind = PARTIAL_SUM if along else EDGE
                        yield Truth(kind, block.site, block.operation, (n,), index, k, along, k)

    def _leaves(self) -> Iterator[Truth]:
        for index in self.world.recorded.leaves.values():
            yield Truth(ADJOINT, Site((), 0), "leaf", (), index[None])

    def stack(self, truth: Truth, world: World) -> Array:
        """(m, …): the arrays, one for each execution, in a world's arithmetic."""
        if truth.kind in (ADJOINT, OPERAND):
            return world.adjoint(truth.index)
        if truth.kind == SOME_USES:
            vectors = self.sent_by_use(truth.index, world)
            return np.asarray(sum(vectors[use] for use in truth.uses))
        if truth.rows is None:
            found = np.stack([world.sent(n, truth.operand) for n in truth.numbers])
        else:
            found = _row_by_row(world, truth.numbers[0], truth.operand)
        if truth.along:
            found = np.cumsum(found[:: truth.along], axis=0)[:: truth.along]
        return found

    def sent_by_use(self, index: Array, world: World) -> dict[Use, Array]:
        """What each use of some nodes sends back to them, by use; of uses that send something."""
        key = (id(world.run), index.shape, index.tobytes())
        if key not in self._vectors:
            if len(self._vectors) > 4096:
                self._vectors.clear()
            self._vectors[key] = {use: sent for use in self.uses if (sent := self._sent(use, index, world)) is not None}
        return self._vectors[key]

    def _sent(self, use: Use, index: Array, world: World) -> Array | None:
        wanted = np.unique(index)
        at: Array | None = None
        for n, k in self.uses[use]:
            operand = self.program.blocks[n].operands[k].reshape(-1)
            if operand.max(initial=-1) < wanted[0] or operand.min(initial=self.first) > wanted[-1]:
                continue
            place = np.minimum(np.searchsorted(wanted, operand), len(wanted) - 1)
            mine = wanted[place] == operand
            if mine.any():
                if at is None:
                    at = np.zeros(len(wanted), world.adjoints.dtype)
                np.add.at(at, place[mine], world.sent(n, k).reshape(-1)[mine])
        if at is None or not at.astype(bool).any():
            return None
        return at[np.searchsorted(wanted, index)]

    def _subsets(self, truth: Truth, world: World) -> Iterator[Truth]:
        if truth.kind not in (ADJOINT, OPERAND) or truth.index.size > WIDE:
            return
        uses = list(self.sent_by_use(truth.index, world))
        if len(uses) < 2:
            return
        sizes = range(1, len(uses)) if len(uses) <= FEW else (1, 2, len(uses) - 1)
        for some in itertools.chain.from_iterable(itertools.combinations(uses, size) for size in sizes):
            yield Truth(SOME_USES, truth.site, truth.operation, truth.numbers, truth.index, truth.operand, uses=some)


def _rows(block: Block) -> Iterator[tuple[int, int]]:
    """(operand, how many rows are added up) of a block that works on several steps at once."""
    size = block.stop - block.start
    if block.operation == "product" and len(block.shape) == 2:
        a, b = block.operands
        n, m, p = a.shape[0], a.shape[1], b.shape[1]
        if 1 < n <= ROWS and n * m * p < LARGE:
            yield 1, n
        if 1 < p <= ROWS and n * m * p < LARGE:
            yield 0, p
    elif block.operation not in ("product", "sum", "max", "min") and block.shape[1:] and 1 < block.shape[0] <= ROWS:
        for k, operand in enumerate(block.operands):
            if size < LARGE and (operand.ndim < len(block.shape) or operand.shape[0] == 1):
                yield k, block.shape[0]


def _row_by_row(world: World, number: int, k: int) -> Array:
    block = world.program.blocks[number]
    reached = world.adjoints[block.start : block.stop].reshape(block.shape)
    if block.operation == "product":
        left, right = (world.run.numbers(index) for index in block.operands)
        if k == 1:
            return np.asarray(left[:, :, None] * reached[:, None, :])
        return np.asarray(reached.T[:, :, None] * right.T[:, None, :])
    return np.stack([reduced(row[None], block.operands[k].shape) for row in world.spread(number, k)])
