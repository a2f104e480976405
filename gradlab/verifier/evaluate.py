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
    Arbitrary,
    Blocks,
    Count,
    Derivative,
    Diagonal,
    Elementwise,
    ElementwisePower,
    Entry,
    Function,
    IndexSum,
    Indicator,
    Name,
    Negative,
    Number,
    Ones,
    Outer,
    Power,
    PowerBy,
    Product,
    ProductOver,
    Quotient,
    SquaredNorm,
    Subtract,
    Sum,
    Term,
    Time,
    Transpose,
    walk,
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

    def generic(self, name: str, primed: bool) -> Callable[[Any], Any]:
        """An arbitrary smooth function of each entry, or its derivative."""

    def arbitrary(self, term: Arbitrary, clock: Clock) -> Any:
        """The value of an arbitrary smooth function of several terms."""

    def tick(self) -> None:
        """Called in every term of a sum: the chance to stop a computation that takes too long."""


Program = Callable[[Values, Clock], Any]


class NoSuchStep(Exception):
    """A symbol was asked for at a time or an index at which it does not exist. Caught within this package."""


def compiled(term: Term, scope: Scope) -> Program:
    """The function of (values, clock) that computes a term.

    Raises:
        Trouble: kind "shape", as `shape_of`.
    """
    shapes: dict[int, Shape] = {}

    def shape(part: Term) -> Shape:
        found = shapes.get(id(part))
        if found is None:
            found = shapes[id(part)] = shape_of(part, scope)
        return found

    shape(term)
    return _program(term, shape, scope)


def _program(term: Term, shape: Callable[[Term], Shape], scope: Scope) -> Program:
    def program(part: Term) -> Program:
        return _program(part, shape, scope)

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
            return _binary(
                _multiplier(shape(left), shape(right), shape(term), scope.layout), program(left), program(right)
            )
        case Quotient(left, right):
            return _binary(_divider(shape(left), shape(right)), program(left), program(right))
        case Sum():
            return _sum(term, program(term.term), shape(term).dims)
        case IndexSum() | ProductOver() | Entry() | Indicator() | Count():
            return _indexed(term, shape, program, scope)
        case PowerBy(inner, exponent):
            return _binary(_power_by, program(inner), program(exponent))
        case Outer(left, right):
            return _binary(lambda x, y: np.outer(np.ravel(x), np.ravel(y)), program(left), program(right))
        case Blocks(rows):
            return _blocks([[program(cell) for cell in row] for row in rows], shape(term).dims)
        case Arbitrary():
            return lambda values, clock: values.arbitrary(term, clock)
        case _:
            return _unary(term, shape, program)


def _unary(term: Term, shape: Callable[[Term], Shape], program: Callable[[Term], Program]) -> Program:
    match term:
        case Negative(inner):
            change: Callable[[Any], Any] = np.negative
        case Transpose(inner):
            change = np.transpose if len(shape(inner).dims) == 2 else _same
        case Power(inner, exponent) if not shape(inner).is_scalar and 1 not in shape(inner).dims:
            change = lambda x: _matrix_power(x, exponent)  # noqa: E731
        case Power(inner, exponent) | ElementwisePower(inner, exponent):
            change = lambda x: x**exponent  # noqa: E731
        case Apply(function, inner, primed):
            if function.startswith("?"):
                inner_program = program(inner)
                return lambda values, clock: values.generic(function[1:], primed)(inner_program(values, clock))
            change = (DERIVATIVES if primed else FUNCTIONS)[function]
            if function in PIECEWISE:
                return _noted(term, change, program(inner))
        case Diagonal(inner):
            is_square = 1 not in shape(inner).dims
            change = lambda x: np.diag(np.diag(x) if is_square else np.ravel(x))  # noqa: E731
        case Function(name, inner):
            change = _whole(name, shape(inner).dims)
        case SquaredNorm(inner):
            dims = shape(term).dims
            change = lambda x: np.reshape(np.sum(np.ravel(x) ** 2), dims)  # noqa: E731
        case _:
            raise TypeError(f"no program for a {type(term).__name__}")
    compute = program(inner)
    return lambda values, clock: change(compute(values, clock))


def _noted(term: Term, change: Callable[[Any], Any], inner: Program) -> Program:
    """A function of two pieces, which notes on which of them its arguments lie: a claim must have met both."""

    def compute(values: Values, clock: Clock) -> Any:
        found = inner(values, clock)
        if (note := getattr(values, "note", None)) is not None:
            note(term, found)
        return change(found)

    return compute


def _binary(combine: Callable[[Any, Any], Any], left: Program, right: Program) -> Program:
    return lambda values, clock: combine(left(values, clock), right(values, clock))


def _multiplier(left: Shape, right: Shape, result: Shape, layout: str = "shape") -> Callable[[Any, Any], Any]:
    """How two values of these shapes are multiplied."""
    kind = how_to_multiply(left, right, layout)
    if kind == "chain" and layout == "numerator":
        return _in_numerator_layout(left, right, result)
    if kind == "reversed chain":
        return _reversed(left, right, result)
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


