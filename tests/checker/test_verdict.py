"""Three verdicts, entry by entry: a table of what each pair of values and bounds says."""

from __future__ import annotations

import itertools
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from flint import arb

from gradlab.arithmetic.balls import balls, precision
from gradlab.checker.verdict import BALL_RESOLUTION, RESOLUTION, Judged, Tally, Verdict, judge, judge_balls

AGREE, DISAGREE, CANNOT_TELL = Verdict.AGREE, Verdict.DISAGREE, Verdict.CANNOT_TELL
EDGE = RESOLUTION / 2  # of each bound, at a value of 1

# id: (value, its bound, the oracle's value, its bound), the verdict
TABLE = {
    "equal": ((1.0, 1e-15, 1.0, 1e-15), AGREE),
    "equal, nothing rounded": ((1.0, 0.0, 1.0, 0.0), AGREE),
    "within both bounds together": ((1.0, 1e-10, 1.0 + 1.9e-10, 1e-10), AGREE),
    "beyond both bounds together": ((1.0, 1e-10, 1.0 + 2.1e-10, 1e-10), DISAGREE),
    "exactly at both bounds": ((1.0, 0.25, 1.5, 0.25), CANNOT_TELL),
    "one ulp apart, nothing rounded": ((1.0, 0.0, 1.0 + 2.0**-52, 0.0), DISAGREE),
    "sign": ((1.0, 1e-15, -1.0, 1e-15), DISAGREE),
    "factor 2 at 1e-300": ((1e-300, 1e-315, 2e-300, 1e-315), DISAGREE),
    "factor 2 within the bound": ((1e-20, 1e-16, 2e-20, 1e-16), CANNOT_TELL),
    "resolution, just met": ((1.0, EDGE, 1.0, EDGE), AGREE),
    "resolution, just missed": ((1.0, 0.0, 1.0, np.nextafter(RESOLUTION, 1)), CANNOT_TELL),
    "zero is zero": ((0.0, 0.0, 0.0, 0.0), AGREE),
    "zero is minus zero": ((0.0, 0.0, -0.0, 0.0), AGREE),
    "zero, and it may be rounding": ((0.0, 0.0, 0.0, 1e-300), CANNOT_TELL),
    "zero against something": ((0.0, 0.0, 1e-300, 1e-310), DISAGREE),
    "something against zero": ((1e-300, 0.0, 0.0, 0.0), DISAGREE),
    "value is nan": ((nan, 1e-15, 1.0, 1e-15), DISAGREE),
    "value is inf": ((inf, 1e-15, 1.0, 1e-15), DISAGREE),
    "value is -inf": ((-inf, 1e-15, 1.0, 1e-15), DISAGREE),
    "nan against zero": ((nan, 0.0, 0.0, 0.0), DISAGREE),
    "oracle is nan": ((1.0, 1e-15, nan, 1e-15), DISAGREE),
    "both are nan": ((nan, 1e-15, nan, 1e-15), DISAGREE),
    "both are inf": ((inf, 1e-15, inf, 1e-15), CANNOT_TELL),
    "value is nan, its bound infinite": ((nan, inf, 1.0, 1e-15), CANNOT_TELL),
    "oracle's bound is infinite": ((1.0, 1e-15, 2.0, inf), CANNOT_TELL),
    "both bounds are infinite": ((1.0, inf, 1.0, inf), CANNOT_TELL),
    "inf within an infinite bound": ((inf, inf, 1.0, 0.0), CANNOT_TELL),
    "bounds whose sum overflows": ((1.0, 1e308, 2.0, 1e308), CANNOT_TELL),
}


def said(judged: Judged) -> list[Verdict]:
    assert not (judged.agree & judged.disagree).any()
    return [
        AGREE if agree else DISAGREE if disagree else CANNOT_TELL
        for agree, disagree in zip(judged.agree.flat, judged.disagree.flat, strict=True)
    ]


@pytest.mark.parametrize("name", TABLE)
def test_floats(name: str) -> None:
    given, wanted = TABLE[name]
    assert said(judge(*(np.array([number]) for number in given))) == [wanted]


def test_all_of_the_table_at_once_is_entry_by_entry() -> None:
    columns = np.array([given for given, _ in TABLE.values()]).T
    assert said(judge(*columns)) == [wanted for _, wanted in TABLE.values()]


@pytest.mark.parametrize("given", [(1.0, nan, 1.0, 0.0), (1.0, 0.0, 2.0, nan)], ids=["equal", "apart"])
def test_a_bound_that_is_not_a_number_decides_nothing(given: tuple[float, ...]) -> None:
    assert said(judge(*(np.array([number]) for number in given))) == [CANNOT_TELL]


def test_float32_values_are_compared_as_the_numbers_they_are() -> None:
    value = np.array([0.1], np.float32)
    assert said(judge(value, np.zeros(1), value.astype(np.float64), np.zeros(1))) == [AGREE]
    assert said(judge(value, np.zeros(1), np.array([0.1]), np.zeros(1))) == [DISAGREE]
    assert said(judge(value, np.array([1e-8]), np.array([0.1]), np.zeros(1))) == [AGREE]


def ball(middle: float, radius: float = 0.0) -> Any:
    with precision(200):
        return np.array([arb(middle, radius)])


