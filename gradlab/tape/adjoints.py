"""Reverse sweeps over a run: the derivatives of outputs by every node, in the run's arithmetic.

    R rows, one for each output that is differentiated   N nodes

For arithmetics of one channel (balls, floats). Products over the rows' sum are narrower than sums of the rows'
products, since x (a + b) lies in x a + x b; and what several products send back to one factor is one product of the
factors side by side, which is narrower and faster than the sum of the products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradlab.tape.program import Block
from gradlab.tape.replay import Run, key, span

Array = np.ndarray[Any, Any]


class Adjoints:
    """The derivatives of each row's outputs by every node.

    Args:
        outputs: (R, …) nodes: the sum of each row is differentiated; the later a row, the later the nodes it needs.
        summed: arrays of independent nodes for which only the sum of all rows is wanted.
        tick: called before each block, for limits of time.
    """

    def __init__(
        self, run: Run, outputs: Array, summed: Sequence[Array] = (), tick: Callable[[], None] | None = None
    ) -> None:
        self.run, self.arithmetic = run, run.arithmetic
        self._rows = rows = len(outputs)
        seeds = np.reshape(outputs, (rows, math.prod(np.shape(outputs)[1:])))
        length = run.program.end(seeds)
        self._zero = self.arithmetic.stored(self.arithmetic.constant(0.0)).reshape(())[()]
        # One row more than there are outputs: the sums.
        self._found = np.full((rows + 1, length), self._zero, dtype=self.arithmetic.dtype)
        self._first = np.full(length, rows)  # the first row that reaches a node
        self._summed = np.zeros(length, bool)
        for array in summed:
            self._summed[np.asarray(array)[np.asarray(array) < length]] = True
        self._leaf = np.ones(length, bool)
        for block in run.program.blocks:
            if block.operation != "numbers":
                self._leaf[block.start : block.stop] = False
        self._pending: dict[Any, tuple[Array, int, list[tuple[Array, Array]]]] = {}
        one = self.arithmetic.stored(self.arithmetic.constant(1.0)).reshape(())[()]
        for row in reversed(range(rows)):
            np.add.at(self._found[row], seeds[row], one)
            self._first[seeds[row]] = row
        self._apart = bool(self._summed[seeds].any())  # whether part of a sum stands in the rows
        for block in reversed(run.program.blocks):
            if block.stop > length or block.operation == "numbers":
                continue
            first = int(self._first[block.start : block.stop].min(initial=rows))
            if first < rows:
                if tick is not None:
                    tick()
                (self._through_product if block.operation == "product" else self._through)(block, first)
        self._settle()

    def rows(self, wrt: Array) -> Array:
        """(R, …): the derivatives of each row's outputs by nodes."""
        return self._at(self._found[:-1], wrt)

    def sums(self, wrt: Array) -> Array:
        """(…): the derivatives of the sum of all outputs, for nodes that are `summed`."""
        found = self._at(self._found, wrt)
        return found.sum(axis=0) if self._apart else found[-1]

    def _at(self, found: Array, wrt: Array) -> Array:
        wrt = np.asarray(wrt)
        beyond = wrt >= found.shape[1]
        if not beyond.any():
            return found[:, wrt]
        made = found[:, np.where(beyond, 0, wrt)]
        made[:, beyond] = self._zero
        return made

    def _reached(self, block: Block, first: int) -> Array:
        return self._found[first:-1, block.start : block.stop].reshape(self._rows - first, *block.shape)

    def _through(self, block: Block, first: int) -> None:
        reached = self._reached(block, first)
        if block.operation == "sum":
            partials: tuple[Any, ...] = (None,)
        else:
            partials = self.run.partials(block)
        for index, start, partial in zip(block.operands, self.run.spans(block), partials, strict=True):
            summed = self._is_summed(index)
            at = reached.sum(axis=0, keepdims=True) if summed and len(reached) > 1 else reached
            if partial is not None:
                at = at * (partial if isinstance(partial, int) else np.asarray(partial)[None])
            if block.operation in ("sum", "max", "min"):
                at = np.broadcast_to(at, (len(at), *index.shape))
            self._add(index, at, -1 if summed else first, start)

    def _through_product(self, block: Block, first: int) -> None:
        """Of C = A B, the adjoint of A is that of C times Bᵀ, and that of B is Aᵀ times that of C."""
        a, b = block.operands
        left, right = self.run.numbers(a), self.run.numbers(b)
        reached = self._reached(block, first)
        if left.ndim > 2:
            for i in range(len(a)):
                self._send(a[i], b[i], left[i], right[i], reached[:, i], first)
        else:
            self._send(a, b, left, right, reached, first)

    def _send(self, a: Array, b: Array, left: Array, right: Array, reached: Array, first: int) -> None:
        n, p = reached.shape[1:]
        m, rows, product = left.shape[1], len(reached), self.arithmetic.product
        if (summed := self._is_summed(a)) or (self._rows == 1 and self._is_leaf(a)):
            self._defer(a, -1 if summed else first, reached.sum(axis=0) if rows > 1 else reached[0], right.T)
        else:
            beside = product(reached.reshape(-1, p), right.T, keys=(None, key(b.T)))
            self._add(a, beside.reshape(rows, n, m), first)
        if (summed := self._is_summed(b)) or (self._rows == 1 and self._is_leaf(b)):
            self._defer(b, -1 if summed else first, left.T, reached.sum(axis=0) if rows > 1 else reached[0])
        else:
            beside = product(left.T, reached.transpose(1, 0, 2).reshape(n, -1), keys=(key(a.T), None))
            self._add(b, beside.reshape(m, rows, p).transpose(1, 0, 2), first)

    def _defer(self, index: Array, first: int, left: Array, right: Array) -> None:
        """Keep a product whose result belongs to independent nodes, which nothing waits for."""
        known = self._pending.setdefault((index.shape, index.tobytes()), (index, first, []))
        known[2].append((left, right))

    def _settle(self) -> None:
        for index, first, parts in self._pending.values():
            left = np.concatenate([one for one, _ in parts], axis=1)
            right = np.concatenate([other for _, other in parts], axis=0)
            self._add(index, self.arithmetic.product(left, right)[None], first)

    def _is_leaf(self, index: Array) -> bool:
        return bool(self._leaf[index].all())

    def _is_summed(self, index: Array) -> bool:
        """Whether of all these nodes only the sum is wanted; where of some, theirs stays in the rows."""
        summed = self._summed[index]
        if summed.size and summed.all():
            return True
        self._apart |= bool(summed.any())
        return False

    def _add(self, index: Array, found: Array, first: int, start: int | None = None) -> None:
        """Add (rows, …) to the nodes' adjoints from row `first` on, or to their sums; either broadcasts.

        Args:
            start: the first of the nodes, where they follow each other.
        """
        if not found.size or not index.size:
            return
        index = index.reshape((1,) * (found.ndim - 1 - index.ndim) + index.shape)
        shape = found.shape[1:]
        if shape != index.shape:
            spread = tuple(i + 1 for i, (kept, n) in enumerate(zip(index.shape, shape, strict=True)) if kept == 1 < n)
            found = np.asarray(found.sum(axis=spread, keepdims=True) if spread else found)
            found = np.broadcast_to(found, (len(found), *index.shape))
        found = found.reshape(len(found), -1)
        rows = slice(first, -1) if first >= 0 else slice(-1, None)
        at: Any = index.reshape(-1)
        start = span(at) if start is None else start
        if start is not None:
            at = slice(start, start + len(at))
        if start is None and len(np.unique(at)) < len(at):
            for row, each in zip(self._found[rows], found, strict=True):
                np.add.at(row, at, each)
        elif (self._first[at] == self._rows).all():
            self._found[rows, at] = found
        else:
            self._found[rows, at] += found
        self._first[at] = np.minimum(self._first[at], max(first, 0))
