"""What a trained network answers: sums, how sure it is of each bit, and how often it is right.

T columns, least significant bit first   B pairs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gradlab import cells
from gradlab.addition.data import (
    MAX_BITS,
    AdditionError,
    Array,
    carries,
    check_numbers,
    check_pairs,
    decode,
    encode,
    params_sizes,
    sequences,
    write_binary,
    zero_state,
)


class Accuracy(NamedTuple):
    """Fractions in [0, 1]: `exact` of the sums with every bit right, `bits` of all bits."""

    exact: float
    bits: float

    def __str__(self) -> str:
        return f"{self.exact:.2%} of the sums exact, {self.bits:.3%} of the bits right"


class Digit(NamedTuple):
    """One column of an addition: what went in, what came out.

    y_hat: the network's output, in [0, 1]; `bit` is 1 where it exceeds ½.
    carry: the true carry into this column, which the network was never told.
    """

    a: int
    b: int
    carry: int
    y_hat: float
    bit: int
    true: int

    @property
    def confidence(self) -> float:
        """How sure the network is of the bit that it gave, in [½, 1]."""
        return max(self.y_hat, 1 - self.y_hat)


@dataclass(frozen=True)
class Sum:
    """a + b as the network adds them; `digits` stand least significant first."""

    a: int
    b: int
    sum: int
    digits: tuple[Digit, ...]

    @property
    def right(self) -> bool:
        return self.sum == self.a + self.b

    @property
    def confidence(self) -> float:
        """How sure the network is of its least sure bit, in [½, 1]."""
        return min(digit.confidence for digit in self.digits)

    def __str__(self) -> str:
        rows = [
            f"{place:>6}  {d.a}  {d.b}  {d.carry:>5}  {d.bit:>4}  {d.confidence:>10.2%}"
            + ("" if d.bit == d.true else f"   wrong: {d.true}")
            for place, d in enumerate(self.digits)
        ]
        bits = len(self.digits)
        verdict = "right" if self.right else f"wrong: it is {self.a + self.b}"
        return "\n".join(
            [
                "column  a  b  carry  gave  confidence",
                *rows,
                *(f"{number:0{bits}b} = {number}" for number in (self.a, self.b, self.sum)),
                f"{self.a} + {self.b} = {self.sum}   {verdict}; least sure bit {self.confidence:.2%}",
            ]
        )


def predict(params: Any, pairs: Any, bits: int, cell: str = "rnn", code: cells.Code | None = None) -> Array:
    """The network's outputs y_hat (T, B) on pairs (B, 2), from a zero state.

    Raises:
        AdditionError: as `gradlab.addition.data.check_pairs`.
        KeyError: no such cell.
    """
    x, _ = sequences(pairs, bits)
    state = zero_state(cell, params_sizes(params) | {"B": x.shape[1]})
    return (code or cells.cell(cell).code).forward(params, x, state).y_hat[..., 0]


def accuracy(params: Any, pairs: Any, bits: int, cell: str = "rnn", code: cells.Code | None = None) -> Accuracy:
    """How often the network is right on pairs (B, 2); raises as `predict`."""
    right = (predict(params, pairs, bits, cell, code) > 0.5) == encode(np.sum(check_pairs(pairs, bits), axis=1), bits)
    return Accuracy(float(right.all(axis=0).mean()), float(right.mean()))


def add(a: int, b: int, params: Any, cell: str = "rnn", bits: int | None = None) -> Sum:
    """a + b, added by the network bit by bit.

    Args:
        bits: the width, 1 to 62; by default one bit more than the wider addend has, so that any sum fits.

    Raises:
        AdditionError: a number is negative, not an integer or too wide, or the sum overflows.
        KeyError: no such cell.
    """
    if bits is None:
        check_numbers([a, b], MAX_BITS)
        bits = min(max(int(a).bit_length(), int(b).bit_length()) + 1, MAX_BITS)
    pairs = check_pairs([[a, b]], bits)
    y_hat = predict(params, pairs, bits, cell)[:, 0]
    if not np.isfinite(y_hat).all():
        raise AdditionError(f"the network gives {y_hat[~np.isfinite(y_hat)][0]} on {a} + {b}, not a number in [0, 1]")
    gave = (y_hat > 0.5).astype(np.uint8)
    into, true = carries(pairs, bits).into[:, 0], encode(pairs.sum(axis=1), bits)[:, 0]
    columns = zip(
        *encode(pairs[0], bits).T.tolist(), into.tolist(), y_hat.tolist(), gave.tolist(), true.tolist(), strict=True
    )
    return Sum(int(a), int(b), int(decode(gave)), tuple(Digit(*column) for column in columns))


def spaced(number: int, bits: int) -> str:
    """The bits as the seeds print them, most significant first: "[0 0 0 0 0 1 0 1]"."""
    return f"[{' '.join(write_binary(number, bits))}]"
