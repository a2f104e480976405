"""NumPy's functions that multiply arrays and add up, as operations of a program."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.operations import into, matmul, plain, scalar_like, settled
from gradlab.tape.program import Program
from gradlab.tape.recorded import NotRecorded, Recorded, as_scalar, cast, lift, nodes, recorded

Array = np.ndarray[Any, Any]


def _dot(program: Program, a: Any, b: Any, out: Any = None) -> Any:
    a, b = lift(program, a), lift(program, b)
    if not a.ndim or not b.ndim:
        dtype = np.result_type(a.format, b.format)
        return into(program, out, np.multiply(as_scalar(cast(a, dtype)), as_scalar(cast(b, dtype))))
    value = np.dot(plain(a), plain(b))
    made = matmul(program, a, b) if b.ndim <= 2 else _tensordot(program, a, b, ([a.ndim - 1], [b.ndim - 2]))
    return into(program, out, _valued(program, made, value))


def _valued(program: Program, made: Any, value: Any) -> Any:
    """A product with the value of the function that was called."""
    program.overwrite(nodes(made), value)
    return scalar_like(recorded(program, nodes(made), np.asarray(value).dtype), value)


def _outer(program: Program, a: Any, b: Any, out: Any = None) -> Any:
    a, b = lift(program, a), lift(program, b)
    return into(program, out, np.multiply(a.reshape(-1)[:, None], b.reshape(-1)[None]))


def _inner(program: Program, a: Any, b: Any) -> Any:
    a, b = lift(program, a), lift(program, b)
    value = np.inner(plain(a), plain(b))
    if not a.ndim or not b.ndim:
        return np.multiply(a, b)
    if b.ndim > 2:
        made = _tensordot(program, a, b, ([a.ndim - 1], [b.ndim - 1]))
    else:
        made = matmul(program, a, b.T if b.ndim == 2 else b)
    return _valued(program, made, value)


def _vdot(program: Program, a: Any, b: Any) -> Any:
    value = np.vdot(plain(a), plain(b))
    return _valued(program, matmul(program, lift(program, a).reshape(-1), lift(program, b).reshape(-1)), value)


def _tensordot(program: Program, a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = lift(program, a), lift(program, b)
    value = np.tensordot(plain(a), plain(b), axes)
    if isinstance(axes, (int, np.integer)):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    over_a, over_b = ([int(i) % x.ndim for i in np.atleast_1d(one)] for one, x in zip(axes, (a, b), strict=True))
    free_a, free_b = [i for i in range(a.ndim) if i not in over_a], [i for i in range(b.ndim) if i not in over_b]
    n = math.prod(a.shape[i] for i in over_a)
    left = a.transpose(free_a + over_a).reshape(-1, n)
    right = b.transpose(over_b + free_b).reshape(n, -1)
    return _valued(program, matmul(program, left, right).reshape(np.shape(value)), value)


def _einsum(program: Program, *given: Any, out: Any = None, **options: Any) -> Any:
    if not isinstance(given[0], str):
        raise NotRecorded("np.einsum with lists of axes is not recorded")
    if set(options) - {"optimize", "order"}:
        raise NotRecorded("np.einsum with dtype or casting is not recorded")
    spec, *operands = given
    if isinstance(out, Recorded):
        operands = [cast(lift(program, one), out.format) for one in operands]
    value = np.einsum(spec, *[plain(one) for one in operands], **options)
    terms, result = _einsum_terms(spec.replace(" ", ""), [np.ndim(one) for one in operands])
    labels, total = _diagonals(program, terms[0], lift(program, operands[0]))
    for i, (term, operand) in enumerate(zip(terms[1:], operands[1:], strict=True), 2):
        term, array = _diagonals(program, term, lift(program, operand))
        total, labels = _einsum_pair(program, total, labels, array, term, set(result) | set("".join(terms[i:])))
    gone = tuple(i for i, label in enumerate(labels) if label not in result)
    total = np.sum(total, axis=gone) if gone else total
    labels = "".join(label for label in labels if label in result)
    found = total.transpose([labels.index(label) for label in result])
    if not np.array_equal(np.asarray(plain(found)), value, equal_nan=True):
        found = settled(program, found, value)
    return into(program, out, as_scalar(found))


def _einsum_terms(spec: str, ranks: list[int]) -> tuple[list[str], str]:
    """The labels of each operand and of the result; an ellipsis becomes labels of its own."""
    left, arrow, result = spec.partition("->")
    terms = left.split(",")
    free = [chr(c) for c in range(ord("Α"), ord("Ω"))]
    most = max((rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)), default=0)
    dots = "".join(free[:most])
    terms = [
        term.replace("...", dots[most - (rank - len(term) + 3) :]) if "..." in term else term
        for term, rank in zip(terms, ranks, strict=True)
    ]
    if not arrow:
        every = "".join(terms).replace(dots, "") if dots else "".join(terms)
        result = dots + "".join(sorted(c for c in set(every) - set(dots) if every.count(c) == 1))
    return terms, result.replace("...", dots)


def _diagonals(program: Program, term: str, array: Any) -> tuple[str, Any]:
    """An operand in which no label occurs twice."""
    for label in dict.fromkeys(term):
        while term.count(label) > 1:
            first, second = [i for i, one in enumerate(term) if one == label][:2]
            array = recorded(program, np.diagonal(nodes(array), axis1=first, axis2=second), array.format)
            term = "".join(one for i, one in enumerate(term) if i not in (first, second)) + label
    return term, array


def _einsum_pair(program: Program, a: Any, of_a: str, b: Any, of_b: str, later: set[str]) -> tuple[Any, str]:
    """Two operands multiplied; what neither the result nor a later operand has is summed over, as a matrix product."""
    shared = [label for label in of_a if label in of_b]
    gone = [label for label in shared if label not in later]
    if not gone or any(a.shape[of_a.index(one)] != b.shape[of_b.index(one)] for one in shared):
        every = "".join(dict.fromkeys(of_a + of_b))
        made = np.multiply(_spread(a, of_a, every), _spread(b, of_b, every))
        made = np.sum(made, axis=tuple(every.index(one) for one in gone)) if gone else made
        return made, "".join(one for one in every if one not in gone)
    stacked = [label for label in shared if label in later]
    rows, columns = ([label for label in labels if label not in shared] for labels in (of_a, of_b))
    left, right = _turned(a, of_a, (stacked, rows, gone)), _turned(b, of_b, (stacked, gone, columns))
    if not stacked:
        left, right = left[0], right[0]
    labels = "".join(stacked + rows + columns)
    shape = [(a if one in of_a else b).shape[(of_a if one in of_a else of_b).index(one)] for one in labels]
    return matmul(program, left, right).reshape(shape), labels


def _spread(array: Any, labels: str, every: str) -> Any:
    """An operand with an axis for every label."""
    kept = [label for label in every if label in labels]
    array = array.transpose([labels.index(label) for label in kept])
    return array.reshape([array.shape[kept.index(label)] if label in labels else 1 for label in every])


def _turned(array: Any, labels: str, groups: tuple[list[str], ...]) -> Any:
    """An operand with an axis for every group of labels."""
    order = [labels.index(label) for group in groups for label in group]
    return array.transpose(order).reshape(
        [math.prod(array.shape[labels.index(one)] for one in group) for group in groups]
    )


def _kron(program: Program, a: Any, b: Any) -> Any:
    a, b = lift(program, a), lift(program, b)
    ndim = max(a.ndim, b.ndim)
    a, b = a.reshape([1] * (ndim - a.ndim) + list(a.shape)), b.reshape([1] * (ndim - b.ndim) + list(b.shape))
    left = a.reshape([n for one in a.shape for n in (one, 1)])
    right = b.reshape([n for one in b.shape for n in (1, one)])
    return np.multiply(left, right).reshape([n * m for n, m in zip(a.shape, b.shape, strict=True)])


def _cross(program: Program, a: Any, b: Any, *args: Any, axis: Any = -1, **options: Any) -> Any:
    a, b = lift(program, a), lift(program, b)
    if args or options or axis != -1 or a.shape[-1] != 3 or b.shape[-1] != 3:
        raise NotRecorded("np.cross of other than three components on the last axis is not recorded")
    one, two = (1, 2, 0), (2, 0, 1)
    made = a[..., one] * b[..., two] - a[..., two] * b[..., one]
    return settled(program, made, np.cross(plain(a), plain(b)))


def _trace(program: Program, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None,
           out: Any = None) -> Any:  # fmt: skip
    return into(program, out, np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype))


def _convolve(program: Program, a: Any, v: Any, mode: str = "full") -> Any:
    a, v = lift(program, a), lift(program, v)
    value: Any = np.convolve(plain(a), plain(v), mode)  # type: ignore[call-overload]
    padded = np.pad(a, (v.size - 1, v.size - 1))
    windows = recorded(program, np.lib.stride_tricks.sliding_window_view(nodes(padded), v.size), a.format)
    full = matmul(program, windows, v[::-1])
    start = (full.size - value.size) // 2 if mode != "full" else 0
    return settled(program, full[start : start + value.size], value)


def _correlate(program: Program, a: Any, v: Any, mode: str = "valid") -> Any:
    v = lift(program, v)
    return settled(program, _convolve(program, a, v[::-1], mode), np.correlate(plain(a), plain(v), mode))  # type: ignore[call-overload]


def _cov(program: Program, m: Any, y: Any = None, *args: Any, **options: Any) -> Any:
    if args or options:
        raise NotRecorded("np.cov with options is not recorded")
    rows = np.atleast_2d(cast(lift(program, m), np.float64))
    if y is not None:
        rows = np.concatenate([rows, np.atleast_2d(cast(lift(program, y), np.float64))])
    centred = rows - np.mean(rows, axis=1, keepdims=True)
    made = matmul(program, centred, centred.T) / (rows.shape[1] - 1)
    value = np.cov(plain(m), plain(y))
    return settled(program, made.reshape(np.shape(value)), value)


def _corrcoef(program: Program, x: Any, y: Any = None, *args: Any, **options: Any) -> Any:
    c = np.atleast_2d(_cov(program, x, y))
    deviation = np.sqrt(np.diagonal(c))
    made = c / deviation[:, None] / deviation[None, :]
    value = np.corrcoef(plain(x), plain(y))
    return settled(program, made.reshape(np.shape(value)), value)


def _polyval(program: Program, p: Any, x: Any) -> Any:
    p = lift(program, p)
    y: Any = np.zeros_like(plain(x))
    for coefficient in p:
        y = y * x + coefficient
    return as_scalar(lift(program, y))


PRODUCTS: dict[Any, Callable[..., Any]] = {
    np.dot: _dot,
    np.outer: _outer,
    np.linalg.outer: _outer,
    np.inner: _inner,
    np.vdot: _vdot,
    np.tensordot: _tensordot,
    np.linalg.tensordot: lambda program, x, y, /, *, axes=2: _tensordot(program, x, y, axes),
    np.linalg.matmul: lambda program, x, y, /: np.matmul(x, y),
    np.linalg.vecdot: lambda program, x, y, /, *, axis=-1: np.vecdot(
        np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    ),
    np.einsum: _einsum,
    np.kron: _kron,
    np.cross: _cross,
    np.linalg.cross: _cross,
    np.trace: _trace,
    np.linalg.trace: lambda program, x, /, *, offset=0, dtype=None: _trace(program, x, offset, -2, -1, dtype),
    np.convolve: _convolve,
    np.correlate: _correlate,
    np.cov: _cov,
    np.corrcoef: _corrcoef,
    np.polyval: _polyval,
}
