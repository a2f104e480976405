"""Balls as whole arrays of `arb`, and their derivatives by one reverse pass over a tape, a row for each output.

    R rows, one for each output that is differentiated   N nodes of the tape

Elementwise operations are NumPy's on object arrays; matrix products, forward and backward, are Arb's. Products over the
rows' sum are narrower than sums of the rows' products, since x (a + b) lies in x a + x b.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb, arb_mat

from gradlab.arithmetic.ball import Ball, power
from gradlab.arithmetic.scalar import elementwise
from gradlab.arithmetic.traced import Block, Operation, Tape, Traced, nodes

Array = np.ndarray[Any, Any]

ZERO = arb(0)


class BallArithmetic:
    """Balls as object arrays (1, …) of `arb`, at the precision in force."""

    channels = 1
    dtype = object

    @property
    def operations(self) -> dict[str, Callable[..., Operation]]:
        return _OPERATIONS

    def exact(self, numbers: Array) -> Array:
        """The exact balls of an array of floats."""
        return np.asarray(elementwise(arb, numbers))[None]

    def matrix_product(self, left: Array, right: Array) -> tuple[Array, Array, Array]:
        """(1, n, m) times (1, m, p) -> (1, n, p), and the factors."""
        return matrix_product(left[0], right[0])[None], left, right

    def total(self, terms: Array, axes: tuple[int, ...]) -> Array:
        """The sum over some of the axes of the entries, which stay, of length 1."""
        return terms.sum(axis=tuple(axis + 1 for axis in axes), keepdims=True)


def matrix_product(left: Array, right: Array) -> Array:
    """(n, m) times (m, p), object arrays of `arb`."""
    (n, m), p = left.shape, right.shape[1]
    product = arb_mat(n, m, left.ravel().tolist()) * arb_mat(m, p, right.ravel().tolist())
    return np.fromiter(product.entries(), object, n * p).reshape(n, p)


def as_balls(array: Any) -> Array:
    """The balls of an object array of `arb`, or of exact numbers."""
    return elementwise(Ball, array)


class Adjoints:
    """The derivatives of each row's outputs by every node.

    Args:
        outputs: (R, …): the sum of each row is differentiated; the later a row, the later the nodes it depends on.
        summed: arrays of independent nodes for which only the sum of all rows is wanted.
    """

    def __init__(self, tape: Tape, outputs: Array, summed: Sequence[Traced] = ()) -> None:
        self._rows = rows = len(outputs)
        seeds = nodes(outputs).reshape(rows, -1)
        # One row more than there are outputs: the sums.
        self._found = np.full((rows + 1, tape.length), ZERO, dtype=object)
        self._first = np.full(tape.length, rows)  # the first row that reaches a node
        self._summed = np.zeros(tape.length, bool)
        for array in summed:
            self._summed[nodes(array)] = True
        one: Any = arb(1)
        for row in reversed(range(rows)):
            np.add.at(self._found[row], seeds[row], one)
            self._first[seeds[row]] = row
        self._apart = bool(self._summed[seeds].any())  # whether part of a sum stands in the rows
        for block in reversed(tape.blocks):
            first = self._first[block.start : block.stop].min(initial=rows)
            if first < rows:
                (self._through_product if block.product else self._through)(block, first)

    def rows(self, wrt: Traced) -> Array:
        """(R, …): the derivatives of each row's outputs by the nodes of `wrt`."""
        return self._found[:-1, nodes(wrt)]

    def sums(self, wrt: Traced) -> Array:
        """(…): the derivatives of the sum of all outputs, for arrays that are `summed`."""
        found = self._found[:, nodes(wrt)]
        return found.sum(axis=0) if self._apart else found[-1]

    def _through(self, block: Block, first: int) -> None:
        reached = self._found[first:-1, block.start : block.stop].reshape(-1, *block.shape)
        for index, partial in block.parents:
            summed = self._is_summed(index)
            at = reached.sum(axis=0, keepdims=True) if summed else reached
            self._add(index, at if partial is None else at * partial, -1 if summed else first)

    def _through_product(self, block: Block, first: int) -> None:
        """Of C = A B, the adjoint of A is that of C times Bᵀ, and that of B is Aᵀ times that of C."""
        (a, left), (b, right) = block.parents
        (n, m), p = a.shape, b.shape[1]
        reached = self._found[first:-1, block.start : block.stop].reshape(-1, n, p)
        rows = len(reached)
        if self._is_summed(a):
            self._add(a, matrix_product(reached.sum(axis=0), right[0].T)[None], -1)
        else:
            self._add(a, matrix_product(reached.reshape(-1, p), right[0].T).reshape(rows, n, m), first)
        if self._is_summed(b):
            self._add(b, matrix_product(left[0].T, reached.sum(axis=0))[None], -1)
        else:
            beside = matrix_product(left[0].T, reached.transpose(1, 0, 2).reshape(n, -1))
            self._add(b, beside.reshape(m, rows, p).transpose(1, 0, 2), first)

    def _is_summed(self, index: Array) -> bool:
        """Whether of all these nodes only the sum is wanted; where of some, theirs stays in the rows."""
        summed = self._summed[index]
        if summed.all():
            return True
        self._apart |= bool(summed.any())
        return False

    def _add(self, index: Array, found: Array, first: int) -> None:
        """Add (rows, …) to the nodes' adjoints from row `first` on, or to their sums; either broadcasts."""
        shape = found.shape[1:]
        if shape != index.shape:
            spread = tuple(i + 1 for i, (kept, n) in enumerate(zip(index.shape, shape, strict=True)) if kept == 1 < n)
            found = np.broadcast_to(found.sum(axis=spread, keepdims=True), (len(found), *index.shape))
        found = found.reshape(len(found), -1)
        rows = slice(first, -1) if first >= 0 else slice(-1, None)
        at = index.reshape(-1)
        if len(set(at.tolist())) < len(at):
            for row, each in zip(self._found[rows], found, strict=True):
                np.add.at(row, at, each)
        elif (self._first[at] == self._rows).all():
            self._found[rows, at] = found
        else:
            self._found[rows, at] += found
        self._first[at] = np.minimum(self._first[at], max(first, 0))


def _multiply(a: Array, b: Array) -> Operation:
    return Operation(a * b, (b, a))


def _divide(a: Array, b: Array) -> Operation:
    quotient, inverse = a / b, 1 / b
    return Operation(quotient, (inverse, -quotient * inverse))


def _reciprocal(x: Array) -> Operation:
    quotient = 1 / x
    return Operation(quotient, (-quotient / x,))


def _power(x: Array, exponent: int) -> Operation:
    slope = exponent * _to(x, exponent - 1) if exponent else 0 * x
    return Operation(_to(x, exponent), (slope,))


def _to(x: Array, exponent: int) -> Array:
    n = arb(exponent)
    return elementwise(lambda one: power(one, n), x)


def _exp(x: Array) -> Operation:
    y = np.exp(x)
    return Operation(y, (y,))


def _tanh(x: Array) -> Operation:
    y = np.tanh(x)
    return Operation(y, (1 - y * y,))


_OPERATIONS: dict[str, Callable[..., Operation]] = {
    "add": lambda a, b: Operation(a + b, (None, None)),
    "subtract": lambda a, b: Operation(a - b, (None, -1)),
    "multiply": _multiply,
    "divide": _divide,
    "negative": lambda x: Operation(-x, (-1,)),
    "reciprocal": _reciprocal,
    "power": _power,
    "exp": _exp,
    "tanh": _tanh,
}
