"""Operations of a program, with the values that NumPy gives: what its vocabulary is written in.

Where a function stands for several operations, the last of them is given the function's own value, for it may round
otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.tape.program import Program
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
    recorded,
)

Array = np.ndarray[Any, Any]

# How far a formula's floats may be from those of the function that it stands for, relative to them: half the digits of
# the format. A heuristic that can only withhold a proof.
ALIKE = 0.5


COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")


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


def _format(value: Any) -> Any:
    dtype = np.asarray(value).dtype
    return dtype if dtype.kind == "f" else np.float64


def scalar_like(made: Any, value: Any) -> Any:
    """A result as NumPy or Python give it: an array, a scalar, or a float of Python's own."""
    if type(value) is float:
        made.kind = PYTHON
    return as_scalar(made) if not isinstance(value, np.ndarray) else made


ANSWERS["power"] = power
