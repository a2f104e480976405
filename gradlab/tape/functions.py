"""NumPy's functions of whole arrays, as operations of a program: those that calculate, that move, and that read.

    CALCULATE   in terms of the operations, each with the value that the function itself gives
    MOVE        left to NumPy, on the arrays of indices
    READ        what they say of the floats; where a run may be steered by it, the comparison is kept as a guard
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.program import FLOAT64, ONE, UNSET, ZERO, Program
from gradlab.tape.recorded import NotRecorded, Recorded, as_scalar, cast, holds_recorded, lift, nodes, recorded
from gradlab.tape.ufuncs import compare, elementwise, into, matmul, plain, power, select, settled

Array = np.ndarray[Any, Any]

_NO_VALUE = np._NoValue  # type: ignore[attr-defined]


def call(program: Program, function: Any, args: Any, kwargs: Any) -> Any:
    """What Recorded.__array_function__ answers.

    Raises:
        NotRecorded: the program has no operation for it.
    """
    kwargs = {key: value for key, value in kwargs.items() if value is not _NO_VALUE}
    if function in CALCULATE:
        return CALCULATE[function](program, *args, **kwargs)
    if function in MOVE:
        return _moved(program, function, args, kwargs)
    if function in READ:
        return function(*[plain(one) for one in args], **{key: plain(value) for key, value in kwargs.items()})
    raise NotRecorded(f"{function.__module__}.{function.__name__} is not recorded".replace("numpy", "np", 1))


def _moved(program: Program, function: Any, args: Any, kwargs: Any) -> Any:
    dtype = _common([*args, *kwargs.values()])

    def indices(given: Any) -> Any:
        if isinstance(given, Recorded):
            return nodes(cast(given, dtype))
        if isinstance(given, (list, tuple)) and (holds_recorded(given) or any(map(_is_float, given))):
            return type(given)(map(indices, given)) if not hasattr(given, "_fields") else given
        if _is_float(given) or (numeric and _is_number(given)):
            return nodes(cast(lift(program, given), dtype))
        return given

    numeric = function in JOINING  # what stands first; an axis is no number
    first, rest = tuple(map(indices, args[:1])), args[1:]
    numeric = False
    found = function(*first, *map(indices, rest), **{key: indices(value) for key, value in kwargs.items()})
    return _wrapped(program, found, dtype)


def _wrapped(program: Program, found: Any, dtype: Any) -> Any:
    if isinstance(found, np.ndarray):
        return recorded(program, found, dtype)
    if isinstance(found, (list, tuple)):
        return type(found)(_wrapped(program, part, dtype) for part in found)
    return as_scalar(recorded(program, found, dtype)) if isinstance(found, np.integer) else found


def _common(given: Any) -> Any:
    """The format in which arrays that are joined meet."""
    dtypes: list[Any] = []

    def look(one: Any) -> None:
        if isinstance(one, Recorded):
            dtypes.append(one.format)
        elif isinstance(one, (list, tuple)):
            for part in one:
                look(part)
        elif isinstance(one, np.ndarray) and one.dtype.kind == "f":
            dtypes.append(one.dtype)

    look(list(given))
    return np.result_type(*dtypes) if dtypes else FLOAT64


def _is_float(given: Any) -> bool:
    return isinstance(given, (float, np.floating)) or (isinstance(given, np.ndarray) and given.dtype.kind == "f")


def _is_number(given: Any) -> bool:
    return isinstance(given, (int, np.integer)) or (isinstance(given, np.ndarray) and given.dtype.kind in "iub")


def _axes(ndim: int, axis: Any) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(range(ndim)[one] for one in (axis if isinstance(axis, tuple) else (int(axis),)))


def _shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _over_axes(program: Program, name: str, array: Any, value: Any, axis: Any, keepdims: bool) -> Any:
    """One operation that takes axes away, with NumPy's own value."""
    index = nodes(array)
    axes = _axes(index.ndim, axis)
    made = program.append(name, (index,), np.reshape(value, _shape(index.shape, axes, True)), axes)
    dtype = np.asarray(value).dtype
    return as_scalar(recorded(program, made.reshape(_shape(index.shape, axes, keepdims)), dtype))


# ---- what calculates


def _sum(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
         initial: Any = 0, where: Any = True) -> Any:  # fmt: skip
    given = lift(program, a)
    if dtype is not None:
        given = cast(given, dtype)
    options = {} if where is True else {"where": plain(where)}
    value = np.sum(plain(given), axis=axis, keepdims=keepdims, **options)
    if where is not True:
        given = select(program, np.broadcast_to(plain(where), given.shape), given, np.zeros((), given.format))
    if given.ndim == 0:
        made = given[()]
    else:
        made = _over_axes(program, "sum", given, value, axis, keepdims)
    if not (np.ndim(initial) == 0 and not isinstance(initial, Recorded) and initial == 0):
        made = made + initial
    return into(program, out, made)


