"""NumPy's elementwise functions, as operations of a program.

Each value is what the function itself gives on the floats. Where a function stands for several operations, the last of
them is given the function's own value, for it may round otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.derivatives import PARTIALS
from gradlab.tape.program import FLOAT64, Program
from gradlab.tape.recorded import (
    ANSWERS,
    PYTHON,
    NotRecorded,
    Recorded,
    as_scalar,
    cast,
    common_format,
    holds_recorded,
    lift,
    nodes,
    plain_key,
    recorded,
)

Array = np.ndarray[Any, Any]

COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
READS = ("isfinite", "isnan", "isinf")
LOGICAL = ("logical_and", "logical_or", "logical_not", "logical_xor")

# How far a formula's floats may be from those of the function that it stands for, relative to them: half the digits of
# the format. A heuristic that can only withhold a proof.
ALIKE = 0.5


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


def elementwise(program: Program, name: str, *operands: Any, value: Any = None, parameter: Any = None) -> Any:
    """One operation of the program on numbers, recorded or not.

    Args:
        value: what the run has for it; by default what NumPy's function of that name gives.
    """
    index = tuple([nodes(lift(program, one)) for one in operands])
    if value is None:
        with np.errstate(all="ignore"):
            value = getattr(np, name)(*[plain(one) for one in operands])
    return scalar_like(recorded(program, program.append(name, index, value, parameter), _format(value)), value)


def power(program: Program, base: Any, exponent: Any, value: Any = None) -> Any:
    """base ** exponent: with integers for exponents products alone, which have a slope at 0 and below it too."""
    if value is None:
        with np.errstate(all="ignore"):
            value = np.power(plain(base), plain(exponent))
    exponents = np.asarray(plain(exponent))
    whole = (np.floor(exponents) == exponents) & (np.abs(exponents) < 2.0**31)
    if isinstance(exponent, Recorded) or not whole.all():
        return elementwise(program, "power", base, exponent, value=value)
    if exponents.ndim == 0:
        return elementwise(program, "integer_power", base, value=value, parameter=int(exponents))
    index, exponents = np.broadcast_arrays(nodes(lift(program, base)), exponents)
    made = np.empty_like(value, np.intp, subok=False)
    for n in np.unique(exponents):
        at = exponents == n
        made[at] = program.append("integer_power", (index[at],), np.asarray(value)[at], int(n))
    return recorded(program, made, _format(value))


def select(program: Program, mask: Any, one: Any, other: Any) -> Any:
    """Where the mask holds the one, elsewhere the other: an operation of its own, so that its line is known."""
    dtype = common_format(one, other)
    index = np.where(plain(mask), *(nodes(cast(lift(program, x), dtype)) for x in (one, other)))
    return as_scalar(elementwise(program, "positive", recorded(program, index, dtype)))


def detach(array: Recorded) -> Any:
    """The same numbers, held constant."""
    return elementwise(array.program, "detach", array, value=array.floats)


def into(program: Program, out: Any, made: Any) -> Any:
    """What an `out` is given.

    Raises:
        NotRecorded: it is no array of recorded numbers.
    """
    if out is None:
        return made
    if isinstance(out, Recorded):
        if np.broadcast_shapes(np.shape(made), out.shape) != out.shape:
            raise ValueError(f"non-broadcastable output operand with shape {out.shape}")
        nodes(out)[...] = nodes(cast(lift(program, made), out.format))
        return out
    if isinstance(made, Recorded):
        raise NotRecorded("recorded numbers would be written into an array of floats that was made elsewhere")
    out[...] = made
    return out


def plain(given: Any) -> Any:
    """What NumPy code that records nothing has in the place of recorded numbers."""
    if isinstance(given, Recorded):
        return given.floats
    return (
        type(given)(map(plain, given)) if isinstance(given, (list, tuple)) and not hasattr(given, "_fields") else given
    )


def compare(program: Program, name: str, one: Any, other: Any, found: Any = None) -> Any:
    """A comparison of floats, kept as a guard; found: what it said, if that is known."""
    if found is None:
        found = getattr(np, name)(plain(one), plain(other))
    if all(isinstance(x, Recorded) or np.asarray(x).dtype.kind in "biuf" for x in (one, other)):
        left, right = (nodes(lift(program, x)) for x in (one, other))
        program.guard(name, left, right, found)
    return found


def truth(program: Program, condition: Any) -> Any:
    """A condition as flags: recorded numbers are compared with 0."""
    if holds_recorded(condition):
        return compare(program, "not_equal", lift(program, condition), 0)
    return np.asarray(condition, bool)


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
        return power(program, *inputs, value=np.float_power(*map(plain, inputs)))
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


def settled(program: Program, made: Any, value: Any) -> Any:
    """What several operations gave, with the value that the function itself gives, laid out as that is.

    Raises:
        NotRecorded: the operations give something else.
    """
    value = np.asarray(value) if np.ndim(value) else value
    _alike(program, made, value)
    block, index = program.blocks[-1], nodes(made)
    fresh = block.operation != "numbers" and index.size == block.stop - block.start and (index >= block.start).all()
    if not fresh:
        index = program.append("positive", (index,), value)
    elif index.ndim > 1:
        index = np.empty_like(value, np.intp, subok=False)
        index[...] = nodes(made)
    program.overwrite(index, value)
    return scalar_like(recorded(program, index, _format(value)), value)


def _extreme(program: Program, name: str, a: Any, b: Any) -> Any:
    """The larger or the smaller of two; a number beside itself is no tie, so nothing stands beside it."""
    value = getattr(np, name)(plain(a), plain(b))
    if isinstance(a, Recorded) and isinstance(b, Recorded):
        same = nodes(a) == nodes(b)
        if same.any():
            nothing = program.literal(-np.inf if name == "maximum" else np.inf, FLOAT64)
            b = recorded(program, np.where(same, nothing, nodes(b)), b.format)
    return elementwise(program, name, a, b, value=value)


def laid_out(program: Program, made: Any, value: Any) -> Any:
    """The same nodes, laid out as the function's own result; with its values, where they differ."""
    if not np.array_equal(program.floats(nodes(made), made.format), value, equal_nan=True):
        return settled(program, np.positive(made), value)
    index = np.empty_like(value, np.intp)
    index[...] = nodes(made)
    return recorded(program, index, made.format)


