"""Binary addition as a sequence: a pair of numbers goes in column by column, the sum comes out.

The network reads the least significant bit first, as people add on paper; people read the most significant first.

    T columns, one per bit   B pairs in a batch   I = 2 inputs: a bit of each addend   O = 1 output: the sum's bit
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gradlab import cells
from gradlab.problem import Problem, axes

Array = np.ndarray[Any, Any]

MAX_BITS = 62
INITS = ("uniform", "normal")


class AdditionError(ValueError):
    """A number, a width or a setting that the task cannot be done with: the message names it and the limit."""


class Column(NamedTuple):
    """One row of the full adder's truth table."""

    a: int
    b: int
    carry_in: int
    sum: int
    carry_out: int


FULL_ADDER = (
    Column(0, 0, 0, 0, 0),
    Column(0, 0, 1, 1, 0),
    Column(0, 1, 0, 1, 0),
    Column(0, 1, 1, 0, 1),
    Column(1, 0, 0, 1, 0),
    Column(1, 0, 1, 0, 1),
    Column(1, 1, 0, 0, 1),
    Column(1, 1, 1, 1, 1),
)


class Carries(NamedTuple):
    """The true carry into and out of each column, each (T, B), 0 or 1."""

    into: Array
    out: Array


def check_bits(bits: int) -> int:
    """The width itself.

    Raises:
        AdditionError: it is not an integer from 1 to 62.
    """
    return check_count("bits", bits, 1, MAX_BITS)


