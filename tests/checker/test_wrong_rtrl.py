"""Every edit of the shipped file that makes a forward-mode equation wrong is caught, with label and steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradlab
from gradlab import Problem, Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.manual import rnn, rtrl

T = 5
EVERY = tuple(range(T))
SCALES = (1.0, 0.1, 0.01, 1e-3, 1e-6)
ORACLES = ("autodiff", "certified", "complex_step", "finite_difference")
SOURCE = Path(rtrl.__file__).read_text()

IMMEDIATE = 'np.einsum("tbi,jk->tbijk", a_previous, unit)'
CARRIED = "multiply(a_by_W_hidden[t - 1], W_hidden)"
LOOP = "for t in range(T):\n        net_by_W_input"

# id: (text in the shipped file, text in its place, first wrong equation, steps at which it is wrong)
WRONG = {
    "the-seed-s-immediate-term": (
        IMMEDIATE,
        'np.einsum("tbk,ij->tbijk", a_previous, np.ones_like(unit))',
        "rtrl.immediate_W_hidden",
        EVERY,
    ),
    "immediate-term-feeds-every-unit": (IMMEDIATE, IMMEDIATE.replace("unit", "unit ** 0"), "", EVERY),
    "immediate-term-of-the-present-state": (IMMEDIATE, IMMEDIATE.replace("_previous", "_hidden"), "", EVERY),
    "immediate-term-with-its-indices-swapped": (IMMEDIATE, IMMEDIATE.replace(">tbijk", ">tbjik"), "", EVERY),
    "immediate-term-dropped": (IMMEDIATE, f"0 * {IMMEDIATE}", "rtrl.immediate_W_hidden", EVERY),
    "immediate-term-of-the-input-feeds-every-unit": ("x, unit)", "x, unit ** 0)", "rtrl.immediate_W_input", EVERY),
    "transposition": (CARRIED, "multiply(a_by_W_hidden[t - 1], W_hidden.T)", "rtrl.net_by_W_hidden", EVERY[1:]),
    "transposition-by-W_input": ("[t - 1],  W_hidden)", "[t - 1], W_hidden.T)", "rtrl.net_by_W_input", EVERY[1:]),
    "the-seed-s-elementwise-recursion": (CARRIED, "a_by_W_hidden[t - 1] * W_hidden", "rtrl.net_by_W_hidden", EVERY[1:]),
    "the-seed-s-elementwise-recursion-by-W_input": (
        "multiply(a_by_W_input[t - 1],  W_hidden)",
        "a_by_W_input[t - 1] * W_hidden",
        "rtrl.net_by_W_input",
        EVERY[1:],
    ),
    "recursion-dropped": (CARRIED, f"0 * {CARRIED}", "rtrl.net_by_W_hidden", EVERY[1:]),
    "recursion-by-W_input-dropped": (
        "multiply(a_by_W_input[t - 1],  W_hidden)",
        "0 * a_by_W_input[t - 1]",
        "rtrl.net_by_W_input",
        EVERY[1:],
    ),
    "pre-activation-s-sensitivity-carried": (
        CARRIED,
        "multiply(net_by_W_hidden[t - 1], W_hidden)",
        "rtrl.net_by_W_hidden",
        EVERY[1:],
    ),
    "the-seed-stops-one-step-early": (LOOP, LOOP.replace("range(T)", "range(T - 1)"), "rtrl.net_by_W_input", (T - 1,)),
    "loop-misses-step-0": (LOOP, LOOP.replace("range(T)", "range(1, T)"), "rtrl.net_by_W_input", (0,)),
    "slope-dropped": (
        "net_by_W_hidden[t] * slope[t, :, None, None]",
        "net_by_W_hidden[t].copy()",
        "rtrl.a_by_W_hidden",
        EVERY,
    ),
    "slope-of-the-previous-step": (
        "net_by_W_hidden[t] * slope[t, :, None, None]",
        "net_by_W_hidden[t] * slope[t - 1, :, None, None]",
        "rtrl.a_by_W_hidden",
        EVERY,
    ),
    "slope-along-the-wrong-axis": (
        "net_by_W_hidden[t] * slope[t, :, None, None]",
        "net_by_W_hidden[t] * slope[t, :, None, :, None]",
        "rtrl.a_by_W_hidden",
        EVERY[1:],  # at step 0 W[i, j] feeds unit j alone, and its slope is the one there is
    ),
    "slope-twice-in-the-loss-s-gradient": (
        "net_by_W_hidden, delta_explicit)",
        "a_by_W_hidden[:T], delta_explicit)",
        "rtrl.step_grad_W_hidden",
        EVERY,
    ),
    "error-without-its-slope": ("W_output.T) * slope ", "W_output.T) * 1 ", "rtrl.delta_explicit", EVERY),
    "sign-flipped": ("(y_hat - y) * y_hat", "(y - y_hat) * y_hat", "rtrl.delta_output", EVERY),
    "sum-misses-step-0": ("np.sum(step_grad_W_hidden,", "np.sum(step_grad_W_hidden[1:],", "rtrl.grad_W_hidden", (0,)),
    "only-the-last-step-s-loss": (
        "np.sum(step_grad_W_input, axis=0)",
        "step_grad_W_input[-1]",
        "rtrl.grad_W_input",
        EVERY[:-1],
    ),
    "mean-for-sum": ("np.sum(step_grad_W_output", "np.mean(step_grad_W_output", "rtrl.grad_W_output", EVERY),
    "wrong-forward": ("= net_input[t] + multiply(a", "= net_input[t] - multiply(a", "rtrl.net_hidden", EVERY),
}


def problem(scale: float) -> Problem:
    rng = np.random.default_rng(7)
    shapes = {"W_input": (2, 3), "W_hidden": (3, 3), "W_output": (3, 2)}
    params = {name: scale * rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
    x, y, a = rng.uniform(-1, 1, (T, 2, 2)), rng.uniform(0, 1, (T, 2, 2)), rng.uniform(0.1, 1, (2, 3))
    return Problem(rtrl.Params(**params), x, y, rtrl.State(a))


def edited(folder: Path, name: str) -> tuple[Path, str, tuple[int, ...]]:
    old, new, label, steps = WRONG[name]
    assert SOURCE.count(old) == 1, f"{old!r} stands {SOURCE.count(old)} times in the shipped file"
    path = folder / "mine.py"
    path.write_text(SOURCE.replace(old, new))
    return path, label or "rtrl.immediate_W_hidden", steps


@pytest.mark.parametrize("scale", SCALES)
def test_the_shipped_file_agrees(scale: float) -> None:
    comparison = gradlab.compare("rtrl", problem(scale))
    assert comparison.verdict is Verdict.AGREE
    assert comparison.first_wrong is None


@pytest.mark.parametrize(("scale", "oracles"), [(1.0, None), (1e-6, ["certified"])], ids=["1", "1e-6"])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_equation_is_caught_and_located(
    name: str, scale: float, oracles: list[str] | None, tmp_path: Path
) -> None:
    path, label, steps = edited(tmp_path, name)
    comparison = gradlab.compare("rtrl", problem(scale), code=path, oracles=oracles)
    assert comparison.verdict is Verdict.DISAGREE
    assert comparison.first_wrong is not None
    assert comparison.first_wrong.label == label
    assert comparison.first_wrong.steps == steps
    assert comparison.label == label


SEEDS = ("the-seed-s-immediate-term", "the-seed-s-elementwise-recursion", "transposition")


@pytest.mark.parametrize("scale", SCALES[1:-1])
@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_mistakes_are_caught_at_every_scale(name: str, scale: float, tmp_path: Path) -> None:
    path, label, steps = edited(tmp_path, name)
    first = gradlab.compare("rtrl", problem(scale), code=path).first_wrong
    assert first is not None
    assert (first.label, first.steps) == (label, steps)


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("name", [*SEEDS, "slope-dropped", "slope-twice-in-the-loss-s-gradient"])
def test_each_oracle_alone_sees_a_wrong_sensitivity(name: str, oracle: str, tmp_path: Path) -> None:
    path, label, _ = edited(tmp_path, name)
    comparison = gradlab.compare("rtrl", problem(1.0), code=path, oracles=[oracle])
    assert comparison.verdict is Verdict.DISAGREE
    assert comparison.judged[label.removeprefix("rtrl.")][oracle].disagree.any()


def test_generated_problems_agree() -> None:
    report = gradlab.check("rtrl", examples=4)
    assert report.ok
    assert list(report.cells["rtrl"].quantities) == list(report.cells["rtrl"].cell.quantities)


def test_a_file_for_rtrl_defines_rtrl() -> None:
    with pytest.raises(SubmissionError, match=r"rnn\.py: defines no function rtrl; wanted forward, loss, rtrl"):
        gradlab.compare("rtrl", problem(1.0), code=rnn.__file__)
    with pytest.raises(SubmissionError, match=r"rtrl\.py: defines no function bptt; wanted forward, loss, bptt"):
        gradlab.compare("rnn", code=rtrl.__file__)


def test_a_file_that_leaves_a_sensitivity_out_is_told_which(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE + "\nwhole = rtrl\n\n\ndef rtrl(*given):\n    return whole(*given)._replace(a_by=None)\n")
    with pytest.raises(SubmissionError, match=r"what rtrl returns has no field a_by\.W_input"):
        gradlab.compare("rtrl", problem(1.0), code=path)
