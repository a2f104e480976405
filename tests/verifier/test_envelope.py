r"""What a pass means: what a renderer shows is read or named, and nothing that proves nothing passes."""

import pytest

from gradlab.verifier import verify_text
from gradlab.verifier.document import read_latex, read_notebook
from gradlab.verifier.report import DocumentReport

FRONT = """---
sizes: {H: 4, O: 3}
symbols:
  x(t): 1 x H
  y(t): 1 x O
  W: H x H
  V: H x O
  h(-1): 1 x H
  u: 1 x H
  v: 1 x H
  z: scalar
---
"""
NETWORK = (
    FRONT
    + r"""
$$ n(t) := x(t) + h(t-1) W $$

$$ h(t) := \sigma(n(t)) $$

$$ L := \sum_t (h(t) V - y(t)) (h(t) V - y(t))^T $$

$$ \delta(t) := \frac{\partial L}{\partial n(t)} $$

$$ \gamma(t) := \frac{\partial L}{\partial h(t)} $$

"""
)
RIGHT = r"\delta(t) = \gamma(t) \odot h(t) \odot (1 - h(t))"
WRONG = r"\delta(t) = \gamma(t) \odot h(t) \odot (1 + h(t))"
NOTATIONS = {
    "bare align": "\\begin{align}\n%s\n\\end{align}",
    "brackets": "\\[ %s \\]",
    "double brackets": "\\\\[ %s \\\\]",
    "parentheses": "\\\\( %s \\\\)",
    "fence in a list": "10. item\n\n    ```math\n    %s\n    ```",
    "fence in a quote": "> ```math\n> %s\n> ```",
    "MyST": "```{math}\n%s\n```",
    "empty comment": "<!-->\n\n$$ %s $$\n\n<!-- end -->",
}


def judge(text: str) -> DocumentReport:
    return verify_text(NETWORK + text, repairs=False)


@pytest.mark.parametrize("name", NOTATIONS)
def test_what_a_renderer_shows_is_judged(name: str) -> None:
    assert judge(NOTATIONS[name] % RIGHT).verdict == "agree"
    assert judge(NOTATIONS[name] % WRONG).verdict == "disagree"


@pytest.mark.parametrize("sign", [r"\doteq", "≔", r"\coloneqq", "＝", "&#61;", r"\triangleq"])
def test_every_sign_that_says_equal_is_judged(sign: str) -> None:
    assert judge(f"$$ {RIGHT.replace('=', sign)} $$").verdict == "agree"
    assert judge(f"$$ {WRONG.replace('=', sign)} $$").verdict != "agree"


@pytest.mark.parametrize("sign", [r"\approx", r"\cong", r"\Leftrightarrow"])
def test_what_says_less_than_equal_is_no_pass_where_it_differs(sign: str) -> None:
    assert judge(f"$$ {RIGHT} $$ $$ {WRONG.replace('=', sign)} $$").verdict == "cannot tell"
    assert judge(f"$$ {RIGHT.replace('=', sign)} $$").verdict == "agree"


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (r"\gamma(4) = 2 (h(4) V - y(4)) V^T", "false"),  # 4 is the last of 5 steps, and not of 7
        (r"\mathbf{1}_H \mathbf{1}_H^T = 4", "false"),
        (r"\exp(99) + u = \exp(99) + v", "false"),
        (r"10^{64} + u = 10^{64} + v", "false"),
        (r"1 - \tanh(50)^2 = 0", "false"),
        (r"\frac{z}{z - z} = \frac{2 z}{z - z}", "cannot tell"),
        (r"\frac{\partial h(t)}{\partial n(t+1)} = u^T u - u^T u", "structural zero"),
        (r"\gamma(t-9) = \delta(t-9)", "tried nowhere"),
        (r"\delta(t) = \gamma(t) \odot h(t) W", "false"),
        (r"u \odot v W W = (u \odot v) W W", "false"),
    ],
)
def test_what_carries_no_claim_is_no_pass(claim: str, verdict: str) -> None:
    report = judge(f"$$ {RIGHT} $$ $$ {claim} $$")
    assert report.findings[-1].verdict == verdict, report.findings[-1].lines()
    assert report.verdict != "agree"