def _mean(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
          where: Any = True) -> Any:  # fmt: skip
    given = lift(program, a)
    if dtype is not None:
        given = cast(given, dtype)
    if where is not True:
        mask = np.broadcast_to(plain(where), given.shape)
        total = _sum(program, given, axis, keepdims=keepdims, where=mask)
        made = total / np.sum(mask, axis=axis, keepdims=keepdims)
    else:
        total = _sum(program, given, axis, keepdims=keepdims)
        made = total / (given.size // max(np.size(total), 1))
    value = np.mean(plain(given), axis=axis, keepdims=keepdims, **({} if where is True else {"where": plain(where)}))
    return into(program, out, settled(program, made, value))


def _var(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
         keepdims: bool = False, **options: Any) -> Any:  # fmt: skip
    given = lift(program, a)
    value = np.var(plain(given), axis=axis, ddof=ddof, keepdims=keepdims)
    deviation = given - _mean(program, given, axis, keepdims=True)
    total = _sum(program, deviation * deviation, axis, keepdims=keepdims)
    made = total / (given.size // max(np.size(total), 1) - ddof)
    return into(program, out, settled(program, made, value))


def _std(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
         keepdims: bool = False, **options: Any) -> Any:  # fmt: skip
    value = np.std(plain(a), axis=axis, ddof=ddof, keepdims=keepdims)
    made = np.sqrt(_var(program, a, axis, ddof=ddof, keepdims=keepdims))
    return into(program, out, settled(program, made, value))


def _average(program: Program, a: Any, axis: Any = None, weights: Any = None, returned: bool = False,
             keepdims: bool = False) -> Any:  # fmt: skip
    if weights is None:
        found = _mean(program, a, axis, keepdims=keepdims)
        return (found, a.size / max(found.size, 1)) if returned else found
    if np.ndim(weights) != np.ndim(a):
        places = [1] * np.ndim(a)
        places[int(axis)] = np.size(weights)
        weights = np.reshape(weights, places)
    total = np.sum(np.multiply(a, weights), axis=axis, keepdims=keepdims)
    whole = np.sum(np.broadcast_to(weights, np.shape(a)), axis=axis, keepdims=keepdims)
    return (total / whole, whole) if returned else total / whole


def _extreme(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def extreme(program: Program, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
                initial: Any = None, where: Any = True) -> Any:  # fmt: skip
        if where is not True:
            raise NotRecorded(f"np.{name} with where is not recorded")
        given = lift(program, a)
        if given.ndim == 0:
            return into(program, out, given[()])
        made = _over_axes(program, name, given, function(plain(given), axis=axis, keepdims=keepdims), axis, keepdims)
        if initial is not None:
            made = getattr(np, f"{name}imum")(made, initial)
        return into(program, out, made)

    return extreme


def _prod(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
          initial: Any = 1, **options: Any) -> Any:  # fmt: skip
    given = lift(program, a)
    value = np.prod(plain(given), axis=axis, keepdims=keepdims)
    axes = _axes(given.ndim, axis)
    kept = [i for i in range(given.ndim) if i not in axes]
    rows = given.transpose(*axes, *kept).reshape(-1, *[given.shape[i] for i in kept])
    made = rows[0] if len(rows) else lift(program, np.ones([given.shape[i] for i in kept]))
    for row in rows[1:]:
        made = made * row
    made = settled(program, made.reshape(np.shape(value)), value)
    return into(program, out, made if initial == 1 else made * initial)


def _cumulative(name: str, operation: Any) -> Callable[..., Any]:
    function = getattr(np, name)

    def cumulative(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        given = lift(program, a)
        rows = given.reshape(-1) if axis is None else np.moveaxis(given, axis, 0)
        made = [rows[0]] if len(rows) else []
        for row in rows[1:]:
            made.append(operation(made[-1], row))
        found = np.stack(made) if made else rows
        found = found if axis is None else np.moveaxis(found, 0, axis)
        value = function(plain(given), axis=axis)
        if not np.array_equal(program.floats(nodes(found), found.format), value, equal_nan=True):
            found = settled(program, elementwise(program, "positive", found), value)
        return into(program, out, found)

    return cumulative


def _dot(program: Program, a: Any, b: Any, out: Any = None) -> Any:
    a, b = lift(program, a), lift(program, b)
    if not a.ndim or not b.ndim:
        return into(program, out, np.multiply(a, b))
    value = np.dot(plain(a), plain(b))
    if b.ndim <= 2:
        made = matmul(program, a, b)
    else:
        made = _tensordot(program, a, b, ([a.ndim - 1], [b.ndim - 2]))
    return into(program, out, _valued(program, made, value))


def _valued(program: Program, made: Any, value: Any) -> Any:
    """A product with the value of the function that was called."""
    program.overwrite(nodes(made), value)
    return as_scalar(recorded(program, nodes(made), np.asarray(value).dtype))


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
        over_a, over_b = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        over_a, over_b = ([one] if isinstance(one, (int, np.integer)) else list(one) for one in axes)
    over_a, over_b = [i % a.ndim for i in over_a], [i % b.ndim for i in over_b]
    free_a, free_b = [i for i in range(a.ndim) if i not in over_a], [i for i in range(b.ndim) if i not in over_b]
    n = math.prod(a.shape[i] for i in over_a)
    left = a.transpose(free_a + over_a).reshape(-1, n)
    right = b.transpose(over_b + free_b).reshape(n, -1)
    return _valued(program, matmul(program, left, right).reshape(np.shape(value)), value)


def _einsum(program: Program, *given: Any, out: Any = None, **options: Any) -> Any:
    if not isinstance(given[0], str):
        raise NotRecorded("np.einsum with lists of axes is not recorded")
    options = {key: value for key, value in options.items() if key in ("optimize", "order")}
    spec, *operands = given
    value = np.einsum(spec, *[plain(one) for one in operands], **options)
    terms, result = _einsum_terms(spec.replace(" ", ""), [np.ndim(one) for one in operands])
    total, labels = None, ""
    for i, (term, operand) in enumerate(zip(terms, operands, strict=True)):
        term, array = _diagonals(program, term, lift(program, operand))
        later = set(result) | set("".join(terms[i + 1 :]))
        if total is None:
            total, labels = array, term
        else:
            total, labels = _einsum_pair(program, total, labels, array, term, later)
    gone = [label for label in labels if label not in result]
    if gone:
        total = np.sum(total, axis=tuple(labels.index(label) for label in gone))
        labels = "".join(label for label in labels if label in result)
    found = total.transpose([labels.index(label) for label in result]) if len(result) > 1 else total  # type: ignore[union-attr]
    if np.shape(value) != found.shape:
        raise NotRecorded(f"np.einsum({spec!r}) is not recorded")
    if not np.array_equal(np.asarray(plain(found)), value, equal_nan=True):
        found = settled(program, elementwise(program, "positive", found), value)
    return into(program, out, as_scalar(found) if np.ndim(value) == 0 else found)


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
    shared = [label for label in of_a if label in of_b]
    gone = [label for label in shared if label not in later]
    if len(gone) == len(shared):
        made = _tensordot(program, a, b, ([of_a.index(one) for one in gone], [of_b.index(one) for one in gone]))
        return lift(program, made), "".join(one for one in of_a + of_b if one not in gone)
    every = "".join(dict.fromkeys(of_a + of_b))

    def spread(array: Any, labels: str) -> Any:
        array = array.transpose([labels.index(one) for one in every if one in labels])
        return array.reshape([array.shape[[x for x in every if x in labels].index(one)] if one in labels else 1 for one in every])

    made = np.multiply(spread(a, of_a), spread(b, of_b))
    if gone:
        made = np.sum(made, axis=tuple(every.index(one) for one in gone))
    return made, "".join(one for one in every if one not in gone)


def _kron(program: Program, a: Any, b: Any) -> Any:
    a, b = lift(program, a), lift(program, b)
    ndim = max(a.ndim, b.ndim)
    a, b = a.reshape([1] * (ndim - a.ndim) + list(a.shape)), b.reshape([1] * (ndim - b.ndim) + list(b.shape))
    left = a.reshape([n for one in a.shape for n in (one, 1)])
    right = b.reshape([n for one in b.shape for n in (1, one)])
    return np.multiply(left, right).reshape([n * m for n, m in zip(a.shape, b.shape, strict=True)])


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
        made = np.power(np.sum(np.power(np.abs(given), ord), axis=axis, keepdims=keepdims), 1 / lift(program, float(ord)))
    else:
        raise NotRecorded(f"np.linalg.norm of order {ord!r} is not recorded")
    return settled(program, made.reshape(np.shape(value)), value)


def _clip(program: Program, a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None,  # noqa: A002
          max: Any = None, **options: Any) -> Any:  # noqa: A002  # fmt: skip
    low, high = (a_min if a_min is not None else min), (a_max if a_max is not None else max)
    made = lift(program, a)
    if low is not None:
        made = np.maximum(made, low)
    if high is not None:
        made = np.minimum(made, high)
    return into(program, out, made)


def _where(program: Program, condition: Any, *branches: Any) -> Any:
    mask = _truth(program, condition)
    return select(program, mask, *branches) if branches else np.where(mask)


def _truth(program: Program, condition: Any) -> Any:
    return compare(program, "not_equal", condition, 0) if isinstance(condition, Recorded) else np.asarray(condition, bool)


def _select(program: Program, conditions: Any, choices: Any, default: Any = 0) -> Any:
    made = lift(program, default)
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        made = select(program, _truth(program, condition), choice, made)
    return made


def _piecewise(program: Program, x: Any, conditions: Any, functions: Any, *args: Any, **options: Any) -> Any:
    conditions = [_truth(program, one) for one in (conditions if isinstance(conditions, (list, tuple)) else [conditions])]
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    made = np.zeros_like(x)
    for condition, function in zip(conditions, functions, strict=True):
        if condition.any():
            made[condition] = function(x[condition], *args, **options) if callable(function) else function
    return made


def _trace(program: Program, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None,
           out: Any = None) -> Any:  # fmt: skip
    return into(program, out, np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1))


def _diff(program: Program, a: Any, n: int = 1, axis: int = -1, **options: Any) -> Any:
    made = lift(program, a)
    for _ in range(n):
        length = made.shape[axis]
        made = np.subtract(np.take(made, range(1, length), axis), np.take(made, range(length - 1), axis))
    return made


def _cross(program: Program, a: Any, b: Any, *args: Any, **options: Any) -> Any:
    a, b = lift(program, a), lift(program, b)
    if args or options or a.shape[-1] != 3 or b.shape[-1] != 3:
        raise NotRecorded("np.cross of other than three components on the last axis is not recorded")
    one, two = (1, 2, 0), (2, 0, 1)
    return a[..., one] * b[..., two] - a[..., two] * b[..., one]


def _trapezoid(program: Program, y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    y = lift(program, y)
    steps = dx if x is None else np.diff(x)
    n = y.shape[axis]
    left, right = np.take(y, range(n - 1), axis), np.take(y, range(1, n), axis)
    made = np.sum(steps * (left + right) / 2.0, axis=axis)
    return settled(program, made, np.trapezoid(plain(y), plain(x), plain(dx), axis))


def _polyval(program: Program, p: Any, x: Any) -> Any:
    p, y = lift(program, p), lift(program, np.zeros(np.shape(x)))
    for coefficient in p:
        y = y * x + coefficient
    return as_scalar(y)


def _convolve(program: Program, a: Any, v: Any, mode: str = "full") -> Any:
    a, v = lift(program, a), lift(program, v)
    value = np.convolve(plain(a), plain(v), mode)
    padded = np.pad(a, (v.size - 1, v.size - 1))
    windows = recorded(program, np.lib.stride_tricks.sliding_window_view(nodes(padded), v.size), a.format)
    full = matmul(program, windows, v[::-1])
    start = (full.size - value.size) // 2 if mode != "full" else 0
    return settled(program, elementwise(program, "positive", full[start : start + value.size]), value)


def _correlate(program: Program, a: Any, v: Any, mode: str = "valid") -> Any:
    v = lift(program, v)
    return settled(program, elementwise(program, "positive", _convolve(program, a, v[::-1], mode)),
                   np.correlate(plain(a), plain(v), mode))  # fmt: skip


def _interp(program: Program, x: Any, xp: Any, fp: Any, *args: Any, **options: Any) -> Any:
    if args or options or isinstance(xp, Recorded):
        raise NotRecorded("np.interp between recorded points, or with left, right or period, is not recorded")
    at = np.clip(np.searchsorted(np.asarray(xp), np.asarray(plain(x)), "right") - 1, 0, len(xp) - 2)
    x, xp, fp = lift(program, x), np.asarray(xp, float), lift(program, fp)
    inside = np.clip(x, xp[0], xp[-1])
    compare(program, "less_equal", lift(program, xp)[at], inside)
    compare(program, "less_equal", inside, lift(program, xp)[at + 1])
    slope = (fp[at + 1] - fp[at]) / (xp[at + 1] - xp[at])
    return settled(program, fp[at] + slope * (inside - xp[at]), np.interp(plain(x), xp, plain(fp)))


def _bincount(program: Program, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    made = np.zeros_like(lift(program, weights), shape=max(int(np.max(x, initial=-1)) + 1, minlength))
    np.add.at(made, x, weights)
    return made


def _histogram(program: Program, a: Any, bins: Any = 10, range: Any = None, density: Any = None,  # noqa: A002
               weights: Any = None) -> Any:  # fmt: skip
    if isinstance(a, Recorded):
        _order(program, a)
    counts, edges = np.histogram(plain(a), plain(bins), range, density, plain(weights))
    if not isinstance(weights, Recorded) or density:
        return counts, edges
    at = np.clip(np.searchsorted(edges, np.ravel(plain(a)), "right") - 1, 0, len(edges) - 2)
    return _bincount(program, at, weights.reshape(-1), len(edges) - 1), edges


def _sort(program: Program, a: Any, axis: Any = -1, **options: Any) -> Any:
    given = lift(program, a)
    given, axis = (given.reshape(-1), 0) if axis is None else (given, axis)
    order = np.argsort(plain(given), axis, kind="stable")
    index = np.take_along_axis(nodes(given), order, axis)
    _in_order(program, index, axis)
    return recorded(program, index, given.format)


def _argsort(program: Program, a: Any, axis: Any = -1, **options: Any) -> Any:
    order = np.argsort(plain(a), axis, **options)
    if axis is not None:
        _in_order(program, np.take_along_axis(nodes(lift(program, a)), order, axis), axis)
    return order


def _in_order(program: Program, index: Array, axis: int) -> None:
    """Keep that numbers ascend along an axis."""
    rows = np.moveaxis(index, axis, 0)
    if len(rows) > 1:
        program.guard("less", rows[:-1], rows[1:], np.ones(rows[1:].shape, bool))


def _order(program: Program, a: Any) -> None:
    """Keep the order of all numbers of an array."""
    flat = nodes(a).reshape(-1)
    _in_order(program, flat[np.argsort(np.ravel(plain(a)), kind="stable")], 0)


def _quantile(name: str) -> Callable[..., Any]:
    """np.median, np.quantile, np.percentile: sorted, and linear between two neighbours."""
    function = getattr(np, name)
    whole = {"median": 1.0, "quantile": 1.0, "percentile": 100.0}[name]

    def quantile(program: Program, a: Any, *q: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        if name == "median" and q:
            q, axis = (), q[0]
        if len(q) > 1 or options or (q and np.ndim(q[0])) or isinstance(axis, tuple):
            raise NotRecorded(f"np.{name} with these options is not recorded")
        given = lift(program, a)
        value = function(plain(given), *q, axis=axis, keepdims=keepdims)
        rows = np.moveaxis(_sort(program, given, axis), 0 if axis is None else axis, 0)
        share = lift(program, float(q[0])) / whole if q else lift(program, 0.5)
        at = (float(q[0]) / whole if q else 0.5) * (len(rows) - 1)
        low = min(int(at), max(len(rows) - 2, 0))
        part = share * (len(rows) - 1) - low
        made = rows[low] + (rows[min(low + 1, len(rows) - 1)] - rows[low]) * part
        return settled(program, made.reshape(np.shape(value)), value)

    return quantile


def _partition(program: Program, a: Any, kth: Any, axis: int = -1, **options: Any) -> Any:
    given = lift(program, a)
    order = np.argpartition(plain(given), kth, axis)
    rows = np.moveaxis(np.take_along_axis(nodes(given), order, axis), axis, 0)
    for k in np.atleast_1d(kth):
        program.guard("less", rows[:k], rows[k : k + 1], np.ones(rows[:k].shape, bool))
        program.guard("less", np.broadcast_to(rows[k : k + 1], rows[k + 1 :].shape), rows[k + 1 :], True)
    return recorded(program, np.moveaxis(rows, 0, axis), given.format)


def _unique(program: Program, a: Any, *args: Any, **options: Any) -> Any:
    if args or options:
        raise NotRecorded("np.unique with options is not recorded")
    _, first = np.unique(plain(a), return_index=True)
    index = nodes(lift(program, a)).reshape(-1)[first]
    _in_order(program, index, 0)
    return recorded(program, index, a.format)


def _arg_extreme(name: str, comparison: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def arg(program: Program, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        found = function(plain(a), axis=axis, keepdims=bool(keepdims))
        index = nodes(lift(program, a))
        flat, axis = (index.reshape(-1), 0) if axis is None else (index, axis)
        chosen = np.take_along_axis(flat, np.expand_dims(np.reshape(found, np.delete(flat.shape, axis)), axis), axis)
        program.guard(comparison, np.broadcast_to(chosen, flat.shape), flat, np.ones(flat.shape, bool))
        return found

    return arg


def _search(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def search(program: Program, *args: Any, **options: Any) -> Any:
        found = function(*[plain(one) for one in args], **{k: plain(v) for k, v in options.items()})
        bins, x = (args[0], args[1]) if name == "searchsorted" else (args[1], args[0])
        edges, given = lift(program, bins), lift(program, x)
        at, n = np.asarray(found), edges.size
        below, above = at > 0, at < n
        index = nodes(given)
        if n:
            program.guard("less_equal", nodes(edges)[np.maximum(at - 1, 0)][below], index[below], True)
            program.guard("less_equal", index[above], nodes(edges)[np.minimum(at, n - 1)][above], True)
        return found

    return search


def _close(program: Program, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    found = np.isclose(plain(a), plain(b), rtol, atol, equal_nan)
    distance, limit = np.abs(np.subtract(a, b)), atol + rtol * np.abs(b)
    return compare(program, "less_equal", distance, limit) if not equal_nan else found


def _all_close(program: Program, *args: Any, **options: Any) -> bool:
    return bool(np.all(_close(program, *args, **options)))


def _array_equal(program: Program, a: Any, b: Any, equal_nan: bool = False) -> bool:
    if np.shape(a) != np.shape(b):
        return False
    return bool(np.all(compare(program, "equal", a, b)))


def _truths(name: str) -> Callable[..., Any]:
    function = getattr(np, name)
    return lambda program, a, *args, **options: function(_truth(program, a), *args, **options)


def _like(fill: int | None) -> Callable[..., Any]:
    def like(program: Program, a: Any, *args: Any, dtype: Any = None, order: Any = "K", subok: Any = True,
             shape: Any = None, **options: Any) -> Any:  # fmt: skip
        value, args = (args[0], args[1:]) if fill is None else (fill, args)
        dtype = dtype if dtype is not None else args[0] if args else None
        form = np.asarray(plain(a))
        if dtype is not None and np.dtype(dtype).kind != "f":
            return np.full(form.shape if shape is None else shape, plain(value), dtype)
        dtype = np.dtype(dtype) if dtype is not None else form.dtype
        if dtype.kind != "f":  # like an array of integers, with a recorded number to fill with
            return np.full_like(form, plain(value), shape=shape)
        index = np.empty_like(form, np.intp, order, False, shape)
        made = recorded(program, index, dtype)
        made[...] = lift(program, value) if fill is None else recorded(program, np.intp(value), dtype)
        return made

    return like


def _fill_diagonal(program: Program, a: Any, value: Any, wrap: bool = False) -> None:
    at = np.arange(min(a.shape))
    a[(at,) * a.ndim] = value


def _copyto(program: Program, dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    if where is True:
        dst[...] = src
    else:
        dst[...] = select(program, where, src, dst)


def _put(program: Program, a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    nodes(a).put(ind, nodes(cast(lift(program, v), a.format)), mode)


def _put_along_axis(program: Program, arr: Any, indices: Any, values: Any, axis: Any) -> None:
    np.put_along_axis(nodes(arr), indices, nodes(cast(lift(program, values), arr.format)), axis)


def _round(program: Program, a: Any, decimals: int = 0, out: Any = None) -> Any:
    value = np.round(plain(a), decimals)
    if not decimals:
        return into(program, out, elementwise(program, "rint", a, value=value))
    scale = lift(program, 10.0 ** abs(decimals))
    made = np.rint(a * scale) / scale if decimals > 0 else np.rint(a / scale) * scale
    return into(program, out, settled(program, made, value))


def _nan_to_num(program: Program, x: Any, *args: Any, **options: Any) -> Any:
    if not np.isfinite(np.asarray(plain(x))).all():
        raise NotRecorded("np.nan_to_num of numbers that are not finite is not recorded")
    return elementwise(program, "positive", x)


def _without_nan(name: str) -> Callable[..., Any]:
    function = getattr(np, name.removeprefix("nan"))

    def total(program: Program, a: Any, axis: Any = None, **options: Any) -> Any:
        return function(a, axis=axis, where=~np.isnan(np.asarray(plain(a))), **options)

    return total


def _apply_along_axis(program: Program, function: Any, axis: int, arr: Any, *args: Any, **options: Any) -> Any:
    moved = np.moveaxis(lift(program, arr), axis, -1)
    rows = [function(moved[at], *args, **options) for at in np.ndindex(moved.shape[:-1])]
    made = np.stack([lift(program, row) for row in rows])
    made = made.reshape(moved.shape[:-1] + made.shape[1:])
    return made if made.ndim < moved.ndim else np.moveaxis(made, -1, axis)


def _linspace(program: Program, start: Any, stop: Any, num: int = 50, endpoint: bool = True, **options: Any) -> Any:
    if options:
        raise NotRecorded("np.linspace with these options is not recorded")
    steps = num - 1 if endpoint else num
    part = lift(program, np.arange(num, dtype=float)) / max(steps, 1)
    start, stop = lift(program, start), lift(program, stop)
    if start.ndim or stop.ndim:
        part = part.reshape(-1, *[1] * max(start.ndim, stop.ndim))
    return settled(program, start + (stop - start) * part, np.linspace(plain(start), plain(stop), num, endpoint))


def _gradient(program: Program, f: Any, *spacing: Any, **options: Any) -> Any:
    f = lift(program, f)
    if options or len(spacing) > 1 or f.ndim != 1 or (spacing and np.ndim(spacing[0])):
        raise NotRecorded("np.gradient of more than one axis or uneven spacing is not recorded")
    h = spacing[0] if spacing else 1.0
    made = np.concatenate([(f[1:2] - f[:1]) / h, (f[2:] - f[:-2]) / (2.0 * h), (f[-1:] - f[-2:-1]) / h])
    return settled(program, elementwise(program, "positive", made), np.gradient(plain(f), *map(plain, spacing)))


def _cov(program: Program, m: Any, y: Any = None, *args: Any, **options: Any) -> Any:
    if args or options:
        raise NotRecorded("np.cov with options is not recorded")
    rows = np.atleast_2d(lift(program, m))
    if y is not None:
        rows = np.concatenate([rows, np.atleast_2d(lift(program, y))])
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


def _append(program: Program, arr: Any, values: Any, axis: Any = None) -> Any:
    parts = [lift(program, arr), lift(program, values)]
    return np.concatenate([part.reshape(-1) for part in parts] if axis is None else parts, axis=axis or 0)


def _insert(program: Program, arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    arr, values = lift(program, arr), lift(program, values)
    dtype = np.result_type(arr.format, values.format)
    return recorded(program, np.insert(nodes(arr), obj, nodes(values), axis), dtype)


def _matrix_power(program: Program, a: Any, n: int) -> Any:
    if n < 1:
        raise NotRecorded("np.linalg.matrix_power below 1 is not recorded")
    made = a
    for _ in range(n - 1):
        made = np.matmul(made, a)
    return settled(program, elementwise(program, "positive", made), np.linalg.matrix_power(plain(a), n))


def _multi_dot(program: Program, arrays: Any, *, out: Any = None) -> Any:
    made = lift(program, arrays[0])
    for one in arrays[1:]:
        made = np.dot(made, one)
    value = np.linalg.multi_dot([plain(one) for one in arrays])
    return into(program, out, settled(program, elementwise(program, "positive", made), value))


def _pad(program: Program, array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap", "empty"):
        raise NotRecorded(f"np.pad with mode {mode!r} is not recorded")
    given = lift(program, array)
    if np.any(options.get("constant_values", 0)):
        options["constant_values"] = nodes(cast(lift(program, options["constant_values"]), given.format))
    return recorded(program, np.pad(nodes(given), pad_width, mode, **options), given.format)


def _sinc(program: Program, x: Any) -> Any:
    y = np.pi * lift(program, x)
    zero = np.equal(plain(x), 0)
    if np.any(zero):
        raise NotRecorded("np.sinc at 0 is not recorded")
    return settled(program, np.sin(y) / y, np.sinc(plain(x)))


def _block(program: Program, arrays: Any) -> Any:
    dtype = _common([arrays])

    def indices(given: Any) -> Any:
        return list(map(indices, given)) if isinstance(given, list) else nodes(cast(lift(program, given), dtype))

    return recorded(program, np.block(indices(arrays)), dtype)


CALCULATE: dict[Any, Callable[..., Any]] = {
    np.sum: _sum,
    np.mean: _mean,
    np.var: _var,
    np.std: _std,
    np.average: _average,
    np.max: _extreme("max"),
    np.min: _extreme("min"),
    np.ptp: lambda program, a, axis=None, **options: np.subtract(np.max(a, axis), np.min(a, axis)),
    np.prod: _prod,
    np.cumsum: _cumulative("cumsum", np.add),
    np.cumprod: _cumulative("cumprod", np.multiply),
    np.dot: _dot,
    np.outer: _outer,
    np.inner: _inner,
    np.vdot: _vdot,
    np.tensordot: _tensordot,
    np.einsum: _einsum,
    np.kron: _kron,
    np.cross: _cross,
    np.trace: _trace,
    np.linalg.norm: _norm,
    np.linalg.matrix_power: _matrix_power,
    np.linalg.multi_dot: _multi_dot,
    np.clip: _clip,
    np.where: _where,
    np.select: _select,
    np.piecewise: _piecewise,
    np.diff: _diff,
    np.gradient: _gradient,
    np.trapezoid: _trapezoid,
    np.polyval: _polyval,
    np.convolve: _convolve,
    np.correlate: _correlate,
    np.interp: _interp,
    np.bincount: _bincount,
    np.histogram: _histogram,
    np.cov: _cov,
    np.corrcoef: _corrcoef,
    np.sinc: _sinc,
    np.linspace: _linspace,
    np.sort: _sort,
    np.argsort: _argsort,
    np.partition: _partition,
    np.unique: _unique,
    np.median: _quantile("median"),
    np.quantile: _quantile("quantile"),
    np.percentile: _quantile("percentile"),
    np.argmax: _arg_extreme("argmax", "greater_equal"),
    np.argmin: _arg_extreme("argmin", "less_equal"),
    np.searchsorted: _search("searchsorted"),
    np.digitize: _search("digitize"),
    np.isclose: _close,
    np.allclose: _all_close,
    np.array_equal: _array_equal,
    np.any: _truths("any"),
    np.all: _truths("all"),
    np.nonzero: _truths("nonzero"),
    np.flatnonzero: _truths("flatnonzero"),
    np.argwhere: _truths("argwhere"),
    np.count_nonzero: _truths("count_nonzero"),
    np.zeros_like: _like(ZERO),
    np.ones_like: _like(ONE),
    np.empty_like: _like(UNSET),
    np.full_like: _like(None),
    np.fill_diagonal: _fill_diagonal,
    np.copyto: _copyto,
    np.put: _put,
    np.put_along_axis: _put_along_axis,
    np.round: _round,
    np.around: _round,
    np.fix: lambda program, x, out=None: into(program, out, np.trunc(x)),
    np.nan_to_num: _nan_to_num,
    np.nansum: _without_nan("nansum"),
    np.nanmean: _without_nan("nanmean"),
    np.real: lambda program, x: x,
    np.imag: lambda program, x: np.zeros(x.shape, x.format),
    np.apply_along_axis: _apply_along_axis,
    np.append: _append,
    np.insert: _insert,
    np.block: _block,
    np.pad: _pad,
    np.linalg.trace: lambda program, x, **options: np.sum(np.diagonal(x, axis1=-2, axis2=-1), axis=-1),
    np.linalg.vector_norm: lambda program, x, *, axis=None, keepdims=False, ord=2: _norm(
        program, x.reshape(-1) if axis is None else x, ord, 0 if axis is None else axis, keepdims
    ),
    np.linalg.outer: _outer,
}
for _alias, _name in (("amax", "max"), ("amin", "min"), ("trapz", "trapezoid"), ("concat", "concatenate")):
    if hasattr(np, _alias) and getattr(np, _name) in CALCULATE:
        CALCULATE[getattr(np, _alias)] = CALCULATE[getattr(np, _name)]


def _functions(names: str) -> set[Any]:
    return {getattr(np, name) for name in names.split() if hasattr(np, name)}


# Those among them that join arrays, in which numbers of any kind stand for nodes.
JOINING = _functions("concatenate concat stack hstack vstack row_stack dstack column_stack atleast_1d atleast_2d atleast_3d")
MOVE: set[Any] = JOINING | {np.linalg.diagonal, np.linalg.matrix_transpose, np.lib.stride_tricks.sliding_window_view} | _functions(
    """broadcast_to broadcast_arrays copy expand_dims squeeze moveaxis rollaxis ravel reshape repeat tile roll flip
    fliplr flipud rot90 swapaxes transpose permute_dims matrix_transpose take take_along_axis split array_split hsplit
    vsplit dsplit delete diag diagonal diagflat tril triu compress extract choose resize meshgrid unstack"""
)
READ: set[Any] = _functions(
    """shape ndim size array_repr array_str array2string isrealobj iscomplexobj isreal iscomplex result_type
    may_share_memory shares_memory can_cast min_scalar_type common_type savetxt isneginf isposinf"""
)

__all__ = ["CALCULATE", "MOVE", "READ", "call", "power"]
