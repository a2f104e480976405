"""What a figure has to know of a cell, read off its declarations: no cell is known by name here."""

from __future__ import annotations

from typing import NamedTuple

from gradlab.cells import Cell, Quantity, cell, known
from gradlab.figures.canvas import FigureError
from gradlab.problem import Problem, axes


def cell_of(problem: Problem, wanted: str | Cell | None = None) -> Cell:
    """The cell that a problem is run on: the one wanted, else the first registered one with this type of params.

    Raises:
        FigureError: none is registered for these params, or the one wanted takes others.
    """
    kind = type(problem.params)
    if wanted is None:
        for name in known():
            if cell(name).module.Params is kind:
                return cell(name)
        raise FigureError(
            f"no registered cell has params of type {kind.__qualname__}: name one of {', '.join(known())}"
        )
    found = cell(wanted) if isinstance(wanted, str) else wanted
    if found.module.Params is not kind:
        raise FigureError(
            f"the problem's params are {kind.__module__}.{kind.__qualname__}; "
            f"cell {found.name!r} takes {found.module.Params.__module__}.Params"
        )
    return found


class Weights(NamedTuple):
    """The names of a cell's weights by where they act: into, within and out of the hidden layer."""

    into: list[str]
    within: list[str]
    out: list[str]


def weights(of: Cell) -> Weights:
    """Sorted by axes: from I is into the hidden layer, to O is out of it, the rest (biases, too) is within."""
    shapes = axes(of.module.Params)
    into = [name for name, letters in shapes.items() if letters[0] == "I"]
    out = [name for name, letters in shapes.items() if letters[-1] == "O"]
    return Weights(into, [name for name in shapes if name not in into + out], out)


def activations(of: Cell) -> list[Quantity]:
    """The intermediates worth showing: all but the pre-activations (`net_…`), whose deltas are shown instead."""
    return [quantity for quantity in of.of_kind("trace") if not quantity.name.startswith("net_")]


def carried(of: Cell) -> dict[str, str]:
    """State field -> the intermediate that carries it from step to step: {"a_initial": "a_hidden"}."""
    hidden = [quantity.name for quantity in activations(of) if quantity.axes == ("T", "B", "H")]
    found = {}
    for state in axes(of.module.State):
        stem = state.partition("_")[0]
        found[state] = next((name for name in hidden if name.partition("_")[0] == stem), hidden[-1])
    return found


def total_deltas(of: Cell) -> list[Quantity]:
    """The derivatives of the whole loss by a hidden intermediate, at every step."""
    return [quantity for quantity in of.of_kind("delta") if quantity.losses == "all" and quantity.axes[-1] == "H"]
