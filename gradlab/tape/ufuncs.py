"""NumPy's elementwise functions, their reductions and accumulations, as operations of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.composed import COMPOSED, SPECIAL, log_sum_exp
from gradlab.tape.derivatives import PARTIALS
from gradlab.tape.operations import (
    COMPARISONS,
    compare,
    elementwise,
    into,
    laid_out,
    matmul,
    plain,
    power,
    select,
    settled,
)
from gradlab.tape.program import FLOAT64, Program
from gradlab.tape.recorded import ANSWERS, NotRecorded, Recorded, as_scalar, cast, lift, nodes, plain_key, recorded

Array = np.ndarray[Any, Any]

READS = ("isfinite", "isnan", "isinf")


LOGICAL = ("logical_and", "logical_or", "logical_not", "logical_xor")


ELEMENTWISE = frozenset(PARTIALS) - {"power", "positive", "detach", "integer_power", "cast"}


def call(program: Program, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What Recorded.__array_ufunc__ answers.

    Raises:
        NotRecorded: the program has no operation for it.
    """
    options = dict(options)
    out, where, dtype = options.pop("out", None), options.pop("where", True), options.pop("dtype", None)
    name = ufunc.__name__
    for unimportant in ("casting", "order", "subok"):
        options.pop(unimportant, None)
    if out is not None and len(out) > 1:
        raise NotRecorded(f"np.{name} into several arrays is not recorded")
    if method == "at":
        return _at(program, ufunc, *inputs)
    if dtype is not None and name not in COMPARISONS:
        inputs = (
            _as(program, inputs[0], dtype),
            *(_as(program, one, dtype) for one in inputs[1 : ufunc.nin]),
            *inputs[ufunc.nin :],
        )
    if method == "reduce":
        made = _reduced(program, ufunc, inputs[0], where, options)
        where = True
    elif method in METHODS:
        made = METHODS[method](program, ufunc, *inputs, **options)
    elif method == "__call__" and _is_default(options):
        made = _called(program, ufunc, inputs)
    else:
        raise NotRecorded(
            f"np.{name} with {', '.join(options)} is not recorded" if options else f"np.{name}.{method} is not recorded"
        )
    if where is not True:
        made = select(program, where, made, out[0] if out else _unset(name))
    return made if out is None else into(program, out[0], made)


def _is_default(options: dict[str, Any]) -> bool:
    """Whether a call is as if without these options: NumPy's own @= names the axes."""
    return set(options) <= {"axes"} and all(axes == (-2, -1) for axes in options.get("axes", ()))


def _as(program: Program, given: Any, dtype: Any) -> Any:
    """An operand in the format in which a function is asked to calculate."""
    made = cast(lift(program, given), dtype)
    return as_scalar(made) if np.ndim(given) == 0 else made


