"""Certified derivatives: the cell's own NumPy forward replayed on balls, and differentiated by reverse sweeps.

Every value is a proven enclosure. Where it is too wide to decide, the next precision narrows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.oracles._recording import recorded
from gradlab.oracles._reduction import reduced
from gradlab.oracles._sensitivity import of_steps
from gradlab.oracles.evidence import Evidence
from gradlab.problem import Problem
from gradlab.tape.adjoints import Adjoints

Array = np.ndarray[Any, Any]

PRECISIONS = (128, 256, 512, 1024)


def evidence(cell: Cell, problem: Problem, bits: int = 128) -> Evidence:
    """Enclosures, at `bits` bits, of every intermediate, the per-step losses and all derivatives."""
    from gradlab.arithmetic.balls import BallArithmetic, precision

    found = recorded(cell, problem)
    with precision(bits):
        run = found.run(BallArithmetic(), problem)
        values = {name: run.stored(index)[0] for name, index in found.whole.trace.items()}
        values["loss"] = run.stored(found.whole.total)[0]
        of_all = _of_all_losses(cell)
        summed = {name: by for name, by in found.whole.wrt.items() if name in of_all}
        adjoints = Adjoints(run, found.whole.total[:, None], list(summed.values()))
        for name, by in found.whole.wrt.items():
            if name in summed:
                values |= dict.fromkeys(of_all[name], adjoints.sums(by))
            else:
                values |= reduced(cell, name, adjoints.rows(by))
        for (of, uses), wanted in cell.sensitivities.items():
            used, its = (found.whole, run) if uses == "all" else (found.steps, found.run_steps(run, cell, problem))
            assert used is not None
            outputs = used.trace[of]
            adjoints = Adjoints(its, outputs.reshape(-1, 1))
            for quantity in wanted:
                by = used.wrt[quantity.by]
                rows = adjoints.rows(by).reshape(*outputs.shape, *by.shape)
                values[quantity.name] = of_steps(rows, len(problem.x))
        return Evidence("certified", values, {}, bits)


def _of_all_losses(cell: Cell) -> dict[str, list[str]]:
    """What is differentiated by only as a whole, all losses together: the quantities that are, by its name."""
    found: dict[str, list[str]] = {}
    for quantity in cell.quantities.values():
        if quantity.by and not quantity.of:
            found.setdefault(quantity.by, []).append(quantity.name)
    return {by: names for by, names in found.items() if all(cell.quantities[name].losses == "all" for name in names)}
