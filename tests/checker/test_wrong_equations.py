"""Every edit of the shipped file that makes an equation wrong is caught at every weight scale, with label and steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradlab
from gradlab import Problem, Verdict
from gradlab.manual import rnn

T = 5
EVERY = tuple(range(T))
SCALES = (1.0, 0.1, 0.01, 1e-3, 1e-6)
SOURCE = Path(rnn.__file__).read_text()

RECURSION = "multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]"
LOOP = "for t in reversed(range(T)):"

# id: (text in the shipped file, text in its place, first wrong equation, steps at which it is wrong)
WRONG = {
    "explicit-delta-in-the-recursion": (
        "multiply(delta_hidden[t + 1]",
        "multiply(np.append(delta_explicit, 0 * delta_explicit[:1], axis=0)[t + 1]",
        "rnn.delta_implicit",
        EVERY[:-2],
    ),
    "recurrence-dropped": (RECURSION, "0 * slope[t]", "rnn.delta_implicit", EVERY[:-1]),
    "transpose-missing": ("[t + 1], W_hidden.T)", "[t + 1], W_hidden)", "rnn.delta_implicit", EVERY[:-1]),
    "slope-twice-in-the-recursion": (RECURSION, RECURSION + " * slope[t]", "rnn.delta_implicit", EVERY[:-1]),
    "slope-twice": ("W_output.T) * slope ", "W_output.T) * slope * slope ", "rnn.delta_explicit", EVERY),
    "slope-at-the-pre-activation": (
        "slope = a_hidden * (1 - a_hidden)",
        "slope = trace.net_hidden * (1 - trace.net_hidden)",
        "rnn.delta_explicit",
        EVERY,
    ),
    "output-slope-dropped": ("(y_hat - y) * y_hat * (1 - y_hat)", "(y_hat - y)", "rnn.delta_output", EVERY),
    "sign-flipped": ("(y_hat - y) * y_hat", "(y - y_hat) * y_hat", "rnn.delta_output", EVERY),
    "present-state-for-previous": ("rows(a_previous).T", "rows(a_hidden).T", "rnn.grad_W_hidden", EVERY),
    "loop-misses-step-0": (LOOP, "for t in reversed(range(1, T)):", "rnn.delta_implicit", (0,)),
    "loop-misses-the-last-step": (LOOP, "for t in reversed(range(T - 1)):", "rnn.delta_hidden", (T - 1,)),
    "sum-misses-step-0": (
        "rows(x).T @ rows(delta_hidden)",
        "rows(x[1:]).T @ rows(delta_hidden[1:])",
        "rnn.grad_W_input",
        (0,),
    ),
    "sum-misses-the-last-step": (
        "rows(a_hidden).T @ rows(delta_output)",
        "rows(a_hidden[:-1]).T @ rows(delta_output[:-1])",
        "rnn.grad_W_output",
        (T - 1,),
    ),
    "factor-2": ("= (y_hat - y) * y_hat", "= 2 * (y_hat - y) * y_hat", "rnn.delta_output", EVERY),
    "initial-state-zeroed": (
        "= multiply(delta_hidden[0], W_hidden.T)",
        "= 0 * multiply(delta_hidden[0], W_hidden.T)",
        "rnn.grad_a_initial",
        (0,),
    ),
    "wrong-forward": ("= net_input[t] + multiply(a", "= net_input[t] - multiply(a", "rnn.net_hidden", EVERY),
    "mean-for-sum": ("0.5 * np.sum((y_hat", "0.5 * np.mean((y_hat", "rnn.loss", EVERY),
}


def problem(scale: float, dtype: type = np.float64) -> Problem:
    rng = np.random.default_rng(7)
    shapes = {"W_input": (2, 3), "W_hidden": (3, 3), "W_output": (3, 2)}
    params = {name: (scale * rng.uniform(-1, 1, shape)).astype(dtype) for name, shape in shapes.items()}
    x, y, a = rng.uniform(-1, 1, (T, 2, 2)), rng.uniform(0, 1, (T, 2, 2)), rng.uniform(0.1, 1, (2, 3))
    return Problem(rnn.Params(**params), x.astype(dtype), y.astype(dtype), rnn.State(a.astype(dtype)))


def edited(folder: Path, old: str, new: str) -> Path:
    assert SOURCE.count(old) == 1, f"{old!r} stands {SOURCE.count(old)} times in the shipped file"
    path = folder / "mine.py"
    path.write_text(SOURCE.replace(old, new))
    return path


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("scale", SCALES)
def test_the_shipped_file_agrees(scale: float, dtype: type) -> None:
    comparison = gradlab.compare("rnn", problem(scale, dtype))
    assert comparison.verdict is Verdict.AGREE
    assert comparison.first_wrong is None


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_equation_is_caught_and_located(name: str, scale: float, tmp_path: Path) -> None:
    old, new, label, steps = WRONG[name]
    comparison = gradlab.compare("rnn", problem(scale), code=edited(tmp_path, old, new))
    assert comparison.verdict is Verdict.DISAGREE
    assert comparison.first_wrong is not None
    assert comparison.first_wrong.label == label
    assert comparison.first_wrong.steps == steps
    assert comparison.label == label


@pytest.mark.parametrize("name", WRONG)
def test_float32_inputs_are_judged_by_the_bound_of_float32(name: str, tmp_path: Path) -> None:
    old, new, label, _ = WRONG[name]
    comparison = gradlab.compare("rnn", problem(1.0, np.float32), code=edited(tmp_path, old, new))
    assert comparison.verdict is Verdict.DISAGREE
    assert comparison.label == label
    assert comparison.rounding["delta_output"].max() > 1e-8


@pytest.mark.parametrize("name", ["explicit-delta-in-the-recursion", "transpose-missing", "sum-misses-step-0"])
def test_the_counterexample_is_small(name: str, tmp_path: Path) -> None:
    old, new, label, _ = WRONG[name]
    report = gradlab.check("rnn", code=edited(tmp_path, old, new), examples=30, scales=(1e-6,))
    assert report.verdict is Verdict.DISAGREE
    shrunk = report.cells["rnn"].counterexample
    assert shrunk is not None
    assert shrunk.label == label
    wanted = {"explicit-delta-in-the-recursion": (3, 1), "transpose-missing": (2, 2), "sum-misses-step-0": (1, 1)}
    assert (shrunk.problem.sizes["T"], shrunk.problem.sizes["H"]) == wanted[name]
    assert shrunk.problem.sizes["B"] == shrunk.problem.sizes["I"] == shrunk.problem.sizes["O"] == 1
