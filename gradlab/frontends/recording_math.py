"""What stands in for Python's math, and for functions of SciPy that NumPy asks nobody about, while code is recorded."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.composed import COMPOSED, log_sum_exp
from gradlab.tape.operations import elementwise, plain, power, settled
from gradlab.tape.program import Program
from gradlab.tape.recorded import NotRecorded, Recorded, as_python, cast, holds_recorded, lift, one_call, stacked

# math's functions of numbers: the operation, or the formula, that each is.
MATH = {
    name: name
    for name in [
        "exp",
        "expm1",
        "log1p",
        "log2",
        "log10",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "exp2",
        "cbrt",
        "hypot",
        "fmod",
    ]
} | {
    "log": "log",
    "atan": "arctan",
    "asin": "arcsin",
    "acos": "arccos",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "atan2": "arctan2",
    "fabs": "absolute",
    "pow": "power",
    "copysign": "copysign",
    "ldexp": "ldexp",
    "degrees": "degrees",
    "radians": "radians",
    "erf": "erf",
    "erfc": "erfc",
    "lgamma": "gammaln",
}


def of_math(program: Program) -> dict[str, Callable[..., Any]]:
    """The stand-ins of math's functions, by name."""
    made: dict[str, Any] = {name: _of_numbers(program, name, one) for name, one in MATH.items() if hasattr(math, name)}
    natural = made["log"]
    made["log"] = lambda x, base=None: natural(x) if base is None else natural(x) / natural(base)
    made["gamma"] = lambda x: made["exp"](made["lgamma"](x)) if isinstance(x, Recorded) else math.gamma(x)
    made |= {name: _whole(name) for name in ("floor", "ceil", "trunc")}
    made |= {"fsum": _of_many(program, "fsum", np.sum), "prod": _of_many(program, "prod", np.prod)}
    made |= {name: lambda x, name=name: bool(getattr(np, name)(plain(x))) for name in ("isnan", "isinf", "isfinite")}
    return made | {"isclose": _is_close}


def of_special(program: Program) -> dict[str, Callable[..., Any]]:
    """The stand-ins of scipy.special's functions, by name."""
    return {name: _of_arrays(program, name, formula) for name, formula in SPECIAL.items()}


def _of_numbers(program: Program, name: str, operation: str) -> Callable[..., Any]:
    function = getattr(math, name)

    def applied(*args: Any) -> Any:
        if not any(isinstance(x, Recorded) for x in args):
            return function(*args)
        value = function(*(x if isinstance(x, int) else float(np.asarray(plain(x)).reshape(())) for x in args))
        args = tuple(as_python(x) for x in args)
        with one_call(program):
            if operation in COMPOSED:
                return as_python(settled(program, COMPOSED[operation](program, *args), value))
            if operation == "power":
                return as_python(power(program, args[0], args[1], value))
            return as_python(elementwise(program, operation, *args, value=value))

    return applied


def _whole(name: str) -> Callable[[Any], Any]:
    def cut(x: Any) -> Any:
        return int(getattr(np, name)(x)) if isinstance(x, Recorded) else getattr(math, name)(x)

    return cut


def _of_many(program: Program, name: str, total: Any) -> Callable[..., Any]:
    function = getattr(math, name)

    def summed(given: Any, *args: Any, **options: Any) -> Any:
        given = list(given)
        if not holds_recorded(given):
            return function(given, *args, **options)
        if args or options:
            raise NotRecorded(f"math.{name} from a start is not recorded")
        value = function([plain(x) for x in given])
        with one_call(program):
            return settled(program, total(cast(stacked(program, given), np.asarray(value).dtype)), value)

    return summed


def _is_close(a: Any, b: Any, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> bool:
    return bool(abs(a - b) <= max(rel_tol * max(abs(a), abs(b)), abs_tol))


def _of_arrays(program: Program, name: str, formula: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any, **options: Any) -> Any:
        real = getattr(importlib.import_module("scipy.special"), name)
        if not any(map(holds_recorded, (*args, *options.values()))):
            return real(*args, **options)
        value = real(*map(plain, args), **{key: plain(one) for key, one in options.items()})
        with one_call(program):
            lifted = [lift(program, one) if holds_recorded(one) else one for one in args]
            return settled(program, formula(program, *lifted, **options), value)

    return function


def _logsumexp(program: Program, a: Any, axis: Any = None, b: Any = None, keepdims: bool = False,
               return_sign: bool = False) -> Any:  # fmt: skip
    if return_sign:
        raise NotRecorded("scipy.special.logsumexp with return_sign is not recorded")
    return log_sum_exp(program, a, axis, b, keepdims)


def _softmax(program: Program, x: Any, axis: Any = None) -> Any:
    e = np.exp(x - np.max(np.asarray(plain(x)), axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(program: Program, x: Any, axis: Any = None) -> Any:
    return x - log_sum_exp(program, x, axis, keepdims=True)


SPECIAL: dict[str, Callable[..., Any]] = {"logsumexp": _logsumexp, "softmax": _softmax, "log_softmax": _log_softmax}
