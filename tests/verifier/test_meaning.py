"""What each construct of the language means, told by claims that hold only if it does."""

import pytest

from gradlab.verifier import verify_text
from gradlab.verifier.report import Finding

FRONT = r"""---
sizes: {I: 2, H: 4, O: 3}
symbols:
  x(t): 1 x I
  W: I x H
  U: H x H
  V: H x O
  v: H x 1
  h(-1): 1 x H
  r: scalar
aliases: {X: x}
---
$$ n(t) := x(t) W + h(t-1) U $$
$$ h(t) := \sigma(n(t)) $$
$$ p(t) := h(t-1) $$
$$ o(t) := h(t) V $$
$$ l(t) := \frac12 \lVert o(t) \rVert^2 $$
$$ L := \sum_t l(t) $$
$$ c := U v $$
$$ \delta(t) := \frac{\partial L}{\partial n(t)} $$
$$ f(z) := \tanh(z) $$
"""


def judge(equation: str, front: str = FRONT) -> Finding:
    found = verify_text(f"{front}\n$$ {equation} $$", repairs=False)
    return found.findings[-1]


TRUE = [
    r"x(t) W = \left( W^T x(t)^\top \right)^{T}",
    r"2 \times \frac{1}{2} \cdot n(t) = n(t)",
    r"n(t) \odot n(t) = n(t)^{\odot 2} = n(t) \circ n(t)",
    r"-n(t) + n(t) = 0",
    r"r n(t) - n(t) = (r - 1) n(t)",
    r"1 - h(t) = \mathbf{1} - h(t) = \mathbf{1}_H - h(t)",
    r"h(t) \mathbf{1}_H^T = \mathbf{1}_{H} h(t)^T",
    r"h(t) \operatorname{diag}(h(t)) = h(t)^{\odot 2}",
    r"\lVert o(t) \rVert^2 = o(t) o(t)^T",
    r"r^2 = r r",
    r"r^{-1} = \frac{1}{r}",
    r"\exp(\log(r^2)) = r^2",
    r"\sigma'(n(t)) = \sigma(n(t)) \odot (1 - \sigma(n(t)))",
    r"\tanh'(n(t)) = 1 - \tanh(n(t))^{\odot 2}",
    r"f(n(t)) = \tanh(n(t))",
    r"f(n(t))^T = \tanh(n(t)^T)",
    r"\mathbf{U}^T = U^T",
    r"\mathrm{n}(t) = n(t)",
    r"p(t) = h(t-1)",
    r"X(t) W = x(t) W",
    r"v^T (v + v) = 2 v^T v",
    r"\sum_{k=t+1}^{T-1} n(k) = \sum_{k>t} n(k)",
    r"\sum_{k=0}^{t} n(k) = \sum_{k \le t} n(k) = n(t) + \sum_{k<t} n(k)",
    r"\sum_t 2 n(t) = 2 \sum_{k \ge 0} n(k)",
    r"\frac{\partial L}{\partial l(t)} = 1",
    r"\frac{\partial}{\partial n(t)} l(t) = \frac{\partial l(t)}{\partial n(t)}",
    r"\frac{\partial (r^2 + r)}{\partial r} = 2 r + 1",
    r"\frac{\partial c}{\partial v} = U",
    r"\frac{\partial (c^T c)}{\partial v} = 2 U^T c = (\frac{\partial (c^T c)}{\partial c}^T U)^T",
    r"\frac{\partial (c^T c)}{\partial v} = \frac{\partial (c^T c)}{\partial c} \frac{\partial c}{\partial v}",
    r"\frac{\partial o(t)}{\partial h(t)} = V^T",
    r"\frac{\partial n(t+1)}{\partial h(t)} = U^T",
    r"\frac{\partial n(t)}{\partial n(t)} = \operatorname{diag}(\mathbf{1}_H)",
    r"\frac{\partial L}{\partial n(T)} = 0",
    r"\frac{\partial L}{\partial n(t+1)} = \delta(t+1)",
    r"\frac{\partial l(t)}{\partial n(t+1)} = 0",
    r"\delta(t) = \frac{\partial L}{\partial h(t)} \frac{\partial h(t)}{\partial n(t)}",
    r"\frac{\partial L}{\partial W} = \sum_t \frac{\partial L}{\partial W(t)}",
    r"\frac{\partial L}{\partial W(t)} = x(t)^T \delta(t)",
    r"\frac{\partial L}{\partial U} = \sum_t \delta(t) \frac{\partial^+ n(t)}{\partial U}",
    r"\frac{\partial^{+} n(t)}{\partial h(t-1)} = U^T",
    r"\frac{\partial^+ n(t)}{\partial n(t-2)} = 0",
    r"\frac{\partial n(t)}{\partial U} = \frac{\partial^+ n(t)}{\partial U} + \frac{\partial h(t-1)}{\partial U} U",
    r"\frac{\partial h(t)}{\partial U} = \operatorname{diag}(\sigma'(n(t))) \frac{\partial n(t)}{\partial U}",
    r"\frac{\partial L}{\partial h(-1)} = \delta(0) U^T",
    r"\frac{\partial p(t+1)}{\partial h(t)} = \operatorname{diag}(\mathbf{1}_H)",
    r"[h(t) + p(t)] \, U = \bigl( h(t) U \bigr) + p(t) \; U",
]