def _as_space(x: Any, shape: Shape, layout: str) -> Any:
    """A derivative as the matrix of its two spaces, numerator along the rows."""
    over, under = shape.over or (1, 1), shape.under or (1, 1)
    x = np.asarray(x, dtype=object)
    flipped = (layout == "numerator" and over == (1, 1)) or (layout == "denominator" and over != (1, 1))
    if flipped and x.ndim == 2:
        x = x.T
    return np.reshape(x, (over[0] * over[1], under[0] * under[1]))


def _from_space(x: Any, shape: Shape, layout: str) -> Any:
    over, under = shape.over or (1, 1), shape.under or (1, 1)
    if layout == "numerator" and over == (1, 1):
        return np.reshape(x, under).T
    if layout == "denominator" and over != (1, 1) and len(shape.dims) == 2:
        return np.reshape(x, shape.dims[::-1]).T
    return np.reshape(x, shape.dims)


def _in_numerator_layout(left: Shape, right: Shape, result: Shape) -> Callable[[Any, Any], Any]:
    kind = "numerator"
    return lambda x, y: _from_space(_as_space(x, left, kind).dot(_as_space(y, right, kind)), result, kind)


def _reversed(left: Shape, right: Shape, result: Shape) -> Callable[[Any, Any], Any]:
    kind = "denominator"
    return lambda x, y: _from_space(_as_space(y, right, kind).dot(_as_space(x, left, kind)), result, kind)


def _blocks(rows: list[list[Program]], dims: tuple[int, ...]) -> Program:
    def build(values: Values, clock: Clock) -> Any:
        cells = [[np.atleast_2d(np.asarray(cell(values, clock), dtype=object)) for cell in row] for row in rows]
        if len(cells) == 1 and dims[1] == 1:
            return np.concatenate(cells[0], axis=0)
        return np.concatenate([np.concatenate(row, axis=1) for row in cells], axis=0).reshape(dims)

    return build


def _power_by(x: Any, exponent: Any) -> Any:
    if isinstance(exponent, (int, float)):
        return np.asarray(x, dtype=object) ** exponent
    return np.exp(exponent * np.log(np.asarray(x, dtype=object)))


def _matrix_power(x: Any, exponent: int) -> Any:
    base = inverse(x) if exponent < 0 else x
    found = base
    for _ in range(abs(exponent) - 1):
        found = found.dot(base)
    return found


def _whole(name: str, dims: tuple[int, ...]) -> Callable[[Any], Any]:
    """A function of a whole matrix; the softmax of a matrix is that of each of its rows."""
    match name:
        case "softmax":
            axis = 0 if len(dims) == 2 and dims[1] == 1 else -1
            return lambda x: _softmax(x, axis)
        case "logsumexp":
            return lambda x: np.log(np.asarray(np.sum(np.exp(np.ravel(x))), dtype=object))
        case "sum":
            return lambda x: np.sum(np.ravel(x))
        case "mean":
            return lambda x: np.sum(np.ravel(x)) / np.size(x)
        case "trace":
            return lambda x: np.trace(np.atleast_2d(x))
        case "det":
            return determinant
        case "inverse":
            return lambda x: inverse(x) if np.ndim(x) == 2 else 1 / x
        case "vec":
            return lambda x: np.reshape(np.transpose(x), (-1, 1))
        case _:
            raise TypeError(f"no function {name}")


def _softmax(x: Any, axis: int) -> Any:
    powers = np.exp(np.atleast_1d(np.asarray(x, dtype=object)))
    return np.reshape(powers / np.sum(powers, axis=axis, keepdims=True), np.shape(x))


def inverse(x: Any) -> Any:
    """The inverse of a square matrix, by elimination without pivoting, which random numbers do not need."""
    n = x.shape[0]
    rows = np.concatenate([x, np.eye(n, dtype=int).astype(object)], axis=1)
    for k in range(n):
        rows[k] = rows[k] / rows[k, k]
        for other in range(n):
            if other != k:
                rows[other] = rows[other] - rows[other, k] * rows[k]
    return rows[:, n:]


def determinant(x: Any) -> Any:
    """The determinant, as `inverse`."""
    rows, found = np.array(np.atleast_2d(x), dtype=object), None
    for k in range(rows.shape[0]):
        found = rows[k, k] if found is None else found * rows[k, k]
        for other in range(k + 1, rows.shape[0]):
            rows[other] = rows[other] - rows[other, k] / rows[k, k] * rows[k]
    return found


# Indices.


