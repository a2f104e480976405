"""The cell's own NumPy forward as a program: recorded once for problems of some sizes, replayed in any arithmetic."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradlab.cells import Cell
from gradlab.equations import nudged
from gradlab.frontends.replayable import Replayable
from gradlab.oracles._sensitivity import single_steps
from gradlab.problem import Inputs, Problem
from gradlab.tape.replay import Run

Array = np.ndarray[Any, Any]


class Forward(NamedTuple):
    """The program of a forward pass; all arrays are of nodes.

    wrt: everything to differentiate by (weights, x, states, nudges of intermediates), by name.
    trace: every intermediate. losses: those of every step and sample, (T, B). total: of every step, (T,).
    """

    call: Replayable
    wrt: dict[str, Array]
    trace: dict[str, Array]
    losses: Array
    total: Array

    def run(self, arithmetic: Any, inputs: Inputs) -> Run:
        """A run on float64 inputs, or on numbers as the arithmetic keeps them, without any nudge."""
        arrays = dict(inputs.named()) | {"y": inputs.y}
        nudges = {name: np.zeros(index.shape) for name, index in self.wrt.items() if name not in arrays}
        return self.call.run(arithmetic, arrays, nudges)


class RecordedCell(NamedTuple):
    """A cell's forward on problems of some sizes.

    whole: the sequence. steps: every step as a sequence of its own; None where no quantity needs it.
    """

    whole: Forward
    steps: Forward | None

    def run(self, arithmetic: Any, problem: Problem) -> Run:
        """A run of the whole."""
        return self.whole.run(arithmetic, problem.astype(np.float64).inputs())

    def run_steps(self, run: Run, cell: Cell, problem: Problem) -> Run:
        """The steps by themselves, from the states that they began in in a run of the whole."""
        assert self.steps is not None
        inputs = problem.astype(np.float64).inputs()
        nodes = inputs._replace(state=type(inputs.state)(*(self.whole.wrt[name] for name in inputs.state._fields)))
        steps = single_steps(cell, nodes, self.whole.trace)
        state = type(steps.state)(*map(run.stored, steps.state))
        return self.steps.run(run.arithmetic, steps._replace(state=state))


def recorded(cell: Cell, problem: Problem) -> RecordedCell:
    """The programs for a problem: a cell's forward does the same whatever the numbers."""
    return _recorded(cell, tuple(problem.sizes.items()))


@lru_cache(maxsize=64)
def _recorded(cell: Cell, sizes: tuple[tuple[str, int], ...]) -> RecordedCell:
    length = dict(sizes)
    named = {name: np.zeros([length[axis] for axis in cell.axes[name]]) for name in _inputs(cell)}
    params, state = (kind(*(named[name] for name in kind._fields)) for kind in (cell.module.Params, cell.module.State))
    inputs = Inputs(params, named["x"], named["y"], state)
    whole = _forward(cell, inputs)
    if all(uses == "all" for _, uses in cell.sensitivities):
        return RecordedCell(whole, None)
    return RecordedCell(whole, _forward(cell, single_steps(cell, inputs)))


def _inputs(cell: Cell) -> tuple[str, ...]:
    return ("x", "y", *cell.module.Params._fields, *cell.module.State._fields)


def _forward(cell: Cell, inputs: Inputs) -> Forward:
    """Record the forward, every sample a batch of its own so that each has its own losses.

    The adjoint of a nudge of 0 is the delta of its intermediate. That of the intermediate itself would not do: an
    equation that only gives a value a second name (one of two uses of a cell state) gives it the same node.
    """
    arrays = dict(inputs.named()) | {"y": inputs.y}
    length = {axis: n for name, array in arrays.items() for axis, n in zip(cell.axes[name], array.shape, strict=True)}
    zeros = {name: np.zeros([length[axis] for axis in cell.axes[name]]) for name in cell.nudges}

    def body(functions: Any, arrays: dict[str, Any], nudges: dict[str, Any]) -> Any:
        params = type(inputs.params)(*(arrays[name] for name in inputs.params._fields))
        state = type(inputs.state)(*(arrays[name][..., None, :] for name in inputs.state._fields))
        apart = {name: array[..., None, :] for name, array in nudges.items()}
        trace = functions.forward(params, arrays["x"][..., None, :], state, nudges=apart)
        losses = functions.loss(trace.y_hat, arrays["y"][..., None, :]).per_step
        together = {name: array[..., 0, :] for name, array in trace._asdict().items()}
        return together, losses, losses.sum(axis=1)

    functions = {"forward": nudged(cell.code.forward, cell.nudges), "loss": cell.code.loss}
    call = Replayable(functions, body, arrays, zeros)
    if call.program.guards:
        raise TypeError(f"{cell.name}: its forward is steered by numbers, so one program is not all of it")
    given, nudges = call.arguments
    wrt = {name: index for name, index in (given | nudges).items() if name != "y"}
    return Forward(call, wrt, *call.result)
