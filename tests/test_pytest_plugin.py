from __future__ import annotations

import pytest

FRONT = "---\nsizes: {N: 3}\nsteps: 4\nsymbols:\n  v: 1 x N\n---\n"


def test_an_item_for_each_equation(pytester: pytest.Pytester) -> None:
    text = FRONT + "$$ w := v + v $$\n\n$$ w = 2 v $$\n\n$$ w = 3 v $$\n"
    pytester.makefile(".md", mine=text)
    result = pytester.runpytest_subprocess("--derivations")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*mine.md:11:4: FALSE*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_without_the_option_markdown_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makefile(".md", mine=FRONT + "$$ v = 3 v $$\n")
    pytester.runpytest_subprocess().assert_outcomes()


def test_what_cannot_be_read_fails(pytester: pytest.Pytester) -> None:
    pytester.makefile(".md", mine=FRONT + "$$ v = \\frac{v $$\n")
    pytester.runpytest_subprocess("--derivations").assert_outcomes(failed=1)


WRONG = """
import numpy as np
from hypothesis import Phase, given, settings
from gradlab.gradients import assert_gradient
from gradlab.strategies import params_like

W = {"a": np.array([[0.5, -0.25, 0.75], [0.125, 1.0, -0.5]]), "b": np.array([0.25, -0.5, 1.0])}

def loss(p):
    return np.sum(np.tanh(p["a"] + p["b"]) ** 2)

def right(p):
    h = np.tanh(p["a"] + p["b"])
    d = 2 * h * (1 - h**2)
    return {"a": d, "b": d.sum(axis=0)}

def wrong(p):
    h = np.tanh(p["a"] + p["b"])
    d = 2 * h * (1 - h)
    return {"a": d, "b": d.sum(axis=0)}

def shapeless(p):
    return {"a": p["a"].T}
"""


def test_a_failure_is_the_report_and_nothing_else(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        WRONG
        + """
def test_right(gradcheck):
    assert gradcheck(loss, right, W, strict=True).ok
    assert gradcheck.vjp(lambda x: np.exp(x), lambda x, u: u * np.exp(x), np.ones(3)).ok

@settings(max_examples=2, phases=[Phase.generate], deadline=None)
@given(params_like(W, scales=(1.0, 0.5)))
def test_right_where_drawn(gradcheck, params):
    assert gradcheck(loss, right, params).ok

def test_by_the_fixture(gradcheck):
    gradcheck(loss, wrong, W)

def test_asserted():
    assert_gradient(loss, wrong, W, diagnosis=0)

def test_refused(gradcheck):
    gradcheck(loss, shapeless, W)

@settings(max_examples=1, phases=[Phase.generate], deadline=None)
@given(params_like(W, scales=(1.0,)))
def test_drawn(gradcheck, params):
    gradcheck(loss, wrong, params, diagnosis=0)
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=4, passed=2)
    shown = result.stdout.str()
    name = "test_a_failure_is_the_report_and_nothing_else.py"
    for line in (
        f"{name}:34: the gradient is not shown to be right\n\ndisagree   proven wrong   9 entries",
        "should be -0.757841702278 (certified)",
        "mistake: an activation's derivative is missing, doubled or taken at the wrong point",
        f"repair: {name}:18: `2 * h * (1 - h)` should be",
        f"{name}:40: grad returned shape (3, 2) for params['a'], wanted (2, 3)",
        "test_drawn(\n    gradcheck=",
    ):
        assert line in shown
    result.stdout.no_fnmatch_line("*gradlab/gradients*")
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*raise WrongGradient*")


def test_the_whole_traceback_is_there_when_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(WRONG + "def test_one(gradcheck):\n    gradcheck(loss, wrong, W, diagnosis=0)\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--full-trace")
    result.stdout.fnmatch_lines(["*raise WrongGradient*"])
