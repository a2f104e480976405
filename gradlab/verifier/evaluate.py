"""A term compiled to a function that computes it, in whatever arithmetic its symbols have.

The same function runs on the tape (to be differentiated), on balls (to be judged) and on float64 (to sift repairs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from gradlab.verifier.scope import Scope
from gradlab.verifier.shapes import Shape, Trouble, how_to_multiply, shape_of
from gradlab.verifier.terms import (
    Add,
    Apply,
    Derivative,
    Diagonal,
    Elementwise,
    ElementwisePower,
    Name,
    Negative,
    Number,
    Ones,
    Power,
    Product,
    Quotient,
    SquaredNorm,
    Subtract,
    Sum,
    Term,
    Transpose,
)

LONGEST_SUM = 100

Clock = Mapping[str, int]


class Values(Protocol):
    """Where a compiled term finds the values of its symbols."""

    def name(self, name: Name, clock: Clock) -> Any:
        """The value of a symbol at the time that the clock shows."""

    def derivative(self, term: Derivative, clock: Clock) -> Any:
        """The value of a derivative."""

    def number(self, value: Fraction) -> Any:
        """A literal number."""

    def tick(self) -> None:
        """Called in every term of a sum: the chance to stop a computation that takes too long."""


Program = Callable[[Values, Clock], Any]


def compiled(term: Term, scope: Scope) -> Program:
    """The function of (values, clock) that computes a term.

    Raises:
        Trouble: kind "shape", as `shape_of`.
    """
    shapes: dict[int, Shape] = {}

    def shape(part: Term) -> Shape:
        found = shapes.get(id(part))
        if found is None:
            found = shapes[id(part)] = shape_of(part, scope.shape_of_name, scope.sizes)
        return found

    shape(term)
    return _program(term, shape)


def _program(term: Term, shape: Callable[[Term], Shape]) -> Program:
    def program(part: Term) -> Program:
        return _program(part, shape)

    match term:
        case Number(value):
            return lambda values, clock: values.number(value)
        case Ones(size):
            return _ones(shape(term).dims) if size else lambda values, clock: values.number(Fraction(1))
        case Name():
            return lambda values, clock: values.name(term, clock)
        case Derivative():
            return lambda values, clock: values.derivative(term, clock)
        case Add(left, right):
            return _binary(np.add, program(left), program(right))
        case Subtract(left, right):
            return _binary(np.subtract, program(left), program(right))
        case Elementwise(left, right):
            return _binary(np.multiply, program(left), program(right))
        case Product(left, right):
            return _binary(_multiplier(shape(left), shape(right), shape(term)), program(left), program(right))
        case Quotient(left, right):
            return _binary(_divider(shape(left), shape(right)), program(left), program(right))
        case Sum():
            return _sum(term, program(term.term), shape(term).dims)
        case _:
            return _unary(term, shape, program)


def _unary(term: Term, shape: Callable[[Term], Shape], program: Callable[[Term], Program]) -> Program:
    match term:
        case Negative(inner):
            change: Callable[[Any], Any] = np.negative
        case Transpose(inner):
            change = np.transpose if len(shape(inner).dims) == 2 else _same
        case Power(inner, exponent) | ElementwisePower(inner, exponent):
            change = lambda x: x**exponent  # noqa: E731
        case Apply(function, inner, primed):
            change = (DERIVATIVES if primed else FUNCTIONS)[function]
        case Diagonal(inner):
            change = lambda x: np.diag(np.ravel(x))  # noqa: E731
        case SquaredNorm(inner):
            dims = shape(term).dims
            change = lambda x: np.reshape(np.sum(np.ravel(x) ** 2), dims)  # noqa: E731
        case _:
            raise TypeError(f"no program for a {type(term).__name__}")
    compute = program(inner)
    return lambda values, clock: change(compute(values, clock))


def _binary(combine: Callable[[Any, Any], Any], left: Program, right: Program) -> Program:
    return lambda values, clock: combine(left(values, clock), right(values, clock))


def _multiplier(left: Shape, right: Shape, result: Shape) -> Callable[[Any, Any], Any]:
    """How two values of these shapes are multiplied."""
    kind = how_to_multiply(left, right)
    if kind == "scalar":
        if left.dims == (1, 1) and not right.is_scalar:
            return lambda x, y: x[0, 0] * y
        if right.dims == (1, 1) and not left.is_scalar:
            return lambda x, y: x * y[0, 0]
        return np.multiply
    if kind == "matrix":
        return np.dot
    if kind == "inside":
        return lambda x, y: np.moveaxis(np.tensordot(x, y, (1, 0)), -1, 1).reshape(result.dims)
    above, below = right.over or (1, 1), right.under or (1, 1)
    shared = above[0] * above[1]
    rows = -1 if kind == "chain" or left.dims != above else 1

    def contract(x: Any, y: Any) -> Any:
        return np.reshape(x, (rows, shared)).dot(np.reshape(y, (shared, below[0] * below[1]))).reshape(result.dims)

    return contract


def _divider(left: Shape, right: Shape) -> Callable[[Any, Any], Any]:
    if right.dims == (1, 1) and left.dims not in ((), (1, 1)):
        return lambda x, y: x / y[0, 0]
    return np.divide


def _ones(dims: tuple[int, ...]) -> Program:
    return lambda values, clock: np.full(dims, values.number(Fraction(1)))


def _sum(term: Sum, body: Program, dims: tuple[int, ...]) -> Program:
    def add_up(values: Values, clock: Clock) -> Any:
        low, high = term.low.at(clock), term.high.at(clock)
        if high - low >= LONGEST_SUM:
            raise Trouble("syntax", f"a sum of {high - low + 1:,} terms: at most {LONGEST_SUM:,}", term.at)
        total = np.full(dims, values.number(Fraction(0))) if dims else values.number(Fraction(0))
        for step in range(low, high + 1):
            values.tick()
            total = total + body(values, {**clock, term.letter: step})
        return total

    return add_up


def _same(x: Any) -> Any:
    return x


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {"sigma": _sigmoid, "tanh": np.tanh, "exp": np.exp, "log": np.log}

# Written otherwise than a derivation would write them, so that σ' = σ ⊙ (1 - σ) is a claim and no identity.
DERIVATIVES: dict[str, Callable[[Any], Any]] = {
    "sigma": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "tanh": lambda z: 4 / (np.exp(z) + np.exp(-z)) ** 2,
    "exp": np.exp,
    "log": lambda z: 1 / z,
}
