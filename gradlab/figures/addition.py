"""The network adds two numbers: column by column from the right, as at school, with the carry it was never told of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from gradlab.cells import Cell
from gradlab.cells import cell as registered
from gradlab.figures.anatomy import carried
from gradlab.figures.canvas import (
    MATH,
    NORMAL,
    SMALL,
    TITLE,
    WIDTH,
    Animation,
    FigureError,
    Theme,
    blank,
    own_settings,
    theme_of,
)
from gradlab.figures.marks import Array, Scale, activation_scale, box, colourbar, strip, symbol
from gradlab.problem import Problem, axes

WIDEST = 62
"""Bits: what an int64 sum holds, and what fits into 800 pixels."""
HEIGHT, LEFT = 4.7, 1.35
LINES = {"carry": 4.32, "a": 3.98, "b": 3.66, "said": 3.2, "true": 2.76}
UNITS_TOP, UNITS_BOTTOM = 2.3, 0.62


class Sum(NamedTuple):
    """One addition, least significant bit first: every array is (bits,), hidden is (bits, H)."""

    a: int
    b: int
    a_bits: Array
    b_bits: Array
    carry_in: Array
    truth: Array
    y_hat: Array
    hidden: Array
    carrier: str

    @property
    def said(self) -> Array:
        """The bits that the network decides for."""
        return (self.y_hat > 0.5).astype(int)

    @property
    def digits(self) -> int:
        """The decimal places of the longest number that is shown."""
        return len(str(2 ** len(self.truth) - 1))

    @property
    def right(self) -> float:
        """The right end of the columns, in inches: room is left for the decimal numbers."""
        return WIDTH - 0.25 - max(0.4, 0.075 * self.digits)

    @property
    def pitch(self) -> float:
        """From one column to the next, in inches."""
        return (self.right - LEFT) / len(self.truth)


def addition(
    a: int, b: int, *, bits: int, params: Any, state: Any = None, cell: str | Cell = "rnn", theme: str = "light"
) -> Animation:
    """Frame 0 shows the task; in each of `bits` further frames the network reads one more column, from the right;
    the last frame shows the result.

    `params` are the weights of a cell with two inputs and one output; `state`, the state before the first column, is
    zero if left out. The sum must fit into `bits`, as it does in the seeds.

    Raises:
        FigureError: a or b is negative, their sum does not fit, or the weights are not those of an adder.
    """
    colours = theme_of(theme)
    added = _run(a, b, bits, params, state, registered(cell) if isinstance(cell, str) else cell)
    scale = activation_scale(added.hidden, colours)
    with own_settings():
        figure, sheet = blank(colours, HEIGHT)

    def draw(frame: int) -> None:
        with own_settings():
            sheet.clear()
            sheet.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
            sheet.set_autoscale_on(False)
            sheet.set_axis_off()
            _draw(sheet, added, frame, scale, colours)

    draw(bits + 1)
    return Animation(figure, draw, bits + 2, seconds=0.9 if bits <= 16 else 0.45)


def _run(a: int, b: int, bits: int, params: Any, state: Any, of: Cell) -> Sum:
    if not 1 <= bits <= WIDEST:
        raise FigureError(f"bits = {bits}: from 1 to {WIDEST} can be drawn")
    for name, number in (("a", a), ("b", b)):
        if number < 0:
            raise FigureError(f"{name} = {number}: only numbers from 0 on can be added bit by bit")
    if (a + b).bit_length() > bits:
        raise FigureError(f"{a} + {b} = {a + b} needs {(a + b).bit_length()} bits, got bits = {bits}")
    a_bits, b_bits, truth = (np.array([(number >> t) & 1 for t in range(bits)]) for number in (a, b, a + b))
    weights = params._asdict()
    dtype = next(iter(weights.values())).dtype
    if state is None:
        shapes = axes(of.module.Params)
        sizes = {"B": 1} | {
            letter: n for name in shapes for letter, n in zip(shapes[name], weights[name].shape, strict=True)
        }
        zeros = {
            name: np.zeros([sizes[letter] for letter in letters], dtype)
            for name, letters in axes(of.module.State).items()
        }
        state = of.module.State(**zeros)
    x = np.stack([a_bits, b_bits], axis=-1)[:, None, :].astype(dtype)
    problem = Problem(params, x, truth[:, None, None].astype(dtype), state)
    inputs = problem.inputs()
    trace = of.code.forward(inputs.params, inputs.x, inputs.state)
    carrier = next(iter(carried(of).values()))
    # The carry into column t is the bit in which the true sum differs from the sum without carries.
    return Sum(
        a,
        b,
        a_bits,
        b_bits,
        a_bits ^ b_bits ^ truth,
        truth,
        trace.y_hat[:, 0, 0],
        getattr(trace, carrier)[:, 0],
        carrier,
    )


def _draw(sheet: Axes, added: Sum, frame: int, scale: Scale, theme: Theme) -> None:
    bits, pitch = len(added.truth), added.pitch
    size = min(TITLE + 3, max(SMALL, pitch * 45))
    for t in range(bits):
        x = added.right - pitch * (t + 0.5)
        if t == frame - 1:
            box(
                sheet,
                x - pitch * 0.48,
                UNITS_BOTTOM - 0.06,
                pitch * 0.96,
                LINES["carry"] - UNITS_BOTTOM + 0.26,
                face=theme.panel,
                edge=theme.forward,
                zorder=0,
            )
        _column(sheet, added, t, x, pitch, size, t < frame, scale, theme)
    said = sum(int(bit) << t for t, bit in enumerate(added.said[:frame]))
    _line_names(sheet, added, said if frame else None, theme)
    sheet.plot([LEFT - 0.05, added.right + 0.05], [3.44, 3.44], color=theme.ink, linewidth=1.2)
    colourbar(sheet, LEFT + 0.2, 0.2, 1.0, 0.12, scale, theme)
    sheet.text(added.right, 0.26, _verdict(added, frame), ha="right", va="center", fontsize=TITLE, color=theme.ink)


def _column(
    sheet: Axes, added: Sum, t: int, x: float, pitch: float, size: float, seen: bool, scale: Scale, theme: Theme
) -> None:
    def digit(line: str, value: int, colour: str, weight: str = "normal") -> None:
        text = str(int(value))
        sheet.text(x, LINES[line], text, ha="center", va="center", fontsize=size, color=colour, weight=weight)

    digit("a", added.a_bits[t], theme.ink)
    digit("b", added.b_bits[t], theme.ink)
    if not seen:
        sheet.add_patch(
            Rectangle(
                (x - pitch * 0.42, UNITS_BOTTOM),
                pitch * 0.84,
                UNITS_TOP - UNITS_BOTTOM,
                fill=False,
                edgecolor=theme.line,
                linewidth=0.8,
            )
        )
        return
    if added.carry_in[t]:
        digit("carry", 1, theme.backward)
    right = added.said[t] == added.truth[t]
    digit("said", added.said[t], theme.forward if right else theme.backward, "bold")
    if not right:
        # A mistake is boxed, too: colour alone would not tell everybody.
        box(
            sheet,
            x - min(0.16, pitch * 0.48),
            LINES["said"] - 0.14,
            min(0.32, pitch * 0.96),
            0.28,
            face="none",
            edge=theme.backward,
            zorder=3,
        )
    digit("true", added.truth[t], theme.muted)
    if pitch >= 0.42:
        sheet.text(
            x,
            LINES["said"] - 0.235,
            f"{added.y_hat[t]:.2f}",
            ha="center",
            va="center",
            fontsize=SMALL,
            color=theme.muted,
        )
    strip(
        sheet,
        x - pitch * 0.42,
        UNITS_BOTTOM,
        pitch * 0.84,
        UNITS_TOP - UNITS_BOTTOM,
        added.hidden[t],
        scale,
        theme,
        upright=True,
    )


def _line_names(sheet: Axes, added: Sum, said: int | None, theme: Theme) -> None:
    """Left, what each line is; right, its number in decimal."""
    names = {"carry": "true carry", "a": "$a$", "b": "$b$", "said": r"$\hat{y}$ > ½", "true": "true sum"}
    numbers = {"a": added.a, "b": added.b, "said": said, "true": added.a + added.b}
    for line, y in LINES.items():
        emphasis = MATH if line in ("a", "b", "said") else NORMAL
        sheet.text(LEFT - 0.15, y, names[line], ha="right", va="center", fontsize=emphasis, color=theme.ink)
    for line, number in numbers.items():
        if number is not None:
            text = str(number)
            sheet.text(
                added.right + 0.12,
                LINES[line],
                text,
                va="center",
                color=theme.ink,
                fontsize=TITLE if added.digits <= 4 else SMALL,
            )
    middle = (UNITS_TOP + UNITS_BOTTOM) / 2
    sheet.text(
        LEFT - 0.15,
        middle + 0.12,
        f"${symbol(added.carrier)}$",
        ha="right",
        va="center",
        fontsize=MATH,
        color=theme.ink,
    )
    sheet.text(
        LEFT - 0.15,
        middle - 0.14,
        f"{added.hidden.shape[1]} units",
        ha="right",
        va="center",
        fontsize=NORMAL,
        color=theme.muted,
    )


def _verdict(added: Sum, frame: int) -> str:
    bits = len(added.truth)
    if frame == 0:
        return "least significant bit first"
    if frame <= bits:
        t = frame - 1
        carry = " + carry" if added.carry_in[t] else ""
        return f"column {t}: {added.a_bits[t]} + {added.b_bits[t]}{carry}"
    wrong = int((added.said != added.truth).sum())
    if wrong:
        return f"{wrong} of {bits} bits wrong"
    return f"all {bits} bits right" if added.digits > 10 else f"{added.a} + {added.b} = {added.a + added.b}"
