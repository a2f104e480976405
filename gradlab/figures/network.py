"""The architecture: three layers, what joins them, and the hand-written equations that say the same."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path

from gradlab.cells import Cell
from gradlab.cells import cell as registered
from gradlab.equations import equations
from gradlab.figures.anatomy import cell_of, weights
from gradlab.figures.canvas import MATH, NORMAL, SMALL, TITLE, Theme, blank, own_settings, theme_of
from gradlab.figures.marks import Array, box, symbol
from gradlab.problem import Problem, axes

LAYERS = {"I": (1.45, "input layer"), "H": (4.0, "hidden layer"), "O": (6.55, "output layer")}
SHOWN = 6
"""A layer of more units is drawn as its first three, dots, and its last."""
ABREAST = 4
"""So many names of recurrent weights stand in one line."""
PITCH, RADIUS = 0.42, 0.135
MONOSPACED = 0.0669
"""Inches per character of DejaVu Sans Mono at SMALL."""


def network(of: Problem | Cell | str, *, cell: str | Cell | None = None, theme: str = "light") -> Figure:
    """The network of a problem, with its sizes and weights, or of a cell in general, with the letters of its axes.

    A weight's line is as thick as the weight is large; a negative one is dashed.
    """
    colours = theme_of(theme)
    if isinstance(of, Problem):
        kind, sizes = cell_of(of, cell), of.sizes
    else:
        kind, sizes = registered(of) if isinstance(of, str) else of, {}
    lines = _equations(kind)
    shown = {letter: _shown(sizes.get(letter)) for letter in LAYERS}
    tall = {letter: PITCH * len(units) + 0.2 for letter, units in shown.items()}
    names, shapes = weights(kind), axes(kind.module.Params)
    beside = 0.26 * max(len(names.into), len(names.out))
    within = [names.within[i : i + ABREAST] for i in range(0, len(names.within), ABREAST)]
    loop_label = max(0.88, beside + 0.1 if len(names.within) > 1 else 0)  # above what stands beside the loop
    over = tall["H"] / 2 + max(loop_label + 0.26 * len(within) + 0.06, beside + 0.2)
    under = max(tall.values()) / 2 + 0.95
    height = over + under + 0.17 * len(lines) + 0.1
    with own_settings():
        figure, sheet = blank(colours, height)
        middle = height - over
        units = {
            letter: _layer(sheet, letter, shown[letter], sizes.get(letter), middle, tall, colours) for letter in LAYERS
        }
        arrays = of.params._asdict() if isinstance(of, Problem) else {}
        _connections(sheet, units["I"], units["H"], _one(names.into, arrays), colours)
        _connections(sheet, units["H"], units["O"], _one(names.out, arrays), colours)
        _names(sheet, 2.725, middle + tall["H"] / 2, names.into, shapes, sizes, colours)
        _names(sheet, 5.275, middle + tall["H"] / 2, names.out, shapes, sizes, colours)
        _loop(sheet, middle + tall["H"] / 2, colours)
        for row, together in enumerate(reversed(within)):
            text = "    ".join(_named(name, shapes, sizes) for name in together)
            y = middle + tall["H"] / 2 + loop_label + 0.26 * row
            sheet.text(LAYERS["H"][0], y, text, ha="center", va="center", fontsize=MATH, color=colours.ink)
        for x, text in ((2.725, "solid: weight > 0"), (5.275, "dashed: weight < 0")) if arrays else ():
            y = middle - max(tall.values()) / 2 - 0.42
            sheet.text(x, y, text, ha="center", va="center", fontsize=SMALL, color=colours.muted)
        for row, (label, text) in enumerate(lines):
            y = height - over - under - 0.17 * row
            sheet.text(0.35, y, label, fontsize=SMALL, family="DejaVu Sans Mono", color=colours.muted, va="center")
            sheet.text(2.1, y, text, fontsize=SMALL, family="DejaVu Sans Mono", color=colours.ink, va="center")
    return figure


def _equations(of: Cell) -> list[tuple[str, str]]:
    """The forward pass and the loss as they stand in the source, each line short enough for the figure."""
    rows = []
    for function in (of.code.forward, of.code.loss):
        for equation in equations(function).values():
            for i, part in enumerate(textwrap.wrap(" ".join(equation.text.split()), int(5.6 / MONOSPACED))):
                rows.append((equation.label if i == 0 else "", part if i == 0 else "    " + part))
    return rows


def _one(names: list[str], arrays: dict[str, Any]) -> Array | None:
    """The weights between two layers, if one array holds them all: several gates have no one thickness."""
    matrices = [arrays[name] for name in names if name in arrays and arrays[name].ndim == 2]
    return matrices[0] if len(matrices) == 1 else None


def _shown(size: int | None) -> list[int | None]:
    """The units of a layer that are drawn, by index; None stands for dots."""
    if size is None:
        return [0, 1, None, -1]
    return list(range(size)) if size <= SHOWN else [0, 1, 2, None, size - 1]


def _layer(
    sheet: Axes,
    letter: str,
    shown: list[int | None],
    size: int | None,
    middle: float,
    tall: dict[str, float],
    theme: Theme,
) -> dict[int, tuple[float, float]]:
    """Draw one layer and return where its units stand, by index."""
    x, title = LAYERS[letter]
    box(sheet, x - 0.36, middle - tall[letter] / 2, 0.72, tall[letter], face=theme.panel, edge=theme.line, zorder=0)
    places = {}
    for row, unit in enumerate(shown):
        y = middle + PITCH * ((len(shown) - 1) / 2 - row)
        if unit is None:
            for dot in (-0.09, 0, 0.09):
                sheet.add_patch(Circle((x, y + dot), 0.018, color=theme.muted, zorder=4))
            continue
        places[unit] = (x, y)
        sheet.add_patch(Circle((x, y), RADIUS, facecolor=theme.paper, edgecolor=theme.ink, linewidth=1.3, zorder=4))
    count = f"${letter}$ = {size}" if size is not None else f"${letter}$ units"
    below = middle - max(tall.values()) / 2
    sheet.text(x, below - 0.2, title, ha="center", va="center", fontsize=TITLE, color=theme.ink)
    sheet.text(x, below - 0.42, count, ha="center", va="center", fontsize=NORMAL, color=theme.muted)
    return places


def _connections(sheet: Axes, left: dict[int, Any], right: dict[int, Any], matrix: Array | None, theme: Theme) -> None:
    largest = 1.0 if matrix is None else float(np.abs(matrix).max()) or 1.0
    for i, start in left.items():
        for j, end in right.items():
            weight = None if matrix is None else float(matrix[i, j]) / largest
            sheet.plot(
                [start[0], end[0]],
                [start[1], end[1]],
                zorder=1,
                solid_capstyle="butt",
                color=theme.forward if weight is None or weight >= 0 else theme.backward,
                linewidth=0.9 if weight is None else 0.25 + 2.0 * abs(weight),
                linestyle="solid" if weight is None or weight >= 0 else (0, (3, 1.5)),
                alpha=0.75,
            )


def _names(sheet: Axes, x: float, y: float, names: list[str], shapes: Any, sizes: Any, theme: Theme) -> None:
    """The weights' names over their lines, each with its shape."""
    for row, name in enumerate(reversed(names)):
        sheet.text(
            x,
            y + 0.05 + 0.26 * row,
            _named(name, shapes, sizes),
            ha="center",
            va="center",
            fontsize=MATH,
            color=theme.ink,
        )


def _named(name: str, shapes: Any, sizes: Any) -> str:
    size = r" \times ".join(str(sizes.get(letter, letter)) for letter in shapes[name])
    return rf"${symbol(name)}$  $\mathregular{{({size})}}$"


def _loop(sheet: Axes, top: float, theme: Theme) -> None:
    """The recurrent arrow: out of the hidden layer's top and back in, one step later."""
    x = LAYERS["H"][0]
    path = Path(
        [(x + 0.22, top), (x + 0.9, top + 0.85), (x - 0.9, top + 0.85), (x - 0.22, top + 0.01)],
        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )
    sheet.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle="-|>,head_length=0.4,head_width=0.25",
            mutation_scale=13,
            linewidth=2.0,
            color=theme.ink,
            zorder=5,
        )
    )
    sheet.text(x, top + 0.3, r"$t - 1 \to t$", ha="center", va="center", fontsize=NORMAL, color=theme.muted)