def _called(program: Program, ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    name = ufunc.__name__
    own = getattr(np, name, None) is ufunc
    if own and name in ("maximum", "minimum"):
        return _extreme(program, name, *inputs)
    if own and name in ELEMENTWISE:
        return elementwise(program, name, *inputs)
    if name in COMPOSED and (own or name in SPECIAL):
        with np.errstate(all="ignore"):
            value = ufunc(*[plain(one) for one in inputs])
        return settled(program, COMPOSED[name](program, *inputs), value)
    if not own:
        raise NotRecorded(f"{_module(ufunc)}.{name} is not recorded")
    if name in COMPARISONS:
        return compare(program, name, *inputs)
    if name in READS:
        return ufunc(*[plain(one) for one in inputs])
    if name == "signbit":
        return compare(program, "less", inputs[0], 0, found=np.signbit(plain(inputs[0])))
    if name in LOGICAL:
        truths = [compare(program, "not_equal", one, 0) if isinstance(one, Recorded) else one for one in inputs]
        return ufunc(*truths)
    if name == "power":
        return power(program, *inputs)
    if name == "float_power":
        return power(program, inputs[0], inputs[1], np.float_power(*map(plain, inputs)))
    if name == "square":
        return elementwise(program, "integer_power", inputs[0], value=np.square(plain(inputs[0])), parameter=2)
    if name == "matmul":
        return matmul(program, *inputs)
    if name in ("positive", "conjugate"):
        return inputs[0].copy()
    if name == "divmod":
        return (np.floor_divide(*inputs), np.remainder(*inputs))
    if name == "modf":
        return (np.subtract(inputs[0], np.trunc(inputs[0])), np.trunc(inputs[0]))
    if name in ("matvec", "vecmat"):
        a, b = (lift(program, one) for one in inputs)
        pair = (a, b[..., None]) if name == "matvec" else (a[..., None, :], b)
        return settled(
            program, np.squeeze(matmul(program, *pair), -1 if name == "matvec" else -2), ufunc(*map(plain, inputs))
        )
    raise NotRecorded(f"np.{name} is not recorded")


def _extreme(program: Program, name: str, a: Any, b: Any) -> Any:
    """The larger or the smaller of two; a number beside itself is no tie, so nothing stands beside it."""
    value = getattr(np, name)(plain(a), plain(b))
    if isinstance(a, Recorded) and isinstance(b, Recorded):
        same = nodes(a) == nodes(b)
        if same.any():
            nothing = program.literal(-np.inf if name == "maximum" else np.inf, FLOAT64)
            b = recorded(program, np.where(same, nothing, nodes(b)), b.format)
    return elementwise(program, name, a, b, value=value)


def _reduced(program: Program, ufunc: np.ufunc, given: Any, where: Any, options: dict[str, Any]) -> Any:
    name, axis, keep = ufunc.__name__, options.get("axis", 0), options.get("keepdims", False)
    initial = options.get("initial", np._NoValue)
    if where is not True:
        neutral = {"add": 0.0, "multiply": 1.0}.get(name)
        if neutral is None:
            raise NotRecorded(f"np.{name}.reduce with where is not recorded")
        given = select(program, where, given, neutral)
    functions: dict[str, Any] = {"add": np.sum, "multiply": np.prod, "maximum": np.max, "minimum": np.min}
    if name in ("fmax", "fmin"):
        name = {"fmax": "maximum", "fmin": "minimum"}[name]
    if name == "logaddexp":
        made = log_sum_exp(program, given, axis, keepdims=keep)
        return as_scalar(settled(program, made, np.logaddexp.reduce(plain(given), axis=axis, keepdims=keep)))
    if name not in functions:
        raise NotRecorded(f"np.{name}.reduce is not recorded")
    extra = {} if initial is np._NoValue or initial is None else {"initial": initial}
    return functions[name](given, axis=axis, keepdims=keep, **extra)


def _accumulated(program: Program, ufunc: np.ufunc, given: Any, axis: Any = 0) -> Any:
    functions: dict[str, Any] = {"add": np.cumsum, "multiply": np.cumprod}
    if ufunc.__name__ in functions:
        return functions[ufunc.__name__](given, axis=axis)
    rows = [np.moveaxis(given, axis, 0)[0]]
    for row in np.moveaxis(given, axis, 0)[1:]:
        rows.append(ufunc(rows[-1], row))
    return laid_out(program, np.moveaxis(np.stack(rows), 0, axis), ufunc.accumulate(plain(given), axis))


def _outer(program: Program, ufunc: np.ufunc, a: Any, b: Any) -> Any:
    a, b = lift(program, a), lift(program, b)
    return ufunc(a.reshape(*a.shape, *[1] * b.ndim), b)


def _reduced_at(program: Program, ufunc: np.ufunc, given: Any, indices: Any, axis: int = 0) -> Any:
    rows, starts = np.moveaxis(given, axis, 0), [int(i) for i in indices]
    made = []
    for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
        made.append(ufunc.reduce(rows[start:stop], axis=0) if stop > start else rows[start])
    return laid_out(program, np.moveaxis(np.stack(made), 0, axis), ufunc.reduceat(plain(given), indices, axis))


def _at(program: Program, ufunc: np.ufunc, array: Any, key: Any, *values: Any) -> None:
    """ufunc.at: entries that are named repeatedly are met one after the other."""
    index = nodes(array)
    places = np.arange(array.size).reshape(array.shape)[plain_key(key)]
    lifted = [lift(program, one) for one in values]
    given = [np.broadcast_to(nodes(one), places.shape).reshape(-1).copy() for one in lifted]
    places = np.asarray(places).reshape(-1)
    left = np.arange(len(places))
    while len(left):
        _, first = np.unique(places[left], return_index=True)
        now = left[np.sort(first)]
        at = np.unravel_index(places[now], array.shape)
        operands = [
            recorded(program, index[at], array.format),
            *(recorded(program, one[now], of.format) for one, of in zip(given, lifted, strict=True)),
        ]
        index[at] = nodes(cast(ufunc(*operands), array.format))
        left = np.delete(left, np.sort(first))


def _unset(name: str) -> Any:
    raise NotRecorded(f"np.{name} with where and no out leaves entries in which nothing is stored")


def _module(ufunc: Any) -> str:
    return "scipy.special" if type(ufunc) is np.ufunc else type(ufunc).__module__


METHODS: dict[str, Callable[..., Any]] = {"accumulate": _accumulated, "outer": _outer, "reduceat": _reduced_at}


ANSWERS["ufunc"] = call
