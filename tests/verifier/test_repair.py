"""The seed's mistakes and the commonest ones of the catalogue, each found, named, and verified before it is shown."""

from pathlib import Path

import pytest

from gradlab.verifier import verify_text
from gradlab.verifier.report import Finding

RNN = Path(__file__).parents[2] / "derivations" / "rnn.md"
HEAD = RNN.read_text(encoding="utf-8").split("## The slope of")[0] + "\n".join(
    rf"$$ \delta_{{{name}}}(t) := {body} $$"
    for name, body in {
        "output": r"\frac{\partial L}{\partial net_{output}(t)}",
        "hidden": r"\frac{\partial L}{\partial net_{hidden}(t)}",
        "explicit": r"\frac{\partial l(t)}{\partial net_{hidden}(t)}",
        "implicit": r"\sum_{k>t} \frac{\partial l(k)}{\partial net_{hidden}(t)}",
    }.items()
)


def judge(claim: str) -> Finding:
    return verify_text(f"{HEAD}\n$$ {claim} $$").findings[-1]


SLOPE = r"a_{hidden}(t) \odot (1 - a_{hidden}(t))"
BACK = r"\delta_{implicit}(t) = (\delta_{hidden}(t+1) W_{hidden}^T) \odot " + SLOPE

CASES = {
    "explicit": (BACK.replace("hidden}(t+1)", "explicit}(t+1)"), "a recursion is missing", r"\delta_{hidden}(t+1)"),
    "times": (BACK.replace(r"\odot a", r"\times a"), "× should be ⊙", r"\odot"),
    "transpose": (BACK.replace("^T", ""), "a transpose is missing", "W_{hidden}^T"),
    "time": (BACK.replace("(t+1)", "(t)"), "a time is wrong", "(t+1)"),
    "sign": (BACK.replace("= (", "= -("), "a sign is wrong", "becomes"),
    "half": (BACK.replace("= (", "= 2 ("), "a factor is wrong", "becomes"),
    "slope": (BACK.replace("1 - a_{hidden}", "1 - net_{hidden}"), "another operand belongs here", "a_{hidden}(t)"),
    "order": (
        r"\frac{\partial L}{\partial W_{hidden}} = \sum_t \delta_{hidden}(t) a_{hidden}(t-1)^T",
        "the factors are in the wrong order",
        r"a_{hidden}(t-1)^T \delta_{hidden}(t)",
    ),
    "weight": (
        BACK.replace("W_{hidden}", "W_{output}"),
        "another weight belongs here",
        "W_{hidden}",
    ),
    "loss": (
        r"\delta_{hidden}(t) = \delta_{explicit}(t) + \frac{\partial l(t+1)}{\partial net_{hidden}(t)}",
        "a recursion is missing",
        r"\sum_{k > t}",
    ),
    "sum": (
        r"\frac{\partial L}{\partial W_{output}} = a_{hidden}(t)^T \delta_{output}(t)",
        "the sum over time is missing",
        r"\sum_{t}",
    ),
    "two": (
        BACK.replace("^T", "").replace(r"\odot a", r"\times a"),
        "× should be ⊙ and a transpose is missing",
        "W_{hidden}^T",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_repairs(case: str) -> None:
    claim, kind, shown = CASES[case]
    finding = judge(claim)
    assert finding.verdict in ("false", "shape")
    assert finding.repair is not None
    assert set(finding.repair.kind.split(" and ")) == set(kind.split(" and "))
    assert shown in str(finding.repair)
    assert str(finding.repair).startswith("true if ")


@pytest.mark.parametrize("case", CASES)
def test_every_repair_shown_is_true(case: str) -> None:
    repair = judge(CASES[case][0]).repair
    assert repair is not None
    assert judge(repair.result).verdict == "true", repair.result


def test_no_repair_is_made_up() -> None:
    assert judge(r"\delta_{output}(t) = \exp(\hat{y}(t)) \odot \log(2)").repair is None


def test_the_student_sees_the_kind_and_the_teacher_the_repair() -> None:
    finding = judge(CASES["explicit"][0])
    plain, hint, reveal = finding.lines(), finding.lines(hint=True), finding.lines(reveal=True)
    assert "proven false for t = 0, 1, 2 of 0..4 (t <= T-3)" in plain[0]
    assert plain[0] + ": a recursion is missing" == hint[0]
    assert not any("true if" in line for line in plain + hint)
    assert reveal[-1] == r"    true if \delta_{explicit}(t+1) becomes \delta_{hidden}(t+1)"
