"""`check` and `compare`: every oracle asked, the same seed the same report, and nothing unprobed passes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlab
from gradlab import Problem, Verdict, oracles
from gradlab.cells import cell
from gradlab.checker.check import ADDITION_EVERY, compare
from gradlab.checker.watch import SubmissionError
from gradlab.manual import rnn

QUANTITIES = list(cell("rnn").quantities)
AGREE, DISAGREE, CANNOT_TELL = Verdict.AGREE, Verdict.DISAGREE, Verdict.CANNOT_TELL
RECURSION = "multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]"
DROPPED = (RECURSION, "0 * slope[t]")

FIFTH = """
from gradlab.oracles import complex_step

PRECISIONS = (53,)

def evidence(cell, problem, bits=53):
    said = complex_step.evidence(cell, problem)
    said.values["grad_x"] = said.values["grad_x"] * {factor}
    {more}
    return said._replace(oracle="fifth")
"""


@pytest.fixture
def fifth(tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """fifth(factor, more): one more oracle, a file in a folder of its own."""
    folder = tmp_path_factory.mktemp("oracles")
    monkeypatch.setattr(oracles, "__path__", [*oracles.__path__, str(folder)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(factor: float = 1, more: str = "pass") -> None:
        (folder / "fifth.py").write_text(FIFTH.format(factor=factor, more=more))

    yield write
    sys.modules.pop("gradlab.oracles.fifth", None)
    vars(oracles).pop("fifth", None)


def test_a_fifth_oracle_is_asked_and_shown_with_no_other_change(fifth: Callable[..., None], problem: Any) -> None:
    fifth()
    comparison = gradlab.compare("rnn", problem())
    assert list(comparison.evidence) == ["autodiff", "certified", "complex_step", "fifth", "finite_difference"]
    assert comparison.verdict is AGREE
    header = next(line for line in str(comparison).splitlines() if line.startswith("quantity"))
    assert "fifth" in header.split()
    assert "fifth" in comparison.to_json()["quantities"]["grad_x"]["oracles"]
    report = gradlab.check("rnn", examples=1)  # and its addition
    assert "fifth" in report.cells["rnn"].oracles and "fifth" in str(report)


@pytest.mark.parametrize("factor", [2, -1, 1 + 1e-9])
def test_a_fifth_oracle_that_lies_is_heard(factor: float, fifth: Callable[..., None], problem: Any) -> None:
    fifth(factor)
    comparison = gradlab.compare("rnn", problem())
    assert comparison.verdict is DISAGREE and comparison.label == "rnn.grad_x"
    assert comparison.first_wrong is None  # no equation is proven wrong
    assert [name for name in QUANTITIES if comparison.verdict_of(name) is DISAGREE] == ["grad_x"]
    assert gradlab.check("rnn", examples=3).verdict is DISAGREE


def test_one_oracle_that_sees_zero_does_not_silence_another(
    fifth: Callable[..., None], edited: Callable[..., Path], problem: Any
) -> None:
    fifth(0, 'said.bounds["grad_x"] = 0 * said.bounds["grad_x"]')
    zeroed = edited(("= multiply(delta_hidden, W_input.T)", "= 0 * multiply(delta_hidden, W_input.T)"))
    comparison = gradlab.compare("rnn", problem(), code=zeroed)
    assert comparison.verdict_of("grad_x") is DISAGREE
    assert comparison.verdict is DISAGREE


def test_only_the_oracles_that_are_named_are_asked(problem: Any) -> None:
    comparison = gradlab.compare("rnn", problem(), oracles=["complex_step"])
    assert list(comparison.evidence) == ["complex_step"] and comparison.verdict is AGREE
    assert "y_hat" not in comparison.judged


def test_of_no_oracle_nothing_is_known(problem: Any) -> None:
    comparison = gradlab.compare("rnn", problem(), oracles=[])
    assert comparison.verdict is CANNOT_TELL and not comparison.ok and comparison.judged == {}
    assert comparison.verdict.exit_status == 3


def test_an_oracle_that_knows_nothing_tells_nothing(fifth: Callable[..., None], problem: Any) -> None:
    fifth(1, "said.bounds.update({name: bound + float('inf') for name, bound in said.bounds.items()})")
    comparison = gradlab.compare("rnn", problem(), oracles=["fifth"])
    assert comparison.verdict is CANNOT_TELL
    assert all(comparison.verdict_of(name) is CANNOT_TELL for name in comparison.judged)


@pytest.mark.parametrize("named", ["guess", "_rounding"])
def test_an_unknown_oracle(named: str, problem: Any) -> None:
    with pytest.raises(KeyError, match="no oracle is called"):
        gradlab.compare("rnn", problem(), oracles=[named])


@pytest.mark.parametrize("run", [gradlab.check, gradlab.compare], ids=["check", "compare"])
def test_an_unknown_cell(run: Any) -> None:
    with pytest.raises(KeyError, match=r"no cell is called 'elman'; there are .*rnn"):
        run("elman")


def test_what_a_weight_of_zero_hides_is_never_agreed_on(problem: Any) -> None:
    """W_output = 0: everything that comes back through it is 0 for every oracle, so there is nothing to probe."""
    comparison = gradlab.compare("rnn", problem(W_output=np.zeros((2, 1))))
    hidden = {"delta_explicit", "delta_implicit", "delta_hidden", "grad_W_hidden", "grad_W_input", "grad_x"}
    hidden |= {"grad_a_initial", "net_output"}
    assert {name for name in QUANTITIES if comparison.verdict_of(name) is not AGREE} == hidden
    assert all(comparison.verdict_of(name) is CANNOT_TELL for name in hidden)
    assert comparison.verdict is AGREE  # on the equations that it does probe


def test_one_step_has_no_implicit_delta_to_probe(problem: Any) -> None:
    comparison = gradlab.compare("rnn", problem(1))
    assert comparison.verdict_of("delta_implicit") is CANNOT_TELL and comparison.verdict is AGREE


def test_a_quantity_that_no_problem_probed_is_not_agreed_on(problem: Any) -> None:
    """A mistake in delta_implicit cannot be seen at T = 1, so no number of such problems may pass it."""
    from gradlab.checker.report import CellReport

    report = CellReport(cell("rnn"), "here")
    for seed in range(3):
        report.add(gradlab.compare("rnn", problem(1, seed=seed)))
    assert report.verdict_of("delta_implicit") is CANNOT_TELL and report.verdict_of("grad_x") is AGREE
    assert report.verdict is CANNOT_TELL
    report.add(gradlab.compare("rnn", problem(2)))
    assert report.verdict is AGREE


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_a_zero_where_none_should_be_is_wrong_not_vacuous(
    scale: float, edited: Callable[..., Path], problem: Any
) -> None:
    zeroed = edited(("= multiply(delta_hidden[0], W_hidden.T)", "= 0 * multiply(delta_hidden[0], W_hidden.T)"))
    comparison = gradlab.compare("rnn", problem(scale=scale), code=zeroed)
    assert comparison.verdict is DISAGREE and comparison.label == "rnn.grad_a_initial"


@pytest.mark.parametrize("wrong", ["np.nan", "np.inf", "-np.inf"])
def test_what_is_not_finite_is_wrong(wrong: str, edited: Callable[..., Path], problem: Any) -> None:
    path = edited(("= multiply(delta_hidden, W_input.T)", f"= {wrong} * multiply(delta_hidden, W_input.T)"))
    comparison = gradlab.compare("rnn", problem(), code=path)
    assert comparison.verdict is DISAGREE and comparison.label == "rnn.grad_x"


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_the_shipped_code_is_not_wrong_where_float64_overflows(problem: Any) -> None:
    comparison = gradlab.compare("rnn", problem(2, I=1, H=1, W_input=np.full((1, 1), -3000.0)))
    assert all(comparison.verdict_of(name) is not DISAGREE for name in comparison.judged)


def test_a_wrong_total_is_wrong(edited: Callable[..., Path], problem: Any) -> None:
    path = edited(("np.sum(per_step, axis=0)", "np.mean(per_step, axis=0)"))
    assert gradlab.compare("rnn", problem(), code=path).verdict is DISAGREE


def test_code_that_is_right_in_double_and_wrong_in_single(edited: Callable[..., Path], problem: Any) -> None:
    path = edited(("    return Grads(", "    grad_x = grad_x * (2 if x.dtype == np.float32 else 1)\n    return Grads("))
    assert gradlab.compare("rnn", problem(), code=path).verdict is AGREE
    comparison = gradlab.compare("rnn", problem().astype(np.float32), code=path)
    assert comparison.verdict is DISAGREE and comparison.label == "rnn.grad_x"
    assert comparison.first_wrong is not None and comparison.first_wrong.label == "rnn.grad_x"
    assert gradlab.check("rnn", code=path, examples=10).verdict is DISAGREE


def test_the_default_problem_is_an_addition() -> None:
    comparison = gradlab.compare()
    assert comparison.problem.sizes == {"T": 8, "B": 1, "I": 2, "H": 16, "O": 1}
    assert set(comparison.problem.x.flat) <= {0.0, 1.0} and comparison.verdict is AGREE


def test_progress_counts_every_problem() -> None:
    calls: list[tuple[str, int, int]] = []
    report = gradlab.check("rnn", examples=20, progress=lambda *call: calls.append(call))
    total = 20 + 1 + 20 // ADDITION_EVERY
    assert [done for _, done, _ in calls] == list(range(1, total + 1))
    assert {(name, of) for name, _, of in calls} == {("rnn", total)}
    assert report.cells["rnn"].problems == total + 4  # the larger ones


def same(report: Any) -> dict[str, Any]:
    return {key: value for key, value in report.to_json().items() if key != "seconds"}


def test_the_same_seed_gives_the_same_report(edited: Callable[..., Path]) -> None:
    assert same(gradlab.check("rnn", examples=4, seed=4)) == same(gradlab.check("rnn", examples=4, seed=4))
    path = edited(DROPPED)
    one, other = (same(gradlab.check("rnn", code=path, examples=4, seed=4)) for _ in range(2))
    assert one == other and one["cells"]["rnn"]["counterexample"] is not None


def test_another_seed_gives_other_problems() -> None:
    one, other = (same(gradlab.check("rnn", examples=3, seed=seed)) for seed in (4, 5))
    assert one["cells"]["rnn"]["quantities"] != other["cells"]["rnn"]["quantities"]


class After:
    """A progress callback that is interrupted at its n-th call."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, name: str, done: int, total: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n", [1, 3])
