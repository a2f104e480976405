"""The partial derivatives of every operation, each written once, for every arithmetic.

A row takes the arithmetic, the operation's parameter, its result y and its operands, and gives a partial for each
operand: None for exactly 1, the integer -1, or numbers that broadcast against the result. Numbers add, multiply and
divide as Python's do; other functions are asked of the arithmetic. Rows whose slope is a choice at a tie (a maximum, a
magnitude) leave the choice to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = Callable[..., tuple[Any, ...]]

PARTIALS: dict[str, Row] = {
    "add": lambda ar, _, y, a, b: (None, None),
    "subtract": lambda ar, _, y, a, b: (None, -1),
    "multiply": lambda ar, _, y, a, b: (b, a),
    "divide": lambda ar, _, y, a, b: (1 / b, -y / b),
    "negative": lambda ar, _, y, x: (-1,),
    "positive": lambda ar, _, y, x: (None,),
    "detach": lambda ar, _, y, x: (0 * x,),  # a value that is held constant, as a truncation holds a state
    "cast": lambda ar, dtype, y, x: (None,),
    "reciprocal": lambda ar, _, y, x: (-y / x,),
    "integer_power": lambda ar, n, y, x: (_integer_power_slope(ar, n, x),),
    "power": lambda ar, _, y, a, b: (b * ar.function("power", a, b - 1), y * ar.function("log", a)),
    "exp": lambda ar, _, y, x: (y,),
    "expm1": lambda ar, _, y, x: (y + 1,),
    "log": lambda ar, _, y, x: (1 / x,),
    "log1p": lambda ar, _, y, x: (1 / (1 + x),),
    "sqrt": lambda ar, _, y, x: (1 / (2 * y),),
    "sin": lambda ar, _, y, x: (ar.function("cos", x),),
    "cos": lambda ar, _, y, x: (-ar.function("sin", x),),
    "tan": lambda ar, _, y, x: (1 + y * y,),
    "sinh": lambda ar, _, y, x: (ar.function("cosh", x),),
    "cosh": lambda ar, _, y, x: (ar.function("sinh", x),),
    "tanh": lambda ar, _, y, x: (1 - y * y,),
    "arctan": lambda ar, _, y, x: (1 / (1 + x * x),),
    "arcsin": lambda ar, _, y, x: (1 / ar.function("sqrt", 1 - x * x),),
    "arccos": lambda ar, _, y, x: (-1 / ar.function("sqrt", 1 - x * x),),
    "arcsinh": lambda ar, _, y, x: (1 / ar.function("sqrt", 1 + x * x),),
    "arccosh": lambda ar, _, y, x: (1 / ar.function("sqrt", x * x - 1),),
    "arctanh": lambda ar, _, y, x: (1 / (1 - x * x),),
    "arctan2": lambda ar, _, y, a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
    "erf": lambda ar, _, y, x: (_gaussian(ar, x),),
    "erfc": lambda ar, _, y, x: (-_gaussian(ar, x),),
    "gammaln": lambda ar, _, y, x: (ar.function("digamma", x),),
    "digamma": lambda ar, _, y, x: (ar.function("trigamma", x),),
    "absolute": lambda ar, _, y, x: (ar.sign(x),),
    "maximum": lambda ar, _, y, a, b: (ar.at_least(a, b), 1 - ar.at_least(a, b)),
    "minimum": lambda ar, _, y, a, b: (ar.at_least(b, a), 1 - ar.at_least(b, a)),
    # Constant but where they jump.
    "sign": lambda ar, _, y, x: (0 * x,),
    "floor": lambda ar, _, y, x: (0 * x,),
    "ceil": lambda ar, _, y, x: (0 * x,),
    "rint": lambda ar, _, y, x: (0 * x,),
    "trunc": lambda ar, _, y, x: (0 * x,),
}


def _integer_power_slope(ar: Any, n: int, x: Any) -> Any:
    return n * ar.function("integer_power", x, parameter=n - 1) if n else 0 * x


def _gaussian(ar: Any, x: Any) -> Any:
    """The slope of erf: 2 e^(-x²) / √π."""
    return 2 * ar.function("exp", -x * x) / ar.function("sqrt", 4 * ar.function("arctan", ar.constant(1.0)))
