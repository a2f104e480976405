"""NumPy's functions that choose, order and compare, as operations and guards of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.operations import compare, elementwise, into, plain, select, settled, truth
from gradlab.tape.program import Program
from gradlab.tape.recorded import NotRecorded, Recorded, cast, common_format, holds_recorded, lift, nodes, recorded

Array = np.ndarray[Any, Any]


def _clip(program: Program, a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None,  # noqa: A002
          max: Any = None, **options: Any) -> Any:  # noqa: A002  # fmt: skip
    if options.get("where", True) is not True or options.get("dtype") is not None:
        raise NotRecorded("np.clip with where or dtype is not recorded")
    low, high = (a_min if a_min is not None else min), (a_max if a_max is not None else max)
    made = a if isinstance(a, Recorded) else lift(program, np.asarray(plain(a)) if not holds_recorded(a) else a)
    if low is not None:
        made = np.maximum(made, low)
    if high is not None:
        made = np.minimum(made, high)
    return into(program, out, made)


def _where(program: Program, condition: Any, *branches: Any) -> Any:
    mask = truth(program, condition)
    if not branches:
        return np.where(mask)
    if not any(map(holds_recorded, branches)):
        return np.where(mask, *branches)
    return select(program, mask, *branches)


def _select(program: Program, condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    dtype = common_format(*choicelist, default)
    made = cast(lift(program, default), dtype)
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        choice = cast(lift(program, choice), dtype)
        made = select(program, truth(program, condition), choice, made)
    return made


def _piecewise(program: Program, x: Any, conditions: Any, functions: Any, *args: Any, **options: Any) -> Any:
    conditions = [
        truth(program, one) for one in (conditions if isinstance(conditions, (list, tuple)) else [conditions])
    ]
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    made = np.zeros_like(x)
    for condition, function in zip(conditions, functions, strict=True):
        if condition.any():
            made[condition] = function(x[condition], *args, **options) if callable(function) else function
    return made


def _sort(program: Program, a: Any, axis: Any = -1, **options: Any) -> Any:
    given = lift(program, a)
    given, axis = (given.reshape(-1), 0) if axis is None else (given, axis)
    order = np.argsort(plain(given), axis, kind="stable")
    index = np.take_along_axis(nodes(given), order, axis)
    _in_order(program, index, axis)
    return recorded(program, index, given.format)


def _argsort(program: Program, a: Any, axis: Any = -1, **options: Any) -> Any:
    order = np.argsort(plain(a), axis, **options)
    index, axis = (nodes(lift(program, a)).reshape(-1), 0) if axis is None else (nodes(lift(program, a)), axis)
    _in_order(program, np.take_along_axis(index, order, axis), axis)
    return order


def _in_order(program: Program, index: Array, axis: int) -> None:
    """Keep that numbers ascend along an axis."""
    rows = np.moveaxis(index, axis, 0)
    if len(rows) > 1:
        program.guard("less", rows[:-1], rows[1:], np.ones(rows[1:].shape, bool))


def _order(program: Program, a: Any) -> None:
    """Keep the order of all numbers of an array."""
    flat = nodes(lift(program, a)).reshape(-1)
    _in_order(program, flat[np.argsort(np.ravel(plain(a)), kind="stable")], 0)


def _partition(program: Program, a: Any, kth: Any, axis: Any = -1, **options: Any) -> Any:
    given = lift(program, a)
    given, axis = (given.reshape(-1), 0) if axis is None else (given, axis)
    order = _argpartition(program, given, kth, axis)
    return recorded(program, np.take_along_axis(nodes(given), order, axis), given.format)


def _argpartition(program: Program, a: Any, kth: Any, axis: Any = -1, **options: Any) -> Any:
    order = np.argpartition(plain(a), kth, axis, **options)
    index, axis = (nodes(lift(program, a)).reshape(-1), 0) if axis is None else (nodes(lift(program, a)), axis)
    rows = np.moveaxis(np.take_along_axis(index, order, axis), axis, 0)
    for k in np.atleast_1d(kth) % len(rows):
        program.guard("less", rows[:k], np.broadcast_to(rows[k], rows[:k].shape), True)
        program.guard("less", np.broadcast_to(rows[k], rows[k + 1 :].shape), rows[k + 1 :], True)
    return order


def _unique(program: Program, ar: Any, *args: Any, **options: Any) -> Any:
    if args or options:
        raise NotRecorded("np.unique with options is not recorded")
    _order(program, ar)
    _, first = np.unique(plain(ar), return_index=True)
    return recorded(program, nodes(lift(program, ar)).reshape(-1)[first], lift(program, ar).format)


def _arg_extreme(name: str, comparison: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def arg(program: Program, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        found = function(plain(a), axis=axis, keepdims=bool(keepdims))
        index = nodes(lift(program, a))
        flat, axis = (index.reshape(-1), 0) if axis is None else (index, axis)
        at = np.reshape(found, [1 if i == axis % flat.ndim else n for i, n in enumerate(flat.shape)])
        chosen = np.broadcast_to(np.take_along_axis(flat, at, axis), flat.shape)
        program.guard(comparison, chosen, flat, np.ones(flat.shape, bool))
        return into(program, out, found)

    return arg


def _searchsorted(program: Program, a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    if sorter is not None:
        raise NotRecorded("np.searchsorted with sorter is not recorded")
    found = np.searchsorted(plain(a), plain(v), side)
    _between(program, a, v, np.asarray(found), side == "right")
    return found


def _digitize(program: Program, x: Any, bins: Any, right: bool = False) -> Any:
    found = np.digitize(plain(x), plain(bins), right)
    if len(bins) > 1 and plain(bins[0]) > plain(bins[-1]):
        _between(program, np.flip(lift(program, bins)), x, len(bins) - np.asarray(found), right)
    else:
        _between(program, bins, x, np.asarray(found), not right)
    return found


def _between(program: Program, edges: Any, given: Any, at: Array, reached: bool) -> None:
    """Keep that numbers lie between edges at - 1 and at; reached: on the lower one, they are above it."""
    index, among = nodes(lift(program, given)), nodes(lift(program, edges))
    _in_order(program, among, 0)
    below, above = at > 0, at < len(among)
    first, second = ("less_equal", "less") if reached else ("less", "less_equal")
    program.guard(first, among[np.maximum(at - 1, 0)][below], index[below], True)
    program.guard(second, index[above], among[np.minimum(at, len(among) - 1)][above], True)


def _interp(program: Program, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    if left is not None or right is not None or period is not None:
        raise NotRecorded("np.interp with left, right or period is not recorded")
    value = np.interp(plain(x), plain(xp), plain(fp))
    xp, fp = lift(program, xp), lift(program, fp)
    inside = np.clip(lift(program, x), xp[0], xp[-1])
    at = np.clip(np.searchsorted(plain(xp), plain(inside), "right") - 1, 0, len(xp) - 2)
    _in_order(program, nodes(xp), 0)
    for one, other in ((xp[at], inside), (inside, xp[at + 1])):
        compare(program, "less_equal", one, other)
    slope = (fp[at + 1] - fp[at]) / (xp[at + 1] - xp[at])
    return settled(program, fp[at] + slope * (inside - xp[at]), value)


def _bincount(program: Program, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    weights = cast(lift(program, weights), np.float64)
    made = recorded(program, np.zeros(max(int(np.max(x, initial=-1)) + 1, minlength), np.intp))
    np.add.at(made, np.asarray(x), weights)
    return made


def _histogram(program: Program, a: Any, bins: Any = 10, range: Any = None, density: Any = None,  # noqa: A002
               weights: Any = None) -> Any:  # fmt: skip
    if holds_recorded(bins) or density or (holds_recorded(a) and np.ndim(bins) == 0 and range is None):
        raise NotRecorded("np.histogram between recorded edges, or as a density, is not recorded")
    counts, edges = np.histogram(plain(a), bins, range, None, plain(weights))
    at = np.searchsorted(edges, np.ravel(plain(a)), "right") - 1
    at = np.where(np.ravel(plain(a)) == edges[-1], len(edges) - 2, at)
    if holds_recorded(a):
        _between(program, edges, lift(program, a).reshape(-1), at + 1, True)
    if not holds_recorded(weights):
        return counts, edges
    inside = (at >= 0) & (at < len(edges) - 1)
    made = _bincount(program, at[inside], lift(program, weights).reshape(-1)[inside], len(edges) - 1)
    return settled(program, made, counts), edges


def _close(program: Program, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    found = np.isclose(plain(a), plain(b), rtol, atol, equal_nan)
    distance, limit = (
        np.abs(np.subtract(lift(program, a), b)),
        np.add(atol, np.multiply(rtol, np.abs(lift(program, b)))),
    )
    known = np.isfinite(plain(distance)) & np.isfinite(plain(limit))
    left, right = (np.where(known, nodes(lift(program, one)), 0) for one in (distance, limit))
    program.guard("less_equal", left, right, np.where(known, found, True))
    return found


def _all_close(program: Program, a: Any, b: Any, *args: Any, **options: Any) -> bool:
    return bool(np.all(_close(program, a, b, *args, **options)))


def _array_equal(program: Program, a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    if np.shape(a1) != np.shape(a2):
        return False
    return bool(np.all(compare(program, "equal", a1, a2)))


def _truths(name: str) -> Callable[..., Any]:
    function = getattr(np, name)
    return lambda program, a, *args, **options: function(truth(program, a), *args, **options)


def _round(program: Program, a: Any, decimals: int = 0, out: Any = None) -> Any:
    a = lift(program, a)
    value = np.round(plain(a), decimals)
    if not decimals:
        return into(program, out, elementwise(program, "rint", a, value=value))
    scale = lift(program, 10.0 ** abs(decimals))
    made = np.rint(a * scale) / scale if decimals > 0 else np.rint(a / scale) * scale
    return into(program, out, settled(program, made, value))


def _nan_to_num(program: Program, x: Any, *args: Any, **options: Any) -> Any:
    if not np.isfinite(np.asarray(plain(x))).all():
        raise NotRecorded("np.nan_to_num of numbers that are not finite is not recorded")
    return np.positive(x)


def _sinc(program: Program, x: Any) -> Any:
    zero = compare(program, "equal", x, 0)
    y = np.pi * select(program, zero, 1.0, x)
    return settled(program, select(program, zero, 1.0, np.sin(y) / y), np.sinc(plain(x)))


def _linspace(program: Program, start: Any, stop: Any, num: int = 50, endpoint: bool = True, **options: Any) -> Any:
    if options:
        raise NotRecorded("np.linspace with these options is not recorded")
    part = lift(program, np.arange(num, dtype=float)) / max(num - 1 if endpoint else num, 1)
    start, stop = lift(program, start), lift(program, stop)
    if start.ndim or stop.ndim:
        part = part.reshape(-1, *[1] * max(start.ndim, stop.ndim))
    return settled(program, start + (stop - start) * part, np.linspace(plain(start), plain(stop), num, endpoint))


def _apply_along_axis(program: Program, func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    rows = np.moveaxis(lift(program, arr), axis, -1)
    made = np.stack([lift(program, func1d(rows[at], *args, **kwargs)) for at in np.ndindex(rows.shape[:-1])])
    made = made.reshape(rows.shape[:-1] + made.shape[1:])
    return made if made.ndim < rows.ndim else np.moveaxis(made, -1, axis)


CHOICES: dict[Any, Callable[..., Any]] = {
    np.clip: _clip,
    np.where: _where,
    np.select: _select,
    np.piecewise: _piecewise,
    np.interp: _interp,
    np.bincount: _bincount,
    np.histogram: _histogram,
    np.sort: _sort,
    np.argsort: _argsort,
    np.partition: _partition,
    np.argpartition: _argpartition,
    np.unique: _unique,
    np.argmax: _arg_extreme("argmax", "greater_equal"),
    np.argmin: _arg_extreme("argmin", "less_equal"),
    np.searchsorted: _searchsorted,
    np.digitize: _digitize,
    np.isclose: _close,
    np.allclose: _all_close,
    np.array_equal: _array_equal,
    np.any: _truths("any"),
    np.all: _truths("all"),
    np.nonzero: _truths("nonzero"),
    np.flatnonzero: _truths("flatnonzero"),
    np.argwhere: _truths("argwhere"),
    np.count_nonzero: _truths("count_nonzero"),
    np.round: _round,
    np.around: _round,
    np.fix: lambda program, x, out=None: into(program, out, np.trunc(x)),
    np.nan_to_num: _nan_to_num,
    np.sinc: _sinc,
    np.linspace: _linspace,
    np.apply_along_axis: _apply_along_axis,
}
