"""What a file says of its own rounding is believed up to a limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradlab import Verdict, compare
from gradlab.checker import check
from gradlab.checker.allowance import Allowance

RETURN = "    return Grads("
# Exactly it is grad_x, and in floats twice as much: what is added to so large a number is lost.
LIAR = f"""    grad_x = 2 * grad_x - ((grad_x + {{vast}}) - {{vast}})
{RETURN}"""


@pytest.fixture
def problem() -> Any:
    return compare("rnn").problem


@pytest.mark.parametrize("vast", ["1e30", "1e200"])
def test_bounds_without_limit_excuse_nothing(vast: str, edited: Callable[..., Path], problem: Any) -> None:
    path = edited((RETURN, LIAR.format(vast=vast)))
    comparison = compare("rnn", problem, code=path)
    assert comparison.verdict is Verdict.DISAGREE
    assert comparison.judged["grad_x"]["certified"].disagree.any()


def test_without_the_limit_it_would_pass(
    edited: Callable[..., Path], problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Allowance, "capped", lambda self, floats, claimed: claimed)
    path = edited((RETURN, LIAR.format(vast="1e200")))
    assert compare("rnn", problem, code=path).verdict is Verdict.AGREE


def test_the_shipped_code_needs_no_limit(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "allowance", None)
    assert compare("rnn", problem).verdict is Verdict.AGREE
