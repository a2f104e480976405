"""The catalogue: rows that are one of a kind, fit the code, and say where they come from."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from gradlab.cells import CELLS, cell
from gradlab.mistakes.catalogue import Mistake, distinct, mistake, mistakes, table
from gradlab.mistakes.patch import with_mistakes
from gradlab.mistakes.rows import classes
from gradlab.mistakes.rows.rnn_equations import EQUATIONS

RNN = cell("rnn")
ROWS = mistakes("rnn")

# A word of every class of the survey that can occur in an Elman network under BPTT.
CLASSES = (
    "temporal carry missing", "activation derivative", "time index", "wrong operand", "missing transpose",
    "stale cache",
    "time accumulation dropped", "last step's loss injected", "sum against mean over T", "reported loss",
    "wrong side of the derivative", "counted twice", "output Jacobian dropped", "tanh(x/2)", "sign (1)",
    "explicit delta in the recursion",
)  # fmt: skip

# What changes a gradient in the seeds, by the file and line of the seeds.
SEED_LINES = ("000", "347", "426", "550", "227", "330", "458", "494", "605"), ("002", "50", "143", "162", "300", "307",
                                                                               "318", "365", "368")  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_every_row_fits_its_cell(name: str) -> None:
    for row in mistakes(name):
        assert row.cell == name
        assert (
            set(row.changes) == set(row.latex) == set(row.correct) and set(row.changes) <= cell(name).equations.keys()
        )
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.name), row.name
        assert row.does and row.hides and row.seen
        assert all(row.latex[label] != row.correct[label] for label in row.labels), row.name
        with_mistakes(cell(name), row)


def test_every_equation_of_the_cell_stands_in_the_derivation_and_has_mistakes() -> None:
    assert [f"rnn.{name}" for name in EQUATIONS] == list(RNN.equations)
    assert {label for row in ROWS for label in row.labels} == set(RNN.equations)


@pytest.mark.parametrize("words", CLASSES)
def test_every_class_of_mistakes_is_there(words: str) -> None:
    assert any(words in row.seen for row in ROWS)


@pytest.mark.parametrize(("seed", "line"), [(seed, line) for seed, *lines in SEED_LINES for line in lines])
def test_every_defect_of_the_seeds_that_changes_a_gradient_is_there(seed: str, line: str) -> None:
    assert any(re.search(rf"{seed}\b[^;]*\b{line}\b", row.seen) for row in ROWS)


def test_no_class_is_counted_in_vain() -> None:
    words = [value for name, value in vars(classes).items() if name.isupper() and value.startswith("survey")]
    assert len(words) >= 15
    assert all(any(word in row.seen for row in ROWS) for word in words)


def _renamed(row: Mistake) -> Mistake:
    return replace(row, name=f"{row.name}-again")


def test_two_rows_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=f"two mistakes of rnn are called {ROWS[0].name}"):
        distinct((ROWS[0], replace(ROWS[1], name=ROWS[0].name)))


def test_two_rows_that_change_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="change the same in the same way"):
        distinct((*ROWS, _renamed(ROWS[0])))


def test_an_unknown_name_is_refused_with_its_neighbours() -> None:
    with pytest.raises(KeyError, match="explicit-delta-in-the-recursion"):
        mistake("rnn", "explicit-delta-in-recursion")


def test_a_cell_without_rows_has_none() -> None:
    assert mistakes("no_such_cell") == ()


def test_the_table_shows_every_mistake() -> None:
    from rich.console import Console

    console = Console(width=250, file=io.StringIO())
    console.print(table("rnn"))
    text = console.file.getvalue()
    assert all(row.name in text for row in ROWS)
    assert "[t > 0]" in text
