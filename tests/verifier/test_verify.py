"""Counts, expectations, exit status, and what the report says."""

import json
from pathlib import Path

import pytest

from gradlab.verifier import verify, verify_paths, verify_text

FRONT = "---\nsizes: {I: 2, H: 4}\nsymbols:\n  x(t): 1 x I\n  W: I x H\n  h(-1): 1 x H\n---\n"
NETWORK = FRONT + "$$ n(t) := x(t) W $$\n$$ h(t) := \\sigma(n(t) + h(t-1)) \\tag{c.h} $$\n"


SLOPE = "\n\n$$ \\frac{\\partial h(t)}{\\partial n(t)} = \\operatorname{diag}(h(t) \\odot (1 - h(t))) $$"


def test_every_relation_is_counted() -> None:
    lines = [
        "$n(t) = x(t) W = 2 n(t)$ <!-- expect: true, false -->",
        "$n(t) = ?$ and $n(t)$ and $t \\ge 0$ <!-- unchecked: a range -->",
        "$n(t) = n(t) n(t)$ <!-- expect: shape -->",
        "$n(t) = q(t)$ <!-- expect: undefined -->",
        "$n(t) = ($ <!-- expect: syntax -->",
    ]
    text = "\n\n".join([NETWORK, *lines, SLOPE])
    report = verify_text(text)
    assert report.ok, str(report)
    assert report.counts == {
        "definitions": 2,
        "true": 2,
        "false": 1,
        "shape": 1,
        "cannot tell": 0,
        "true if": 0,
        "open": 0,
        "structural zero": 0,
        "tried nowhere": 0,
        "not about derivatives": 0,
        "unreadable": 2,
        "goals": 1,
        "unchecked": 1,
        "expectations met": 5,
        "skipped steps": 0,
        "mentions": 1,
    }
    assert "2 definitions, 4 claims: 2 true, 1 false, 1 of the wrong shape, 0 cannot tell" in str(report)


@pytest.mark.parametrize(
    ("text", "verdict", "status"),
    [
        ("", "cannot tell", 3),
        ("$n(t) = x(t) W$", "cannot tell", 3),
        (SLOPE, "agree", 0),
        (SLOPE + " $n(t) = ?$", "agree", 0),
        ("$\\frac{\\partial n(t)}{\\partial h(t-1)} = 0$", "cannot tell", 3),
        ("$\\frac{\\partial n(t)}{\\partial W} = \\frac{\\partial n(t)}{\\partial W}$", "cannot tell", 3),
        ("$n(t) = 2 n(t)$", "disagree", 1),
        ("$n(t) = n(t)^T$", "disagree", 1),
        ("$n(t) = x(t) W$ <!-- expect: false -->", "disagree", 1),
        ("$n(t) = 2 n(t)$ <!-- expect: shape -->", "disagree", 1),
        ("$n(t) = 2 n(t)$ <!-- expect: false for t <= T-3 -->", "disagree", 1),
        ("$n(t) = 2 n(t)$ <!-- expect: false for t <= T-1 -->" + SLOPE, "agree", 0),
        ("$n(t) = 2 n(t)$ <!-- expect: false for t >= 0 -->" + SLOPE, "agree", 0),
        ("$n(t) = q(t)$", "unreadable", 2),
        ("$n(t) = ($", "unreadable", 2),
        ("$n(t) \\approx 0$", "cannot tell", 3),
        ("$n(t) \\approx 0$" + SLOPE, "agree", 0),
        ("$n(t) = 2 n(t)$ and $n(t) = ($", "disagree", 1),
        ("$n(t-9) = x(t-9) W$", "cannot tell", 3),
    ],
)
def test_exit_status(text: str, verdict: str, status: int) -> None:
    report = verify_text(NETWORK + text, repairs=False)
    assert (report.verdict, report.exit_status) == (verdict, status), str(report)


def test_documents_without_an_equation_are_no_pass(tmp_path: Path) -> None:
    words, equation = tmp_path / "words.md", tmp_path / "equation.md"
    words.write_text("# Only words\n")
    equation.write_text(NETWORK + SLOPE)
    found = verify_paths([words])
    assert (found.verdict, found.exit_status) == ("cannot tell", 3)
    assert str(found).endswith("1 document: cannot tell, no equation was found")
    assert verify_paths([equation]).verdict == "agree"
    both = verify_paths([words, equation])
    assert both.verdict == both.to_json()["documents"][0]["verdict"] == "cannot tell"


@pytest.mark.parametrize(
    "aside", ["$n(t) = ?$", "$n(t) = 2 n(t)$ <!-- expect: false -->", "$n(t) = 1$ <!-- unchecked: a wish -->"]
)
def test_strictly_nothing_is_set_aside(aside: str) -> None:
    text = f"{NETWORK}{SLOPE}\n\n{aside}"
    assert verify_text(text).ok
    strict = verify_text(text, strict=True)
    assert (strict.verdict, strict.exit_status) == ("cannot tell", 3)
    assert "strict: 1 " in str(strict)
    assert verify_text(NETWORK + SLOPE, strict=True).ok


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("expect: flase", "`expect: flase` cannot be read: wanted true, false, shape"),
        ("expect: true, false", "`expect` announces 2 verdicts for 1 links"),
        ("expect: shape for t <= 2", "cannot be read"),
        ("expect", "`expect: ` cannot be read"),
        ("unchecked", "`unchecked:` gives no reason"),
    ],
)
def test_a_comment_that_cannot_be_read_is_told(comment: str, message: str) -> None:
    report = verify_text(NETWORK + f"$n(t) = 2 n(t)$ <!-- {comment} -->", repairs=False)
    assert not report.ok
    assert message in str(report)


