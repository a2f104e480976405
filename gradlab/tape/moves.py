"""NumPy's functions that move numbers about: NumPy itself moves the indices of their nodes.

Of every function of `MOVES` one argument is the data; no other may be recorded. What fills gaps is node 0, the number
0, as NumPy fills them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.operations import into, plain, select, truth
from gradlab.tape.program import FLOAT64, ONE, UNSET, ZERO, Program
from gradlab.tape.recorded import (
    NotRecorded,
    Recorded,
    as_scalar,
    cast,
    common_format,
    holds_recorded,
    lift,
    nodes,
    recorded,
)

Array = np.ndarray[Any, Any]


def moved(program: Program, function: Any, args: Any, kwargs: Any) -> Any:
    """A function of `MOVES` on the indices of its data.

    Raises:
        NotRecorded: another argument is recorded.
    """
    if function in EACH:
        return _each(program, function, args, kwargs)
    bound = _signature(function).bind(*args, **kwargs)
    given = bound.arguments
    out, dtype, name = given.pop("out", None), given.pop("dtype", None), MOVES[function]
    if "condition" in given:
        given["condition"] = truth(program, given["condition"])
    if any(holds_recorded(value) for key, value in given.items() if key != name):
        raise NotRecorded(f"np.{function.__name__} at recorded places is not recorded")
    data = given[name]
    several = function in JOINING and isinstance(data, (list, tuple))
    parts = list(data) if several else [data]
    if dtype is None:
        dtype = common_format(*parts) if function is np.choose else joined_format(*parts)
    index = [nodes(cast(lift(program, part), dtype)) for part in parts]
    given[name] = tuple(index) if several else index[0]
    found = function(*bound.args, **bound.kwargs)
    return into(program, out, _wrapped(program, found, dtype))


def _each(program: Program, function: Any, args: Any, kwargs: Any) -> Any:
    """A function that gives back each of its arguments, moved."""
    arrays = [lift(program, one) if holds_recorded(one) else one for one in args]
    found = function(*[nodes(one) if isinstance(one, Recorded) else one for one in arrays], **kwargs)
    if len(args) == 1 and not isinstance(found, (list, tuple)):
        return _wrapped(program, found, arrays[0].format)
    pairs = zip(found, arrays, strict=True)
    return type(found)(_wrapped(program, x, of.format) if isinstance(of, Recorded) else x for x, of in pairs)


@functools.cache
def _signature(function: Any) -> inspect.Signature:
    return inspect.signature(function)


def _wrapped(program: Program, found: Any, dtype: Any) -> Any:
    if isinstance(found, np.ndarray):
        return recorded(program, found, dtype)
    if isinstance(found, (list, tuple)):
        return type(found)(_wrapped(program, part, dtype) for part in found)
    return as_scalar(recorded(program, found, dtype))


def joined_format(*given: Any) -> Any:
    """The format in which arrays and lists that are joined meet."""
    found = np.result_type(*[one.format if isinstance(one, Recorded) else _format(one) for one in given])
    return found if found.kind == "f" else FLOAT64


def _format(given: Any) -> Any:
    return joined_format(*given) if holds_recorded(given) else np.asarray(given).dtype


def like(fill: int | None) -> Callable[..., Any]:
    """np.zeros_like and its kind; fill: the node that they fill with."""

    def alike(program: Program, a: Any, *args: Any, fill_value: Any = None, dtype: Any = None, order: Any = "K",
              subok: Any = True, shape: Any = None, **options: Any) -> Any:  # fmt: skip
        if fill is None and fill_value is None:
            fill_value, args = args[0], args[1:]
        dtype = dtype if dtype is not None else args[0] if args else None
        form = np.asarray(plain(a))
        wanted = np.dtype(dtype) if dtype is not None else form.dtype
        if wanted.kind != "f":  # integers, or flags
            return np.full_like(form, plain(fill_value) if fill is None else fill % UNSET, wanted, order, shape=shape)
        made = recorded(program, np.empty_like(form, np.intp, order, False, shape), wanted)
        made[...] = lift(program, fill_value) if fill is None else recorded(program, np.intp(fill), wanted)
        return made

    return alike


def fill_diagonal(program: Program, a: Any, val: Any, wrap: bool = False) -> None:
    """As np.fill_diagonal."""
    np.fill_diagonal(nodes(a), nodes(cast(lift(program, val), a.format)), wrap)


def copyto(program: Program, dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """As np.copyto."""
    into(program, dst, src if where is True else select(program, truth(program, where), src, dst))


def put(program: Program, a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    """As np.put."""
    nodes(a).put(ind, nodes(cast(lift(program, v), a.format)), mode)


def place(program: Program, arr: Any, mask: Any, vals: Any) -> None:
    """As np.place."""
    np.place(nodes(arr), truth(program, mask), nodes(cast(lift(program, vals), arr.format)))


def putmask(program: Program, a: Any, /, mask: Any, values: Any) -> None:
    """As np.putmask."""
    np.putmask(nodes(a), truth(program, mask), nodes(cast(lift(program, values), a.format)))


def put_along_axis(program: Program, arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """As np.put_along_axis."""
    np.put_along_axis(nodes(arr), indices, nodes(cast(lift(program, values), arr.format)), axis)


def append(program: Program, arr: Any, values: Any, axis: Any = None) -> Any:
    """As np.append."""
    parts = [lift(program, arr), lift(program, values)]
    return np.concatenate([part.reshape(-1) for part in parts] if axis is None else parts, axis=axis or 0)


def insert(program: Program, arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """As np.insert: what is inserted takes the array's format."""
    arr = lift(program, arr)
    index = np.insert(nodes(arr), obj, nodes(cast(lift(program, values), arr.format)), axis)
    return recorded(program, index, arr.format)


