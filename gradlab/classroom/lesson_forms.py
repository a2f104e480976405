"""The lesson of `gradlab.classroom.exercise` as a notebook, and in LaTeX for `gradlab verify`."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from gradlab.cells import Cell, cell
from gradlab.classroom.derivation import derivation
from gradlab.classroom.exercise import LETTERS, TITLES, forward_quantities, hints_by_label, lesson_code, meaning, timed
from gradlab.classroom.hints import feeds
from gradlab.equations import equations


def write_notebook(cell_name: str, file: str = "lesson.ipynb") -> str:
    """The same lesson as a notebook, with the equations set and a figure; its last cell judges itself.

    Raises:
        KeyError: no such cell.
    """
    tested = cell(cell_name)
    body, _, gradient = lesson_code(tested).rpartition(f"\n\n\ndef {tested.code.names[2]}")
    gradient = f"def {tested.code.names[2]}{gradient}"
    first = [f"# gradlab lesson: {tested.name}", "%load_ext gradlab", "", *body.strip("\n").split("\n")]
    cells = [
        _markdown(_introduction(tested, file)),
        _markdown(f"![The network, unrolled](data:image/png;base64,{_figure(tested)})"),
        _code_cell("\n".join(first)),
        _markdown(_hints_as_details(tested)),
        _code_cell(f"%%gradlab\n{gradient.rstrip()}"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    numbered = [one | {"id": f"lesson-{number}"} for number, one in enumerate(cells)]
    return json.dumps({"cells": numbered, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def write_derivation(cell_name: str, file: str = "lesson.md") -> str:
    """The same lesson in LaTeX, for `gradlab verify`: definitions as they stand, each derivative with a `?` for a goal.

    Raises:
        KeyError: no such cell.
        LookupError: no derivation of it ships with gradlab, to take the mathematics from.
    """
    tested, known = cell(cell_name), derivation(cell_name)
    if known is None:
        raise LookupError(f"no derivation of {cell_name} ships with gradlab, so there is no lesson in LaTeX on it")
    lines = [known.front + f"# The gradient of {_article(tested)}, to be derived by you", "", _VERIFY.format(file=file)]
    lines += ["## The network, and what is looked for", ""]
    lines += [_displayed(one.latex, one.label) for one in known.statements if one.defines]
    lines += ["## To be derived", ""]
    gradient = [tested.quantities[equation.name] for equation in equations(tested.code.gradient).values()]
    for place, quantity in enumerate(gradient, 1):
        statement = known.of(quantity.label)
        if statement is not None and not statement.defines:
            lines.append(f"Equation {place} of {len(gradient)}: {meaning(quantity)}.\n")
            lines.append(_displayed(f"{statement.left} = ?", quantity.label))
    return "\n".join(lines).rstrip() + "\n"


_VERIFY = """\
Replace each `?` by what it is equal to, in as many steps as you like. `gradlab verify {file}` judges every step; a `?`
that is left is a goal that is not reached yet. Definitions (:=) of your own may stand between.
"""


def _article(tested: Cell) -> str:
    return f"an {tested.name.upper()}" if tested.name[0] in "rl" else f"a {tested.name.upper()}"


def _displayed(latex: str, label: str) -> str:
    tag = f" \\tag{{{label}}}" if label else ""
    if "aligned" in latex:
        return f"```math\n{latex}{tag}\n```\n"
    return f"$$ {latex}{tag} $$\n"


def _introduction(tested: Cell, file: str) -> str:
    known = derivation(tested.name)
    lines = [f"# The gradient of {_article(tested)}, to be derived and written down by you", ""]
    if known is not None:
        forward = (known.of(quantity.label) for quantity in forward_quantities(tested))
        lines += [f"$$ {one.latex.replace(':=', '=')} $$\n" for one in forward if one is not None]
    lines += [LETTERS, "", "What feeds what, and so by which ways a derivative comes back:", ""]
    lines += [
        f"- `{timed(tested, name)}` → {', '.join(f'`{way}`' for way in into)}" for name, into in feeds(tested).items()
    ]
    lines += [
        "",
        f"In `{tested.code.names[2]}`, replace each `...` by the right-hand side of its equation and run the cell:",
    ]
    lines += [f"`%%gradlab` judges each equation by itself. `gradlab check {file}` does so from the command line."]
    if known is not None:
        lines += ["", f"The derivation that this follows ships with gradlab: [{known.path.name}]({known.path})"]
    return "\n".join(lines)


def _hints_as_details(tested: Cell) -> str:
    lines = ["Hints, three levels each:", ""]
    for label, levels in hints_by_label(tested):
        told = " ".join(
            f"<details><summary>{TITLES[name].lstrip('123. ')}</summary>{text}</details>" for name, text in levels
        )
        lines.append(f"<details><summary><code>{label}</code></summary>{told}</details>")
    return "\n".join(lines)


def _figure(tested: Cell) -> str:
    """The network unrolled over three steps, as a picture."""
    import numpy as np

    from gradlab import figures
    from gradlab.addition import data

    drawn: Any = figures.unrolled(data.problem(np.random.default_rng(0), 3, 3, tested.name), theme="light")
    picture = io.BytesIO()
    drawn.savefig(picture, format="png", dpi=80, metadata={"Software": None})
    return base64.b64encode(picture.getvalue()).decode()


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code_cell(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
