"""What the defects of the two seed notebooks do to the gradient: each figure of the table in errata.md, measured again.

The golden values that the second seed prints are held in tests/manual/test_rnn.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gradlab.cells import Code, cell
from gradlab.manual import rnn
from gradlab.mistakes import mistake, patch, with_mistakes
from gradlab.problem import Problem

ERRATA = Path(__file__).parents[1] / "derivations" / "errata.md"
WEIGHTS = ("W_hidden", "W_input", "W_output")
SIZES, SQUARE = (2, 4, 1), (4, 4, 4)

RNN = cell("rnn")

# What has no row in the catalogue, as it is no mistake in an equation: the predictions that are never filled in.
ZEROS = {"predictions-never-filled": {"rnn.delta_output": "(0 * y_hat - y) * (0 * y_hat) * (1 - 0 * y_hat)"}}

# A line of the table: the mistake, * where it is measured in square, and the six figures.
LINE = re.compile(r"^\| `([\w-]+)`( \*)? \|" + r" ([\d.e-]+) \|" * 6 + "$", re.MULTILINE)
TABLE = {m[1]: (bool(m[2]), m.groups()[2:]) for m in LINE.finditer(ERRATA.read_text(encoding="utf-8"))}


def _problem(scale: float, sizes: tuple[int, int, int] = SIZES, seed: int = 0) -> Problem:
    """Six steps of two examples; weights uniform in ±scale, a non-zero state, and a target at every step."""
    (inputs, hidden, outputs), steps, batch = sizes, 6, 2
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, shape) for shape in ((inputs, hidden), (hidden, hidden), (hidden, outputs))]
    x, y = rng.uniform(-1, 1, (steps, batch, inputs)), rng.uniform(0, 1, (steps, batch, outputs))
    params = rnn.Params(*(scale * weight for weight in weights))
    return Problem(params, x, y, rnn.State(rng.uniform(0, 1, (batch, hidden))))


def _code(name: str) -> Code:
    return patch(RNN, ZEROS[name]) if name in ZEROS else with_mistakes(RNN, mistake("rnn", name))


def _gradient(code: Code, problem: Problem) -> rnn.Params:
    params, x, y, state = problem.inputs()
    return code.gradient(params, x, y, state, code.forward(params, x, state)).params


def _errors(code: Code, problem: Problem) -> list[float]:
    """Norm of the difference over norm, for each weight."""
    wrong, right = _gradient(code, problem), _gradient(RNN.code, problem)
    parts = [(getattr(wrong, name), getattr(right, name)) for name in WEIGHTS]
    return [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in parts]


@pytest.mark.parametrize("name", TABLE)
def test_each_figure_is_what_the_mistake_does(name: str) -> None:
    square, printed = TABLE[name]
    code, sizes = _code(name), SQUARE if square else SIZES
    measured = [error for scale in (1, 0.1) for error in _errors(code, _problem(scale, sizes))]
    assert [f"{error:.3g}" for error in measured] == list(printed)
    assert max(measured) > 0


def test_the_star_is_where_only_square_weights_conform() -> None:
    squares = {name for name in TABLE if name not in ZEROS and mistake("rnn", name).square}
    assert {name for name, (star, _) in TABLE.items() if star} == squares


def test_each_line_that_is_explained_is_measured_and_the_other_way_round() -> None:
    section = ERRATA.read_text(encoding="utf-8").partition("\n## What each defect does")[2]
    rows = re.findall(r"^\| `([\w-]+)`", section, re.MULTILINE)
    assert len(TABLE) > 12
    assert sorted(rows) == sorted(2 * list(TABLE))
    for name in set(TABLE) - set(ZEROS):
        label = re.search(rf"^\| `{name}` \|[^|]*\|[^|]*\| `([\w.]+)`", section, re.MULTILINE)
        assert label and label[1] in mistake("rnn", name).changes


@pytest.mark.parametrize(("hidden", "percent"), [(4, 4), (16, 12)])
def test_how_far_off_the_missing_recursion_is(hidden: int, percent: int) -> None:
    code = _code("explicit-delta-in-the-recursion")
    found = [_errors(code, _problem(1, (2, hidden, 1), seed))[0] for seed in range(200)]
    assert round(100 * float(np.median(found))) == percent
    text = " ".join(ERRATA.read_text(encoding="utf-8").split())
    assert re.search(rf"\b{percent} % (off )?with (four|the notebook's sixteen)", text)


def test_the_first_seed_trains_on_nothing() -> None:
    """Its predictions stay zero, and so does the slope y_hat (1 - y_hat): every gradient is exactly 0."""
    assert not any(np.any(part) for part in _gradient(_code("predictions-never-filled"), _problem(1)))


def test_what_only_looks_wrong_changes_nothing() -> None:
    """A reported loss that is not the one differentiated, and the second seed's sign, which its update adds back."""
    reported, sign = _code("loss-is-a-mean"), _code("sign-of-the-error")
    assert _errors(reported, _problem(1)) == [0, 0, 0]
    right = _gradient(RNN.code, _problem(1))
    assert all(np.array_equal(-a, b) for a, b in zip(_gradient(sign, _problem(1)), right, strict=True))
