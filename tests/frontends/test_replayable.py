"""Calls recorded once and replayed: on other numbers, on balls, in part; and what steered them is asked again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, balls, meet, midpoints, precision, radii
from gradlab.arithmetic.floats import FloatArithmetic
from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.frontends.replayable import Replayable, Undecided
from gradlab.tape.recorded import NotRecorded

X, W = np.arange(6.0).reshape(2, 3), np.array([0.5, -1.0, 2.0])


class Both(NamedTuple):
    """Two arrays."""

    products: Any
    total: Any


def both(x: Any, w: Any) -> Both:
    buffer = np.zeros(x.shape)
    buffer[:] = x * w
    return Both(buffer, np.tanh(buffer).sum())


def steered(x: Any) -> Any:
    return 2 * x if x[0] > x[1] else 3 * x


def body(functions: Any, x: Any, parts: dict[str, Any]) -> Any:
    made = functions.both(x, parts["w"])
    return {"made": made, "none": None, "twice": 2 * made.total}


def test_a_recording_is_replayed_on_other_numbers() -> None:
    call, other = Replayable({"both": both}, body, X, {"w": W}), np.cos(X)
    found = call.replayed(FloatArithmetic(), other, {"w": -W})
    wanted = both(other, -W)
    assert np.array_equal(found["made"].products, wanted.products) and found["none"] is None
    assert float(found["twice"]) == 2 * wanted.total


def test_on_balls_it_encloses_and_takes_balls() -> None:
    call = Replayable({"both": both}, body, X, {"w": W})
    with precision(128):
        third = balls(X) / 3
        found = call.replayed(BallArithmetic(), third, {"w": W})
        assert meet(found["made"].products, third * balls(W)) and radii(found["made"].products).max() < 1e-30
        assert not meet(found["made"].products, third * balls(W) + 1e-30)
    bounds = call.replayed(RoundedArithmetic(), X / 3, {"w": W})["made"].total.bounds()
    assert 0 < bounds < 1e-13


def test_a_part_is_replayed_without_the_rest() -> None:
    def parts(functions: Any, x: Any) -> Any:
        return {"log": np.log(x), "square": x * x}

    call = Replayable({}, parts, X + 1)
    with precision(64):
        found = call.replayed(BallArithmetic(), -X - 1, only=frozenset({"square"}))
    assert list(found) == ["square"] and np.array_equal(midpoints(found["square"]), (X + 1) ** 2)


def test_what_steered_the_run_is_asked_again() -> None:
    call = Replayable({"steered": steered}, lambda functions, x: functions.steered(x), np.array([2.0, 1.0]))
    assert np.array_equal(call.replayed(FloatArithmetic(), np.array([4.0, 3.0])), [8.0, 6.0])
    for other, said in ((np.array([1.0, 2.0]), "decided by rounding"), (balls(np.ones(2)) / 3, "a tie")):
        with precision(64), pytest.raises(Undecided, match=rf"test_replayable.py:\d+: a comparison is {said}"):
            call.replayed(BallArithmetic(), other)


def test_what_no_program_holds_is_refused() -> None:
    with pytest.raises(NotRecorded, match=r"np\.fft\.fft"):
        Replayable({}, lambda functions, x: np.fft.fft(x), X)


def test_arguments_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Replayable({"both": both}, body, X, {"w": W}).replayed(FloatArithmetic(), X)