def _indexed(term: Term, shape: Callable[[Term], Shape], program: Callable[[Term], Program], scope: Scope) -> Program:
    match term:
        case Count(size, time):
            if size:
                return lambda values, clock: values.number(Fraction(scope.sizes[size]))
            assert time is not None
            return lambda values, clock: values.number(Fraction(time.at(clock)))
        case Indicator(left, sign, right):
            holds = COMPARISONS[sign]
            return lambda values, clock: values.number(Fraction(int(holds(left.at(clock), right.at(clock)))))
        case Entry(inner, indices):
            dims = shape(inner).dims
            axes = [axis for axis, size in enumerate(dims) if size != 1] if len(indices) == 1 else [0, 1]
            return _entry(program(inner), indices, dims, axes, scope.base)
        case IndexSum():
            return _index_sum(term, program(term.term), shape, scope)
        case ProductOver():
            return _product_over(term, program(term.term))
    raise TypeError(type(term))


COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "=": int.__eq__, "!=": int.__ne__, "<": int.__lt__, ">": int.__gt__, "<=": int.__le__, ">=": int.__ge__
}  # fmt: skip


def _entry(inner: Program, indices: tuple[Time, ...], dims: tuple[int, ...], axes: list[int], base: int) -> Program:
    def entry(values: Values, clock: Clock) -> Any:
        at = [0] * len(dims)
        for axis, index in zip(axes, indices, strict=True):
            at[axis] = index.at(clock) - base
            if not 0 <= at[axis] < dims[axis]:
                raise NoSuchStep
        return np.asarray(inner(values, clock), dtype=object)[tuple(at)]

    return entry


def range_of(letter: str, terms: tuple[Term, ...], scope: Scope) -> range | None:
    """The values of an index letter: as many as the axis that it runs along has entries; None if it runs along none."""
    for term in terms:
        for part in walk(term):
            if not isinstance(part, Entry):
                continue
            try:
                dims = shape_of(part.term, scope).dims
            except Trouble:
                continue
            sizes = [size for size in dims if size != 1] if len(part.indices) == 1 else list(dims)
            for index, size in zip(part.indices, sizes, strict=False):
                if index == Time.of(letter):
                    return range(scope.base, scope.base + size)
    return None


def _index_sum(term: IndexSum, body: Program, shape: Callable[[Term], Shape], scope: Scope) -> Program:
    found = range_of(term.letter, (term.term,), scope)
    if found is None and term.upper in scope.sizes:
        found = range(scope.base, scope.base + scope.sizes[term.upper])
    if found is None:
        raise Trouble("undefined", f"the range of {term.letter} is not known: nothing has it as an index", term.at)
    steps, dims = found, shape(term).dims

    def add_up(values: Values, clock: Clock) -> Any:
        total = np.full(dims, values.number(Fraction(0))) if dims else values.number(Fraction(0))
        excluded = None if term.without is None else term.without.at(clock)
        for value in steps:
            values.tick()
            if value != excluded:
                total = total + body(values, {**clock, term.letter: value})
        return total

    return add_up


def _product_over(term: ProductOver, body: Program) -> Program:
    def multiply(values: Values, clock: Clock) -> Any:
        low, high = term.low.at(clock), term.high.at(clock)
        if high - low >= LONGEST_SUM:
            raise Trouble("syntax", f"a product of {high - low + 1:,} factors: at most {LONGEST_SUM:,}", term.at)
        if high < low:
            raise NoSuchStep  # an empty product is the identity of a size that nothing tells
        found = None
        for step in reversed(range(low, high + 1)) if term.downward else range(low, high + 1):
            values.tick()
            factor = body(values, {**clock, term.letter: step})
            found = factor if found is None else np.dot(found, factor) if np.ndim(found) == 2 else found * factor
        return found

    return multiply


def _same(x: Any) -> Any:
    return x


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def _relu(z: Any) -> Any:
    return np.frompyfunc(lambda x: x.relu() if hasattr(x, "relu") else x if x > 0 else x * 0, 1, 1)(z)


def _step(z: Any) -> Any:
    return np.frompyfunc(lambda x: x.step() if hasattr(x, "step") else x * 0 + (1 if x > 0 else 0), 1, 1)(z)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sigma": _sigmoid,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tan": lambda z: np.sin(z) / np.cos(z),
    "sinh": np.sinh,
    "cosh": np.cosh,
    "sech": lambda z: 1 / np.cosh(z),
    "sqrt": np.sqrt,
    "arctan": np.arctan,
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "relu": _relu,
    "abs": np.abs,
    "step": _step,
}

PIECEWISE = ("relu", "abs", "step")

# Written otherwise than a derivation would write them, so that σ' = σ ⊙ (1 - σ) is a claim and no identity.
DERIVATIVES: dict[str, Callable[[Any], Any]] = {
    "sigma": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "sigmoid": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "tanh": lambda z: 4 / (np.exp(z) + np.exp(-z)) ** 2,
    "exp": np.exp,
    "log": lambda z: 1 / z,
    "sin": np.cos,
    "cos": lambda z: -np.sin(z),
    "tan": lambda z: 1 / np.cos(z) ** 2,
    "sinh": np.cosh,
    "cosh": np.sinh,
    "sqrt": lambda z: 1 / (2 * np.sqrt(z)),
    "arctan": lambda z: 1 / (1 + z * z),
    "softplus": lambda z: 1 / (1 + np.exp(-z)),
    "relu": _step,
}
