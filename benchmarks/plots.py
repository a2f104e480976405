"""The figures of the results page, drawn from the JSON of each benchmark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

COLOURS = ("#1f6f8b", "#d1495b", "#edae49", "#66a182", "#6a4c93", "#8d99ae", "#2e4057", "#f28482")
Lines = Mapping[str, tuple[Sequence[float], Sequence[float]]]

mpl.rcParams.update(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": "#888888",
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "grid.color": "#e6e6e6",
        "legend.frameon": False,
    }
)


class Figure(NamedTuple):
    """A drawn figure, its name, and what it shows, for those who cannot see it."""

    name: str
    says: str
    drawn: Any


def dots(panels: Mapping[str, Mapping[str, Sequence[float]]], rows: Sequence[str], label: str, mark: float) -> Any:
    """One panel for each title; in it, for each series, a dot on each row. A line stands at `mark`; 1: logarithmic."""
    size = (max(3.2 * len(panels) + 1.6, 7.5), 0.55 * len(rows) + 1.7)
    drawn, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (title, series) in zip(axes[0], panels.items(), strict=True):
        for i, (name, values) in enumerate(series.items()):
            shift = 0.5 * ((i + 0.5) / len(series) - 0.5)  # dots of one row do not hide each other
            colour = COLOURS[i % len(COLOURS)]
            ax.plot(values, [k + shift for k in range(len(rows))], "o", color=colour, label=name, ms=6)
        ax.axvline(mark, color="#444444", lw=1.2)
        ax.set(title=title, xlabel=label, ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
        ax.set_yticklabels(rows)
        if mark == 1:
            _logarithmic(ax.xaxis)
        else:
            ax.set_xlim(-0.04 * mark, 1.04 * mark)
    handles, names = axes[0][0].get_legend_handles_labels()
    drawn.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(len(names), 3 if len(panels) == 1 else 5 if len(names) < 6 else 4),
    )
    return drawn


def lines(panels: Mapping[str, Lines], labels: Mapping[str, tuple[str, str]], columns: int, legend_below: bool) -> Any:
    """One panel for each title, both axes logarithmic; labels: those of its x and its y."""
    height, width = math.ceil(len(panels) / columns), 4.0 if columns > 2 else 5.6
    size = (width * columns, 3.4 * height + (1.0 if legend_below else 0))
    drawn, axes = plt.subplots(height, columns, figsize=size, squeeze=False)
    for ax in list(axes.flat)[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, series) in zip(axes.flat, panels.items(), strict=False):
        for i, (name, (x, y)) in enumerate(series.items()):
            ax.plot(x, y, "o-", color=COLOURS[i % len(COLOURS)], label=name or None, lw=1.6, ms=4.5)
        ax.set(title=title, xlabel=labels[title][0], ylabel=labels[title][1])
        for axis in (ax.xaxis, ax.yaxis):
            _logarithmic(axis)
        if any(series):
            where = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.18)} if legend_below else {}
            ax.legend(fontsize=8.5, **where)
    return drawn


def _logarithmic(axis: Any) -> None:
    setting = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    setting("log")
    low, high = axis.get_view_interval()
    few = math.log10(high / low) < 1.5
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.12g}" if 1e-3 <= value < 1e6 else f"{value:.0e}")
    )
    axis.set_minor_formatter(NullFormatter())


def gradient_time(data: Mapping[str, Any]) -> Iterator[Figure]:
    """gradlab's time over each peer's."""
    shown = ("jax", "jax, same outputs", "torch loop", "torch.nn", "autograd")
    for dtype in ("float64", "float32"):
        keys = [key for key in data if key.endswith(dtype)]
        cells = list(dict.fromkeys(key.split()[0] for key in keys))
        sizes = list(dict.fromkeys(key[key.index("(") : key.index(")") + 1] for key in keys))
        panels = {
            cell: {peer: [data[f"{cell} {size} {dtype}"]["ratios"][peer]["median"] for size in sizes] for peer in shown}
            for cell in cells
        }
        says = f"gradlab's time over each peer's at {len(sizes)} sizes, {dtype}; left of the line gradlab is faster"
        label = "gradlab's time over the peer's"
        yield Figure(f"gradient_time_{dtype}", says, dots(panels, sizes, label, mark=1))


def check_time(data: Mapping[str, Any]) -> Iterator[Figure]:
    """Seconds of a check against the number of weights."""
    counts = [count for count in data if count.isdigit()]
    names = list(dict.fromkeys(name for count in counts for name in data[count]))
    series = {
        name: tuple(zip(*((int(n), data[n][name]["median"]) for n in counts if name in data[n]), strict=True))
        for name in names
    }
    peers = {name: one for name, one in series.items() if not name.startswith("gradlab")}
    own = {name: one for name, one in series.items() if name not in peers or name == "torch gradcheck"}
    panels = {"the peers": peers, "gradlab, and torch gradcheck": own}
    drawn = lines(panels, dict.fromkeys(panels, ("weights", "seconds of one check")), 2, legend_below=True)
    every = [y for one in series.values() for y in one[1]]
    for ax in drawn.axes:
        ax.set_ylim(min(every) / 2, max(every) * 2)
    yield Figure("check_time", "Seconds of one check against the number of weights, of the peers and of gradlab", drawn)


def detection(data: Mapping[str, Any]) -> Iterator[Figure]:
    """Per cent of the wrong gradients that pass."""
    found = {key: one for key, one in data.items() if isinstance(one, Mapping)}
    cells = list(dict.fromkeys(key.split()[0] for key in found))
    scales = list(dict.fromkeys(key.split()[-1] for key in found))
    panels: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        rows = [found[f"{cell} {scale}"] for scale in scales]
        panels[cell] = {
            peer: [
                math.nan if peer in row["rejecting"] or not row["wrong"] else 100 * row["accepted"][peer] / row["wrong"]
                for row in rows
            ]
            for peer in rows[0]["accepted"]
        }
    drawn = dots(panels, [f"weights of {scale}" for scale in scales], "% of wrong gradients that pass", mark=100)
    says = "Per cent of the wrong gradients that each checker lets pass; no dot: it rejects the right gradient too"
    yield Figure("detection", says, drawn)


def growth(data: Mapping[str, Any]) -> Iterator[Figure]:
    """Time and memory against size."""
    bptt = {key.split()[1]: one for key, one in data.items() if key.startswith("bptt") and key.endswith(" T")}
    given = {
        "bptt: time": ({cell: (one["sizes"], one["seconds"]) for cell, one in bptt.items()}, "T, steps", "seconds"),
        "bptt: memory": ({cell: (one["sizes"], _mega(one["bytes"])) for cell, one in bptt.items()}, "T, steps", "MB"),
    }
    for what in ("bits", "weights"):
        one = data[f"certified {what}"]
        given[f"certified: {what}"] = ({"": (one["sizes"], one["seconds"])}, what, "seconds")
    if "rtrl" in data:
        one = data["rtrl"]
        kept = (one["steps"][: len(one["kept"])], _mega(one["kept"]))
        series = {"step by step": (one["steps"], _mega(one["bytes"])), "every step kept": kept}
        given["rtrl: memory"] = (series, "T, steps", "MB")
    if "verify" in data:
        one = data["verify"]
        given["verify"] = ({"": (one["equations"], one["seconds"])}, "equations", "seconds")
    panels = {title: one[0] for title, one in given.items()}
    drawn = lines(panels, {title: one[1:] for title, one in given.items()}, 3, legend_below=False)
    yield Figure("growth", "How time and memory of bptt, the certified oracle, rtrl and verify grow", drawn)


def _mega(sizes: Sequence[float]) -> list[float]:
    return [size / 1e6 for size in sizes]


DRAWN: dict[str, Callable[[Mapping[str, Any]], Iterator[Figure]]] = {
    "gradient_time": gradient_time,
    "check_time": check_time,
    "detection": detection,
    "growth": growth,
}