BALLS = {
    "equal and narrow": (ball(1, 1e-20), ball(1, 1e-20), AGREE),
    "overlapping and narrow": (ball(1, 1e-20), ball(1 + 2.0**-52, 2.0**-52), AGREE),
    "disjoint": (ball(1, 1e-20), ball(1 + 2.0**-52, 1e-20), DISAGREE),
    "disjoint though wide": (ball(1, 0.25), ball(2, 0.25), DISAGREE),
    "overlapping, one too wide": (ball(1, 1e-20), ball(1, 1e-9), CANNOT_TELL),
    "one inside the other, too wide": (ball(1, 0.5), ball(1), CANNOT_TELL),
    "resolution, just missed": (ball(1, 1.01 * BALL_RESOLUTION), ball(1), CANNOT_TELL),
    "resolution, just met": (ball(1, 0.99 * BALL_RESOLUTION), ball(1), AGREE),
    "around zero": (ball(0, 1e-300), ball(0, 1e-300), CANNOT_TELL),
    "zero and around zero": (ball(0), ball(0, 1e-300), CANNOT_TELL),
    "zero is zero": (ball(0), ball(0), AGREE),
    "zero against something": (ball(0), ball(1e-300, 1e-320), DISAGREE),
    "nan": (np.array([arb(nan)]), ball(1), CANNOT_TELL),
    "both nan": (np.array([arb(nan)]), np.array([arb(nan)]), CANNOT_TELL),
    "unbounded": (np.array([arb(inf)]), ball(1), DISAGREE),
}


@pytest.mark.parametrize("name", BALLS)
def test_balls(name: str) -> None:
    value, oracle, wanted = BALLS[name]
    assert said(judge_balls(value, oracle)) == [wanted]
    if name not in ("unbounded",):
        assert said(judge_balls(oracle, value)) == [wanted]


def test_exact_numbers_may_stand_among_balls() -> None:
    """np.zeros_like leaves the int 0 in an object array."""
    assert said(judge_balls(np.zeros_like(balls(np.ones(2))), balls(np.array([0.0, 1.0])))) == [AGREE, DISAGREE]


@pytest.mark.parametrize("size", range(4))
def test_the_worst_of_several(size: int) -> None:
    for several in itertools.product(Verdict, repeat=size):
        wanted = DISAGREE if DISAGREE in several else AGREE if set(several) == {AGREE} else CANNOT_TELL
        assert Verdict.worst(several) is wanted
        assert Verdict.worst(one for one in several) is wanted


@pytest.mark.parametrize(("verdict", "status"), [(AGREE, 0), (DISAGREE, 1), (CANNOT_TELL, 3)])
def test_the_exit_status(verdict: Verdict, status: int) -> None:
    assert verdict.exit_status == status


@pytest.mark.parametrize(
    ("tally", "wanted"),
    [
        (Tally(), CANNOT_TELL),
        (Tally(agree=5, probed=5), AGREE),
        (Tally(agree=5), CANNOT_TELL),
        (Tally(agree=5, cannot_tell=5), CANNOT_TELL),
        (Tally(agree=5, probed=1, cannot_tell=5), AGREE),
        (Tally(cannot_tell=5), CANNOT_TELL),
        (Tally(agree=5, probed=5, disagree=1), DISAGREE),
        (Tally(disagree=1, cannot_tell=9), DISAGREE),
    ],
    ids=["nothing", "all", "zeros only", "zeros and open", "one probed", "open", "one wrong", "wrong and open"],
)
def test_the_verdict_of_a_tally(tally: Tally, wanted: Verdict) -> None:
    assert tally.verdict is wanted


def test_a_tally_counts_and_measures() -> None:
    value = np.array([1.0, 1.0, 0.0, 1.0, nan])
    oracle = np.array([1.0 + 2.0**-40, 2.0, 0.0, 1.0, 1.0])
    tally = judge(value, np.array([2.0**-40, 0.5, 0.0, inf, inf]), oracle, np.zeros(5)).tally()
    assert (tally.agree, tally.disagree, tally.cannot_tell, tally.probed) == (2, 1, 2, 1)
    assert tally.worst_in_bounds == 2.0
    assert tally.worst_ulps == 1 / np.spacing(2.0)


def test_what_is_infinitely_far_is_so_in_the_tally() -> None:
    tally = judge(np.array([inf, 1.0]), np.zeros(2), np.array([1.0, 2.0]), np.zeros(2)).tally()
    assert tally.worst_in_bounds == tally.worst_ulps == inf or tally.worst_in_bounds > 1e300


def test_nan_is_not_near() -> None:
    assert judge(np.array([nan]), np.zeros(1), np.array([1.0]), np.zeros(1)).tally().worst_in_bounds > 1


def test_tallies_add() -> None:
    total = Tally()
    total.add(Tally(1, 2, 3, 4, 0.5, 6.0))
    total.add(Tally(10, 20, 30, 40, 0.25, 60.0))
    assert total == Tally(11, 22, 33, 44, 0.5, 60.0)


def test_undecided_is_what_neither_agrees_nor_disagrees() -> None:
    judged = judge(np.array([1.0, 1.0, 1.0]), np.zeros(3), np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, inf]))
    assert judged.undecided.tolist() == [False, False, True]