def pad(program: Program, array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    """As np.pad, in the modes that move numbers."""
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap", "empty"):
        raise NotRecorded(f"np.pad with mode {mode!r} is not recorded")
    if options.pop("reflect_type", "even") != "even":
        raise NotRecorded("np.pad with reflect_type 'odd' is not recorded")
    given = lift(program, array)
    if "constant_values" in options:
        options["constant_values"] = nodes(cast(lift(program, options["constant_values"]), given.format))
    return recorded(
        program, np.pad(nodes(given), pad_width, "constant" if mode == "empty" else mode, **options), given.format
    )


def block(program: Program, arrays: Any) -> Any:
    """As np.block."""
    dtype = _format(arrays)

    def indices(given: Any) -> Any:
        return list(map(indices, given)) if isinstance(given, list) else nodes(cast(lift(program, given), dtype))

    return recorded(program, np.block(indices(arrays)), dtype)


def astype(program: Program, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """As np.astype."""
    return x.astype(dtype, copy=copy)


def _data(names: str, parameter: str = "") -> dict[Any, str]:
    """The functions of these names, with the parameter of each that is the data: by default its first."""
    functions = [getattr(np, name) for name in names.split() if hasattr(np, name)]
    return {one: parameter or next(iter(_signature(one).parameters)) for one in functions}


# Those that move several arrays, each by itself; and those that join several, or choose among them.
EACH = _data("atleast_1d atleast_2d atleast_3d broadcast_arrays meshgrid")
JOINING = _data("concatenate stack hstack vstack dstack column_stack") | _data("choose", "choices")
MOVES: dict[Any, str] = (
    EACH
    | JOINING
    | _data("compress", "a")
    | _data("extract", "arr")
    | _data(
        """broadcast_to copy expand_dims squeeze moveaxis rollaxis ravel reshape repeat tile roll flip fliplr flipud
        rot90 swapaxes transpose matrix_transpose take take_along_axis split array_split hsplit vsplit dsplit unstack
        delete diag diagonal diagflat tril triu resize"""
    )
    | {np.linalg.diagonal: "x", np.linalg.matrix_transpose: "x", np.lib.stride_tricks.sliding_window_view: "x"}
)

MOVERS: dict[Any, Callable[..., Any]] = {
    np.zeros_like: like(ZERO),
    np.ones_like: like(ONE),
    np.empty_like: like(UNSET),
    np.full_like: like(None),
    np.fill_diagonal: fill_diagonal,
    np.copyto: copyto,
    np.put: put,
    np.place: place,
    np.putmask: putmask,
    np.put_along_axis: put_along_axis,
    np.append: append,
    np.insert: insert,
    np.block: block,
    np.pad: pad,
    np.astype: astype,
    np.real: lambda program, val: val,
    np.imag: lambda program, val: val.imag,
}
