"""The rows of every cell but the first: caught, located, named, from deltas and from gradients; the course mistake."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gradlab.arithmetic.balls import precision
from gradlab.cells import CELLS, Code, cell
from gradlab.lab import check
from gradlab.mistakes.catalogue import mistake, mistakes
from gradlab.mistakes.diagnose import diagnose
from gradlab.mistakes.naming import Naming, plant, sampled
from gradlab.mistakes.patch import with_mistakes
from gradlab.mistakes.probes import SQUARE, drawn, probes
from gradlab.mistakes.score import Ground

OTHERS = [name for name in CELLS if name != "rnn"]
COURSE = "carries-computed-and-never-passed-on"

# Every so many rows are tried here at each of the two scales, beginning at the second number: others at each.
STEP = {1.0: (18, 1), 1e-6: (18, 10)}

# No size is 2, and none is another but in the square one: factors of ½ and of 1/B are not taken for each other.
SIZES = {"T": 6, "B": 3, "O": 7, "H": 4, "I": 5}, {**SQUARE, "B": 4}

# The classes of mistakes that each cell has to have, cell by cell.
WANTED = {
    "lstm": (COURSE, "cell-carry-forgotten", "only-the-input-gate-carried", "shown-counted-twice",
             "candidate-slope-twice", "candidate-slope-of-tanh", "shown-slope-at-the-cell-state",
             "gates-slope-of-sigmoid", "input-gate-delta-in-forget-gate-bias", "input-gate-delta-of-tanh-c",
             "forget-gate-delta-of-the-previous-candidate", "delta-of-step-0-missing", "coupled-input-and-forget-gate",
             "forget-gate-delta-of-the-present-cell-state", "explicit-delta-in-the-recursion"),
    "gru": ("direct-carry-forgotten", "only-the-direct-carry", "coupled-path-of-the-candidate-missing",
            "reset-before-the-product", "update-gate-the-other-way", "candidate-slope-twice",
            "update-gate-delta-of-the-previous-candidate", "update-gate-delta-of-the-present-state",
            "explicit-delta-in-the-recursion"),
    "rtrl": ("kronecker-delta-missing-everywhere", "immediate-term-missing-hidden", "recursion-dropped-everywhere",
             "recursion-elementwise-everywhere", "recursion-over-the-wrong-axis-hidden",
             "recursion-stops-one-step-early-everywhere", "recursion-transposed-everywhere",
             "slope-over-the-wrong-axis-hidden"),
}  # fmt: skip


@cache
def ground(name: str, scale: float, square: bool) -> Ground:
    return Ground(cell(name), drawn(cell(name), SIZES[square], scale, int(square)))


@pytest.mark.parametrize("name", OTHERS)
def test_every_equation_stands_in_the_derivation_and_has_mistakes(name: str) -> None:
    text = (Path(__file__).parents[2] / "derivations" / f"{name}.md").read_text(encoding="utf-8")
    correct = {label: side for row in mistakes(name) for label, side in row.correct.items()}
    assert correct.keys() == cell(name).equations.keys()
    assert all(rf"\tag{{{label}}}" in text for label in correct)


@pytest.mark.parametrize(("name", "row"), [(name, row) for name, rows in WANTED.items() for row in rows])
def test_what_is_wanted_is_there(name: str, row: str) -> None:
    assert mistake(name, row).does


@pytest.mark.parametrize("name", ["reset-before-the-product", "update-gate-the-other-way"])
def test_another_convention_is_called_one(name: str) -> None:
    assert mistake("gru", name).does.startswith("a convention, not a bug")


@pytest.mark.parametrize("scale", STEP)
@pytest.mark.parametrize("name", OTHERS)
def test_mistakes_are_caught_located_and_named_from_deltas(name: str, scale: float) -> None:
    step, start = STEP[scale]
    for row in mistakes(name)[start::step]:
        code, there = with_mistakes(cell(name), row), ground(name, scale, row.square)
        with precision(128):
            assert there.wrong(there.outcome(code)), row.name
        found = diagnose(name, code, problems=[there.problem])
        assert found is not None and found.decided and found.mistakes == (row.name,), (row.name, found)
        assert found.label == row.labels[0]


@pytest.mark.parametrize("name", OTHERS)
def test_pairs_are_named_from_deltas(name: str) -> None:
    tally = Naming()
    for two in sampled(mistakes(name), 8, offset=3):
        plant(cell(name), two, probes(cell(name))[:2], tally)
    assert not tally.wrong
    assert tally.right + tally.undecided + tally.refused + tally.unnamed == 8


def test_the_course_mistake_is_named_from_gradients_alone() -> None:
    code = with_mistakes(cell("lstm"), mistake("lstm", COURSE))

    def bare(*args: Any) -> Any:
        return code.gradient(*args)._replace(deltas=None)

    found = diagnose("lstm", Code(code.forward, code.loss, bare, "bare"))
    assert found is not None and found.mistakes == (COURSE,)


def test_a_file_with_the_course_mistake_is_named(tmp_path: Path) -> None:
    source = Path(cell("lstm").module.__file__).read_text(encoding="utf-8")
    for right, wrong in (
        ("delta_h_explicit[t] + delta_h_implicit[t]", "delta_h_explicit[t]"),
        ("delta_c_shown[t] + delta_c_previous[t + 1]", "delta_c_shown[t]"),
    ):
        assert source.count(right) == 1
        source = source.replace(right, wrong)
    file = tmp_path / "course.py"
    file.write_text(source, encoding="utf-8")
    found = check("lstm", code=file, examples=1).cells["lstm"].diagnosis
    assert found is not None and found.mistakes == (COURSE,)
    assert found.label == "lstm.delta_h"