def test_mixed_products_are_read_as_they_are_set_and_the_other_reading_is_said() -> None:
    text = r"$$ \frac{\partial L}{\partial h(t)} = u \odot v $$ $$ n(t) \odot n(t) W = (n(t) \odot n(t)) W $$"
    finding = judge(text).findings[-1]
    assert finding.verdict == "false"
    assert "it is true if the ⊙ is taken before the product without a sign" in finding.message


def test_two_columns_are_two_equations() -> None:
    report = judge(rf"\begin{{align}} {RIGHT.replace('=', '&=')} & u &= v \end{{align}}")
    assert [finding.verdict for finding in report.findings[-2:]] == ["true", "false"]


def test_a_maximum_is_met_on_both_sides() -> None:
    text = "$$ D = \\lVert f - g \\rVert $$ $$ L = \\max(0, m - D)^2 $$ "
    text += "$$ \\frac{\\partial L}{\\partial D} = %s 2 \\max(0, m - D) $$"
    front = "---\nsymbols: {m: scalar}\n---\n"
    assert verify_text(front + text % "-", repairs=False).findings[-1].verdict == "true"
    assert verify_text(front + text % "", repairs=False).findings[-1].verdict == "false"


def test_an_undefined_loss_is_open_and_never_false() -> None:
    text = "$$ z = W x $$ $$ a = \\tanh(z) $$ $$ \\frac{\\partial L}{\\partial a} = a - y $$"
    finding = verify_text(text, repairs=False).findings[-1]
    assert finding.verdict == "open"
    assert "define L" in finding.message


def test_the_immediate_derivative_is_asked_for() -> None:
    text = "$$ h_t = W h_{t-1} + b $$ $$ \\frac{\\partial h_t}{\\partial b} = I $$"
    finding = verify_text(text, repairs=False).findings[-1]
    assert finding.verdict == "true if"
    assert "false for the total derivative, true for the immediate one: which do you mean?" in finding.message


def test_a_second_meaning_opens_a_scope() -> None:
    text = "$$ a = \\tanh(x) $$ $$ \\frac{\\partial a}{\\partial x} = \\operatorname{diag}(1 - a^2) $$ "
    text += "$$ a = \\sigma(x) $$ %s"
    right = "$$ \\frac{\\partial a}{\\partial x} = \\operatorname{diag}(a \\odot (1 - a)) $$"
    report = verify_text(text % right, repairs=False)
    assert [finding.verdict for finding in report.findings] == ["true"] * 4
    wrong = right.replace("a \\odot (1 - a)", "1 - a^2")
    assert verify_text(text % wrong, repairs=False).findings[-1].verdict == "false"


def test_latex_files_are_read_with_their_macros_and_without_their_comments() -> None:
    text = r"""
\newcommand{\grad}[2]{\frac{\partial #1}{\partial #2}}
\begin{document}
% $a = 2 a$
Let $z = W x$. \begin{equation} \grad{z}{x} = W % not its transpose
\end{equation} \input{other}
\end{document}
"""
    document = read_latex(text)
    assert [span.text.strip()[:20] for span in document.spans] == ["z = W x", r"\begin{equation} \gr"]
    assert str(document.spans[1].place) == "<latex>:5:16"
    assert [problem.message for problem in document.problems] == [
        r"\input{other} is not followed: verify that file too"
    ]


def test_derivation_cells_of_a_notebook_are_read() -> None:
    cell = '{"cell_type": "code", "source": ["%%derivation hint\\n", "and $x = 1$"]}'
    document = read_notebook(f'{{"cells": [{cell}]}}')
    assert [str(span.place) for span in document.spans] == ["<notebook>:cell 1:2:6"]


def test_control_characters_never_reach_a_terminal() -> None:
    report = judge("$$ \\text{\x1b[31mRED} = z $$")
    assert "\x1b" not in report.text(every=True)