def test_an_interrupted_run_says_what_it_has_and_does_not_pass(n: int) -> None:
    report = gradlab.check("rnn", examples=50, progress=After(n))
    assert report.interrupted and report.cells["rnn"].problems == n
    assert report.verdict is CANNOT_TELL and not report.ok
    assert report.to_json()["interrupted"] is True and "interrupted: not everything was looked at" in str(report)
    assert report.seconds > 0


def test_an_interrupted_run_that_found_something_wrong_says_so(edited: Callable[..., Path]) -> None:
    report = gradlab.check("rnn", code=edited(DROPPED), examples=50, progress=After(1))
    assert report.interrupted and report.verdict is DISAGREE


def test_the_counterexample_is_the_report_s(edited: Callable[..., Path]) -> None:
    report = gradlab.check("rnn", code=edited(DROPPED), examples=20)
    found = report.cells["rnn"]
    assert found.first_wrong is not None and found.first_wrong.label == "rnn.delta_implicit"
    assert found.counterexample is not None and found.counterexample.verdict is DISAGREE
    assert found.counterexample.problem.sizes == {"T": 2, "B": 1, "I": 1, "H": 1, "O": 1}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("in reversed(range(T)):", "in reversed(range(max(0, T - 7), T)):"), id="truncated to 7 steps"),
        pytest.param(("(delta_hidden, W_input.T)", "(delta_hidden, (1 + (W_input.size > 20)) * W_input.T)"), id="wide"),
    ],
)
def test_what_only_an_addition_shows_is_located_too(change: tuple[str, str], edited: Callable[..., Path]) -> None:
    report = gradlab.check("rnn", code=edited(change), examples=5)
    assert report.verdict is DISAGREE
    assert report.cells["rnn"].counterexample is not None
    assert report.to_json()["cells"]["rnn"]["first_wrong"] is not None


