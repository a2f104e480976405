import numpy as np
import pytest

from gradlab.arithmetic.ball import Ball
from gradlab.arithmetic.balls import precision
from gradlab.verifier import verify_text
from gradlab.verifier.judge import compare

FRONT = "---\nsizes: {H: 4}\nsymbols:\n  x(t): 1 x H\n  r: scalar\n---\n"


def balls(*values: float) -> np.ndarray:
    return np.array([Ball(value) for value in values], dtype=object)


def test_disjoint_balls_are_false_and_narrow_ones_true() -> None:
    with precision(128):
        third = balls(1.0, 2.0) / Ball(3)
        assert compare(third, third) == "true"
        assert compare(third, third + Ball(2.0**-120)) == "false"
        assert compare(balls(0.0, 1.0), balls(0.0, 1.0)) == "true"
    with precision(64):
        assert compare(balls(1.0) / Ball(3), balls(1.0) / Ball(3)) == "cannot tell"


def test_a_zero_is_told_by_the_scale_of_what_the_symbols_take() -> None:
    with precision(256):
        nothing = balls(1.0) / Ball(3) - balls(1.0) / Ball(3)
        assert compare(nothing, nothing) == "true"
        assert compare(np.concatenate([nothing, balls(1.0)]), balls(0.0, 1.0)) == "true"
    with precision(64):
        nothing = balls(1.0) / Ball(3) - balls(1.0) / Ball(3)
        assert compare(nothing, nothing) == "cannot tell"


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (r"r = (1 + (10)^{-28}) r", "false"),
        (r"r = (1 + (10)^{-60}) r", "false"),
        (r"r + (10)^{60} = 2 r + (10)^{60}", "false"),
        (r"(1 + (10)^{-60}) - 1 = (10)^{-60}", "true"),
        (r"\exp(\exp(r) - \exp(r)) = 1", "true"),
        (r"\exp(r) - \exp(r) = 0", "true"),
    ],
)
def test_precision_is_doubled_until_it_is_decided(claim: str, verdict: str) -> None:
    assert verify_text(f"{FRONT}$$ {claim} $$", repairs=False).findings[0].verdict == verdict


def test_a_claim_judged_at_few_steps_is_not_true() -> None:
    finding = verify_text(FRONT + r"$$ \sum_{k>t} x(k+1) = 0 $$", repairs=False).findings[0]
    assert (finding.verdict, finding.ok) == ("cannot tell", False)
    assert "both sides exist at 1 of 5 steps only" in finding.message


def test_time_that_is_used_up_is_cannot_tell() -> None:
    report = verify_text(FRONT + "$$ x(t) + 0 = x(t) $$", seconds=0)
    assert (report.verdict, report.exit_status) == ("cannot tell", 3)
    assert "the time was used up" in str(report)


def test_large_sums_are_stopped_in_time() -> None:
    deep = "".join(rf"\sum_{{{letter}=0}}^{{99}} " for letter in "abcdef") + "r"
    finding = verify_text(FRONT + f"$$ {deep} = 1 $$", repairs=False, seconds=0.3).findings[0]
    assert (finding.verdict, "used up" in finding.message) == ("cannot tell", True)
