import pytest

from gradlab.verifier.parser import Node, parse
from gradlab.verifier.shapes import Trouble
from gradlab.verifier.statements import has_relation, statements
from gradlab.verifier.tokens import read


def shown(text: str, flat: bool = False) -> str:
    return show(parse(list(read(text, {}).tokens), frozenset(), flat))


def show(node: Node) -> str:
    match node.kind:
        case "name":
            return node.value[0]
        case "number":
            return str(node.value)
        case "scripts":
            marks, primes = node.value
            scripts = "".join(mark + "".join(token.text for token in tokens) for mark, tokens in marks)
            return f"{show(node.children[0])}{scripts}{chr(39) * primes}"
        case "mul":
            return f"({show(node.children[0])} {node.value or '·'} {show(node.children[1])})"
        case "fn" | "big":
            return f"{node.value[0]}[{', '.join(map(show, node.children))}]"
        case _:
            return f"{node.kind}[{', '.join(map(show, node.children))}]"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("W x + b", "add[(W · x), b]"),
        ("Wx - -b", "sub[(W · x), neg[b]]"),
        (r"\hat{y}_t", "y_hat_t"),
        (r"\mathbf{W}^\top \boldsymbol{\delta}_{t+1}", r"(W^\top · delta_t+1)"),
        (r"a \odot b W", "(a o (b · W))"),
        (r"a W \odot b", "((a · W) o b)"),
        (r"a \times b \odot c", "((a x b) o c)"),
        (r"\frac{\partial L}{\partial W}", "derivative[L, W]"),
        (r"\frac{dL}{dW^{(l)}}", "derivative[L, W^(l)]"),
        (r"\partial L/\partial W", "derivative[L, W]"),
        (r"\nabla_W L", "derivative[L, W]"),
        (r"\partial_W L", "derivative[L, W]"),
        (r"\frac{\partial}{\partial z} e^{z} y", "derivative[(e^z · y), z]"),
        (r"\sum_j W_{ij} x_j + b", "add[sum[(W_ij · x_j)], b]"),
        (r"\tanh^2(z) + \log x y", "add[tanh[z], (log[x] · y)]"),
        (r"f'(z) (a + b)", "(call[f', z] · group[add[a, b]])"),
        (r"[h, x]", "list[h, x]"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "matrix[row[a, b], row[c, d]]"),
        (r"\lVert y - t \rVert^2", "norm[sub[y, t]]^2"),
        (r"1/2 x", "(div[1, 2] · x)"),
        (r"\underbrace{W x}_{\text{net}} \, \color{red} ", "group[(W · x)]"),
        ("σ(z) ⊙ δ", "(call[sigma, z] o delta)"),
    ],
)
def test_reads(text: str, wanted: str) -> None:
    assert shown(text) == wanted


def test_reads_all_products_as_binding_equally_if_asked() -> None:
    assert shown(r"a \odot b W", flat=True) == "((a o b) · W)"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a = b", ["a=b"]),
        (r"\begin{align} a &= b \\ &= c \end{align}", ["a=b=c"]),
        (r"\begin{align*} a &= b \\[2pt] c &= d \end{align*}", ["a=b", "c=d"]),
        (r"\begin{align} a &= b & f &= g \\ &= c & &= h \end{align}", ["a=b=c", "f=g=h"]),
        (r"\begin{eqnarray} a &=& b \\ &=& c \end{eqnarray}", ["a=b=c"]),
        (r"\begin{split} a = b \\ + c \\ \odot d \end{split}", ["a=b+co d".replace(" ", "")]),
        (r"\begin{gather} a = \\ b \end{gather}", ["a=b"]),
        (r"\begin{aligned} a &= b \\ &\quad - c \end{aligned}", ["a=b-c"]),
        (r"a = b \tag{x.y}.", ["a=b"]),
        (r"a = b, \quad c = d", ["a=b", "c=d"]),
        (r"a = b \text{ and } c = d", ["a=b", "c=d"]),
        (r"x, y \in \mathbb{R}^d", ["x in", "y in"]),
        (r"a \coloneqq b", ["a:=b"]),
        (r"a ≔ b", ["a:=b"]),
        ("a &#61; b", ["a=b"]),
        ("a ＝ b", ["a=b"]),
        ("", []),
    ],
)
def test_splits_a_span_into_statements(text: str, wanted: list[str]) -> None:
    found = []
    for statement in statements(text, {}):
        sides = ["".join(token.text for token in side) for side in statement.sides]
        sides = [
            sides[0],
            *("" if sign == "in" else side for sign, side in zip(statement.signs, sides[1:], strict=True)),
        ]
        signs = [" in" if sign == "in" else sign for sign in statement.signs]
        found.append(sides[0] + "".join(sign + side for sign, side in zip(signs, sides[1:], strict=True)))
    assert found == wanted