@pytest.mark.parametrize("examples", [0, -1])
def test_no_examples_are_refused(examples: int) -> None:
    with pytest.raises(ValueError, match=f"examples = {examples}: at least 1 is needed"):
        gradlab.check("rnn", examples=examples)


def test_a_file_that_cannot_be_judged_ends_the_run(inserted: Callable[..., Path]) -> None:
    path = inserted("if len(x) == 2: raise ValueError('only when T is 2')")
    with pytest.raises(SubmissionError, match="bptt raises ValueError: only when T is 2"):
        gradlab.check("rnn", code=path, examples=50)


def _magnifying() -> Problem:
    """An LSTM that magnifies a nudge so much that differences are taken far outside of where it is linear."""
    lstm = cell("lstm").module
    shapes = {"W_input": (1, 3), "W_hidden": (3, 3), "bias": (3,)}
    params = {f"{kind}_{gate}": np.full(shape, 1e-6) for kind, shape in shapes.items() for gate in "ifgo"}
    params["W_hidden_g"][:, 0] = 16.777216
    zero = np.zeros((1, 3))
    made = lstm.Params(**params, W_output=np.full((3, 1), 1e-6))
    return Problem(made, np.ones((6, 1, 1)), np.zeros((6, 1, 1)), lstm.State(zero, zero))


