"""Certified derivatives: the cell's own NumPy forward on balls, differentiated by the reverse-mode tape.

Every value is a proven enclosure. Where it is too wide to decide, the next precision narrows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.arithmetic import balls, gradient, jacobian, precision
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
    with precision(bits):
        inputs = problem.inputs(balls)
        run = taped(cell, inputs)
        losses = run.losses.sum(axis=1)
        value = np.frompyfunc(lambda x: x.value, 1, 1)
        values = {name: value(array) for name, array in run.trace.items()} | {"loss": value(losses)}
        rows = [gradient(loss, list(run.wrt.values())) for loss in losses]
        for i, name in enumerate(run.wrt):
            values |= reduced(cell, name, np.stack([row[i] for row in rows]))
        for (of, uses), wanted in cell.sensitivities.items():
            used = run if uses == "all" else taped(cell, single_steps(cell, inputs, values))
            found = jacobian(used.trace[of], [used.wrt[quantity.by] for quantity in wanted])
            values |= {quantity.name: of_steps(one, len(inputs.x)) for quantity, one in zip(wanted, found, strict=True)}
        return Evidence("certified", values, {}, bits)
