"""A fault of a diagnosis is one line in the report; the verdict, the text, the JSON and the test session stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlab
from gradlab.checker.verdict import Verdict
from gradlab.classroom import row
from gradlab.classroom.limits import Limits
from gradlab.classroom.single import check_file
from gradlab.faults import Fault, shielded
from gradlab.gradients import WrongGradient, assert_gradient, check_gradient, diagnosis
from gradlab.gradients import report as gradient_report
from gradlab.manual import rnn

SAID = "a fault of gradlab's own: KeyError: '__wrapped__' (test_faults.py:"
W = np.array([0.5, -0.25, 0.75])


def failing(*_: Any, **__: Any) -> Any:
    raise KeyError("__wrapped__")


def unreadable(*_: Any, **__: Any) -> Any:
    class Diagnosis:
        lines = __str__ = to_json = failing

    return Diagnosis()


def loss(w):
    return np.sum(np.tanh(w) ** 2)


def wrong(w):
    h = np.tanh(w)
    return 2 * h * (1 - h)


def holds_one_line(text: str, what: str = "diagnosis") -> None:
    (line,) = [line for line in text.splitlines() if "fault" in line]
    assert f"{what}: {SAID}" in line and line.endswith("please report")


@pytest.mark.parametrize("diagnosed", [failing, unreadable], ids=["raises", "cannot-be-read"])
def test_a_gradients_report_stands_without_its_diagnosis(
    diagnosed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "diagnosed", diagnosed)
    report = check_gradient(loss, wrong, W)
    assert report.verdict is Verdict.DISAGREE and report.proven and isinstance(report.diagnosis, Fault)
    holds_one_line(str(report))
    holds_one_line(json.loads(json.dumps(report.to_json()))["diagnosis"]["fault"])
    with pytest.raises(WrongGradient) as failure:
        assert_gradient(loss, wrong, W)
    holds_one_line(str(failure.value))


def test_a_gradients_report_stands_without_its_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_report, "hints", failing)
    report = check_gradient(loss, wrong, W, diagnosis=0)
    assert report.verdict is Verdict.DISAGREE
    holds_one_line(str(report), "hints")
    holds_one_line("\n".join(report.to_json()["hints"]), "hints")


def test_a_test_session_goes_on_after_a_diagnosis_that_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import numpy as np
        from gradlab.gradients import diagnosis

        def fail(*_):
            raise KeyError("__wrapped__")

        def test_wrong(gradcheck, monkeypatch):
            monkeypatch.setattr(diagnosis, "diagnosed", fail)
            gradcheck(lambda w: np.sum(w ** 3), lambda w: 2 * w ** 2, np.array([0.5, 0.25]))

        def test_after():
            pass
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:xdist")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*diagnosis: a fault of gradlab's own: KeyError: '__wrapped__'*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.fixture
def wrong_cell(tmp_path: Path) -> Path:
    text, path = Path(rnn.__file__).read_text(), tmp_path / "mine.py"
    path.write_text(text.replace("rows(x).T @ rows(delta_hidden)", "2 * rows(x).T @ rows(delta_hidden)"))
    assert path.read_text() != text
    return path


@pytest.mark.parametrize("check", [lambda path: gradlab.check(code=path, examples=1), check_file], ids=["here", "file"])
@pytest.mark.parametrize("diagnosed", [failing, unreadable], ids=["raises", "cannot-be-read"])
def test_a_cells_report_stands_without_its_diagnosis(
    check: Any, diagnosed: Callable[..., Any], wrong_cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradlab.mistakes.diagnose", diagnosed)
    monkeypatch.setattr("gradlab.classroom.single.diagnose", diagnosed)
    report = check(wrong_cell)
    assert report.verdict is Verdict.DISAGREE
    holds_one_line(str(report))
    holds_one_line(report.to_json()["cells"]["rnn"]["diagnosis"]["fault"])


def test_a_files_row_in_a_folder_stands_without_its_diagnosis(
    wrong_cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row, "_diagnosis", failing)
    judged = row.judged(row.Task(str(wrong_cell), "mine.py", "", "rnn", seed=0), Limits())
    assert judged.verdict == Verdict.DISAGREE and judged.first_wrong == "rnn.grad_W_input"
    holds_one_line(judged.note)


def test_a_document_keeps_its_verdict_where_the_search_for_a_repair_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("gradlab.verifier.verify"), "find_repair", failing)
    report = gradlab.verify(text="---\nsizes: {N: 3}\nsymbols:\n  v: 1 x N\n---\n$$ v = 3 v $$\n")
    (finding,) = report.findings
    assert finding.verdict == "false" and finding.repair is None
    assert finding.message.startswith("proven false")
    holds_one_line(str(report).splitlines()[0], "repair")


def test_an_interrupt_is_no_fault() -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shielded("diagnosis", stopped)


def test_what_works_is_handed_on() -> None:
    assert shielded("diagnosis", lambda: None, "lines") is None
    assert shielded("diagnosis", lambda: "right", "upper") == "right"
