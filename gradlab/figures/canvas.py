"""What every figure is drawn on: a theme, a canvas measured in inches, and one way to write it to a file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from gradlab.files import check_writable, write_bytes
from gradlab.interrupts import checkpoint

WIDTH = 8.0
"""Inches. A README shows a figure about 800 pixels wide: at that width 8 inches are 100 dots per inch."""
README_DPI = 100
STILL_DPI = 200
SMALL, NORMAL, MATH, TITLE = 8.0, 9.0, 12.0, 11.0
"""Font sizes in points. Nothing is set smaller than SMALL; MATH is larger, since mathtext sets subscripts at 70 %."""


class FigureError(ValueError):
    """Something that cannot be drawn, or not be saved so: one line that says what is possible."""


@dataclass(frozen=True)
class Theme:
    """The colours of one background. Forward and backward are a pair of Okabe and Ito (2008), told apart by
    people with any of the common colour-vision deficiencies."""

    name: str
    paper: str
    ink: str
    muted: str
    line: str
    panel: str
    forward: str
    backward: str

    @property
    def activations(self) -> Colormap:
        """Sequential: cividis (Nuñez, Anderton and Renslow, 2018)."""
        return matplotlib.colormaps["cividis"]

    @property
    def signed(self) -> Colormap:
        """Diverging: the colour of forward below zero, the panel at zero, that of backward above."""
        return LinearSegmentedColormap.from_list("signed", [self.forward, self.panel, self.backward])


THEMES = {
    "light": Theme("light", "#ffffff", "#1f2328", "#57606a", "#c4ccd4", "#f3f5f7", "#0072B2", "#D55E00"),
    "dark": Theme("dark", "#0d1117", "#e6edf3", "#9da7b1", "#444c56", "#1c232c", "#56B4E9", "#E69F00"),
}


def theme_of(name: str) -> Theme:
    """The theme of that name.

    Raises:
        FigureError: no such theme; the message lists those there are.
    """
    if name not in THEMES:
        raise FigureError(f"no theme is called {name!r}; there are {', '.join(THEMES)}")
    return THEMES[name]


@dataclass(frozen=True, eq=False)
class Animation:
    """A figure that is redrawn: `draw(i)` turns it into frame i of `count`. The last frame is the whole story."""

    figure: Figure
    draw: Callable[[int], None]
    count: int
    seconds: float = 1.0
    hold: int = 3
    """For how many frames' time the last one stands before the animation starts again."""


@contextmanager
def own_settings() -> Iterator[None]:
    """matplotlib's own defaults and ours, whatever the user's matplotlibrc says: the same input, the same bytes."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": "DejaVu Sans",
                "mathtext.fontset": "dejavusans",
                "font.size": NORMAL,
                "svg.hashsalt": "gradlab",
                "svg.fonttype": "path",
            }
        )
        yield


def blank(theme: Theme, height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure, and invisible axes that fill it and whose unit is the inch, y upward."""
    height = round(height, 2)  # whole pixels: a fraction of one shows as a pale line along the edge
    figure = Figure(figsize=(width, height), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_autoscale_on(False)
    axes.set_axis_off()
    return figure, axes


def save(drawn: Figure | Animation, path: str | Path) -> Path:
    """Write a figure as PNG, SVG or (an animation only) GIF, by the suffix of `path`; an animation's PNG or SVG is its
    last frame. The file appears whole or not at all, and the same figure gives the same bytes.

    Raises:
        FigureError: another suffix, or a still figure as GIF.
        FileError: it cannot be written there.
    """
    path = Path(path)
    possible = (".png", ".svg", ".gif") if isinstance(drawn, Animation) else (".png", ".svg")
    suffix = path.suffix.lower()
    if suffix not in possible:
        kinds = " or ".join([", ".join(possible[:-1]), possible[-1]])
        what = "an animation" if isinstance(drawn, Animation) else "a still figure"
        raise FigureError(
            f"{str(path)!r}: {what} can be saved as {kinds}, not as {suffix or 'a file without a suffix'}"
        )
    check_writable(path)
    with tempfile.TemporaryDirectory(prefix="gradlab-") as scratch, own_settings():
        drawing = Path(scratch) / f"figure{suffix}"
        if isinstance(drawn, Animation) and suffix == ".gif":
            _write_gif(drawn, drawing)
        else:
            _write_still(drawn, drawing)
        content = drawing.read_bytes()
    write_bytes(path, content)
    return path


def _write_still(drawn: Figure | Animation, path: Path) -> None:
    if isinstance(drawn, Animation):
        drawn.draw(drawn.count - 1)
    figure = drawn.figure if isinstance(drawn, Animation) else drawn
    # A date or a version in the file would make the same figure differ from day to day.
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, dpi=STILL_DPI, metadata=metadata)


def _write_gif(animation: Animation, path: Path) -> None:
    writer = PillowWriter(fps=1 / animation.seconds)  # type: ignore[arg-type]
    with writer.saving(animation.figure, str(path), README_DPI):
        for i in [*range(animation.count), *[animation.count - 1] * (animation.hold - 1)]:
            checkpoint()
            animation.draw(i)
            writer.grab_frame()