@pytest.mark.parametrize("equation", TRUE)
def test_holds(equation: str) -> None:
    found = judge(equation)
    assert found.verdict == "true", found.lines()


FALSE = [
    r"n(t) = 1.0001 n(t)",
    r"n(t) = n(t) + 0.0000000000000000000000000001 h(t)",
    r"h(t) U = h(t) U^T",
    r"\sigma'(n(t)) = h(t) \odot (1 + h(t))",
    r"\frac{\partial n(t+1)}{\partial h(t)} = U",
    r"\frac{\partial L}{\partial U} = \sum_t \delta(t) \frac{\partial n(t)}{\partial U}",
    r"\frac{\partial L}{\partial p(t)} = \frac{\partial L}{\partial h(t-1)}",
    r"\frac{\partial L}{\partial n(t)} = \frac{\partial l(t)}{\partial n(t)}",
    r"\delta(T) = 1",
    r"\sum_{k>t} n(k) = \sum_{k \ge t} n(k)",
]


@pytest.mark.parametrize("equation", FALSE)
def test_fails(equation: str) -> None:
    assert judge(equation).verdict == "false"


@pytest.mark.parametrize(
    ("equation", "verdict", "message"),
    [
        ("n(t) = m(t)", "undefined", "undefined symbol m"),
        (r"\delta_{x}(t) = 0", "undefined", r"undefined symbol \delta_{x}; the nearest known symbol is \delta"),
        ("n = 0", "undefined", "n is indexed in time: write n(t)"),
        ("U(t) = 0", "undefined", "U is not indexed in time"),
        ("n(t+k) = 0", "undefined", "n is indexed in time: write n(t)"),
        ("f(t) = 0", "undefined", "undefined symbol t"),
        ("f = 0", "undefined", "f is a function: write f(z)"),
        (r"\frac{\partial \delta(t)}{\partial n(t)} = 0", "undefined", "the derivative of a derivative has no meaning"),
        (
            r"\frac{\partial L}{\partial \delta(t)} = 0",
            "undefined",
            "no derivative by \\delta: it is no part of the forward",
        ),
        (r"\frac{\partial L}{\partial (n(t) + 1)} = 0", "syntax", "below ∂ stands no symbol"),
        (r"\frac{\partial^+ L}{\partial U} = 0", "undefined", "needs something at a time above ∂"),
        (r"\mathbf{1}_Q = 1", "undefined", "no size is called Q; there are I, H, O"),
        (r"n(t)^{99} = 0", "syntax", "the exponent 99: wanted a whole number up to 64"),
        (r"\frac{n(t)}{0} = 0", "syntax", "a division by 0"),
        (r"\sum_{t=1}^T n(t) = 0", "undefined", "steps run from 0 to T-1"),
        (r"\sum_{k=0}^{n(t)} n(k) = 0", "syntax", "this limit of a sum is no time"),
        (r"\sum_{k=0}^{999} r = 0", "syntax", "a sum of 1,000 terms: at most 100"),
        (r"\sum_U n(0) = 0", "syntax", "U cannot be summed over"),
        (r"n(t) n(t) = 0", "shape", r"matrix product of 1×4 and 1×4 does not conform; \odot would"),
        (r"n(t) \odot x(t) = 0", "shape", "elementwise product of 1×4 and 1×2 does not conform"),
        (r"n(t) \odot U = 0", "shape", "elementwise product of 1×4 and 4×4 does not conform; the matrix product would"),
        (r"n(t) + l(t) = 0", "shape", "sum of 1×4 and 1×1: wanted one shape"),
        (r"n(t)^2 = 0", "shape", r"the power 2 of 1×4: ^{\odot 2} is elementwise"),
        (r"n(t) = n(t)^T", "shape", "the left side is 1×4, the right side 4×1"),
        (r"l(t) = U", "shape", "the left side is 1×1, the right side 4×4"),
        (r"\frac{1}{n(t)} = 0", "shape", "a quotient of a number by 1×4: wanted a scalar below the line"),
        (r"\operatorname{diag}(U) = 0", "shape", "diag of 4×4: wanted a row or a column"),
        (r"\mathbf{1} U = 0", "shape", r"the size of \mathbf{1} in a product is open"),
        (r"\frac{\partial n(t)}{\partial U}^T = 0", "shape", "a transpose of a tensor (1×4 by 4×4)"),
        (r"\frac{\partial c}{\partial h(-1)} = 0", "shape", "the derivative of 4×1 by 1×4"),
        (r"n := 3", "syntax", "n is already defined: one symbol means one thing"),
        (r"U := 3", "syntax", "U is already declared"),
        (r"q := n(t)", "undefined", "q depends on t: write q(t) on the left side"),
        (r"q(t+1) := n(t)", "syntax", "a definition holds at every t: write q(t)"),
        (r"q(t) := q(t-1)", "undefined", "undefined symbol q"),
        (r"q + 1 := n(t)", "syntax", "the left side of := is no symbol"),
        (r"T := 3", "syntax", "T is the time and cannot be defined"),
        (r"g(z) := U z", "undefined", "a function of its argument alone: U cannot stand in it"),
        (r"r = 1 := 2", "syntax", ":= stands only after the first side"),
        (r"q := ?", "syntax", "a definition of `?`"),
        (r"a \foo b = 1", "undefined", r"undefined symbol a"),
        ("(" * 1500 + "r" + ")" * 1500 + "= r", "syntax", "nested too deeply"),
    ],
)
def test_what_has_no_meaning_is_told(equation: str, verdict: str, message: str) -> None:
    found = judge(equation)
    assert (found.verdict, message in found.message) == (verdict, True), found.lines()


