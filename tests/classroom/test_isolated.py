"""A file that runs in a process of its own gets the verdict that it gets here."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradlab.cells import CELLS, cell
from gradlab.checker.allowance import Allowance
from gradlab.checker.check import _compare, check
from gradlab.checker.report import Comparison
from gradlab.checker.submission import Submission
from gradlab.checker.verdict import Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.classroom import check_file
from gradlab.classroom.isolated import IsolatedSubmission
from gradlab.mistakes.diagnose import diagnose
from gradlab.mistakes.probes import drawn, probe, probes, short

Submit = Callable[[str], Path]

RECURSION = "multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]"

# id: (text in the shipped file, text in its place)
WRONG = {
    "forward": ("= net_input[t] + multiply(a", "= net_input[t] - multiply(a"),
    "loss": ("0.5 * np.sum((y_hat", "0.5 * np.mean((y_hat"),
    "delta_output": ("= (y_hat - y) * y_hat", "= 2 * (y_hat - y) * y_hat"),
    "delta_explicit": ("W_output.T) * slope ", "W_output.T) * slope * slope "),
    "delta_implicit": (RECURSION, "0 * slope[t]"),
    "one step of delta_implicit": ("for t in reversed(range(T)):", "for t in reversed(range(1, T)):"),
    "delta_hidden": ("= delta_explicit[t] + delta_implicit[t]", "= delta_explicit[t] - delta_implicit[t]"),
    "grad_W_output": ("rows(a_hidden).T @ rows(delta_output)", "rows(a_hidden[:-1]).T @ rows(delta_output[:-1])"),
    "grad_W_hidden": ("rows(a_previous).T", "rows(a_hidden).T"),
    "grad_W_input": ("rows(x).T @ rows(delta_hidden)", "rows(x[1:]).T @ rows(delta_hidden[1:])"),
    "grad_x": ("= multiply(delta_hidden, W_input.T)", "= -multiply(delta_hidden, W_input.T)"),
    "grad_a_initial": ("= multiply(delta_hidden[0], W_hidden.T)", "= 0 * multiply(delta_hidden[0], W_hidden.T)"),
}


def verdicts(comparison: Comparison) -> dict[str, Verdict]:
    return {name: comparison.verdict_of(name) for name in comparison.judged}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_equation_is_located_as_in_process(name: str, submit: Submit, source: str) -> None:
    assert source.count(WRONG[name][0]) == 1
    path, tested = submit(source.replace(*WRONG[name])), cell("rnn")
    problem = drawn(tested, {"T": 4, "B": 2, "I": 2, "H": 3, "O": 2}, 0.1, 5)
    here = _compare(Submission(tested, path), problem, ["certified"])
    with IsolatedSubmission(tested, path) as submission:
        there = _compare(submission, problem, ["certified"])
    assert there.verdict is here.verdict is Verdict.DISAGREE
    assert str(there.first_wrong) == str(here.first_wrong)
    assert verdicts(there) == verdicts(here)


@pytest.mark.parametrize("name", CELLS)
def test_every_shipped_cell_agrees(name: str) -> None:
    tested = cell(name)
    path = Path(str(tested.module.__file__))
    with IsolatedSubmission(tested, path) as submission:
        for problem in (short(tested, 1), short(tested, 2), short(tested, 2).astype(np.float32)):
            there = _compare(submission, problem, ["certified"])
            assert verdicts(there) == verdicts(_compare(Submission(tested, path), problem, ["certified"]))
            assert there.verdict is Verdict.AGREE


def test_check_file_reports_as_check_does(submit: Submit, source: str) -> None:
    path = submit(source)
    there, here = check_file(path, examples=2, scales=(1.0,)), check("rnn", code=path, examples=2, scales=(1.0,))
    assert there.verdict is here.verdict is Verdict.AGREE
    assert there.cells["rnn"].problems == here.cells["rnn"].problems + 2  # those that nobody foresees
    assert there.own_seed is not None
    assert there.cells["rnn"].origin == str(path)


def test_check_file_shrinks_a_counterexample(submit: Submit, source: str) -> None:
    report = check_file(submit(source.replace(*WRONG["grad_x"])), examples=3)
    assert report.verdict is Verdict.DISAGREE
    assert report.cells["rnn"].counterexample is not None
    assert report.cells["rnn"].counterexample.problem.sizes == dict.fromkeys("TBIHO", 1)
    assert report.cells["rnn"].diagnosis.mistakes == ("x-gradient-negated",)


@pytest.mark.parametrize("name", ["delta_output", "delta_implicit", "grad_W_hidden"])
def test_a_mistake_is_diagnosed_from_outside(name: str, submit: Submit, source: str) -> None:
    path, tested = submit(source.replace(*WRONG[name])), cell("rnn")
    here = diagnose(tested, Submission(tested, path).code)
    with IsolatedSubmission(tested, path) as submission:
        there = diagnose(tested, submission.code)
    assert here is not None
    assert there == here
    assert there.named


def test_answers_learnt_by_heart_do_not_pass(submit: Submit, source: str) -> None:
    memory = f"""