def test_an_unmet_expectation_says_what_was_announced() -> None:
    text = str(verify_text(NETWORK + "$n(t) = x(t) W$ <!-- expect: false for t <= T-3 -->"))
    assert "<text>:10:2: TRUE  true to 30 digits; the document announces false at t = 0, 1, 2" in text


def test_a_finding_has_its_place_its_label_and_both_sides() -> None:
    text = verify_text(NETWORK + "see\n$$ h(t) = h(t-1) \\tag{c.same} $$").text()
    lines = text.splitlines()
    assert lines[0] == "<text>:11:4: FALSE  c.same   proven false for every t of 0..4"
    assert lines[1].startswith("    left   = [")
    assert lines[1].endswith("]  at t=0")
    assert lines[2].startswith("    right  = [")


def test_a_label_stands_once() -> None:
    report = verify_text(NETWORK + "$$ h(t) = h(t) \\tag{c.h} $$")
    assert report.exit_status == 2
    assert "the label c.h stands twice: first at <text>:9:4" in str(report)


def test_the_json_is_plain_data(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text(NETWORK + "$$ h(t) = 2 h(t) $$", encoding="utf-8")
    (tmp_path / "a.ipynb").write_text(
        json.dumps({"cells": [{"cell_type": "markdown", "source": NETWORK}]}), encoding="utf-8"
    )
    (tmp_path / "c.txt").write_text("$x=$", encoding="utf-8")
    found = verify_paths([tmp_path])
    data = json.loads(found.dumps())
    assert [Path(document["name"]).name for document in data["documents"]] == ["a.ipynb", "b.md"]
    assert (data["verdict"], data["ok"], found.exit_status) == ("disagree", False, 1)
    last = data["documents"][1]["findings"][-1]
    assert {key: last[key] for key in ("line", "column", "kind", "verdict", "false_steps", "shapes")} == {
        "line": 10,
        "column": 4,
        "kind": "claim",
        "verdict": "false",
        "false_steps": [0, 1, 2, 3, 4],
        "shapes": ["1×4", "1×4"],
    }
    assert last["repair"]["changes"]
    assert data["documents"][0]["findings"][0]["cell"] == 1


def test_the_notebook_shows_each_equation_with_its_mark() -> None:
    shown = verify_text(NETWORK + "$h(t) = 2 h(t)$ <!-- expect: false --> $h(t) = 3 h(t)$")._repr_markdown_()
    assert "| ✓ | $n(t) := x(t) W$ |" in shown
    assert "| ✓ wrong, as announced | $h(t) = 2 h(t)$ |" in shown
    assert "| ✗ | $h(t) = 3 h(t)$ |" in shown


def test_paths_that_are_not_there_are_told() -> None:
    report = verify("nowhere.md")
    assert report.exit_status == 2
    assert str(report).startswith("nowhere.md:1:1: SYNTAX  the file cannot be opened")


RNN = (Path(__file__).parents[2] / "derivations" / "rnn.md").read_text(encoding="utf-8")
FRONT_OF_RNN = """---
sizes: {I: 2, H: 4, O: 3}
steps: 5
symbols:
  x(t): 1 x I
  y(t): 1 x O
  W_{input}: I x H
  W_{hidden}: H x H
  W_{output}: H x O
  a_{hidden}(-1): 1 x H
  z: scalar
cell: rnn
---
"""
BOUND = FRONT_OF_RNN + RNN.split("---\n", 2)[2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  W_{output}: H x O\n", "", "the cell rnn needs the weight W_output: declare it under `symbols:`"),
        ("  a_{hidden}(-1): 1 x H\n", "", "the cell rnn needs the state a(-1): declare it under `symbols:`"),
        ("  y(t): 1 x O\n", "", "the cell rnn needs the sequence y(t): declare it under `symbols:`"),
        ("W_{input}: I x H", "W_{input}: H x I", "the cell rnn cannot run on the declared shapes"),
        (
            r"\sigma(net_{output}(t)) \tag",
            r"\tanh(net_{output}(t)) \tag",
            "not what the code's forward gives for y_hat",
        ),
        (r":= \frac{1}{2} (", r":= (", "not what the code's forward gives for l"),
        (r"net_{output}(t)", r"o(t)", "the cell rnn computes net_output, which the document does not define"),
    ],
)
def test_the_document_cannot_define_one_network_and_the_code_another(old: str, new: str, message: str) -> None:
    assert old in BOUND
    report = verify_text(BOUND.replace(old, new), repairs=False)
    assert not report.ok
    assert message in str(report)
