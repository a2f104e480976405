"""Whether two terms are one algebraic formula: evaluated modulo a prime, every symbol an independent random residue.

Two different formulas of degree d agree at random residues with a probability below d / 2**61 (J. T. Schwartz, 1980;
R. Zippel, 1979). exp, log and tanh are functions of which nothing is known but that equal arguments give equal values,
and so is ∂: formulas that are equal have equal derivatives. No rounding, no tolerance, and no use of what a symbol
stands for.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partialmethod
from itertools import product
from random import Random
from typing import Any

import numpy as np

from gradlab.verifier.evaluate import Clock, NoSuchStep, compiled, range_of
from gradlab.verifier.scope import Scope
from gradlab.verifier.shapes import shape_of
from gradlab.verifier.terms import Arbitrary, Derivative, Name, Term, letters

PRIME = 2**61 - 1


class Residue:
    """A whole number modulo the prime, for NumPy's object arrays."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value % PRIME

    def __add__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else Residue(self.value + _value(other))

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else Residue(self.value - _value(other))

    def __rsub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else Residue(_value(other) - self.value)

    def __mul__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else Residue(self.value * _value(other))

    def __truediv__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else Residue(self.value * pow(_value(other), -1, PRIME))

    def __rtruediv__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else Residue(_value(other) * pow(self.value, -1, PRIME))

    def __pow__(self, exponent: int) -> Residue:
        return Residue(pow(self.value, exponent, PRIME))

    def __neg__(self) -> Residue:
        return Residue(-self.value)

    __radd__ = __add__
    __rmul__ = __mul__

    def opaque(self, function: str) -> Residue:
        """A function of which nothing is known but that equal arguments give equal values."""
        return random_residue((function, self.value))


for _name in ("exp", "log", "tanh", "sin", "cos", "sinh", "cosh", "sqrt", "arctan", "relu", "step"):
    setattr(Residue, _name, partialmethod(Residue.opaque, _name))


class Field:
    """Values of a document's symbols as residues."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def tick(self) -> None:
        """Nothing here takes long."""

    def number(self, value: Fraction) -> Residue:
        return Residue(value.numerator) / value.denominator

    def generic(self, name: str, primed: bool) -> Any:
        """A function of which nothing is known but that equal arguments give equal values."""
        return np.frompyfunc(lambda x: random_residue((name, primed, _value(x) % PRIME)), 1, 1)

    def arbitrary(self, term: Arbitrary, clock: Clock) -> Any:
        inner = tuple(residues(compiled(argument, self.scope)(self, clock)) for argument in term.arguments)
        return _filled((term.name, inner), self.scope.symbols[term.name].shape.dims)

    def name(self, name: Name, clock: Clock) -> Any:
        time = None if name.time is None else name.time.at(clock)
        return _filled((name.name, time), self.scope.symbols[name.name].shape.dims)

    def derivative(self, term: Derivative, clock: Clock) -> Any:
        time = None if term.by.time is None else term.by.time.at(clock)
        of = residues(compiled(term.of, self.scope)(self, clock))
        return _filled((of, term.by.name, time, term.immediate), _dims(term, self.scope))


def same_formula(one: Term, other: Term, scope: Scope) -> bool:
    """Whether two terms of one shape are the same formula, whatever their symbols stand for."""
    programs = compiled(one, scope), compiled(other, scope)
    field = Field(scope)
    compared = False
    free = sorted((letters(one) | letters(other) | {"t"}) - {"T"})
    ranges = [range_of(letter, (one, other), scope) or scope.range() for letter in free]
    for at in product(*ranges):
        clock = scope.clock(None) | dict(zip(free, at, strict=True))
        try:
            left, right = (program(field, clock) for program in programs)
        except (NoSuchStep, ZeroDivisionError, ValueError):
            continue
        if residues(np.broadcast_arrays(left, right)[0]) != residues(np.broadcast_arrays(left, right)[1]):
            return False
        compared = True
    return compared


def random_residue(key: Any) -> Residue:
    """The residue that stands for a key: always the same, and otherwise random."""
    return Residue(Random(repr(key)).randrange(PRIME))


def residues(array: Any) -> tuple[int, ...]:
    """The whole numbers of an array, in order."""
    return tuple(_value(x) % PRIME for x in np.ravel(np.asarray(array, dtype=object)))


def _filled(key: Any, dims: tuple[int, ...]) -> Any:
    size = int(np.prod(dims))
    return np.array([random_residue((key, index)) for index in range(size)], dtype=object).reshape(dims)


def _dims(term: Term, scope: Scope) -> tuple[int, ...]:
    return shape_of(term, scope).dims


def _value(number: Any) -> int:
    return number.value if isinstance(number, Residue) else int(number)
