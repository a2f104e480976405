"""The proofs that two terms say the same must refuse what does not."""

from pathlib import Path

import pytest

from gradlab.verifier.document import read_text
from gradlab.verifier.edits import edits
from gradlab.verifier.normal import why_equal
from gradlab.verifier.reading import resolve
from gradlab.verifier.terms import latex

FRONT = (Path(__file__).parents[2] / "derivations" / "rnn.md").read_text(encoding="utf-8").split("## The slope of")[0]


def why(equation: str) -> str:
    derivation = resolve(read_text(f"{FRONT}\n$$ {equation} $$"))
    link = derivation.links[-1]
    return why_equal(link.left, link.right, derivation.scope)


@pytest.mark.parametrize(
    ("equation", "rule"),
    [
        (r"2 z \times 3 = 6 \odot z", "same algebra"),
        (r"(x(t) - x(0))^{\odot 2} = (x(0) - x(t))^{\odot 2}", "same algebra"),
        (
            r"\frac{\partial^+ l(t)}{\partial W_{output}} = \frac{\partial l(t)}{\partial W_{output}}",
            "no earlier",
        ),
        (r"\frac{\partial L}{\partial \hat{y}(t)} = \frac{\partial l(t)}{\partial \hat{y}(t)}", "own loss only"),
        (r"\frac{\partial l(t)}{\partial a_{hidden}(t+1)} = 0", "no node there"),
    ],
)
def test_proves(equation: str, rule: str) -> None:
    assert rule in why(equation)


@pytest.mark.parametrize(
    "equation",
    [
        r"2 z = 3 z",
        r"x(t) W_{input} = x(t+1) W_{input}",
        r"\frac{\partial^+ a_{hidden}(t)}{\partial W_{hidden}} = \frac{\partial a_{hidden}(t)}{\partial W_{hidden}}",
        r"\frac{\partial L}{\partial a_{hidden}(t)} = \frac{\partial l(t)}{\partial a_{hidden}(t)}",
        r"\frac{\partial l(t+1)}{\partial a_{hidden}(t)} = 0",
        r"\frac{\partial \hat{y}(t)}{\partial a_{hidden}(t)} = \frac{\partial net_{output}(t)}{\partial a_{hidden}(t)}",
    ],
)
def test_refuses(equation: str) -> None:
    assert why(equation) == ""


def test_the_edits_are_those_that_are_promised() -> None:
    derivation = resolve(
        read_text(FRONT + r"$$ l(t) = \frac12 (x(t) W_{input}) \odot a_{hidden}(t) - \sum_t \hat{y}(t)^T $$")
    )
    link = derivation.links[-1]
    shown = {(edit.kind, latex(edit.after)) for edit in edits(link.right, derivation.scope)}
    for kind, after in [
        ("⊙ or ×", r"\frac{1}{2} (x(t) W_{input}) \times a_{hidden}(t)"),
        ("order of factors", "W_{input} x(t)"),
        ("transpose", "W_{input}^T"),
        ("transpose", r"\hat{y}(t)"),
        ("time", "x(t+1)"),
        ("time", "a_{hidden}(t-1)"),
        ("another weight", "W_{hidden}"),
        ("another operand", "net_{hidden}(t)"),
        ("a number dropped", "x(t) W_{input}"),
        ("a sum dropped", r"\hat{y}(t)^T"),
    ]:
        assert (kind, after) in shown, (kind, after, shown)