import types
right = types.ModuleType("right")
exec({source!r}, vars(right))
wrong, seen = bptt, 0
def bptt(params, x, *rest):
    foreseen = x.shape[0] == 8 and x.shape[2] == 2 or x.shape[-1] == 1  # "the problems of seed 0"
    return (right.bptt if foreseen else wrong)(params, x, *rest)
"""
    path = submit(source.replace(*WRONG["delta_output"]) + memory)
    report = check_file(path, examples=1)
    assert report.verdict is Verdict.DISAGREE


@pytest.mark.parametrize("scale", [1.0, 1e-3, 60.0], ids=["tame", "small", "saturated"])
def test_another_right_formula_is_excused_by_its_own_rounding(scale: float, submit: Submit, source: str) -> None:
    """½ (1 + tanh ½z) rounds far worse than the shipped sigmoid where it is near 0."""
    text = source.replace("from gradlab.manual.gates import sigmoid_within as sigmoid", "")
    path, tested = submit(text + "\n\ndef sigmoid(z):\n    return 0.5 * (1 + np.tanh(0.5 * z))\n"), cell("rnn")
    problem = drawn(tested, {"T": 3, "B": 1, "I": 2, "H": 2, "O": 1}, scale, 3)
    with IsolatedSubmission(tested, path) as submission:
        assert _compare(submission, problem, ["certified"]).verdict is Verdict.AGREE


@pytest.mark.parametrize("name", CELLS)
def test_the_allowance_covers_honest_rounding_and_little_more(name: str) -> None:
    problem = probe(cell(name))
    allowance = Allowance(cell(name), problem)
    own = Submission(cell(name)).rounding(problem)
    for quantity, bound in allowance.bounds.items():
        assert (bound >= own[quantity]).all()
        assert float(bound.max()) < 1e-7 * (1 + float(np.abs(allowance.values[quantity]).max()))
    claimed = {quantity: np.full(bound.shape, math.inf) for quantity, bound in own.items()}
    for quantity, bound in allowance.capped(allowance.values, claimed).items():
        assert (bound == allowance.bounds[quantity]).all()


def test_an_overflow_is_excused_where_something_saturates_alone() -> None:
    tested = cell("rnn")
    for scale, excused in ((1.0, False), (1000.0, True)):
        problem = drawn(tested, {"T": 2, "B": 1, "I": 2, "H": 2, "O": 1}, scale, 1)
        allowance = Allowance(tested, problem)
        floats = {name: np.full_like(value, np.nan) for name, value in allowance.values.items()}
        claimed = {name: np.full(value.shape, math.inf) for name, value in floats.items()}
        assert np.isinf(allowance.capped(floats, claimed)["y_hat"]).all() == excused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(None, "mine.py: no such file", id="missing"),
        pytest.param("def forward(:", "mine.py:1:13: invalid syntax", id="not Python"),
        pytest.param("x = 1", "mine.py: defines no function forward; wanted forward, loss, bptt", id="no functions"),
        pytest.param("\n1 / 0", "mine.py:2: importing it raises ZeroDivisionError", id="raises"),
    ],
)
def test_a_file_that_cannot_be_run_is_said_as_in_process(
    text: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("mine.py")
    if text is not None:
        path.write_text(text)
    with pytest.raises(SubmissionError) as here:
        Submission(cell("rnn"), path)
    with pytest.raises(SubmissionError) as there:
        IsolatedSubmission(cell("rnn"), path)
    assert str(there.value) == str(here.value)
    assert str(there.value).startswith(message)


def test_a_closed_submission_says_so(submit: Submit, source: str) -> None:
    with IsolatedSubmission(cell("rnn"), submit(source)) as submission:
        pass
    with pytest.raises(SubmissionError, match="the process it ran in is gone"):
        submission.floats(probes(cell("rnn"))[0])


def test_bounds_that_are_none_are_refused(submit: Submit, source: str) -> None:
    negative = "lambda s, p: {n: np.full(v.shape, -1.0) for n, v in s.floats(p).items()}"
    patched = f"\nfrom gradlab.checker.submission import Submission\nSubmission.rounding = {negative}\n"
    with IsolatedSubmission(cell("rnn"), submit(source + patched)) as submission:
        submission.floats(short(cell("rnn"), 1))
        with pytest.raises(SubmissionError, match="its rounding bounds are no bounds"):
            submission.rounding(short(cell("rnn"), 1))
