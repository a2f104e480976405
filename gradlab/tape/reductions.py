"""NumPy's functions that take axes away, or go along one, as operations of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.operations import into, laid_out, plain, select, settled, truth
from gradlab.tape.program import Program
from gradlab.tape.recorded import NotRecorded, Recorded, as_scalar, cast, lift, nodes, recorded

Array = np.ndarray[Any, Any]


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


def _asked(program: Program, a: Any, dtype: Any, out: Any) -> Any:
    """What is added up, in the format in which NumPy is asked to."""
    given = lift(program, a)
    dtype = dtype if dtype is not None else out.format if isinstance(out, Recorded) else given.format
    return cast(given, dtype)


def _sum(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
         initial: Any = 0, where: Any = True) -> Any:  # fmt: skip
    given = _asked(program, a, dtype, out)
    options = {} if where is True else {"where": truth(program, where)}
    value = np.sum(plain(given), axis=axis, keepdims=keepdims, **options)
    if options:
        given = select(program, np.broadcast_to(options["where"], given.shape), given, 0.0)
    made = _over_axes(program, "sum", given, value, axis, keepdims) if given.ndim else given[()]
    if isinstance(initial, Recorded) or initial:
        whole = np.sum(plain(given), axis=axis, keepdims=keepdims, initial=plain(initial))
        made = settled(program, np.add(made, initial), whole)
    return into(program, out, made)


def _mean(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
          where: Any = True) -> Any:  # fmt: skip
    given = _asked(program, a, dtype, out)
    options = {} if where is True else {"where": truth(program, where)}
    value = np.mean(plain(given), axis=axis, keepdims=keepdims, **options)
    total = _sum(program, given, axis, keepdims=keepdims, **options)
    return into(program, out, settled(program, total / _count(given, axis, keepdims, **options), value))


def _count(given: Any, axis: Any, keepdims: bool, where: Any = True) -> Any:
    """How many numbers of an array each sum over axes has."""
    if where is True:
        return int(np.prod([given.shape[i] for i in _axes(given.ndim, axis)], dtype=int))
    return np.sum(np.broadcast_to(where, given.shape), axis=axis, keepdims=keepdims)


def _var(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
         keepdims: bool = False, where: Any = True, correction: Any = None) -> Any:  # fmt: skip
    given = _asked(program, a, dtype, out)
    ddof = ddof if correction is None else correction
    options = {} if where is True else {"where": truth(program, where)}
    value = np.var(plain(given), axis=axis, ddof=ddof, keepdims=keepdims, **options)
    deviation = given - _mean(program, given, axis, keepdims=True, **options)
    total = _sum(program, deviation * deviation, axis, keepdims=keepdims, **options)
    return into(program, out, settled(program, total / (_count(given, axis, keepdims, **options) - ddof), value))


def _std(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **options: Any) -> Any:
    given = _asked(program, a, dtype, out)
    if "where" in options:
        options["where"] = truth(program, options["where"])
    value = np.std(plain(given), axis=axis, **options)
    return into(program, out, settled(program, np.sqrt(_var(program, given, axis, **options)), value))


def _average(program: Program, a: Any, axis: Any = None, weights: Any = None, returned: bool = False,
             keepdims: bool = False) -> Any:  # fmt: skip
    given = lift(program, a)
    if weights is None:
        found = _mean(program, given, axis, keepdims=keepdims)
        return (found, given.size / max(np.size(found), 1)) if returned else found
    value: Any = np.average(plain(given), axis=axis, weights=plain(weights), keepdims=keepdims)  # type: ignore[call-overload]
    if np.ndim(weights) != given.ndim:
        places = [1] * given.ndim
        places[int(axis)] = np.size(weights)
        weights = np.reshape(weights, places)
    total = np.sum(np.multiply(given, weights), axis=axis, keepdims=keepdims)
    whole = np.sum(np.broadcast_to(weights, given.shape), axis=axis, keepdims=keepdims)
    made = settled(program, total / whole, value)
    return (made, whole) if returned else made


def _extreme(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def extreme(program: Program, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
                initial: Any = None, where: Any = True) -> Any:  # fmt: skip
        given = lift(program, a)
        if where is not True:
            if initial is None:
                raise ValueError(f"np.{name} with where needs an initial value")
            given = select(program, np.broadcast_to(truth(program, where), given.shape), given, initial)
        if given.ndim == 0:
            return into(program, out, given[()])
        made = _over_axes(program, name, given, function(plain(given), axis=axis, keepdims=keepdims), axis, keepdims)
        if initial is not None:
            made = getattr(np, f"{name}imum")(made, initial)
        return into(program, out, made)

    return extreme


def _ptp(program: Program, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    given = lift(program, a)
    return into(
        program, out, np.subtract(np.max(given, axis, keepdims=keepdims), np.min(given, axis, keepdims=keepdims))
    )


def _prod(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
          initial: Any = 1, where: Any = True) -> Any:  # fmt: skip
    given = _asked(program, a, dtype, out)
    if where is not True:
        given = select(program, np.broadcast_to(truth(program, where), given.shape), given, 1.0)
    value = np.prod(plain(given), axis=axis, keepdims=keepdims, initial=plain(initial))
    axes = _axes(given.ndim, axis)
    kept = [i for i in range(given.ndim) if i not in axes]
    rows = given.transpose(*axes, *kept).reshape(_count(given, axis, keepdims), *[given.shape[i] for i in kept])
    made = lift(program, np.ones([given.shape[i] for i in kept], given.format))
    for row in rows:
        made = np.multiply(made, row)
    made = np.multiply(made, initial)
    return into(program, out, settled(program, made.reshape(np.shape(value)), value))


def _cumulative(name: str, operation: Any) -> Callable[..., Any]:
    function = getattr(np, name)

    def cumulative(program: Program, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        given = _asked(program, a, dtype, out)
        value = function(plain(given), axis=axis)
        rows = given.reshape(-1) if axis is None else np.moveaxis(given, axis, 0)
        made = [rows[0]] if len(rows) else []
        for row in rows[1:]:
            made.append(operation(made[-1], row))
        found = np.stack(made) if made else rows
        return into(program, out, laid_out(program, found if axis is None else np.moveaxis(found, 0, axis), value))

    return cumulative


def _median(program: Program, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
            keepdims: bool = False) -> Any:  # fmt: skip
    given = lift(program, a)
    value = np.median(plain(given), axis=axis, keepdims=keepdims)
    return into(program, out, _quantile(program, given, lift(program, 0.5), 0.5, axis, value))


def _quantile_of(whole: float, function: Any) -> Callable[..., Any]:
    """np.quantile and np.percentile."""

    def quantile(program: Program, a: Any, q: Any, axis: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
        if any(options.values()) or np.ndim(q) or isinstance(q, Recorded):
            raise NotRecorded(f"np.{function.__name__} with these options is not recorded")
        given = lift(program, a)
        value = function(plain(given), q, axis=axis, keepdims=keepdims)
        return _quantile(program, given, lift(program, float(q)) / whole, float(q) / whole, axis, value)

    return quantile


def _quantile(program: Program, given: Any, share: Any, near: float, axis: Any, value: Any) -> Any:
    """Sorted, and linear between two neighbours; share: how far along, near: as a float."""
    if isinstance(axis, tuple):
        raise NotRecorded("quantiles over several axes are not recorded")
    rows = np.moveaxis(np.sort(given, axis), 0 if axis is None else axis, 0)
    low = min(int(near * (len(rows) - 1)), max(len(rows) - 2, 0))
    part = share * (len(rows) - 1) - low
    made = rows[low] + (rows[min(low + 1, len(rows) - 1)] - rows[low]) * part
    return settled(program, made.reshape(np.shape(value)), value)


def _without_nan(name: str, **initial: float) -> Callable[..., Any]:
    function = getattr(np, name.removeprefix("nan"))

    def total(program: Program, a: Any, axis: Any = None, **options: Any) -> Any:
        return function(a, axis=axis, where=~np.isnan(np.asarray(plain(a))), **initial, **options)

    return total


def _trapezoid(program: Program, y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    given = lift(program, y)
    rows = np.moveaxis(given, axis, -1)
    steps = dx if x is None else np.diff(x) if np.ndim(x) == 1 else np.diff(np.moveaxis(lift(program, x), axis, -1))
    made = np.sum(steps * (rows[..., 1:] + rows[..., :-1]) / 2.0, axis=-1)
    return settled(program, made, np.trapezoid(plain(given), plain(x), plain(dx), axis))


def _diff(program: Program, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    made = lift(program, a)
    if prepend is not None or append is not None:
        size = [1 if i == axis % made.ndim else m for i, m in enumerate(made.shape)]
        ends = [
            one if one is None or np.ndim(one) else np.broadcast_to(lift(program, one), size)
            for one in (prepend, append)
        ]
        made = np.concatenate([one for one in (ends[0], made, ends[1]) if one is not None], axis)
    places = [slice(None)] * made.ndim
    later, earlier = list(places), list(places)
    later[axis], earlier[axis] = slice(1, None), slice(None, -1)
    for _ in range(n):
        made = np.subtract(made[tuple(later)], made[tuple(earlier)])
    return made


def _ediff1d(program: Program, ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    if to_end is not None or to_begin is not None:
        raise NotRecorded("np.ediff1d with ends is not recorded")
    return _diff(program, lift(program, ary).reshape(-1))


def _gradient(program: Program, f: Any, *spacing: Any, **options: Any) -> Any:
    f = lift(program, f)
    if options or len(spacing) > 1 or f.ndim != 1 or (spacing and np.ndim(spacing[0])):
        raise NotRecorded("np.gradient of more than one axis or uneven spacing is not recorded")
    h = spacing[0] if spacing else 1.0
    made = np.concatenate([(f[1:2] - f[:1]) / h, (f[2:] - f[:-2]) / (2.0 * h), (f[-1:] - f[-2:-1]) / h])
    return settled(program, made, np.gradient(plain(f), *map(plain, spacing)))


REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _sum,
    np.mean: _mean,
    np.var: _var,
    np.std: _std,
    np.average: _average,
    np.max: _extreme("max"),
    np.min: _extreme("min"),
    np.ptp: _ptp,
    np.prod: _prod,
    np.cumsum: _cumulative("cumsum", np.add),
    np.cumprod: _cumulative("cumprod", np.multiply),
    np.median: _median,
    np.quantile: _quantile_of(1.0, np.quantile),
    np.percentile: _quantile_of(100.0, np.percentile),
    np.nansum: _without_nan("nansum"),
    np.nanmean: _without_nan("nanmean"),
    np.nanprod: _without_nan("nanprod"),
    np.nanvar: _without_nan("nanvar"),
    np.nanstd: _without_nan("nanstd"),
    np.nanmax: _without_nan("nanmax", initial=-np.inf),
    np.nanmin: _without_nan("nanmin", initial=np.inf),
    np.trapezoid: _trapezoid,
    np.diff: _diff,
    np.ediff1d: _ediff1d,
    np.gradient: _gradient,
}
