"""Hypothesis strategies for problems that gradients go wrong on: sizes, weights, sequences, states.

Every entry is one drawn byte, looked up in a table of dyadic numbers in [-1, 1] that is ordered from simple to odd,
so shrinking a byte simplifies a number, and a whole array costs one draw. Arrays are drawn at their largest size and
cut to a corner: making a size smaller while shrinking keeps the entries that remain.

    T steps   B batch   I inputs   H hidden units   O outputs   (any other letter is an axis of its own)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from gradlab import cells
from gradlab.problem import FLOATS, Array, Problem, axes

SCALES = (1.0, 0.1, 0.01, 1e-3, 1e-6)

# What a saturated column's magnitudes may add up to, at most and down to the half of it: |net| is 20 … 640.
LOADS = (40.0, 80.0, 160.0, 320.0, 640.0)
_UNSATURATED = 12  # of 17 draws: saturation hides whole equations, so most problems should be without it

# Larger arrays repeat their first entries, to stay within Hypothesis's budget of choices; prime, so that rows differ.
_POOL = 127


def _table() -> Array:
    """256 numbers in [-1, 1] by byte: 1, ½, -1, -½, 0 first, then by denominator; sixteen of them are 0."""
    halves = [Fraction(k, 64) for k in range(-64, 65)] + [Fraction(k, 128) for k in range(-111, 112, 2)]
    plain = [Fraction(1), Fraction(1, 2), Fraction(-1), Fraction(-1, 2), Fraction(0)]
    odd = sorted(set(halves) - set(plain), key=lambda v: (v.denominator, abs(v), v < 0))
    return np.array([float(v) for v in plain + odd] + [0.0] * (256 - len(halves)))


REALS = _table()
_STATES = np.where(abs(REALS) == 1, REALS / 2, REALS)  # a state must lie inside the range of its activation
_INPUT_BITS = 1.0 - np.arange(256) % 2  # the simplest input is 1: an input of 0 hides W_input
_TARGET_BITS = np.arange(256) % 2 + 0.0
_TARGETS = np.concatenate([[0.0, 1.0], abs(REALS[1:255])])


def sizes(
    letters: Iterable[str] = "TBIHO",
    *,
    min_steps: int = 1,
    max_steps: int = 6,
    min_batch: int = 1,
    max_batch: int = 3,
    min_inputs: int = 1,
    max_inputs: int = 3,
    min_hidden: int = 1,
    max_hidden: int = 4,
    min_outputs: int = 1,
    max_outputs: int = 3,
    min_other: int = 1,
    max_other: int = 3,
) -> st.SearchStrategy[dict[str, int]]:
    """The length of each axis by its letter; a letter that is none of T, B, I, H, O lies in min_other … max_other.

    Raises:
        InvalidArgument: a bound is no positive integer, or a minimum is larger than its maximum.
    """
    bounds = _bounds(letters, {k: v for k, v in locals().items() if k.startswith(("min_", "max_"))})
    return st.fixed_dictionaries({letter: st.integers(low, high) for letter, (low, high) in bounds.items()})


def weights(
    shape: Sequence[int], *, scales: Sequence[float] = (1.0,), mixed: bool = False, dtype: Any = "float64"
) -> st.SearchStrategy[Array]:
    """Numbers in [-1, 1] times one of the scales (the same for all entries; `mixed`: drawn for each), some exactly 0.

    The simplest entry is 1 times the first scale. Entries are multiples of scale/128, so nothing comes near underflow.

    Raises:
        InvalidArgument: a size is no positive integer, or the scales or the dtype cannot be used.
    """
    shape, scales, dtype = _shape(shape), _scales(scales), _dtype(dtype, "dtype")
    chosen: st.SearchStrategy[Any] = _codes(shape) if mixed and len(scales) > 1 else st.integers(0, len(scales) - 1)
    known = np.array(scales)
    return st.tuples(_codes(shape), chosen).map(
        lambda drawn: np.multiply(REALS[drawn[0]], known[drawn[1] % len(known)]).astype(dtype)
    )


def sequences(
    shape: Sequence[int], *, bits: bool | None = None, targets: bool = False, dtype: Any = "float64"
) -> st.SearchStrategy[Array]:
    """Bits, or reals in [-1, 1] (`targets`: in [0, 1]); `bits` None draws either, and bits are the simpler.

    Raises:
        InvalidArgument: a size is no positive integer, bits is not True, False or None, or the dtype cannot be used.
    """
    shape, dtype = _shape(shape), _dtype(dtype, "dtype")
    if not any(bits is known for known in (True, False, None)):
        raise InvalidArgument(f"bits={bits!r} must be True, False or None (either)")
    tables = (_TARGET_BITS, _TARGETS) if targets else (_INPUT_BITS, REALS)
    which = st.booleans() if bits is None else st.just(not bits)
    return st.tuples(which, _codes(shape)).map(lambda drawn: tables[drawn[0]][drawn[1]].astype(dtype))


def states(shape: Sequence[int], *, dtype: Any = "float64") -> st.SearchStrategy[Array]:
    """All zero, or numbers inside (-1, 1): within the range of a sigmoid's or a tanh's state, or near it.

    Raises:
        InvalidArgument: a size is no positive integer, or the dtype cannot be used.
    """
    shape, dtype = _shape(shape), _dtype(dtype, "dtype")
    return st.tuples(st.booleans(), _codes(shape)).map(lambda drawn: (drawn[0] * _STATES[drawn[1]]).astype(dtype))


def problems(
    cell: str = "rnn",
    *,
    min_steps: int = 1,
    max_steps: int = 6,
    min_batch: int = 1,
    max_batch: int = 3,
    min_inputs: int = 1,
    max_inputs: int = 3,
    min_hidden: int = 1,
    max_hidden: int = 4,
    min_outputs: int = 1,
    max_outputs: int = 3,
    min_other: int = 1,
    max_other: int = 3,
    scales: Sequence[float] = SCALES,
    dtypes: Sequence[Any] = ("float64",),
    bits: bool | None = None,
    saturation: float = 700.0,
) -> st.SearchStrategy[Problem]:
    """Problems for any registered cell, shaped by the annotations of its Params and State.

    Weights have one scale for the whole problem, one for each array, or one for each entry; one column of one array
    may be so large that its unit saturates. The initial state is zero or not.
    Shrinks to the smallest sizes, weights and inputs of 1, targets and states of 0, the first scale and dtype.

    Args:
        scales: what weights in [-1, 1] are multiplied by, the simplest first.
        dtypes: "float64", "float32" or both, the simplest first.
        bits: inputs and targets are bits (True), reals (False), or either (None).
        saturation: a saturated column is kept so small that no pre-activation exceeds this in magnitude, nor the
            argument at which the dtype's exp overflows; below 40 there is no saturated column at all.

    Raises:
        InvalidArgument: the cell is not registered, or an argument cannot be used; the message names it.
    """
    try:
        module = cells.cell(cell).module
    except (cells.UnknownName, cells.CellError):
        raise InvalidArgument(f"cell={cell!r} is not registered; there are {', '.join(cells.known())}") from None
    given = {k: v for k, v in locals().items() if k.startswith(("min_", "max_"))}
    shapes = {"x": ("T", "B", "I")} | axes(module.Params) | axes(module.State) | {"y": ("T", "B", "O")}
    bounds = _bounds(dict.fromkeys(letter for letters in shapes.values() for letter in letters), given)
    largest = {name: tuple(bounds[letter][1] for letter in letters) for name, letters in shapes.items()}
    scales, dtypes = _scales(scales), _dtypes(dtypes)
    if isinstance(saturation, bool) or not isinstance(saturation, (int, float)) or not 0 <= saturation < math.inf:
        raise InvalidArgument(f"saturation={saturation!r} must be a finite number, at least 0")

    params = module.Params._fields
    parts = {
        "x": sequences(largest["x"], bits=bits),
        **{name: _codes(largest[name]).map(REALS.__getitem__) for name in params},
        **{name: states(largest[name]) for name in module.State._fields},
        "y": sequences(largest["y"], bits=bits, targets=True),
    }
    lengths = {letter: st.integers(low, high) for letter, (low, high) in bounds.items()}
    some_dtype, some_scaling = st.sampled_from(dtypes), st.sampled_from(_SCALINGS if len(scales) > 1 else _SCALINGS[:1])
    some_load = st.sampled_from([0.0] * _UNSATURATED + [load for load in LOADS if load <= saturation])
    some_column = st.integers(0, len(params) * max(largest[name][-1] for name in params) - 1)

    @st.composite
    def problem(draw: st.DrawFn) -> Problem:
        # The order of draws is the order of shrinking: sizes, kinds of number, numbers, what only some kinds need.
        # Each is drawn from `draw`, not from tuples, whose every part Hypothesis would take seconds to explain.
        cut = {letter: slice(draw(length)) for letter, length in lengths.items()}
        dtype, scaling, load = draw(some_dtype), draw(some_scaling), draw(some_load)
        arrays = {name: draw(part)[tuple(cut[letter] for letter in shapes[name])] for name, part in parts.items()}
        weights = scaling(draw, scales, {name: arrays[name] for name in params})
        if load:
            _saturate(weights, draw(some_column), load, min(saturation, math.log(np.finfo(dtype).max)))
        arrays = {name: array.astype(dtype) for name, array in (arrays | weights).items()}
        return Problem(
            params=module.Params(**{name: arrays[name] for name in params}),
            x=arrays["x"],
            y=arrays["y"],
            state=module.State(**{name: arrays[name] for name in module.State._fields}),
        )

    return problem()


def params_like(tree: Any, *, scales: Sequence[float] = SCALES, mixed: bool = False) -> st.SearchStrategy[Any]:
    """Trees of the same shapes and dtypes, for `gradlab.gradients.check_gradient`: every float array is drawn anew.

    Each array has one of the scales, or, `mixed`, one for each entry. Integers are data and stay as they are.

    Args:
        tree: an array, a number, or a tuple, list, dict or NamedTuple of trees.
        scales: what numbers in [-1, 1] are multiplied by, the simplest first.

    Raises:
        InvalidArgument: there is no float in it, an array that is empty or of another dtype, or unusable scales.
    """
    found: list[Any] = []
    built = _like(tree, _scales(scales), mixed, found)
    if not found:
        raise InvalidArgument("params_like: the tree has no float arrays")
    return built


def _like(tree: Any, scales: tuple[float, ...], mixed: bool, found: list[Any]) -> Any:
    def parts(values: Iterable[Any]) -> list[Any]:
        return [_like(value, scales, mixed, found) for value in values]

    if isinstance(tree, Mapping):
        return st.fixed_dictionaries(dict(zip(tree, parts(tree.values()), strict=True)))
    if isinstance(tree, (tuple, list)):
        build = type(tree)._make if hasattr(tree, "_make") else type(tree)
        return st.tuples(*parts(tree)).map(build)
    array = np.asarray(tree)
    if tree is None or array.dtype.kind in "iub":
        return st.just(tree)
    dtype = _dtype(array.dtype, "params_like")
    if not array.size:
        raise InvalidArgument(f"params_like: an array of shape {array.shape} has no entries")
    found.append(tree)
    drawn = weights(array.shape or (1,), scales=scales, mixed=mixed, dtype=dtype)
    if isinstance(tree, np.ndarray):
        return drawn.map(lambda value: value.reshape(array.shape))
    return drawn.map(lambda value: float(value[0]) if isinstance(tree, float) else value[0])


Weights = dict[str, Array]


def _one_scale(draw: st.DrawFn, scales: tuple[float, ...], arrays: Weights) -> Weights:
    scale = draw(st.sampled_from(scales))
    return {name: array * scale for name, array in arrays.items()}


def _scale_by_array(draw: st.DrawFn, scales: tuple[float, ...], arrays: Weights) -> Weights:
    return {name: array * draw(st.sampled_from(scales)) for name, array in arrays.items()}


def _scale_by_entry(draw: st.DrawFn, scales: tuple[float, ...], arrays: Weights) -> Weights:
    codes = draw(_codes((max(array.size for array in arrays.values()),)))
    own = np.array(scales)[codes % len(scales)]
    return {name: array * np.resize(own, array.shape) for name, array in arrays.items()}


_SCALINGS = (_one_scale, _scale_by_array, _scale_by_entry)


def _saturate(weights: Weights, column: int, load: float, limit: float) -> None:
    """Multiply one column, in place, by the power of two that brings the sum of its magnitudes to ½ … 1 of the load.

    Inputs and states lie in [-1, 1], so no pre-activation exceeds the sum over all arrays of their heaviest column.
    """
    name = list(weights)[column % len(weights)]
    others = sum(abs(array).reshape(-1, array.shape[-1]).sum(0).max() for k, array in weights.items() if k != name)
    entries = weights[name][..., column // len(weights) % weights[name].shape[-1]]
    total, load = abs(entries).sum(), min(load, limit - others)
    if total > 0 and load >= LOADS[0]:
        entries *= 2.0 ** math.floor(math.log2(load / total))


@lru_cache(maxsize=256)  # one strategy for each shape: Hypothesis keeps every tuple made of a new one
def _codes(shape: tuple[int, ...]) -> st.SearchStrategy[Array]:
    """One byte for each entry, repeated beyond the pool.

    Read from the last byte to the first: shrinking sorts the simple ones to the front, and so moves what is not
    simple to the corner that survives when a size becomes smaller.
    """
    count = min(math.prod(shape), _POOL)
    return st.binary(min_size=count, max_size=count).map(
        lambda drawn: np.resize(np.frombuffer(drawn, np.uint8)[::-1], shape)
    )


_AXES = {"T": "steps", "B": "batch", "I": "inputs", "H": "hidden", "O": "outputs"}


def _bounds(letters: Iterable[str], given: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """The (smallest, largest) length of each letter."""
    for name, bound in given.items():
        _positive(name, bound)
    for word in (*_AXES.values(), "other"):
        low, high = given[f"min_{word}"], given[f"max_{word}"]
        if low > high:
            raise InvalidArgument(f"min_{word}={low} is larger than max_{word}={high}")
    words = {letter: _AXES.get(letter, "other") for letter in letters}
    return {letter: (given[f"min_{word}"], given[f"max_{word}"]) for letter, word in words.items()}


def _positive(name: str, number: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
        raise InvalidArgument(f"{name}={number!r} must be an integer, at least 1")


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)) or not shape:
        raise InvalidArgument(f"shape={shape!r} must be a tuple of at least one size")
    for axis, size in enumerate(shape):
        _positive(f"shape[{axis}]", size)
    return tuple(shape)


def _scales(scales: Any) -> tuple[float, ...]:
    if not isinstance(scales, (tuple, list)) or not scales:
        raise InvalidArgument(f"scales={scales!r} must be a tuple of at least one number")
    for scale in scales:
        number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
        if not number or not 1e-30 <= scale <= 1e30:
            raise InvalidArgument(f"scales={scales!r}: {scale!r} must be a number from 1e-30 to 1e30")
    return tuple(float(scale) for scale in scales)


def _dtypes(dtypes: Any) -> tuple[np.dtype[Any], ...]:
    if not isinstance(dtypes, (tuple, list)) or not dtypes:
        raise InvalidArgument(f"dtypes={dtypes!r} must be a tuple of at least one dtype")
    return tuple(_dtype(dtype, "dtypes") for dtype in dtypes)


def _dtype(dtype: Any, name: str) -> np.dtype[Any]:
    try:
        known = np.dtype("void" if dtype is None else dtype)  # NumPy reads None as float64
    except TypeError:
        known = np.dtype("void")
    if known not in FLOATS:
        raise InvalidArgument(f"{name}: {dtype!r} must be float32 or float64")
    return known
