"""The cell's own NumPy forward as a program: recorded once for a problem, replayed by oracles in their arithmetics."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradlab.cells import Cell
from gradlab.equations import nudged
from gradlab.frontends.numpy_code import Recording
from gradlab.oracles._sensitivity import single_steps
from gradlab.problem import Inputs, Problem
from gradlab.tape.program import Program
from gradlab.tape.replay import Run, replay

Array = np.ndarray[Any, Any]


class Forward(NamedTuple):
    """The program of a forward pass; all arrays are of nodes.

    wrt: everything to differentiate by (weights, x, states, nudges of intermediates), by name.
    trace: every intermediate. losses: those of every step and sample, (T, B). total: of every step, (T,).
    states: the numbers of the blocks that hold the initial states, by name.
    """

    program: Program
    wrt: dict[str, Array]
    trace: dict[str, Array]
    losses: Array
    total: Array
    states: dict[str, int]


class RecordedCell(NamedTuple):
    """A cell's forward on one problem.

    whole: the sequence. steps: every step as a sequence of its own; None where no quantity needs it.
    before: by the name of a state, the nodes of `whole` that hold the state before each step, (T·B, …).
    """

    whole: Forward
    steps: Forward | None
    before: dict[str, Array]

    def run_steps(self, run: Run) -> Run:
        """The steps by themselves, from the states that they began in in a run of the whole."""
        assert self.steps is not None
        changed = {self.steps.states[name]: run.stored(index) for name, index in self.before.items()}
        return replay(self.steps.program, run.arithmetic, changed)


@lru_cache(maxsize=8)
def recorded(cell: Cell, problem: Problem) -> RecordedCell:
    """The programs of one problem, in float64; two oracles and the derived bounds replay the same."""
    inputs = problem.astype(np.float64).inputs()
    whole = _forward(cell, inputs)
    if all(uses == "all" for _, uses in cell.sensitivities):
        return RecordedCell(whole, None, {})
    floats = {name: whole.program.floats(index) for name, index in whole.trace.items()}
    nodes = inputs._replace(state=type(inputs.state)(*(whole.wrt[name] for name in inputs.state._fields)))
    before = single_steps(cell, nodes, whole.trace).state._asdict()
    return RecordedCell(whole, _forward(cell, single_steps(cell, inputs, floats)), before)


def _forward(cell: Cell, inputs: Inputs) -> Forward:
    """Record the forward, every sample a batch of its own so that each has its own losses.

    The adjoint of a nudge of 0 is the delta of its intermediate. That of the intermediate itself would not do: an
    equation that only gives a value a second name (one of two uses of a cell state) gives it the same node.
    """
    recording = Recording({"forward": nudged(cell.code.forward, cell.nudges), "loss": cell.code.loss})
    program, functions = recording.program, recording.functions
    arrays = dict(inputs.named()) | {"y": inputs.y}
    length = {axis: n for name, array in arrays.items() for axis, n in zip(cell.axes[name], array.shape, strict=True)}
    arrays |= {name: np.zeros([length[axis] for axis in cell.axes[name]]) for name in cell.nudges}
    wrt, number = {}, {}
    for name, array in arrays.items():
        number[name] = len(program.blocks)
        wrt[name] = recording.leaf(array, "parameter")

    def given(name: str) -> Any:
        index = wrt[name]
        return recording.array(index if name in inputs.params._fields else index[..., None, :], np.float64)

    params = type(inputs.params)(*map(given, inputs.params._fields))
    state = type(inputs.state)(*map(given, inputs.state._fields))
    nudges = {name: given(name) for name in cell.nudges}

    def run() -> tuple[Any, Any, Any]:
        trace = functions["forward"](params, given("x"), state, nudges=nudges)
        losses = functions["loss"](trace.y_hat, given("y")).per_step
        return trace, losses, losses.sum(axis=1)

    trace, losses, total = recording.call(run)
    recording.whole()
    together = {name: recording.nodes(array)[..., 0, :] for name, array in trace._asdict().items()}
    del wrt["y"]
    states = {name: number[name] for name in inputs.state._fields}
    return Forward(program, wrt, together, recording.nodes(losses), recording.nodes(total), states)
