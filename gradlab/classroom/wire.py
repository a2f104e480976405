"""What goes between gradlab and the process that runs somebody's code: frames of known length, and numbers in them.

    frame     one byte of kind, eight of length, the payload
    request   a line of JSON, then the raw bytes of its arrays
    answer    raw arrays in an order and of shapes that the asker knows, or balls as text

Nothing is unpickled, nothing is evaluated, and no length in an answer is believed: what an answer may be follows from
the question. A ball is `mantissa:exponent:mantissa:exponent`, of its midpoint and its radius, mantissas in hex; it
arrives with the same midpoint and a radius at most 2⁻²⁸ of itself wider.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Shapes = Mapping[str, tuple[int, ...]]

HEADER = struct.Struct(">cQ")
REQUEST, READY, LOADED, ARRAYS, BALLS, ERROR = (b"Q", b"R", b"L", b"A", b"B", b"E")
UNCERTIFIED = b"U"  # an error of what is certified alone
# Of equations run one by one: what goes to gradlab, what comes back, and the end of them all.
BEGUN, VALUE, FAILED, SKIPPED, HELPER, ENDED = (b"S", b"V", b"F", b"K", b"H", b"Z")
RIGHT = b"N"

MOST_TEXT = 4096
# Beyond it a number is taken for infinite: no network gives it, and it takes no time to compute with.
MOST_EXPONENT = 1 << 20

_NOT_A_NUMBER = "n"
_SPARE_BITS = 64  # an exact number that no operation rounded may be longer than the precision in force


class WireError(Exception):
    """An answer that is no answer to what was asked."""


class Request(NamedTuple):
    """What to run. what: "load", "floats", "rounding", "balls" or "steps". detail: by name, of JSON's types."""

    what: str
    detail: dict[str, Any]
    arrays: dict[str, Array]


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """The bytes that are sent."""
    return HEADER.pack(kind, len(payload)) + payload


def request(asked: Request) -> bytes:
    """The payload of a request."""
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in asked.arrays.items()]
    line = json.dumps({"what": asked.what, "detail": asked.detail, "arrays": listed})
    raw = b"".join(np.ascontiguousarray(array).tobytes() for array in asked.arrays.values())
    return line.encode() + b"\n" + raw


def read_request(payload: bytes) -> Request:
    """The request that `request` wrote; it comes from gradlab itself."""
    line, _, raw = payload.partition(b"\n")
    said = json.loads(line)
    arrays, start = {}, 0
    for name, dtype, shape in said["arrays"]:
        array = np.frombuffer(raw, dtype, int(np.prod(shape)), start).reshape(shape)
        arrays[name], start = array.copy(), start + array.nbytes
    return Request(said["what"], said["detail"], arrays)


def pack_arrays(arrays: Sequence[Array], dtype: Any) -> bytes:
    """Raw bytes, one array after the other."""
    return b"".join(np.ascontiguousarray(array, dtype).tobytes() for array in arrays)


def packed_size(shapes: Shapes, dtype: Any) -> int:
    """The one length that an answer in arrays of these shapes has."""
    return sum(int(np.prod(shape)) for shape in shapes.values()) * np.dtype(dtype).itemsize


def unpack_arrays(payload: bytes, shapes: Shapes, dtype: Any) -> dict[str, Array]:
    """Arrays by name, in the order of `shapes`.

    Raises:
        WireError: the length is not that of these arrays.
    """
    if len(payload) != packed_size(shapes, dtype):
        raise WireError(f"{len(payload)} bytes of arrays, wanted {packed_size(shapes, dtype)}")
    found, start = {}, 0
    for name, shape in shapes.items():
        array = np.frombuffer(payload, dtype, int(np.prod(shape)), start).reshape(shape)
        found[name], start = array.copy(), start + array.nbytes
    return found


def pack_balls(arrays: Sequence[Array], bits: int) -> bytes:
    """Object arrays of balls, exact numbers among them; what is no finite number is sent as such.

    Raises:
        TypeError: an entry is no ball and no real number.
    """
    from gradlab.arithmetic import Ball

    def text(entry: Any) -> str:
        ball = (entry if type(entry) is Ball else Ball(entry)).arb
        if not ball.is_finite():
            return _NOT_A_NUMBER
        middle, exponent = ball.mid().man_exp()
        if int(middle).bit_length() > bits + _SPARE_BITS:
            ball = ball + 0
            middle, exponent = ball.mid().man_exp()
        radius, radius_exponent = ball.rad().man_exp()
        if max(abs(exponent), abs(radius_exponent)) > MOST_EXPONENT:
            return _NOT_A_NUMBER
        return f"{int(middle):x}:{int(exponent)}:{int(radius):x}:{int(radius_exponent)}"

    return " ".join(text(entry) for array in arrays for entry in array.flat).encode()


def most_ball_bytes(shapes: Shapes, bits: int) -> int:
    """The greatest length of an answer in balls of these shapes."""
    entries = sum(int(np.prod(shape)) for shape in shapes.values())
    return entries * ((bits + _SPARE_BITS) // 4 + 40)


def unpack_balls(payload: bytes, shapes: Shapes, bits: int) -> dict[str, Array]:
    """Balls by name, in the order of `shapes`.

    Raises:
        WireError: it is not that many balls, or one of them is none.
    """
    from gradlab.arithmetic import Ball

    arb: Any = type(Ball(0).arb)  # flint is imported in gradlab.arithmetic alone
    wanted = sum(int(np.prod(shape)) for shape in shapes.values())
    words = payload.split(b" ", wanted)
    if len(words) != wanted:
        raise WireError(f"{len(words)} balls, wanted {wanted}")
    form = re.compile(rb"(-?[0-9a-f]{1,%d}):(-?\d{1,7}):([0-9a-f]{1,9}):(-?\d{1,7})" % ((bits + _SPARE_BITS) // 4 + 1))

    def ball(word: bytes) -> Any:
        if word == _NOT_A_NUMBER.encode():
            return Ball(arb("nan"))
        match = form.fullmatch(word)
        if match is None:
            raise WireError(f"{word[:40]!r} is no ball")
        middle, exponent, radius, radius_exponent = match.groups()
        exponents = int(exponent), int(radius_exponent)
        if max(map(abs, exponents)) > MOST_EXPONENT:
            raise WireError(f"{word[:40]!r} is out of range")
        return Ball(arb((int(middle, 16), exponents[0]), (int(radius, 16), exponents[1])))

    found, start = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        array = np.empty(size, object)
        array[:] = [ball(word) for word in words[start : start + size]]
        found[name], start = array.reshape(shape), start + size
    return found


def one_line(payload: bytes, most: int = 500) -> str:
    """Text from the other side as one line that can be printed."""
    text = "".join(c if c.isprintable() else " " for c in payload[:MOST_TEXT].decode(errors="replace"))
    return " ".join(text.split())[:most]
