"""Reverse-mode differentiation over any scalar arithmetic.

Every operation on a `Variable` makes one that knows its parents and its partial derivatives with respect to them: the
tape is that graph, and it lives as long as something refers to it. A reverse pass follows the graph from one output (A.
Griewank and A. Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, section 3.2).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, final

import numpy as np

from gradlab.arithmetic.scalar import Scalar, Undecidable, elementwise, exact

_next_index = count(step=-1).__next__

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@final
class Variable(Scalar):
    """A scalar whose dependence on other Variables is recorded.

    Behaves in NumPy object arrays as its `value` does, and mixes with such scalars and with exact numbers, which are
    constants. A product with an exact number 0 is the constant 0, no Variable. Comparisons are those of the values;
    the branch taken counts as fixed. `float()` raises TypeError.
    """

    __slots__ = ("index", "parents", "value")

    def __init__(self, value: Any, parents: tuple[tuple[Variable, Any], ...] = ()) -> None:
        self.value = value
        self.index = _next_index()  # falls: of two Variables in a heap the later one comes out first
        self.parents = parents  # pairs (parent, partial derivative); None stands for a partial of exactly 1

    def __add__(self, other: object) -> Any:
        if type(other) is Variable:
            return Variable(self.value + other.value, ((self, None), (other, None)))
        return Variable(self.value + other, ((self, None),)) if _is_constant(other) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: object) -> Any:
        if type(other) is Variable:
            return Variable(self.value - other.value, ((self, None), (other, -1)))
        return Variable(self.value - other, ((self, None),)) if _is_constant(other) else NotImplemented

    def __rsub__(self, other: object) -> Any:
        return Variable(other - self.value, ((self, -1),)) if _is_constant(other) else NotImplemented

    def __mul__(self, other: object) -> Any:
        if type(other) is Variable:
            return Variable(self.value * other.value, ((self, other.value), (other, self.value)))
        if not _is_constant(other):
            return NotImplemented
        if exact(other) == 0:
            return self.value * 0
        return Variable(self.value * other, ((self, other),))

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Any:
        if not _is_constant(other) and type(other) is not Variable:
            return NotImplemented
        divisor = other.value if type(other) is Variable else other
        quotient, inverse = self.value / divisor, type(self.value)(1) / divisor
        if type(other) is Variable:
            return Variable(quotient, ((self, inverse), (other, -quotient * inverse)))
        return Variable(quotient, ((self, inverse),))

    def __rtruediv__(self, other: object) -> Any:
        if not _is_constant(other):
            return NotImplemented
        quotient = other / self.value
        return Variable(quotient, ((self, -quotient / self.value),))

    def __pow__(self, other: object) -> Any:
        x = self.value
        if type(other) is Variable:
            p, power = other.value, x**other.value
            return Variable(power, ((self, p * x ** (p - 1)), (other, power * x.log())))
        if not _is_constant(other):
            return NotImplemented
        p = _exponent(other, type(x))
        if exact(p) == 0:  # and not 0 * x**-1, which is unresolved around x = 0
            return x**0
        return Variable(x**p, ((self, p * x ** (p - 1)),))

    def __rpow__(self, other: object) -> Any:
        if not _is_constant(other):
            return NotImplemented
        base: Any = other if isinstance(other, Scalar) else type(self.value)(other)
        power = base**self.value
        return Variable(power, ((self, power * base.log()),))

    def __neg__(self) -> Variable:
        return Variable(-self.value, ((self, -1),))

    def __abs__(self) -> Variable:
        if self.value > 0:
            return Variable(self.value, ((self, None),))
        if self.value < 0:
            return -self
        raise Undecidable(f"abs({self!r}) has no derivative at 0")

    def __repr__(self) -> str:
        return f"Variable({self.value!r})"

    def _decide(self, symbol: str, other: object) -> Any:
        return _COMPARE[symbol](self.value, other.value if type(other) is Variable else other)


def _is_constant(other: object) -> bool:
    return isinstance(other, Scalar) or exact(other) is not None


def _exponent(p: Any, arithmetic: type) -> Any:
    """`p` in a form in which p - 1 is not rounded: a Python integer, or a scalar."""
    number = exact(p)
    if number is None:
        return p
    return int(number) if float(number).is_integer() else arithmetic(number)


_PARTIALS: dict[str, Callable[[Any, Any], Any]] = {
    # name: the derivative of y = name(x)
    "exp": lambda x, y: y,
    "expm1": lambda x, y: y + 1,
    "log": lambda x, y: 1 / x,
    "log1p": lambda x, y: 1 / (1 + x),
    "sqrt": lambda x, y: 1 / (2 * y),
    "sin": lambda x, y: x.cos(),
    "cos": lambda x, y: -x.sin(),
    "sinh": lambda x, y: x.cosh(),
    "cosh": lambda x, y: x.sinh(),
    "tanh": lambda x, y: 1 - y * y,
    "arctan": lambda x, y: 1 / (1 + x * x),
}


def _method(name: str, partial: Callable[[Any, Any], Any]) -> Callable[[Variable], Variable]:
    function = operator.methodcaller(name)

    def method(x: Variable) -> Variable:
        y = function(x.value)
        return Variable(y, ((x, partial(x.value, y)),))

    return method


for _name, _partial in _PARTIALS.items():
    setattr(Variable, _name, _method(_name, _partial))


def variables(array: Any) -> np.ndarray:
    """Independent Variables with the scalars of `array` as values. Raises TypeError for elements of other kinds."""

    def variable(x: Any) -> Variable:
        if not isinstance(x, Scalar) or type(x) is Variable:
            raise TypeError(f"a Variable holds a Ball, got {type(x).__name__}; see balls()")
        return Variable(x)

    return elementwise(variable, array)


def gradient(output: Any, wrt: Any) -> Any:
    """The derivatives of `output` with respect to `wrt`, by one reverse pass through what `output` depends on.

    `wrt` is an object array of Variables, inputs or intermediates; the result is an array of its shape of scalars of
    the arithmetic, exactly 0 where `output` does not depend on the element. A list or tuple of arrays gives a list.
    An `output` that is no Variable is a constant. Raises TypeError if `wrt` holds something else than Variables.
    """
    adjoints = _adjoints([(output, type(output.value)(1))]) if type(output) is Variable else {}

    def adjoint(x: Any) -> Any:
        if type(x) is not Variable:
            raise TypeError(f"cannot differentiate with respect to a {type(x).__name__}: wrt takes Variables")
        found = adjoints.get(x.index)
        return type(x.value)(0) if found is None else found

    if isinstance(wrt, (list, tuple)):
        return [elementwise(adjoint, array) for array in wrt]
    return elementwise(adjoint, wrt)


def _adjoints(seeded: Sequence[tuple[Variable, Any]]) -> dict[int, Any]:
    """The adjoint of each Variable that the seeded outputs depend on, by index."""
    adjoints = {output.index: seed for output, seed in seeded}
    reached = {output.index: output for output, _ in seeded}
    queue = list(reached)
    heapify(queue)
    while queue:  # latest first: all that uses a Variable was made after it
        index = heappop(queue)
        adjoint = adjoints[index]
        for parent, partial in reached.pop(index).parents:
            contribution = adjoint if partial is None else adjoint * partial
            at = parent.index
            if at in adjoints:
                adjoints[at] = adjoints[at] + contribution
            else:
                adjoints[at] = contribution
                reached[at] = parent
                heappush(queue, at)
    return adjoints
