"""Do the hand-written LSTM and GRU and torch.nn's give the same values and the same gradients?

The weights are mapped across. Each of the two may be off by the bound derived for it, and nothing more is allowed:
values by that of the running error analysis, gradients by that of the hand-written backward and, for torch, of the
chain rule multiplied out in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from measure import Result, Table

from gradlab import cells
from gradlab.checker.submission import Submission
from gradlab.oracles._rounding import rounding
from gradlab.problem import Problem, axes

SIZES = (
    {"T": 1, "B": 1, "I": 1, "H": 1, "O": 1},
    {"T": 6, "B": 3, "I": 2, "H": 5, "O": 4},
    {"T": 12, "B": 2, "I": 4, "H": 8, "O": 3},
)
SCALES = (1.0, 0.01, 1e-6)

# In the order of torch's rows: torch writes W x, each gate's matrix below the one before.
GATES = {"lstm": "ifgo", "gru": "rzn"}
Arrays = dict[str, np.ndarray[Any, Any]]


def drawn(cell: str, sizes: dict[str, int], scale: float, seed: int) -> Problem:
    """A random problem in float64, its weights in (-scale, scale)."""
    module = cells.cell(cell).module
    rng = np.random.default_rng(seed)

    def arrays(record: Any, size: float) -> Any:
        shapes = axes(record).values()
        return record(*(size * rng.uniform(-1, 1, [sizes[letter] for letter in letters]) for letters in shapes))

    x, y = (rng.random([sizes[letter] for letter in letters]) for letters in ("TBI", "TBO"))
    return Problem(arrays(module.Params, scale), 2 * x - 1, y, arrays(module.State, 1.0))


def by_torch(cell: str, problem: Problem) -> Arrays:
    """h, y_hat, the loss of every step, and the gradient by every array, from torch."""
    gates, sizes = GATES[cell], problem.sizes
    given = {name: torch.tensor(array) for name, array in problem.arrays().items()}
    net = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](sizes["I"], sizes["H"], dtype=torch.float64)
    inner = {gate: given.get(f"bias_hidden_{gate}", torch.zeros(sizes["H"], dtype=torch.float64)) for gate in gates}
    with torch.no_grad():
        net.weight_ih_l0.copy_(torch.cat([given[f"W_input_{gate}"].T for gate in gates]))
        net.weight_hh_l0.copy_(torch.cat([given[f"W_hidden_{gate}"].T for gate in gates]))
        net.bias_ih_l0.copy_(torch.cat([given[f"bias_{gate}"] for gate in gates]))
        net.bias_hh_l0.copy_(torch.cat([inner[gate] for gate in gates]))
    leaves = {name: given[name].requires_grad_() for name in ("x", "W_output", *problem.state._fields)}
    states = [leaves[name][None] for name in problem.state._fields]
    h, _ = net(leaves["x"], tuple(states) if len(states) > 1 else states[0])
    y_hat = torch.sigmoid(h @ leaves["W_output"])
    loss = 0.5 * ((y_hat - given["y"]) ** 2).sum(dim=(1, 2))
    loss.sum().backward()

    found = {"h": h, "y_hat": y_hat, "loss": loss} | {f"grad_{name}": leaf.grad for name, leaf in leaves.items()}
    rows = {
        "W_input": net.weight_ih_l0,
        "W_hidden": net.weight_hh_l0,
        "bias": net.bias_ih_l0,
        "bias_hidden": net.bias_hh_l0,
    }
    for name, parameter in rows.items():
        for gate, part in zip(gates, parameter.grad.chunk(len(gates)), strict=True):
            if f"{name}_{gate}" in problem.params._fields:
                found[f"grad_{name}_{gate}"] = part.T if part.ndim == 2 else part
    return {name: value.detach().numpy() for name, value in found.items()}


def differences(cell: str, problem: Problem) -> Iterable[tuple[str, float, float]]:
    """(quantity, the largest difference, the largest difference in units of what the two bounds allow) of each."""
    tested = cells.cell(cell)
    ours, theirs = cells.run(tested, problem.inputs()), by_torch(cell, problem)
    own = Submission(tested).rounding(problem)
    derived = rounding(tested, problem)
    any_order = derived.values | derived.derivatives
    for name, value in theirs.items():
        apart, allowed = abs(ours[name] - value), own[name] + any_order[name]
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.where(apart == 0, 0.0, apart / allowed)
        yield name, apart.max(), np.nan_to_num(part, nan=np.inf).max()


def main() -> None:
    """Compare, judge, keep."""
    result = Result(__doc__.strip().splitlines()[0])
    for cell in GATES:
        worst: dict[str, tuple[float, float]] = {}
        for seed, (sizes, scale) in enumerate((sizes, scale) for sizes in SIZES for scale in SCALES):
            for name, apart, part in differences(cell, drawn(cell, sizes, scale, seed)):
                before = worst.get(name, (0.0, 0.0))
                worst[name] = max(before[0], apart), max(before[1], part)
        missing = {f"grad_{quantity.by}" for quantity in cells.cell(cell).of_kind("grad")} - set(worst)
        if missing:
            raise SystemExit(f"frameworks: {', '.join(sorted(missing))} of {cell} were not compared")
        title = f"{cell} and torch.nn.{cell.upper()}, {len(SIZES) * len(SCALES)} problems, float64"
        table = Table(title, ["quantity", "largest difference", "in units of its bound"])
        table.rows = [[name, f"{apart:.1e}", f"{part:.3f}"] for name, (apart, part) in worst.items()]
        table.note = "Over 1 the two would not be the same."
        result.table(table)
        result.data[cell] = {name: {"apart": apart, "part": part} for name, (apart, part) in worst.items()}
        most = max(part for _, part in worst.values())
        wanted = f"values and every gradient equal those of torch.nn.{cell.upper()}, to the derived bound"
        result.target(f"frameworks.{cell}", wanted, f"at most {most:.3f} of the bound", most <= 1)
    result.close()


if __name__ == "__main__":
    main()
