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