def check_count(name: str, value: Any, least: int, most: int) -> int:
    """An integer setting within its limits, as an int; AdditionError names the setting, the value and the limit."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise AdditionError(f"{name} = {value!r}: wanted an integer from {least} to {most}")
    if not least <= value <= most:
        raise AdditionError(f"{name} = {value}: wanted {least} to {most}")
    return int(value)


def check_numbers(numbers: Any, bits: int) -> Array:
    """Numbers of any shape as int64.

    Raises:
        AdditionError: a number is negative, not an integer, or too wide for `bits`; or `bits` is not 1 to 62.
    """
    largest = 2 ** check_bits(bits) - 1
    try:
        array = np.asarray(numbers)
    except ValueError:
        raise AdditionError(f"{numbers!r} is not an array of integers: its rows differ in length") from None
    if array.dtype.kind not in "iu":
        for number in array.ravel().tolist():
            if isinstance(number, bool) or not isinstance(number, int):
                raise AdditionError(f"{number!r} is not an integer")
    if (array < 0).any():
        raise AdditionError(f"{array[array < 0].flat[0]} is negative: the least is 0")
    if (array > largest).any():
        raise AdditionError(f"{array[array > largest].flat[0]} is too wide: {bits} bits hold at most {largest}")
    return array.astype(np.int64)


def check_pairs(pairs: Any, bits: int) -> Array:
    """Pairs as int64 (B, 2).

    Raises:
        AdditionError: as `check_numbers`, the shape is not (B, 2), or a sum does not fit in `bits`.
    """
    array = check_numbers(pairs, bits)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise AdditionError(f"pairs have shape {array.shape}, wanted (B, 2) with B at least 1")
    largest = 2**bits - 1
    sums = array[:, 0] + array[:, 1]  # at most 2⁶³ - 2: no int64 overflow
    if (sums > largest).any():
        a, b = array[sums > largest][0].tolist()
        raise AdditionError(f"{a} + {b} = {a + b} overflows: {bits} bits hold at most {largest}")
    return array


def random_pairs(rng: np.random.Generator, count: int, bits: int) -> Array:
    """`count` pairs, int64 (count, 2): each addend has one bit less than the width, so that the sum fits."""
    return rng.integers(0, 2 ** (check_bits(bits) - 1), (count, 2))


def long_pairs(rng: np.random.Generator, count: int, bits: int = MAX_BITS) -> Array:
    """`count` pairs, int64 (count, 2), that carry far: three columns in four are like the one before.

    Where one addend has a 1 and the other a 0, the carry has to be held. Random pairs do that for two columns on
    average, these for eight; the longest of a thousand fill most of the width. In such a run the 1 changes sides, in
    some pairs often and in some never. Each addend has a bit to spare, so that the sum fits.
    """
    fresh = rng.integers(0, 2, (check_bits(bits), count, 2))
    like_before = rng.random((bits, count)) < 0.75
    like_before[[0, -1]] = False
    fresh[-1] = 0
    source = np.maximum.accumulate(np.where(like_before, 0, np.arange(bits)[:, None]))
    columns = np.take_along_axis(fresh, source[..., None], axis=0)
    swapped = rng.random((bits, count)) < rng.random(count) / 2
    return decode(np.where(swapped[..., None], columns[..., ::-1], columns))


def encode(numbers: Any, bits: int) -> Array:
    """Numbers of shape (...) as bits, uint8 (T, ...), T = bits, least significant first; refuses as `check_numbers`."""
    array = check_numbers(numbers, bits)
    shifts = np.arange(bits).reshape(-1, *[1] * array.ndim)
    return ((array >> shifts) & 1).astype(np.uint8)


def decode(columns: Any) -> Array:
    """Bits (T, ...), least significant first, as numbers, int64 (...): `encode` undone.

    Raises:
        AdditionError: there are not 1 to 62 columns, or an entry is neither 0 nor 1.
    """
    array = np.asarray(columns)
    check_bits(len(array) if array.ndim else 0)
    wrong = (array != 0) & (array != 1)
    if wrong.any():
        raise AdditionError(f"{array[wrong].flat[0]} is not a bit: wanted 0 or 1")
    weights = np.int64(1) << np.arange(len(array))
    return np.tensordot(weights, array.astype(np.int64), 1)


def write_binary(number: int, bits: int) -> str:
    """A number as people write it, most significant bit first: 5 in 8 bits is "00000101"."""
    return f"{int(check_numbers(number, bits)):0{bits}b}"


def read_binary(text: str) -> int:
    """The number that a string of 1 to 62 zeros and ones writes, most significant first: `write_binary` undone."""
    if not text or set(text) - {"0", "1"}:
        raise AdditionError(f"{text!r} is not a binary number: wanted zeros and ones")
    check_bits(len(text))
    return int(text, 2)


def sequences(pairs: Any, bits: int) -> tuple[Array, Array]:
    """What the network reads and should give: x (T, B, 2) and y (T, B, 1) in float64; refuses as `check_pairs`."""
    array = check_pairs(pairs, bits)
    return encode(array, bits).astype(np.float64), encode(array.sum(axis=1), bits)[..., None].astype(np.float64)


def carries(pairs: Any, bits: int) -> Carries:
    """The true carries of each pair, uint8 (T, B); the last carry out is 0, since the sum fits."""
    array = check_pairs(pairs, bits)
    a, b = encode(array, bits).transpose(2, 0, 1)
    into = a ^ b ^ encode(array.sum(axis=1), bits)
    return Carries(into, (a & b) | (a & into) | (b & into))


def random_params(cell: str, sizes: Mapping[str, int], rng: np.random.Generator, init: str = "uniform") -> Any:
    """Random weights of a registered cell, its `Params` in float64.

    Args:
        sizes: the length of each axis by its letter: {"I": 2, "H": 16, "O": 1}.
        init: "uniform" on [-1, 1) as in the first seed, or "normal" (mean 0, deviation 1) as in the second.

    Raises:
        AdditionError: an unknown init, or an axis of the cell's weights has no size.
        KeyError: no such cell.
    """
    if init not in INITS:
        raise AdditionError(f"init = {init!r}: wanted {' or '.join(INITS)}")
    record = cells.cell(cell).module.Params
    shapes = {name: _shape(f"{cell}.{name}", letters, sizes) for name, letters in axes(record).items()}
    if init == "uniform":
        return record(**{name: 2 * rng.random(shape) - 1 for name, shape in shapes.items()})
    return record(**{name: rng.standard_normal(shape) for name, shape in shapes.items()})


def zero_state(cell: str, sizes: Mapping[str, int]) -> Any:
    """The state before step 0: zeros, float64, of a registered cell; `sizes` as in `random_params`, with B."""
    record = cells.cell(cell).module.State
    found = {name: np.zeros(_shape(f"{cell}.{name}", letters, sizes)) for name, letters in axes(record).items()}
    return record(**found)


def network_sizes(hidden: int, batch: int = 1) -> dict[str, int]:
    """The axes of a network that adds."""
    return {"B": batch, "I": 2, "H": hidden, "O": 1}


def problem(
    source: np.random.Generator | Any,
    bits: int = 8,
    hidden: int = 16,
    cell: str = "rnn",
    *,
    batch: int = 1,
    init: str = "uniform",
    params: Any = None,
    rng: np.random.Generator | None = None,
) -> Problem:
    """An addition as a `Problem`: x (bits, B, 2), y (bits, B, 1), from a zero state.

    Args:
        source: pairs (B, 2), or a generator that draws `batch` of them (and then the weights, unless given).
        params: the weights; by default random ones drawn from `source` or `rng`, `hidden` units, by `init`.

    Raises:
        AdditionError: as `check_pairs` and `random_params`, or there is nothing to draw the weights from.
        gradlab.problem.ProblemError: the given params do not fit the task.
    """
    drawn = isinstance(source, np.random.Generator)
    bits = check_bits(bits)
    pairs = random_pairs(source, check_count("batch", batch, 1, 2**20), bits) if drawn else source
    x, y = sequences(pairs, bits)
    if params is None:
        rng = source if drawn and rng is None else rng
        if rng is None:
            raise AdditionError("no weights: give params, or a generator rng to draw them from")
        params = random_params(cell, network_sizes(check_count("hidden", hidden, 1, 2**11)), rng, init)
    return Problem(params, x, y, zero_state(cell, params_sizes(params) | {"B": x.shape[1]}))


def params_sizes(params: Any) -> dict[str, int]:
    """The length of each axis of given weights by its letter."""
    shapes = axes(type(params))
    lengths = {name: getattr(params, name).shape for name in shapes}
    return {letter: n for name in shapes for letter, n in zip(shapes[name], lengths[name], strict=False)}


def _shape(name: str, letters: tuple[str, ...], sizes: Mapping[str, int]) -> tuple[int, ...]:
    for letter in letters:
        if letter not in sizes:
            raise AdditionError(f"{name} has axes ({', '.join(letters)}), and {letter} has no size among {dict(sizes)}")
    return tuple(sizes[letter] for letter in letters)
