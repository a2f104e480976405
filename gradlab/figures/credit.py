"""Who answers for whom: how much of each step's loss reaches each earlier step, and what is lost without recursion."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator

from gradlab.cells import Cell, Quantity, named
from gradlab.figures.anatomy import cell_of, total_deltas
from gradlab.figures.canvas import NORMAL, SMALL, WIDTH, FigureError, Theme, own_settings, theme_of
from gradlab.figures.canvas import blank as blank_figure
from gradlab.figures.marks import Array, ink_on, scientific, symbol
from gradlab.problem import Problem

NUMBERED = 8
"""Up to this many steps every entry has room for its number."""


class Credit(NamedTuple):
    """∂l(k)/∂by(t) at [k, t]: deltas (T, T, B, H), in float64; zero where t > k."""

    by: str
    deltas: Array

    @property
    def total(self) -> Array:
        """‖∂l(k)/∂by(t)‖ over batch and units, (T, T)."""
        largest = np.abs(self.deltas).max(axis=(2, 3), keepdims=True)
        # Scaled, since the squares of a long sequence's vanishing deltas underflow before the deltas do.
        scaled = self.deltas / np.where(largest == 0, 1, largest)
        return largest[..., 0, 0] * np.sqrt((scaled**2).sum(axis=(2, 3)))

    @property
    def explicit_only(self) -> Array:
        """What is left of `total` if the explicit delta of t+1 is sent back instead of the total one: k = t, t + 1."""
        return self.total * self._reached

    @property
    def lost(self) -> Array:
        """The part of ∂L/∂by(t) that the explicit-only recursion misses, ‖missed‖ / ‖∂L/∂by(t)‖ at each t (T,)."""
        missed = np.where(self._reached[:, :, None, None], 0, self.deltas).sum(axis=0)
        whole = np.linalg.norm(self.deltas.sum(axis=0), axis=(1, 2))
        return np.linalg.norm(missed, axis=(1, 2)) / np.where(whole == 0, 1, whole)

    @property
    def _reached(self) -> Array:
        k, t = np.indices(self.deltas.shape[:2])
        return (k == t) | (k == t + 1)


def credit_matrix(problem: Problem, *, cell: str | Cell | None = None, by: str | None = None) -> Credit:
    """∂l(k)/∂by(t) for every k and t, by the cell's own hand-written bptt, run once for each k.

    The target of every other step is set to what the network says there: only l(k) then sends anything back.
    `by` names the hidden intermediate that is differentiated by; left out, it is the first that has a total delta.

    Raises:
        FigureError: the cell has no total delta by that intermediate.
    """
    of = cell_of(problem, cell)
    quantity = _total_delta(of, by)
    params, x, y, state = problem.astype(np.float64).inputs()
    trace = of.code.forward(params, x, state)
    loss = of.code.loss(trace.y_hat, y)
    rows = []
    for k in range(len(x)):
        only_k = trace.y_hat.copy()
        only_k[k] = y[k]
        grads = of.code.gradient(params, x, only_k, state, trace)
        rows.append(named(of, trace, loss, grads)[quantity.name])
    return Credit(quantity.by, np.array(rows))


def _total_delta(of: Cell, by: str | None) -> Quantity:
    found = {quantity.by: quantity for quantity in total_deltas(of)}
    if not found or (by is not None and by not in found):
        possible = f"there are {', '.join(found)}" if found else "it has none by a hidden intermediate"
        raise FigureError(f"cell {of.name!r} has no total delta by {by!r}: {possible}")
    return found[by] if by is not None else next(iter(found.values()))


def credit(problem: Problem, *, cell: str | Cell | None = None, by: str | None = None, theme: str = "light") -> Figure:
    """The matrix ‖∂l(k)/∂by(t)‖, k over t, on a logarithmic colour scale, beside its explicit-only shadow."""
    colours = theme_of(theme)
    found = credit_matrix(problem, cell=cell, by=by)
    total = found.total
    positive = total[total > 0]
    low, high = (positive.min(), positive.max()) if positive.size else (0.1, 1.0)
    norm = LogNorm(10 ** np.floor(np.log10(low)), 10 ** max(np.ceil(np.log10(high)), np.floor(np.log10(low)) + 1))
    with own_settings():
        figure, sheet = blank_figure(colours, 4.55)
        name = symbol(found.by)
        panels = (
            (0.62, rf"who answers for whom:  $\Vert\,\partial l(k)\,/\,\partial {name}(t)\,\Vert$", total),
            (4.05, "its shadow: only the explicit delta sent back", found.explicit_only),
        )
        for left, title, values in panels:
            panel = figure.add_axes((left / WIDTH, 0.92 / 4.55, 3.05 / WIDTH, 3.05 / 4.55))
            mesh = _matrix(panel, values, norm, colours)
            sheet.text(left, 4.21, title, fontsize=NORMAL + 0.5, color=colours.ink, va="center")
        sheet.text(0.16, 2.45, "loss of step $k$", rotation=90, ha="center", va="center", color=colours.ink)
        for left in (0.62, 4.05):
            sheet.text(left + 1.52, 0.5, "reaches back to step $t$", ha="center", va="center", color=colours.ink)
        _scale_bar(figure, mesh, colours)
        sheet.text(0.62, 0.2, _caption(found, name), fontsize=NORMAL, color=colours.muted, va="center")
    return figure


def _caption(found: Credit, name: str) -> str:
    worst = int(np.argmax(found.lost))
    if not found.total.any():
        return "every loss sends back exactly 0: there is nothing to answer for"
    if found.lost[worst] == 0:
        return "without the recursion nothing is lost here: no loss lies two steps ahead"
    share = found.lost[worst]
    percent = f"{100 * share:.2g}" if share < 0.995 else f"{100 * share:.0f}"
    return (
        rf"without the recursion $\partial L\,/\,\partial {name}(t)$ is off by {percent} % at $t$ = {worst}"
        r"      (blank: exactly 0)"
    )


def _matrix(panel: Axes, values: Array, norm: LogNorm, theme: Theme) -> Any:
    T = len(values)
    panel.set_facecolor(theme.panel)
    mesh = panel.pcolormesh(
        np.arange(T + 1) - 0.5,
        np.arange(T + 1) - 0.5,
        np.ma.masked_equal(values, 0),
        cmap="viridis",
        norm=norm,
        edgecolors=theme.paper if T <= 16 else "face",
        linewidth=1.0 if T <= 16 else 0.2,
    )
    panel.set(xlim=(-0.5, T - 0.5), ylim=(T - 0.5, -0.5))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(min(T, 10), integer=True, min_n_ticks=1))
    panel.tick_params(colors=theme.ink, labelsize=SMALL, length=2)
    for spine in panel.spines.values():
        spine.set_color(theme.line)
    if T <= NUMBERED:
        decimals = 1 if T <= 6 else 0
        for k, t in np.argwhere(values > 0):
            colour = ink_on(mesh.cmap(norm(values[k, t])), theme)
            text = scientific(values[k, t], decimals)
            panel.text(t, k, text, ha="center", va="center_baseline", fontsize=SMALL, color=colour)
    return mesh


def _scale_bar(figure: Figure, mesh: Any, theme: Theme) -> None:
    bar_axes = figure.add_axes((7.28 / WIDTH, 0.92 / 4.55, 0.13 / WIDTH, 3.05 / 4.55))
    bar = figure.colorbar(mesh, cax=bar_axes)
    bar.ax.yaxis.set_major_locator(LogLocator(10, numticks=9))
    bar.ax.yaxis.set_major_formatter(LogFormatterMathtext(10))
    bar.ax.minorticks_off()
    bar.ax.tick_params(colors=theme.ink, labelsize=NORMAL, length=2)
    bar.outline.set_edgecolor(theme.line)
