import math

import numpy as np
import pytest

from gradlab.arithmetic import Ball, precision
from gradlab.arithmetic.ball import balls
from gradlab.classroom import wire
from gradlab.classroom.wire import WireError

SHAPES = {"a": (2, 2), "b": (3,)}


def test_a_request_is_read_as_written() -> None:
    asked = wire.Request("floats", {"bits": 53}, {"x": np.arange(6.0).reshape(2, 3), "y": np.ones(2, np.float32)})
    read = wire.read_request(wire.request(asked))
    assert (read.what, read.detail) == (asked.what, asked.detail)
    for name, array in asked.arrays.items():
        assert read.arrays[name].dtype == array.dtype
        assert (read.arrays[name] == array).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_arrive_bit_for_bit(dtype: type) -> None:
    arrays = {"a": np.array([[0.1, -0.0], [math.inf, math.nan]], dtype), "b": np.array([1e-40, 5e-45, 3], dtype)}
    found = wire.unpack_arrays(wire.pack_arrays([*arrays.values()], dtype), SHAPES, dtype)
    for name, array in arrays.items():
        assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("change", [b"x", b"12345678"], ids=["a byte more", "a number more"])
def test_arrays_of_another_length_are_refused(change: bytes) -> None:
    payload = wire.pack_arrays([np.ones((2, 2)), np.ones(3)], np.float64)
    for wrong in (payload + change, payload[: -len(change)], b""):
        with pytest.raises(WireError, match=f"{len(wrong)} bytes of arrays, wanted 56"):
            wire.unpack_arrays(wrong, SHAPES, np.float64)


@pytest.mark.parametrize("bits", [53, 128, 1024])
def test_balls_arrive_and_lose_nothing(bits: int) -> None:
    with precision(bits):
        thirds = balls(np.array([[1.0, -2.0], [1e-300, 0.0]])) / 3
        mixed = np.array([0, Ball(2) ** 0.5, 0.1], object)
        payload = wire.pack_balls([thirds, mixed], bits)
        assert len(payload) <= wire.most_ball_bytes(SHAPES, bits)
        found = wire.unpack_balls(payload, SHAPES, bits)
    for sent, arrived in zip([*thirds.flat, *mixed], [*found["a"].flat, *found["b"]], strict=True):
        ball = Ball(sent).arb
        assert arrived.arb.mid() == ball.mid()
        assert ball.rad() <= arrived.arb.rad() <= ball.rad() * (1 + 2.0**-28)


def test_what_is_no_finite_number_arrives_as_nan() -> None:
    with precision(53):
        odd = np.array([Ball(1) / 0, Ball(2) ** (2**21), math.inf], object)
        found = wire.unpack_balls(wire.pack_balls([odd], 53), {"b": (3,)}, 53)["b"]
    assert all(entry.arb.is_nan() for entry in found)


@pytest.mark.parametrize("entry", [None, "1", 1j, [1]], ids=repr)
def test_what_is_no_number_cannot_be_sent(entry: object) -> None:
    odd = np.empty(1, object)
    odd[0] = entry
    with pytest.raises(TypeError, match="expected a ball or a real number"):
        wire.pack_balls([odd], 53)


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"1:0:0", id="three parts"),
        pytest.param(b"1:0:-1:0", id="a negative radius"),
        pytest.param(b"g:0:0:0", id="no hex"),
        pytest.param(b"1" * 1000 + b":0:0:0", id="a long mantissa"),
        pytest.param(b"1:9999999:0:0", id="a large exponent"),
        pytest.param(b"1:0:1:1048577", id="a large radius"),
        pytest.param(b"1:" + b"9" * 5000 + b":0:0", id="an exponent of 5000 digits"),
        pytest.param("١:0:0:0".encode(), id="other digits"),
        pytest.param(b"1:0:0:0\n", id="a line's end"),
        pytest.param(b"nan", id="nan"),
        pytest.param(b"\x80\x04.", id="a pickle"),
    ],
)
def test_what_is_no_ball_is_refused(word: bytes) -> None:
    with pytest.raises(WireError):
        wire.unpack_balls(word, {"b": (1,)}, 53)


@pytest.mark.parametrize("payload", [b"n n", b"n n n n", b"n n n "], ids=["fewer", "more", "a space more"])
def test_other_numbers_of_balls_are_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        wire.unpack_balls(payload, {"b": (3,)}, 53)


def test_a_message_becomes_one_short_printable_line() -> None:
    line = wire.one_line("a\x1b[31m\n\tb\u202e\xff".encode() + b"\xff" + b"c" * 9999)
    assert line.isprintable()
    assert line.startswith("a [31m b")
    assert len(line) <= 500