def _alike(program: Program, made: Any, value: Any) -> None:
    if np.shape(value) != made.shape:
        raise NotRecorded("a function gave another shape than its formula")
    formula, wanted = program.floats(nodes(made)), np.asarray(value, np.float64)
    known = np.isfinite(formula) & np.isfinite(wanted)
    scale = np.max(np.abs(wanted[known]), initial=0.0)
    if (np.abs(formula - wanted)[known] > np.finfo(_format(value)).eps ** ALIKE * scale).any():
        raise NotRecorded("a function gave other numbers than its formula")


def matmul(program: Program, a: Any, b: Any) -> Any:
    """The matrix product, as np.matmul has it."""
    value = np.matmul(plain(a), plain(b))
    left, right = nodes(lift(program, a)), nodes(lift(program, b))
    if left.shape[-1] == 0:
        return recorded(program, np.zeros(np.shape(value), np.intp), _format(value))
    if right.ndim == 1:
        right = right[:, None]
    if left.ndim == 1:
        left = left[None]
    if right.ndim == 2:  # all rows in one product
        left = left.reshape(-1, left.shape[-1])
        shape: tuple[int, ...] = (len(left), right.shape[1])
    else:
        lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        left = np.broadcast_to(left, lead + left.shape[-2:]).reshape(-1, *left.shape[-2:])
        right = np.broadcast_to(right, lead + right.shape[-2:]).reshape(-1, *right.shape[-2:])
        shape = (len(left), left.shape[1], right.shape[2])
    index = program.append("product", (left, right), np.reshape(value, shape))
    return as_scalar(recorded(program, index.reshape(np.shape(value)), _format(value)))


def _reduced(program: Program, ufunc: np.ufunc, given: Any, where: Any, options: dict[str, Any]) -> Any:
    name, axis, keep = ufunc.__name__, options.get("axis", 0), options.get("keepdims", False)
    initial = options.get("initial", np._NoValue)  # type: ignore[attr-defined]
    if where is not True:
        neutral = {"add": 0.0, "multiply": 1.0}.get(name)
        if neutral is None:
            raise NotRecorded(f"np.{name}.reduce with where is not recorded")
        given = select(program, where, given, neutral)
    functions = {"add": np.sum, "multiply": np.prod, "maximum": np.max, "minimum": np.min}
    if name in ("fmax", "fmin"):
        name = {"fmax": "maximum", "fmin": "minimum"}[name]
    if name == "logaddexp":
        made = log_sum_exp(program, given, axis, keepdims=keep)
        return as_scalar(settled(program, made, np.logaddexp.reduce(plain(given), axis=axis, keepdims=keep)))
    if name not in functions:
        raise NotRecorded(f"np.{name}.reduce is not recorded")
    extra = {} if initial is np._NoValue or initial is None else {"initial": initial}  # type: ignore[attr-defined]
    return functions[name](given, axis=axis, keepdims=keep, **extra)


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


def _accumulated(program: Program, ufunc: np.ufunc, given: Any, axis: Any = 0) -> Any:
    functions = {"add": np.cumsum, "multiply": np.cumprod}
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


def _format(value: Any) -> Any:
    dtype = np.asarray(value).dtype
    return dtype if dtype.kind == "f" else np.float64


def scalar_like(made: Any, value: Any) -> Any:
    if type(value) is float:
        made.kind = PYTHON
    return as_scalar(made) if not isinstance(value, np.ndarray) else made


def _module(ufunc: Any) -> str:
    return "scipy.special" if type(ufunc) is np.ufunc else type(ufunc).__module__


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


ELEMENTWISE = frozenset(PARTIALS) - {"power", "positive", "detach", "integer_power", "cast"}

# SciPy's own ufuncs, some of them of the name of a NumPy function.
SPECIAL = frozenset(
    [
        "expit",
        "logit",
        "log_expit",
        "xlogy",
        "xlog1py",
        "entr",
        "rel_entr",
        "kl_div",
        "ndtr",
        "log_ndtr",
        "erf",
        "erfc",
        "gammaln",
        "psi",
        "digamma",
        "betaln",
        "log1p",
        "expm1",
        "cbrt",
        "exp2",
        "exp10",
        "huber",
        "pseudo_huber",
    ]
)

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

METHODS: dict[str, Callable[..., Any]] = {"accumulate": _accumulated, "outer": _outer, "reduceat": _reduced_at}

ANSWERS["ufunc"], ANSWERS["power"] = call, power
