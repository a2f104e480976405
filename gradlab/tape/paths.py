"""Sums over paths: what the rounding of partial derivatives may do to a derivative multiplied out in any order.

    R rows, one for each output that is differentiated   N nodes

For every node and row two numbers are kept: Σ over paths of Π |p|, and the error that it may carry. A partial p whose
size is at most s and that is off by at most δ takes them to

    magnitude · s        error · s + magnitude · (δ + c u s) + TINY

c u for the rounding of the product and of the sums it enters. The sums are themselves computed in floats, from
non-negative terms: on its way from an output to a node no term meets more roundings than `Paths.operations` counts, and
the bound is inflated by twice as many units (sums over paths as in A. Griewank and A. Walther, Evaluating Derivatives,
2nd ed., SIAM 2008, section 2.4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradlab.tape.program import Block
from gradlab.tape.replay import Run

Array = np.ndarray[Any, Any]

UNIT = 2.0**-53

# What a product may lose to underflow; the complex step scales its products by 2⁻⁶⁰, so it starts as much earlier.
TINY = 2.0**-900


class Paths:
    """The sums over all paths from each row's outputs to every node, of a run on error bounds.

    Args:
        outputs: (R, …) nodes: the derivatives of the sum of each row are wanted.
        roundings: c u, the relative error of one product and of the sums that it enters; by default from the program:
            no sum has more terms than there are nodes before the last output.
    """

    def __init__(self, run: Run, outputs: Array, roundings: float | None = None) -> None:
        self.run = run
        self.rows = len(outputs)
        self.operations = 4.0
        seeds = np.reshape(outputs, (self.rows, math.prod(np.shape(outputs)[1:])))
        length = run.program.end(seeds)
        self.roundings = (2 * length + 16) * UNIT if roundings is None else roundings
        self._sums = np.zeros((2, self.rows, length))
        self._flat = self._sums.reshape(-1)
        self._offsets = length * np.arange(2 * self.rows)[:, None]
        np.add.at(self._flat, (self._offsets[: self.rows] + seeds).reshape(-1), 1.0)
        with np.errstate(all="ignore"):
            for block in reversed(run.program.blocks):
                if block.stop > length or block.operation == "numbers":
                    continue
                if self._sums[0, :, block.start : block.stop].any():
                    (self._through_product if block.operation == "product" else self._through)(block)

    def bounds(self, wrt: Array) -> Array:
        """Bounds on the errors of the derivatives by nodes, (R, …)."""
        wrt = np.asarray(wrt)
        beyond = wrt >= self._sums.shape[2]
        magnitude, error = np.where(beyond, 0.0, self._sums.take(np.where(beyond, 0, wrt), axis=2))
        with np.errstate(over="ignore"):
            return (error + self.roundings * magnitude) * (1 + self.operations * 2 * UNIT)

    def _through(self, block: Block) -> None:
        reached = self._sums[:, :, block.start : block.stop].reshape(2, self.rows, *block.shape)
        if block.operation == "sum":
            self._add(block.operands[0], reached)
            return
        for index, partial in zip(block.operands, self.run.partials(block), strict=True):
            found = reached if partial is None else self._times(reached, *self.run.arithmetic.sizes(partial))
            self._add(index, found)

    def _times(self, reached: Array, size: Any, slack: Any) -> Array:
        """Sums (2, R, …) through partials that broadcast against them."""
        magnitude, error = reached
        found = reached * size
        positive = (magnitude > 0) & (size > 0)
        found[1] += magnitude * (slack + self.roundings * size)
        found[1] += TINY * positive
        self.operations += 6
        if not np.logical_and.reduce(np.isfinite(found), axis=None):
            # Of a partial without a bound nothing is known, unless it is multiplied by 0; nor of an infinite magnitude.
            found[:, ~positive] = 0
            found[:, positive & ~np.isfinite(found).all(axis=0)] = np.inf
        return found

    def _through_product(self, block: Block) -> None:
        """Of C = A B, the sums at A are those at C times |B|ᵀ, and those at B are |A|ᵀ times those at C."""
        a, b = block.operands
        reached = self._sums[:, :, block.start : block.stop].reshape(2, self.rows, *block.shape)
        sizes = self.run.arithmetic.sizes
        (size_a, slack_a), (size_b, slack_b) = (sizes(self.run.numbers(index)) for index in (a, b))
        turned_a, turned_b = np.swapaxes(size_a, -1, -2), np.swapaxes(size_b, -1, -2)
        through_b = reached @ turned_b
        through_a = turned_a @ reached
        positive = (reached[0] > 0) * 1.0
        error_b = np.swapaxes(slack_b + self.roundings * size_b, -1, -2)
        error_a = np.swapaxes(slack_a + self.roundings * size_a, -1, -2)
        through_b[1] += reached[0] @ error_b + positive @ (TINY * (turned_b > 0))
        through_a[1] += error_a @ reached[0] + (TINY * (turned_a > 0)) @ positive
        self.operations += 8 + 3 * max(block.shape[-2:])
        if not (np.isfinite(through_a).all() and np.isfinite(through_b).all()):
            terms = reached[..., :, None, :]
            through_b = self._times(terms, size_b[..., None, :, :], slack_b[..., None, :, :]).sum(axis=-1)
            through_a = self._times(reached[..., :, None, :], size_a[..., :, :, None], slack_a[..., :, :, None]).sum(
                axis=-3
            )
        self._add(a, through_b)
        self._add(b, through_a)

    def _add(self, index: Array, sums: Array) -> None:
        """Add sums (2, R, …) to those of the nodes; either broadcasts against the other."""
        if not sums.size or not index.size:
            return
        index = index.reshape((1,) * (sums.ndim - 2 - index.ndim) + index.shape)
        shape = sums.shape[2:]
        if shape != index.shape:
            spread = tuple(i for i, (kept, n) in enumerate(zip(index.shape, shape, strict=True)) if kept == 1 < n)
            self.operations += math.prod(shape[i] for i in spread)
            sums = sums.sum(axis=tuple(i + 2 for i in spread), keepdims=True)
            sums = np.broadcast_to(sums, (2, self.rows, *index.shape))
        np.add.at(self._flat, (self._offsets + index.reshape(-1)).reshape(-1), sums.reshape(-1))
        self.operations += 1
