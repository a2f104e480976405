"""One problem unrolled over time: what goes forward, and under it, step by step, what comes back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradlab.cells import Cell, run
from gradlab.figures.anatomy import activations, carried, cell_of
from gradlab.figures.canvas import MATH, SMALL, TITLE, WIDTH, FigureError, Theme, blank, own_settings, theme_of
from gradlab.figures.marks import (
    Array,
    Scale,
    activation_scale,
    arrow,
    colourbar,
    numbers_fit,
    short,
    signed_scale,
    strip,
    symbol,
)
from gradlab.problem import Problem

STEPS = 10
"""More columns than this do not fit at README width."""
GUTTER, RIGHT, INITIAL = 1.42, 0.16, 0.34
HEAD, FOOT, TALL, ROW = 0.36, 0.5, 0.23, 0.66


class Row(NamedTuple):
    """One quantity, at every step: values (T, n). `losses` as in Quantity, empty for what goes forward."""

    name: str
    label: str
    values: Array
    scale: Scale
    losses: str = ""
    by: str = ""


def unrolled(
    problem: Problem,
    *,
    cell: str | Cell | None = None,
    item: int = 0,
    first: int = 0,
    steps: int | None = None,
    theme: str = "light",
) -> Figure:
    """One item of the batch, unrolled: x, the activations, y_hat and y, then the deltas by the hand-written bptt.

    Shown are the steps from `first` on, at most ten; the deltas hold what all later steps send back, shown or not.

    Raises:
        FigureError: no such item or step.
    """
    colours = theme_of(theme)
    T, B = problem.sizes["T"], problem.sizes["B"]
    last = min(T, first + min(STEPS, steps if steps is not None else STEPS))
    if not 0 <= item < B:
        raise FigureError(f"item = {item}: the batch has {B} items, 0 to {B - 1}")
    if not 0 <= first < last:
        raise FigureError(f"first = {first}, steps = {steps}: the problem has {T} steps, 0 to {T - 1}")
    of = cell_of(problem, cell)
    rows = _rows(of, problem, item, colours)
    height = HEAD + ROW * len(rows) + FOOT
    with own_settings():
        figure, sheet = blank(colours, height)
        layout = Layout(first, last, T, height, {row.name: i for i, row in enumerate(rows)})
        for i, row in enumerate(rows):
            _draw_row(sheet, layout, i, row, colours)
        _forward_arrows(sheet, layout, rows, of, problem, item, colours)
        _backward_arrows(sheet, layout, rows, of, colours)
        for t in range(first, last):
            sheet.text(layout.centre(t), height - 0.2, f"$t$ = {t}", ha="center", va="center", color=colours.ink)
        _legend(sheet, layout, rows, colours)
    return figure


class Layout(NamedTuple):
    """Where column t and row i stand, in inches."""

    first: int
    last: int
    T: int
    height: float
    row_of: dict[str, int]

    def numbered(self, row: Row) -> bool:
        """Whether every unit of a row has room for its number; all steps of it are then drawn alike."""
        return numbers_fit(row.values[self.first : self.last], self.width, row.scale)

    @property
    def pitch(self) -> float:
        """From one column to the next."""
        return (WIDTH - GUTTER - INITIAL - RIGHT) / (self.last - self.first)

    @property
    def width(self) -> float:
        """Of a strip."""
        return min(self.pitch - 0.17, 1.6)

    def centre(self, t: int) -> float:
        """Of the column of step t."""
        return GUTTER + INITIAL + self.pitch * (t - self.first + 0.5)

    def left(self, t: int) -> float:
        """The left end of the strips of step t."""
        return self.centre(t) - self.width / 2

    def right(self, t: int) -> float:
        """The right end of the strips of step t."""
        return self.centre(t) + self.width / 2

    def bottom(self, row: int) -> float:
        """The lower edge of the strips of a row; their captions hang under it."""
        return self.height - HEAD - ROW * row - TALL - 0.04

    def middle(self, row: int) -> float:
        """Half the height of the strips of a row."""
        return self.bottom(row) + TALL / 2


def _rows(of: Cell, problem: Problem, item: int, theme: Theme) -> list[Row]:
    """x, the activations (y_hat last), y; then the deltas in the order of the derivation."""
    found = run(of, problem.inputs())
    x, y = problem.x[:, item], problem.y[:, item]
    shown = {quantity: found[quantity.name][:, item] for quantity in activations(of)}
    scale = activation_scale(np.concatenate([values.ravel() for values in shown.values()]), theme)
    rows = [Row("x", "", x, activation_scale(x, theme))]
    rows += [Row(quantity.name, quantity.label, values, scale) for quantity, values in shown.items()]
    rows += [Row("y", "", y, scale)]
    deltas = of.of_kind("delta")
    for quantity in deltas:
        # One scale for the parts of a sum, so that the eye can add them up.
        family = np.concatenate([found[other.name][:, item].ravel() for other in deltas if other.by == quantity.by])
        rows.append(
            Row(
                quantity.name,
                quantity.label,
                found[quantity.name][:, item],
                signed_scale(family, theme),
                quantity.losses,
                quantity.by,
            )
        )
    return rows


def _draw_row(sheet: Axes, layout: Layout, i: int, row: Row, theme: Theme) -> None:
    y, bottom = layout.middle(i), layout.bottom(i)
    numbers = layout.numbered(row)
    unit = f"  {row.scale.unit}" if numbers else ""
    sheet.text(0.12, y, f"${symbol(row.name)}(t)${unit}", fontsize=MATH, va="center", color=theme.ink)
    if row.label:
        sheet.text(0.12, y - 0.2, row.label, fontsize=SMALL, family="DejaVu Sans Mono", va="center", color=theme.muted)
    for t in range(layout.first, layout.last):
        strip(sheet, layout.left(t), bottom, layout.width, TALL, row.values[t], row.scale, theme, numbers=numbers)
        if not numbers:
            norm = float(np.linalg.norm(row.values[t]))
            text = short(norm, 2 if layout.width > 0.52 or norm >= 0.01 else 1)
            sheet.text(layout.left(t) + 0.15, bottom - 0.11, text, va="center", fontsize=SMALL, color=theme.muted)


def _forward_arrows(
    sheet: Axes, layout: Layout, rows: list[Row], of: Cell, problem: Problem, item: int, theme: Theme
) -> None:
    """x into the hidden layer, the hidden layer into y_hat, and what is carried from step to step."""
    hidden = [i for i, row in enumerate(rows) if not row.losses and row.name not in ("x", "y", "y_hat")]
    for upper, lower in ((0, hidden[0]), (hidden[-1], layout.row_of["y_hat"])):
        for t in range(layout.first, layout.last):
            _down(sheet, layout, t, upper, lower, theme.forward)
    for state, name in carried(of).items():
        i = layout.row_of[name]
        y = layout.middle(i)
        for t in range(layout.first, layout.last - 1):
            arrow(sheet, [(layout.right(t) + 0.01, y), (layout.left(t + 1) - 0.01, y)], theme.forward)
        if layout.first == 0:
            initial = getattr(problem.state, state)[item]
            strip(sheet, GUTTER, layout.bottom(i), INITIAL - 0.1, TALL, initial, rows[i].scale, theme)
        arrow(sheet, [(GUTTER + INITIAL - 0.09, y), (layout.left(layout.first) - 0.01, y)], theme.forward)


def _backward_arrows(sheet: Axes, layout: Layout, rows: list[Row], of: Cell, theme: Theme) -> None:
    """Down each column as the derivation goes; from step to step from the total delta into that of later losses."""
    deltas = [i for i, row in enumerate(rows) if row.losses]
    signs = {("own", "later"): "+", ("later", "all"): "="}
    for lower in deltas:
        upper = lower - 1
        pair = (rows[upper].losses, rows[lower].losses)
        for t in range(layout.first, layout.last):
            if rows[upper].by == rows[lower].by and pair in signs:
                y = (layout.bottom(upper) + layout.bottom(lower) + TALL) / 2
                sheet.text(
                    layout.left(t) + 0.07,
                    y,
                    signs[pair],
                    ha="center",
                    va="center_baseline",
                    fontsize=TITLE,
                    color=theme.backward,
                    weight="bold",
                )
            else:
                # From y_hat behind y: the first delta needs both.
                source = upper if rows[upper].losses else upper - 1
                _down(sheet, layout, t, source, lower, theme.backward, backward=True)
    for i in deltas:
        later = next((j for j in deltas if rows[j].by == rows[i].by and rows[j].losses == "later"), i)
        # Without a part of its own for later losses, a delta goes from step to step if what it is taken by does.
        if rows[i].losses != "all" or (later == i and rows[i].by not in carried(of).values()):
            continue
        for t in range(layout.first, layout.last - 1):
            start, end = layout.left(t + 1) - 0.01, layout.right(t) + 0.01
            between = (start + end) / 2 + 0.02
            low, high = layout.middle(i), layout.middle(later)
            arrow(sheet, [(start, low), (between, low), (between, high), (end, high)], theme.backward, backward=True)


def _down(sheet: Axes, layout: Layout, t: int, upper: int, lower: int, colour: str, *, backward: bool = False) -> None:
    x = layout.left(t) + 0.07
    arrow(sheet, [(x, layout.bottom(upper) - 0.02), (x, layout.bottom(lower) + TALL + 0.02)], colour, backward=backward)


def _legend(sheet: Axes, layout: Layout, rows: list[Row], theme: Theme) -> None:
    y, last = 0.17, rows[-1]
    for x, text, colour in ((0.12, "forward", theme.forward), (1.06, "backward", theme.backward)):
        arrow(sheet, [(x, y), (x + 0.34, y)], colour, backward=text == "backward")
        sheet.text(x + 0.4, y, text, va="center", color=theme.ink)
    sheet.text(2.17, y, "activation", va="center", color=theme.ink)
    colourbar(sheet, 3.3, y - 0.06, 0.5, 0.12, rows[1].scale, theme)
    sheet.text(4.3, y, f"${symbol(last.name)}$", va="center", color=theme.ink, fontsize=TITLE)
    colourbar(sheet, 5.55, y - 0.06, 0.5, 0.12, last.scale, theme)
    if not all(layout.numbered(row) for row in rows):
        sheet.text(
            WIDTH - RIGHT, y, "below a strip: its norm", ha="right", va="center", fontsize=SMALL, color=theme.muted
        )
    if layout.last - layout.first < layout.T:
        sheet.text(
            0.12,
            layout.height - 0.2,
            f"{layout.last - layout.first} of {layout.T} steps",
            va="center",
            color=theme.muted,
        )