def test_an_estimate_does_not_overrule_a_proof() -> None:
    problem = _magnifying()
    alone = compare("lstm", problem, oracles=["finite_difference"])
    assert alone.verdict is DISAGREE  # the estimate of the truncation is wrong here
    beside = compare("lstm", problem, oracles=["certified", "finite_difference"])
    assert beside.verdict is Verdict.AGREE
    assert beside.judged["grad_bias_g"]["finite_difference"].undecided.any()


def test_an_estimate_still_disagrees_where_the_proof_does(tmp_path: Path) -> None:
    source = Path(rnn.__file__).read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(source.replace("= (y_hat - y) * y_hat", "= 2 * (y_hat - y) * y_hat"))
    found = compare("rnn", code=tmp_path / "mine.py", oracles=["certified", "finite_difference"])
    assert found.judged["delta_output"]["finite_difference"].disagree.any()


FFT = "multiply(delta_hidden, W_input.T)  "


def test_of_code_that_cannot_be_recorded_nothing_is_certified(edited: Callable[..., Path], problem: Any) -> None:
    """Floats alone can show that it is wrong, and never that it is right; the report says why."""
    for factor, verdict in (("1", Verdict.CANNOT_TELL), ("2", DISAGREE)):
        path = edited((FFT, f"{factor} * np.fft.ifft(np.fft.fft(multiply(delta_hidden, W_input.T))).real  "))
        comparison = gradlab.compare("rnn", problem(), code=path)
        assert comparison.verdict is verdict and "certified" not in comparison.evidence
        report = gradlab.check("rnn", code=path, examples=3)
        assert report.verdict is verdict
        for text in (str(comparison), str(report)):
            text = " ".join(text.split())
            assert "Nothing is certified." in text and "cannot be certified" in text
