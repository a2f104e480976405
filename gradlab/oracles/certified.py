"""Certified derivatives: the cell's own NumPy forward on balls, differentiated by reverse passes over its tape.

Every value is a proven enclosure. Where it is too wide to decide, the next precision narrows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.arithmetic import precision
from gradlab.arithmetic.traced import Tape
from gradlab.cells import Cell
from gradlab.oracles._reduction import reduced
from gradlab.oracles._sensitivity import of_steps, single_steps
from gradlab.oracles._taped import taped
from gradlab.oracles.evidence import Evidence
from gradlab.problem import Problem

Array = np.ndarray[Any, Any]

PRECISIONS = (128, 256, 512, 1024)


def evidence(cell: Cell, problem: Problem, bits: int = 128) -> Evidence:
    """Enclosures, at `bits` bits, of every intermediate, the per-step losses and all derivatives."""
    from gradlab.arithmetic.ball_arrays import Adjoints, BallArithmetic, as_balls

    with precision(bits):
        tape = Tape(BallArithmetic())
        inputs = problem.inputs(tape.numbers)
        run = taped(cell, tape, inputs)
        losses = run.losses.sum(axis=1)
        values = {name: tape.values(array)[0] for name, array in run.trace.items()} | {"loss": tape.values(losses)[0]}
        of_all = _of_all_losses(cell)
        summed = {name: by for name, by in run.wrt.items() if name in of_all}
        adjoints = Adjoints(tape, losses, list(summed.values()))
        for name, by in run.wrt.items():
            if name in summed:
                values |= dict.fromkeys(of_all[name], adjoints.sums(by))
            else:
                values |= reduced(cell, name, adjoints.rows(by))
        for (of, uses), wanted in cell.sensitivities.items():
            used = run if uses == "all" else taped(cell, tape, single_steps(cell, inputs, run.trace))
            outputs = used.trace[of]
            adjoints = Adjoints(tape, outputs.reshape(-1))
            for quantity in wanted:
                by = used.wrt[quantity.by]
                found = adjoints.rows(by).reshape(*outputs.shape, *by.shape)
                values[quantity.name] = of_steps(found, len(inputs.x))
        return Evidence("certified", {name: as_balls(value) for name, value in values.items()}, {}, bits)


def _of_all_losses(cell: Cell) -> dict[str, list[str]]:
    """What is differentiated by only as a whole, all losses together: the quantities that are, by its name."""
    found: dict[str, list[str]] = {}
    for quantity in cell.quantities.values():
        if quantity.by and not quantity.of:
            found.setdefault(quantity.by, []).append(quantity.name)
    return {by: names for by, names in found.items() if all(cell.quantities[name].losses == "all" for name in names)}
