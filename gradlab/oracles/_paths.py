"""Sums over paths: what the rounding of partial derivatives may do to a derivative multiplied out in any order.

    R rows, one for each output that is differentiated   N nodes of the tape

For every node and row two numbers are kept: Σ over paths of Π |p|, and the error that it may carry. A partial p whose
size is at most s and that is off by at most δ takes them to

    magnitude · s        error · s + magnitude · (δ + c u s) + TINY

c u for the rounding of the product and of the sums it enters. The sums are themselves computed in floats, from
non-negative terms: on its way from an output to a node no term meets more roundings than `Paths.operations` counts, and
the bound is inflated by twice as many units.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradlab.arithmetic.rounded_arrays import sizes
from gradlab.arithmetic.traced import Block, Tape, Traced, nodes

Array = np.ndarray[Any, Any]

UNIT = 2.0**-53

# What a product may lose to underflow; the complex step scales its products by 2⁻⁶⁰, so it starts as much earlier.
TINY = 2.0**-900


class Paths:
    """The sums over all paths from each row's outputs to every node.

    Args:
        outputs: (R, …): the derivatives of the sum of each row are wanted.
        roundings: c u, the relative error of one product and of the sums that it enters.
    """

    def __init__(self, tape: Tape, outputs: Array, roundings: float) -> None:
        self.roundings = roundings
        self.rows = len(outputs)
        self.operations = 4.0
        seeds = nodes(outputs).reshape(self.rows, -1)
        self._sums = np.zeros((2, self.rows, tape.length))
        self._flat = self._sums.reshape(-1)
        self._offsets = tape.length * np.arange(2 * self.rows)[:, None]
        np.add.at(self._flat, (self._offsets[: self.rows] + seeds).reshape(-1), 1.0)
        with np.errstate(all="ignore"):
            for block in reversed(tape.blocks):
                (self._through_product if block.product else self._through)(block)

    def bounds(self, wrt: Traced) -> Array:
        """Bounds on the errors of the derivatives by the nodes of `wrt`, (R, …)."""
        magnitude, error = self._sums.take(nodes(wrt), axis=2)
        with np.errstate(over="ignore"):
            return (error + self.roundings * magnitude) * (1 + self.operations * 2 * UNIT)

    def _through(self, block: Block) -> None:
        reached = self._sums[:, :, block.start : block.stop].reshape(2, self.rows, *block.shape)
        for index, partial in block.parents:
            self._add(index, reached if partial is None else self._times(reached, *sizes(partial)))

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
        (a, left), (b, right) = block.parents
        n, p = len(a), b.shape[1]
        reached = self._sums[:, :, block.start : block.stop].reshape(2, self.rows, n, p)
        (size_a, slack_a), (size_b, slack_b) = sizes(left), sizes(right)
        through_b = reached @ size_b.T
        through_a = size_a.T @ reached
        positive = (reached[0] > 0) * 1.0
        through_b[1] += reached[0] @ (slack_b + self.roundings * size_b).T + positive @ (TINY * (size_b > 0)).T
        through_a[1] += (slack_a + self.roundings * size_a).T @ reached[0] + (TINY * (size_a > 0)).T @ positive
        self.operations += 8 + 3 * max(n, p)
        if not (np.isfinite(through_a).all() and np.isfinite(through_b).all()):
            terms = reached[:, :, :, None, :]
            through_b = self._times(terms, size_b, slack_b).sum(axis=-1)
            through_a = self._times(terms, size_a[:, :, None], slack_a[:, :, None]).sum(axis=2)
        self._add(a, through_b)
        self._add(b, through_a)

    def _add(self, index: Array, sums: Array) -> None:
        """Add sums (2, R, …) to those of the nodes; either broadcasts against the other."""
        shape = sums.shape[2:]
        if shape != index.shape:
            spread = tuple(i for i, (kept, n) in enumerate(zip(index.shape, shape, strict=True)) if kept == 1 < n)
            self.operations += math.prod(shape[i] for i in spread)
            sums = sums.sum(axis=tuple(i + 2 for i in spread), keepdims=True)
            sums = np.broadcast_to(sums, (2, self.rows, *index.shape))
        np.add.at(self._flat, (self._offsets + index.reshape(-1)).reshape(-1), sums.reshape(-1))
        self.operations += 1
