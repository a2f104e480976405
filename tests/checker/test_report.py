"""What a check found, as JSON, as text and as a page: the schema, and that nothing is left out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlab
from gradlab import Verdict
from gradlab.cells import Code, cell
from gradlab.checker.report import CellReport, Comparison, Report
from gradlab.checker.verdict import Tally
from gradlab.manual import rnn

LABELS = [quantity.label for quantity in cell("rnn").quantities.values()]
DERIVATIVES = [q.name for kind in ("delta", "grad") for q in cell("rnn").of_kind(kind)]
TALLY = {"agree", "disagree", "cannot_tell", "worst_in_bounds", "worst_ulps"}
DROPPED = ("multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]", "0 * slope[t]")


@pytest.fixture(scope="module")
def agreed() -> Report:
    return gradlab.check("rnn", examples=5, seed=3)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("wrong") / "mine.py"
    path.write_text(Path(rnn.__file__).read_text(encoding="utf-8").replace(*DROPPED), encoding="utf-8")
    return gradlab.check("rnn", code=path, examples=5, seed=3)


def test_the_schema_of_a_check(agreed: Report) -> None:
    found = agreed.to_json()
    assert set(found) == {
        "verdict",
        "examples",
        "seed",
        "seconds",
        "interrupted",
        "cells",
        "own_seed",
        "confined",
        "notes",
    }
    assert (found["verdict"], found["examples"], found["seed"]) == ("agree", 5, 3)
    assert found["seconds"] > 0 and set(found["cells"]) == {"rnn"}
    rnn = found["cells"]["rnn"]
    assert set(rnn) >= {"verdict", "quantities", "first_wrong", "counterexample", "diagnosis"}
    assert rnn["verdict"] == "agree"
    assert rnn["first_wrong"] is rnn["counterexample"] is rnn["diagnosis"] is None
    assert [f"rnn.{name}" for name in rnn["quantities"]] == LABELS


def test_the_schema_of_a_quantity(agreed: Report) -> None:
    for name, quantity in agreed.to_json()["cells"]["rnn"]["quantities"].items():
        assert quantity["verdict"] == "agree"
        asked = {"autodiff", "certified"} | ({"complex_step", "finite_difference"} if name in DERIVATIVES else set())
        assert set(quantity["oracles"]) == asked
        for tally in quantity["oracles"].values():
            assert set(tally) == TALLY
            assert {type(tally[key]) for key in ("agree", "disagree", "cannot_tell")} == {int}
            assert tally["agree"] > 0 and tally["disagree"] == 0
            assert 0 <= tally["worst_in_bounds"] <= 1 and tally["worst_ulps"] >= 0


def test_the_schema_of_what_is_wrong(wrong: Report) -> None:
    rnn = wrong.to_json()["cells"]["rnn"]
    assert wrong.to_json()["verdict"] == rnn["verdict"] == "disagree"
    assert rnn["first_wrong"]["label"] == "rnn.delta_implicit" and rnn["first_wrong"]["steps"] == [0]
    assert rnn["quantities"]["delta_implicit"]["verdict"] == "disagree"
    assert rnn["quantities"]["delta_explicit"]["verdict"] == "agree"
    for tally in rnn["quantities"]["delta_implicit"]["oracles"].values():
        assert tally["disagree"] > 0 and tally["worst_in_bounds"] > 1
    shrunk = rnn["counterexample"]
    assert shrunk["sizes"] == {"T": 2, "B": 1, "I": 1, "H": 1, "O": 1} and shrunk["dtype"] == "float64"
    assert set(shrunk["arrays"]) == {"x", "y", "W_input", "W_hidden", "W_output", "a_initial"}
    assert np.shape(shrunk["arrays"]["x"]) == (2, 1, 1)
    assert shrunk["index"] == [0, 0, 0] and shrunk["value"] != shrunk["wanted"]


def test_json_is_json(agreed: Report, wrong: Report) -> None:
    for report in (agreed, wrong):
        assert json.loads(json.dumps(report.to_json(), allow_nan=False)) == report.to_json()
    comparison = gradlab.compare()
    assert json.loads(json.dumps(comparison.to_json(), allow_nan=False)) == comparison.to_json()


def test_the_schema_of_a_comparison(problem: Any) -> None:
    given = problem()
    found = gradlab.compare("rnn", given).to_json()
    assert set(found) == {"cell", "verdict", "sizes", "dtype", "quantities", "first_wrong"}
    assert (found["cell"], found["verdict"], found["dtype"], found["sizes"]) == ("rnn", "agree", "float64", given.sizes)
    assert [f"rnn.{name}" for name in found["quantities"]] == LABELS
    assert np.shape(found["quantities"]["grad_W_input"]["value"]) == (2, 2)
    assert set(found["quantities"]["grad_W_input"]["oracles"]["certified"]) == TALLY


@pytest.mark.parametrize("form", [str, lambda shown: shown._repr_html_()], ids=["text", "html"])
def test_every_label_is_shown(form: Callable[[Any], str], agreed: Report, wrong: Report) -> None:
    for report in (agreed, wrong):
        shown = form(report)
        assert all(label in shown for label in LABELS)
        assert all(oracle in shown for oracle in ("autodiff", "certified", "complex step", "finite difference"))
    assert "agree" in form(agreed) and "disagree" not in form(agreed)


@pytest.mark.parametrize("form", [str, lambda shown: shown._repr_html_()], ids=["text", "html"])
def test_every_quantity_of_a_comparison_is_shown(form: Callable[[Any], str], problem: Any) -> None:
    shown = form(gradlab.compare("rnn", problem()))
    assert all(label.removeprefix("rnn.") in shown for label in LABELS) and "T=3" in shown


def test_a_page_is_one_block_with_its_text_escaped(edited: Callable[..., Path]) -> None:
    page = gradlab.check("rnn", code=edited(DROPPED, name="<b>&.py"), examples=1)._repr_html_()
    assert page.startswith("<pre") and page.rstrip().endswith("</pre>")
    assert "<b>" not in page and "&lt;b&gt;&amp;.py" in page


def test_text_is_plain_and_fits(agreed: Report, wrong: Report) -> None:
    for line in (str(agreed) + str(wrong)).splitlines():
        assert "\x1b" not in line and line == line.rstrip()
    assert max(len(line) for line in str(agreed).splitlines()) <= 100


def test_what_is_wrong_is_shown_where_and_with_both_values(wrong: Report) -> None:
    shown = str(wrong)
    assert "rnn.delta_implicit is first wrong at t = 0 of 0..1" in shown
    assert "the equation   delta_implicit[t] = multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]" in shown
    assert "at rnn.delta_implicit[0, 0, 0]   is 0, should be 0.0" in shown
    assert "T=2  B=1  I=1  H=1  O=1   float64" in shown
    assert all(f"    {name} = [[" in shown for name in ("x", "y", "W_input", "W_hidden", "W_output", "a_initial"))
    assert shown.splitlines()[-1].startswith("disagree   ")


def test_brackets_in_a_path_are_shown_as_they_are(edited: Callable[..., Path]) -> None:
    path = edited(name="[red]mine[0].py")
    assert "[red]mine[0].py" in str(gradlab.check("rnn", code=path, examples=1))


def test_a_report_on_nothing_cannot_tell() -> None:
    assert Report(5, 0).verdict is Verdict.CANNOT_TELL and not Report(5, 0).ok
    empty = CellReport(cell("rnn"), "here")
    assert empty.verdict is Verdict.CANNOT_TELL and empty.oracles == [] and empty.entries == 0
    assert empty.first_wrong is None and empty.to_json()["first_wrong"] is None
    shown = Report(5, 0)
    shown.cells["rnn"] = empty
    assert "cannot tell   0 problems" in str(shown)


def test_the_verdict_over_the_oracles() -> None:
    report = CellReport(cell("rnn"), "here")
    agree, wrong, nothing = Tally(agree=1, probed=1), Tally(disagree=1), Tally(cannot_tell=1)
    table = [
        ({"a": agree, "b": nothing}, Verdict.AGREE),
        ({"a": nothing, "b": nothing}, Verdict.CANNOT_TELL),
        ({"a": agree, "b": wrong}, Verdict.DISAGREE),
        ({"a": nothing, "b": wrong}, Verdict.DISAGREE),
    ]
    for tallies, wanted in table:
        report.quantities["y_hat"] = tallies
        assert report.verdict_of("y_hat") is report.verdict is wanted
    report.quantities["loss"] = {"a": agree}
    assert report.verdict is Verdict.DISAGREE
    report.quantities["y_hat"] = {"a": nothing}
    assert report.verdict is Verdict.CANNOT_TELL


def test_the_undecided_are_counted_and_explained(agreed: Report) -> None:
    report = agreed.cells["rnn"]
    open_ones = report.undecided("finite_difference")
    assert open_ones == sum(
        oracles["finite_difference"]["cannot_tell"]
        for oracles in (quantity["oracles"] for quantity in report.to_json()["quantities"].values())
        if "finite_difference" in oracles
    )
    assert f"finite difference cannot tell {open_ones:,} entries: below what float64 resolves." in str(agreed)
    assert f"{report.entries:,} entries judged." in str(agreed)


def test_a_quantity_that_is_not_probed_shows_a_question_mark(problem: Any) -> None:
    report = Report(1, 0)
    report.cells["rnn"] = CellReport(cell("rnn"), "here")
    report.cells["rnn"].add(gradlab.compare("rnn", problem(1)))
    line = next(line for line in str(report).splitlines() if line.startswith("rnn.delta_implicit"))
    assert line.split() == ["rnn.delta_implicit", "?", "?", "?", "?", "cannot", "tell"]


def test_digits_and_zeros_of_a_comparison(problem: Any) -> None:
    lines = str(gradlab.compare("rnn", problem(2))).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("delta_implicit"))
    first, last = lines[at].split(), lines[at + 1]
    assert first[1] == "0"
    assert all(6 <= float(digits) <= 17 for digits in first[3:7])
    assert last.split()[:2] == ["1", "0"] and last.count("0 = 0") == 4 and last.endswith("agree")


@pytest.mark.parametrize("seconds", [0.0004, 12.3456])
def test_seconds_are_rounded(seconds: float) -> None:
    assert Report(1, 0, seconds).to_json()["seconds"] == round(seconds, 3)
    assert math.isfinite(Report(1, 0, seconds).to_json()["seconds"])


def test_a_comparison_knows_its_label_without_a_proof(problem: Any) -> None:
    """Finite differences alone prove no equation wrong; the first quantity that disagrees is named."""
    comparison = gradlab.compare("rnn", problem(), oracles=["autodiff", "finite_difference"])
    assert isinstance(comparison, Comparison) and comparison.label is None
    code = comparison.cell.code
    gradient = Code._fields[2]
    doubled = code._replace(**{gradient: lambda *given: _doubled(getattr(code, gradient)(*given))})
    found = gradlab.compare("rnn", problem(), code=doubled, oracles=["finite_difference"])
    assert found.first_wrong is None and found.label == "rnn.grad_x"
    assert found.to_json()["first_wrong"]["label"] == "rnn.grad_x"
    assert "rnn.grad_x disagrees" in str(found)


def _doubled(grads: Any) -> Any:
    return grads._replace(x=2 * grads.x)
