import pytest

from gradlab.verifier.parser import Equation, equations, has_relation, parse
from gradlab.verifier.shapes import Trouble


def texts(text: str) -> list[str]:
    return [" ".join(equation.text.split()) for equation in equations(text, 0)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a = b", ["a = b"]),
        (r"\begin{align} a &= b \\ &= c \end{align}", ["a = b = c"]),
        (r"\begin{align*} a &= b \\[2pt] c &= d \end{align*}", ["a = b", "c = d"]),
        (r"\begin{split} a = b \\ + c \\ \odot d \end{split}", [r"a = b + c \odot d"]),
        (r"\begin{gather} a = \\ b \end{gather}", ["a = b"]),
        (r"\begin{aligned} a &= b \\ &\quad - c \end{aligned}", [r"a = b \quad - c"]),
        (r"a = b \tag{x.y}.", ["a = b"]),
        (r"a \\ \\ b = c", ["a", "b = c"]),
        ("", []),
    ],
)
def test_splits_a_span_into_equations(text: str, wanted: list[str]) -> None:
    assert texts(text) == wanted


def test_keeps_places_and_tags() -> None:
    found = equations(r"\begin{align} a &= b \tag{one} \\ c &= d \tag{two\_x} \end{align}", 100)
    assert [(equation.label, equation.start) for equation in found] == [("one", 114), ("two_x", 134)]


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (r"x \begin{align} a", 2, r"\\begin{align} is not closed"),
        (r"a \end{align}", 2, r"closes no \\begin{align}"),
        (r"\begin{matrix} a", 0, "unknown environment matrix: wanted one of align"),
        ("a & b", 2, "& outside an environment"),
        ("= b", 0, "none above it to continue"),
    ],
)
def test_refuses_broken_layout(text: str, at: int, message: str) -> None:
    with pytest.raises(Trouble, match=message) as caught:
        equations(text, 0)
    assert caught.value.at == at


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("a = (b", 6, r"the equation ends: wanted .*`\)`"),
        ("a = b)", 5, r"unexpected `\)`: wanted .*an operator"),
        ("a = ", 3, "the equation ends: wanted `[?]`, a term|the equation ends: wanted a term"),
        (r"a = \foo b", 4, r"unknown command \\foo: wanted .*a term"),
        ("a = é", 4, "unexpected character 'é': wanted"),
        (r"\frac{\partial l}{x} = 1", 18, r"unexpected `x`: wanted `\\partial`"),
        ("a = b^T^", 8, "the equation ends: wanted"),
        (r"\sum_{k~t} a", 8, "unexpected `t`: wanted .*a range"),
        ("a = 1 = = 2", 8, "unexpected `=`: wanted"),
        ("x" * 5000, 0, "at most 4,000 are read"),
    ],
)
def test_a_syntax_error_says_where_and_what_was_wanted(text: str, at: int, message: str) -> None:
    with pytest.raises(Trouble, match=message) as caught:
        parse(Equation(text, 0))
    assert (caught.value.at, caught.value.kind) == (at, "syntax")


@pytest.mark.parametrize("text", ["a = b", "a := b", r"a \approx b", "a < b", r"t \in A", "a → b"])
def test_relations_are_seen(text: str) -> None:
    assert has_relation(text)


@pytest.mark.parametrize("text", ["a", r"W_{output}", r"\delta(t+1)", r"\infty", r"\int"])
def test_mentions_relate_nothing(text: str) -> None:
    assert not has_relation(text)
