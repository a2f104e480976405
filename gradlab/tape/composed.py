"""Functions of NumPy and SciPy that are several operations: a formula for each, in one row of `COMPOSED`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.operations import compare, elementwise, plain, power, select
from gradlab.tape.program import Program
from gradlab.tape.recorded import lift

Array = np.ndarray[Any, Any]


def log_sum_exp(program: Program, given: Any, axis: Any, weights: Any = None, keepdims: bool = False) -> Any:
    """log Σ w eˣ over axes; what is taken out of the sum, so that nothing overflows, is a constant."""
    top = np.max(np.asarray(plain(given)), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    terms = np.exp(np.subtract(given, top))
    total = np.log(np.sum(terms if weights is None else np.multiply(terms, weights), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis)


def _log_add_exp(program: Program, a: Any, b: Any) -> Any:
    top = np.maximum(plain(a), plain(b))
    top = np.where(np.isfinite(top), top, 0.0)
    return np.log(np.exp(np.subtract(a, top)) + np.exp(np.subtract(b, top))) + top


def _remainder(program: Program, a: Any, b: Any) -> Any:
    return a - np.floor(np.true_divide(a, b)) * b


def _truncated_remainder(program: Program, a: Any, b: Any) -> Any:
    return a - np.trunc(np.true_divide(a, b)) * b


def _ln_2(program: Program) -> Any:
    return np.log(lift(program, 2.0))


def _log_of(base: float) -> Callable[[Program, Any], Any]:
    return lambda program, x: np.log(x) / np.log(lift(program, base))


def _heaviside(program: Program, x: Any, at_zero: Any) -> Any:
    return select(program, x > 0, 1.0, select(program, np.equal(x, 0), at_zero, 0.0))


def _cbrt(program: Program, x: Any) -> Any:
    return np.sign(x) * power(program, np.abs(x), lift(program, 1.0) / 3.0)


def _log_ndtr(program: Program, x: Any) -> Any:
    return np.log(_ndtr(program, x))


def _ndtr(program: Program, x: Any) -> Any:
    return _named("erfc")(program, -x / np.sqrt(lift(program, 2.0))) / 2


def _xlogy(program: Program, x: Any, y: Any) -> Any:
    zero = compare(program, "equal", x, 0)
    return select(program, zero, 0.0, x * np.log(select(program, zero, 1.0, y)))


def _named(name: str) -> Callable[[Program, Any], Any]:
    """A function that NumPy has not, as the operation of that name; its value is known to the caller."""
    return lambda program, x: elementwise(program, name, x, value=np.full(np.shape(x), np.nan))


# SciPy's own ufuncs, some of them of the name of a NumPy function.
_SPECIAL = """expit logit log_expit xlogy xlog1py entr rel_entr kl_div ndtr log_ndtr erf erfc gammaln psi digamma betaln
    log1p expm1 cbrt exp2 exp10 huber pseudo_huber"""
SPECIAL = frozenset(_SPECIAL.split())


COMPOSED: dict[str, Callable[..., Any]] = {
    "log2": _log_of(2.0),
    "log10": _log_of(10.0),
    "exp2": lambda program, x: np.exp(x * _ln_2(program)),
    "hypot": lambda program, a, b: np.sqrt(a * a + b * b),
    "logaddexp": _log_add_exp,
    "logaddexp2": lambda program, a, b: _log_add_exp(program, a * _ln_2(program), b * _ln_2(program)) / _ln_2(program),
    "remainder": _remainder,
    "fmod": _truncated_remainder,
    "floor_divide": lambda program, a, b: np.floor(np.true_divide(a, b)),
    "heaviside": _heaviside,
    "cbrt": _cbrt,
    "fabs": lambda program, x: np.abs(x),
    "fmax": lambda program, a, b: np.maximum(a, b),
    "fmin": lambda program, a, b: np.minimum(a, b),
    "copysign": lambda program, a, b: np.abs(lift(program, a)) * np.where(np.signbit(b), -1.0, 1.0),
    "deg2rad": lambda program, x: x * (np.pi / 180),
    "radians": lambda program, x: x * (np.pi / 180),
    "rad2deg": lambda program, x: x * (180 / np.pi),
    "degrees": lambda program, x: x * (180 / np.pi),
    "ldexp": lambda program, x, n: x * np.exp2(n),
    "vecdot": lambda program, a, b: np.sum(np.multiply(a, b), axis=-1),
    # of SciPy
    "log1p": lambda program, x: elementwise(program, "log1p", x),
    "expm1": lambda program, x: elementwise(program, "expm1", x),
    "exp10": lambda program, x: np.exp(x * np.log(lift(program, 10.0))),
    "kl_div": lambda program, x, y: _xlogy(program, x, x / y) - x + y,
    "pseudo_huber": lambda program, d, r: d * d * (np.sqrt(1 + (r / d) ** 2) - 1),
    "huber": lambda program, d, r: select(program, np.abs(r) <= d, r * r / 2, d * (np.abs(r) - np.divide(d, 2))),
    "expit": lambda program, x: 1 / (1 + np.exp(-x)),
    "logit": lambda program, x: np.log(x / (1 - x)),
    "log_expit": lambda program, x: -_log_add_exp(program, 0.0, -x),
    "xlogy": _xlogy,
    "xlog1py": lambda program, x, y: _xlogy(program, x, 1 + y),
    "entr": lambda program, x: -_xlogy(program, x, x),
    "rel_entr": lambda program, x, y: _xlogy(program, x, x / y),
    "ndtr": _ndtr,
    "log_ndtr": _log_ndtr,
    "erf": _named("erf"),
    "erfc": _named("erfc"),
    "gammaln": _named("gammaln"),
    "psi": _named("digamma"),
    "betaln": lambda program, a, b: (
        _named("gammaln")(program, a) + _named("gammaln")(program, lift(program, b)) - _named("gammaln")(program, a + b)
    ),
}