def test_conditions_are_kept() -> None:
    (statement,) = statements(r"\delta_t = 0 \quad \text{for } t > T", {})
    assert [[token.text for token in condition] for condition in statement.conditions] == [["t", ">", "T"]]


def test_keeps_places_and_tags() -> None:
    found = statements(r"\begin{align} a &= b \tag{one} \\ c &= d \tag{two\_x} \end{align}", {})
    assert [(statement.label, statement.begin) for statement in found] == [("one", 14), ("two_x", 34)]


def test_macros_are_expanded_where_they_are_called() -> None:
    (statement,) = statements(r"\grad{L}{W} = \Vh", {"grad": (2, r"\frac{\partial #1}{\partial #2}"), "Vh": (0, "h")})
    assert show(parse(list(statement.sides[0]), frozenset())) == "derivative[L, W]"
    assert [(token.text, token.at) for token in statement.sides[1]] == [("h", 14)]
    with pytest.raises(Trouble, match="expand without end"):
        statements(r"\a = 1", {"a": (0, r"\a \a")})


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (r"x \begin{align} a", 2, r"\\begin{align} is not closed"),
        (r"a \end{align}", 2, r"closes no \\begin{align}"),
        (r"\begin{foo} a", 0, "unknown environment foo"),
        ("a & b", 2, "& outside an environment"),
        ("= b", 0, "none above it to continue"),
        ("a = = 2", 4, "unexpected `=`: wanted a term"),
    ],
)
def test_refuses_broken_layout(text: str, at: int, message: str) -> None:
    with pytest.raises(Trouble, match=message) as caught:
        statements(text, {})
    assert caught.value.at == at


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("(b", 2, r"the equation ends: wanted an operator, `\)`"),
        ("b)", 1, r"unexpected `\)`: wanted an operator"),
        (r"\frac{a}{", 8, r"`{` is not closed"),
        ("b^T^", 4, "the equation ends: wanted"),
        ("b +", 3, "the equation ends: wanted a term"),
        (r"\partial L + 1", 0, "∂ without what is differentiated by"),
        (r"\frac{\partial L}{\partial}", 0, "nothing stands below ∂"),
        ("9" * 50, 0, "a number of 50 digits: at most 40 are read"),
    ],
)
def test_a_syntax_error_says_where_and_what_was_wanted(text: str, at: int, message: str) -> None:
    with pytest.raises(Trouble, match=message) as caught:
        parse(list(read(text, {}).tokens), frozenset())
    assert (caught.value.at, caught.value.kind) == (at, "syntax")


@pytest.mark.parametrize("text", ["a = b", "a := b", r"a \approx b", "a < b", r"t \in A", "a → b"])
def test_relations_are_seen(text: str) -> None:
    assert has_relation(text, {})


@pytest.mark.parametrize("text", ["a", r"W_{output}", r"\delta(t+1)", r"\infty", r"\int"])
def test_mentions_relate_nothing(text: str) -> None:
    assert not has_relation(text, {})
