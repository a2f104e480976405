"""The marks that the figures share: names in mathtext, short numbers, strips of units, arrows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize, to_rgb
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle

from gradlab.figures.canvas import SMALL, Theme

Array = np.ndarray[Any, Any]

GREEK = {"delta": r"\delta", "sigma": r"\sigma"}
CHARACTER = 0.092
"""Inches that one digit takes at SMALL, with a little air."""
ABREAST = 24


def symbol(name: str) -> str:
    """A name of the code in mathtext, without dollars: `W_hidden` -> W with the subscript hidden, `y_hat` -> ŷ."""
    head, *rest = name.split("_")
    if rest and rest[-1] == "hat":
        head, rest = rf"\hat{{{head}}}", rest[:-1]
    elif head in GREEK:
        head = GREEK[head]
    elif len(head) > 1:
        head = rf"\mathrm{{{head}}}"
    return head + (rf"_{{\mathrm{{{','.join(rest)}}}}}" if rest else "")


def scientific(value: float, decimals: int = 1) -> str:
    """A mantissa and an exponent without padding: 1.2e−3; an exact zero is 0."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def short(value: float, digits: int = 2) -> str:
    """So many significant digits: 0.063, 2.8, 12; far from 1 with an exponent."""
    if 0.001 <= abs(value) < 10**digits:
        return f"{value:.{digits}g}".replace("-", "−")
    return scientific(value, digits - 1)


def fixed(value: float, digits: int = 2) -> str:
    """At most `digits` decimals, no trailing zeros, a true minus sign: 1, 0.53, −0.2."""
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if float(value).is_integer() else text
    return ("0" if float(text) == 0 and value == 0 else text).replace("-", "−")


class Scale(NamedTuple):
    """How values become colours and numbers: numbers are shown in units of 10**exponent."""

    cmap: Colormap
    norm: Normalize
    exponent: int = 0

    def colour(self, value: float) -> Any:
        """The colour of a value, as matplotlib takes it."""
        return self.cmap(self.norm(value))

    @property
    def unit(self) -> str:
        """×10ⁿ in mathtext, or nothing for n = 0."""
        return rf"$\times 10^{{{self.exponent}}}$" if self.exponent else ""


def activation_scale(values: Array, theme: Theme) -> Scale:
    """From 0 to 1 where the values lie there (σ, bits), else symmetric about zero (tanh)."""
    if values.min() >= 0 and values.max() <= 1:
        return Scale(theme.activations, Normalize(0, 1))
    return Scale(theme.activations, Normalize(-_reach(values), _reach(values)))


def signed_scale(values: Array, theme: Theme) -> Scale:
    """Symmetric about zero, its numbers in units of the largest value's power of ten."""
    reach = _reach(values)
    exponent = 0 if 0.1 <= reach < 100 else math.floor(math.log10(reach))
    return Scale(theme.signed, Normalize(-reach, reach), exponent)


def _reach(values: Array) -> float:
    return float(np.abs(values).max()) or 1.0


def ink_on(colour: Any, theme: Theme) -> str:
    """Black or white, whichever contrasts more with `colour` (WCAG 2 relative luminance)."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], channels))
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def numbers_fit(values: Array, width: float, scale: Scale) -> bool:
    """Whether each of the units along the last axis has room for its number in a strip of that width."""
    longest = max(len(_number(value, scale)) for value in values.ravel())
    return longest * CHARACTER <= width / values.shape[-1] + 0.03


def strip(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    values: Array,
    scale: Scale,
    theme: Theme,
    *,
    upright: bool = False,
    numbers: bool = False,
) -> None:
    """Units side by side in the box with lower left corner (x, y), or one under the other if `upright`.

    More than ABREAST units stand in several lines, to be read as text is.
    """
    n = len(values)
    cells = values[::-1, None] if upright else _lines(values)[::-1]
    across, up = cells.shape[1] + 1, cells.shape[0] + 1
    axes.pcolormesh(
        np.linspace(x, x + width, across),
        np.linspace(y, y + height, up),
        cells,
        cmap=scale.cmap,
        norm=scale.norm,
        edgecolors="face",
        linewidth=0.2,
        zorder=2,
    )
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=theme.muted, linewidth=0.8, zorder=3))
    for i, value in enumerate(values if numbers else ()):
        axes.text(
            x + width * (i + 0.5) / n,
            y + height / 2,
            _number(value, scale),
            ha="center",
            va="center_baseline",
            fontsize=SMALL,
            color=ink_on(scale.colour(value), theme),
            zorder=4,
        )


def _lines(values: Array) -> Array:
    """(n,) -> (lines, at most ABREAST), as even as can be; places left over are nan, which has no colour."""
    lines = -(-len(values) // ABREAST)
    places = np.full(lines * -(-len(values) // lines), np.nan)
    places[: len(values)] = values
    return places.reshape(lines, -1)


def _number(value: float, scale: Scale) -> str:
    return fixed(value / 10.0**scale.exponent)


def arrow(axes: Axes, points: list[tuple[float, float]], colour: str, *, backward: bool = False) -> None:
    """Straight from point to point, the head at the last. Forward is solid, backward is dashed: the difference does
    not hang on colour alone."""
    dashes: Any = (0, (2.5, 1.5)) if backward else "solid"
    xs, ys = zip(*points, strict=True)
    # The shaft is its own line: dashes would cut the head's outline to pieces.
    axes.plot(
        xs, ys, color=colour, linewidth=1.4, linestyle=dashes, zorder=1.5, solid_joinstyle="round", dash_capstyle="butt"
    )
    axes.add_patch(_head(points[-2], points[-1], colour))


def _head(start: tuple[float, float], end: tuple[float, float], colour: str) -> Polygon:
    direction = np.subtract(end, start) / np.hypot(*np.subtract(end, start))
    aside = np.array([-direction[1], direction[0]])
    base = np.asarray(end) - 0.09 * direction
    return Polygon(
        [end, base + 0.042 * aside, base - 0.042 * aside], closed=True, facecolor=colour, edgecolor="none", zorder=5
    )


def box(axes: Axes, x: float, y: float, width: float, height: float, *, face: str, edge: str, zorder: float = 1) -> Any:
    """A box with round corners; its lower left corner is (x, y)."""
    patch = FancyBboxPatch(
        (x, y),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=face,
        edgecolor=edge,
        linewidth=1.2,
        zorder=zorder,
    )
    axes.add_patch(patch)
    return patch


def colourbar(axes: Axes, x: float, y: float, width: float, height: float, scale: Scale, theme: Theme) -> None:
    """A horizontal bar with the scale's ends beside it, drawn on the same canvas."""
    low, high = float(scale.norm.vmin or 0), float(scale.norm.vmax or 0)
    ramp = np.linspace(low, high, 65)
    axes.pcolormesh(
        np.linspace(x, x + width, 66),
        [y, y + height],
        ramp[None, :],
        cmap=scale.cmap,
        norm=scale.norm,
        edgecolors="face",
        linewidth=0.2,
        zorder=2,
    )
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=theme.muted, linewidth=0.8, zorder=3))
    for value, at, align in ((low, x - 0.06, "right"), (high, x + width + 0.06, "left")):
        axes.text(at, y + height / 2, short(value), ha=align, va="center_baseline", fontsize=SMALL, color=theme.ink)
