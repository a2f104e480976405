"""What stands in for functions of SciPy that NumPy asks nobody about, while code is recorded: a formula for each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.composed import log_sum_exp
from gradlab.tape.operations import plain, select, settled
from gradlab.tape.program import Program
from gradlab.tape.recorded import NotRecorded, holds_recorded, lift, one_call


def of_scipy(program: Program, own: Callable[[Any], Any]) -> dict[str, dict[str, Callable[..., Any]]]:
    """The stand-ins, by the name of the module, then of the function; own: what makes floats recorded."""
    return {
        module: {name: _stand_in(program, own, module, name, formula) for name, formula in formulas.items()}
        for module, formulas in FORMULAS.items()
    }


def _stand_in(program: Program, own: Any, module: str, name: str, formula: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any, **options: Any) -> Any:
        real = getattr(importlib.import_module(module), name)
        if not any(map(holds_recorded, (*args, *options.values()))):
            return own(real(*args, **options))
        value = real(*map(plain, args), **{key: plain(one) for key, one in options.items()})
        with one_call(program):
            given = [lift(program, one) if isinstance(one, list) and holds_recorded(one) else one for one in args]
            try:
                made = formula(program, *given, **options)
            except TypeError as error:
                if isinstance(error, NotRecorded):
                    raise
                raise NotRecorded(f"{module}.{name} with these options is not recorded") from None
            if isinstance(made, tuple):
                return (settled(program, made[0], value[0]), *made[1:])
            return settled(program, made, value)

    return function


def _logsumexp(program: Program, a: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Any:
    return log_sum_exp(program, a, axis, b, keepdims)


def _softmax(program: Program, x: Any, axis: Any = None) -> Any:
    e = np.exp(x - np.max(np.asarray(plain(x)), axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(program: Program, x: Any, axis: Any = None) -> Any:
    return x - log_sum_exp(program, x, axis, keepdims=True)


def _block_diag(program: Program, *arrays: Any) -> Any:
    blocks = [np.atleast_2d(lift(program, one)) for one in arrays]
    made = np.zeros_like(blocks[0], shape=tuple(sum(one.shape[axis] for one in blocks) for axis in (0, 1)))
    row = column = 0
    for one in blocks:
        made[row : row + one.shape[0], column : column + one.shape[1]] = one
        row, column = row + one.shape[0], column + one.shape[1]
    return made


def _triangle(program: Program, a: Any, lower: bool, other: Any = 0.0) -> Any:
    """A triangle of a matrix, and of another the rest."""
    mask = np.tri(*a.shape, dtype=np.bool_)
    return select(program, mask if lower else mask.T, a, other)


def _solve_triangular(program: Program, a: Any, b: Any, trans: Any = 0, lower: bool = False) -> Any:
    triangle = _triangle(program, lift(program, a), lower)
    return np.linalg.solve(triangle.T if trans in (1, "T") else triangle, lift(program, b))


def _cho_factor(program: Program, a: Any, lower: bool = False) -> Any:
    a = lift(program, a)
    # The other triangle is left as it was.
    return _triangle(program, np.linalg.cholesky(a, upper=not lower), lower, a), lower


def _cho_solve(program: Program, c_and_lower: Any, b: Any) -> Any:
    factor = _triangle(program, c_and_lower[0], c_and_lower[1])
    upper = factor.T if c_and_lower[1] else factor
    return np.linalg.solve(upper, np.linalg.solve(upper.T, lift(program, b)))


FORMULAS: dict[str, dict[str, Callable[..., Any]]] = {
    "scipy.special": {"logsumexp": _logsumexp, "softmax": _softmax, "log_softmax": _log_softmax},
    "scipy.linalg": {
        "block_diag": _block_diag,
        "inv": lambda program, a: np.linalg.inv(a),
        "det": lambda program, a: np.linalg.det(a),
        "norm": lambda program, a, ord=None, axis=None: np.linalg.norm(a, ord, axis),  # noqa: A006  (SciPy's name)
        "solve": lambda program, a, b: np.linalg.solve(lift(program, a), lift(program, b)),
        "cholesky": lambda program, a, lower=False: np.linalg.cholesky(a, upper=not lower),
        "solve_triangular": _solve_triangular,
        "cho_factor": _cho_factor,
        "cho_solve": _cho_solve,
    },
}