@pytest.mark.parametrize(
    ("equation", "verdict", "message"),
    [
        (r"\frac{\partial L}{\partial v} = 0", "true", ""),
        (r"\frac{\partial L}{\partial v} = \frac{\partial l(t)}{\partial v}", "structural zero", "zero everywhere"),
        (r"n(t-9) = x(t) W", "tried nowhere", "no step at which both sides exist"),
        (r"\log(-r^2) = \log(-r^2 + 0)", "cannot tell", "not finite"),
        (r"n(t) = n(t)", "true", "the same formula"),
    ],
)
def test_cannot_tell_is_said_and_never_a_pass(equation: str, verdict: str, message: str) -> None:
    found = judge(equation)
    assert (found.verdict, message in found.message) == (verdict, True), found.lines()
    assert found.ok == (verdict == "true")


def test_definitions_may_look_back_but_not_sideways() -> None:
    front = "---\nsizes: {H: 4}\nsymbols:\n  h(-1): 1 x H\n---\n"
    assert "h(t) is not defined yet" in judge("n(t) := h(t)", front).message
    assert "declared before step 0 only and never defined" in judge("h(t-1) = 2 h(t-2)", front).message
    looping = front + "$$ n(t) := 2 h(t-1) $$\n$$ h(t) := n(t) + h(t-1) $$\n$$ m(t) := n(t) $$"
    assert judge("m(t) = 2 h(t-1)", looping).verdict == "true"


def test_default_time_reads_bare_names() -> None:
    front = FRONT.replace("aliases:", "default_time: t\naliases:")
    for equation in (
        r"n = x W + p U",
        r"\sigma(n)(t) = h",
        r"h_{(t-1)} = p",
        r"\frac{\partial L}{\partial n} = \delta",
    ):
        assert judge(equation, front).verdict == "true", equation
    assert judge(r"q := x W", front).verdict == "true"


def test_a_claim_that_a_derivative_cannot_poison() -> None:
    wrong_then_right = FRONT + "$$ \\delta(t) = 2 n(t) $$"
    assert judge(r"\delta(t) = \frac{\partial L}{\partial n(t)}", wrong_then_right).verdict == "true"
