"""NumPy's linear algebra, as operations of a program.

Systems are solved by elimination with the pivots that the recorded run chooses: any that are not 0 give the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.operations import compare, into, matmul, plain, settled
from gradlab.tape.program import Program
from gradlab.tape.recorded import NotRecorded, lift

Array = np.ndarray[Any, Any]


def _norm(program: Program, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002
    given = lift(program, x)
    value = np.linalg.norm(plain(given), ord, axis, keepdims)
    flat = given.reshape(-1) if axis is None and ord is None else given
    vector = (given.ndim == 1 or isinstance(axis, (int, np.integer))) if axis is not None or given.ndim == 1 else False
    if ord is None or (ord == "fro" and not vector) or (ord == 2 and vector):
        over = None if axis is None else axis
        made = np.sqrt(np.sum(np.square(flat), axis=over, keepdims=keepdims and axis is not None))
    elif vector and ord == 1:
        made = np.sum(np.abs(given), axis=axis, keepdims=keepdims)
    elif vector and ord in (np.inf, -np.inf):
        made = (np.max if ord > 0 else np.min)(np.abs(given), axis=axis, keepdims=keepdims)
    elif vector and isinstance(ord, (int, float)) and ord > 0:
        made = np.power(
            np.sum(np.power(np.abs(given), ord), axis=axis, keepdims=keepdims), 1 / lift(program, float(ord))
        )
    else:
        raise NotRecorded(f"np.linalg.norm of order {ord!r} is not recorded")
    return settled(program, made.reshape(np.shape(value)), value)


def _vector_norm(program: Program, x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:  # noqa: A002
    if axis is not None or keepdims:
        return _norm(program, x, ord, axis, keepdims)
    return _norm(program, lift(program, x).reshape(-1), ord, 0)


def _matrix_norm(program: Program, x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:  # noqa: A002
    return _norm(program, x, ord, (-2, -1), keepdims)


def _matrix_power(program: Program, a: Any, n: int) -> Any:
    a = lift(program, a)
    base = _inv(program, a) if n < 0 else a
    made = lift(program, np.broadcast_to(np.eye(a.shape[-1], dtype=a.format), a.shape))
    for _ in range(abs(n)):
        made = np.matmul(made, base)
    return settled(program, made, np.linalg.matrix_power(plain(a), n))


def _multi_dot(program: Program, arrays: Any, *, out: Any = None) -> Any:
    made = lift(program, arrays[0])
    for one in arrays[1:]:
        made = np.dot(made, one)
    value = np.linalg.multi_dot([plain(one) for one in arrays])
    return into(program, out, settled(program, made, value))


def _eliminated(program: Program, a: Any, b: Any) -> tuple[Any, Any, list[Any], int]:
    """a (n, n) and b (n, m) after the elimination below the diagonal, the pivots, and how often rows were swapped."""
    swaps, pivots = 0, []
    for k in range(a.shape[0]):
        best = k + int(np.argmax(np.abs(plain(a[k:, k]))))
        if best != k:
            order = list(range(a.shape[0]))
            order[k], order[best] = best, k
            a, b, swaps = a[order], b[order], swaps + 1
        pivots.append(a[k, k])
        factors = a[k + 1 :, k] * np.reciprocal(a[k, k])
        a = np.concatenate([a[: k + 1], a[k + 1 :] - factors[:, None] * a[k]])
        b = np.concatenate([b[: k + 1], b[k + 1 :] - factors[:, None] * b[k]])
    return a, b, pivots, swaps


def _solved(program: Program, a: Any, b: Any) -> Any:
    """x (n, m) of a x = b."""
    upper, right, pivots, _ = _eliminated(program, a, b)
    rows: list[Any] = []
    for k in reversed(range(len(pivots))):
        known = matmul(program, upper[k : k + 1, k + 1 :], np.stack(rows))[0] if rows else 0.0
        rows.insert(0, (right[k] - known) / pivots[k])
    return np.stack(rows)


def _over_stack(function: Callable[..., Any], program: Program, a: Any, *others: Any) -> Any:
    """A function of matrices, for every matrix of a stack (…, n, n)."""
    lead = a.shape[:-2]
    if not lead:
        return function(program, a, *others)
    made = [lift(program, function(program, a[at], *(one[at] for one in others))) for at in np.ndindex(lead)]
    return np.stack(made).reshape(lead + made[0].shape)


def _inv(program: Program, a: Any) -> Any:
    a = lift(program, a)
    value = np.linalg.inv(plain(a))
    eye = lift(program, np.eye(a.shape[-1], dtype=a.format))
    return settled(program, _over_stack(lambda program, one: _solved(program, one, eye), program, a), value)


def _solve(program: Program, a: Any, b: Any) -> Any:
    a, b = lift(program, a), lift(program, b)
    value = np.linalg.solve(plain(a), plain(b))
    if b.ndim == 1:
        return settled(
            program, _over_stack(lambda program, one: _solved(program, one, b[:, None])[:, 0], program, a), value
        )
    if a.shape[:-2] != b.shape[:-2]:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = (np.broadcast_to(one, lead + one.shape[-2:]) for one in (a, b))
    return settled(program, _over_stack(_solved, program, a, b), value)


def _determinant(program: Program, a: Any) -> Any:
    pivots, swaps = _eliminated(program, a, a[:, :0])[2:]
    made = -1.0 if swaps % 2 else 1.0
    for pivot in pivots:
        made = np.multiply(made, pivot)
    return made


def _det(program: Program, a: Any) -> Any:
    a = lift(program, a)
    return settled(program, lift(program, _over_stack(_determinant, program, a)), np.linalg.det(plain(a)))


def _log_determinant(program: Program, a: Any) -> Any:
    pivots = np.stack(_eliminated(program, a, a[:, :0])[2])
    compare(program, "greater", pivots, 0)  # on which the sign depends
    return np.sum(np.log(np.abs(pivots)))


def _slogdet(program: Program, a: Any) -> Any:
    a = lift(program, a)
    found = np.linalg.slogdet(plain(a))
    made = settled(program, lift(program, _over_stack(_log_determinant, program, a)), found.logabsdet)
    return type(found)(found.sign, made)


def _cholesky_factor(program: Program, a: Any) -> Any:
    columns: list[Any] = []
    for k in range(a.shape[0]):
        rest = a[k:, k]
        if columns:
            before = np.stack(columns, 1)
            rest = rest - matmul(program, before[k:], before[k])
        root = np.sqrt(rest[0])
        columns.append(np.concatenate([lift(program, np.zeros(k, a.format)), root[None], rest[1:] / root]))
    return np.stack(columns, 1)


def _cholesky(program: Program, a: Any, /, *, upper: bool = False) -> Any:
    """Of the lower triangle, which is all that NumPy reads; of the upper one for upper."""
    a = lift(program, a)
    value = np.linalg.cholesky(plain(a), upper=upper)
    lower = _over_stack(_cholesky_factor, program, np.swapaxes(a, -1, -2) if upper else a)
    return settled(program, np.swapaxes(lower, -1, -2) if upper else lower, value)


def _pinv(program: Program, a: Any, rcond: Any = None, hermitian: bool = False, **options: Any) -> Any:
    a = lift(program, a)
    value = np.linalg.pinv(plain(a), rcond, hermitian, **options)
    if a.ndim != 2 or np.linalg.matrix_rank(plain(a)) < min(a.shape):
        raise NotRecorded("np.linalg.pinv of a matrix without full rank is not recorded")
    tall = a if a.shape[0] >= a.shape[1] else a.T
    made = _solved(program, matmul(program, tall.T, tall), tall.T)
    return settled(program, made if tall is a else made.T, value)


def _lstsq(program: Program, a: Any, b: Any, rcond: Any = None) -> Any:
    a, b = lift(program, a), lift(program, b)
    solution, sizes, rank, _ = np.linalg.lstsq(plain(a), plain(b), rcond)
    if a.shape[0] < a.shape[1] or rank < a.shape[1]:
        raise NotRecorded("np.linalg.lstsq without full column rank is not recorded")
    right = matmul(program, a.T, b if b.ndim > 1 else b[:, None])
    made = settled(program, _solved(program, matmul(program, a.T, a), right).reshape(np.shape(solution)), solution)
    residuals = np.atleast_1d(np.sum(np.square(matmul(program, a, made) - b), axis=0))
    residuals = settled(program, residuals, sizes) if len(sizes) else residuals[:0]
    return made, residuals, rank, Unknown("np.linalg.lstsq's singular values")


class Unknown:
    """What a function gives too and no program holds: to be passed by, but not calculated with."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _refuse(self, *args: Any, **options: Any) -> Any:
        raise NotRecorded(f"{self._name} are not recorded")

    __array__ = __array_ufunc__ = __array_function__ = __getitem__ = __iter__ = __len__ = __float__ = __getattr__ = (
        _refuse
    )


LINALG: dict[Any, Callable[..., Any]] = {
    np.linalg.norm: _norm,
    np.linalg.vector_norm: _vector_norm,
    np.linalg.matrix_norm: _matrix_norm,
    np.linalg.matrix_power: _matrix_power,
    np.linalg.multi_dot: _multi_dot,
    np.linalg.inv: _inv,
    np.linalg.solve: _solve,
    np.linalg.det: _det,
    np.linalg.slogdet: _slogdet,
    np.linalg.cholesky: _cholesky,
    np.linalg.pinv: _pinv,
    np.linalg.lstsq: _lstsq,
}
