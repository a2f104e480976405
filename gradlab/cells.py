"""The registry of cells: what there is to be checked in each, read off its hand-written module.

A cell is what its module in `gradlab.manual` declares: the NamedTuples `Params`, `State`, `Trace`, `Deltas`
annotated with shapes, and the labelled equations of `forward`, `loss` and `bptt`. Nothing else knows a cell by name.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from gradlab.equations import equations
from gradlab.problem import Inputs, axes

CELLS = {"rnn": "gradlab.manual.rnn"}

_MEANING = re.compile(r"∂(L|l\(t\)|l\(k>t\)) / ∂(\w+)\(t\)")
LOSSES = {"L": "all", "l(t)": "own", "l(k>t)": "later"}


class Code(NamedTuple):
    """The three functions under test. `origin` is where people find them: a module's name or a file's path."""

    forward: Callable[..., Any]
    loss: Callable[..., Any]
    bptt: Callable[..., Any]
    origin: str

    @classmethod
    def of(cls, module: Any, origin: str) -> Code:
        return cls(module.forward, module.loss, module.bptt, origin)


class Quantity(NamedTuple):
    """One thing that a cell computes and an oracle can vouch for; `name` is its label without the cell.

    kind: "trace" (an intermediate), "loss", "delta" or "grad".
    by: the intermediate (delta) or array (grad) that is differentiated by; losses: "all", "own" (of step t) or "later".
    """

    name: str
    label: str
    kind: str
    axes: tuple[str, ...]
    by: str = ""
    losses: str = "all"


@dataclass(frozen=True, eq=False)
class Cell:
    """A hand-written cell: its code and its quantities in the order of the derivation."""

    name: str
    code: Code
    module: Any
    quantities: dict[str, Quantity]

    @property
    def equations(self) -> dict[str, Any]:
        """The labelled equations of forward, loss and bptt by label, in the order of the derivation."""
        return {k: v for f in (self.code.forward, self.code.loss, self.code.bptt) for k, v in equations(f).items()}

    def of_kind(self, kind: str) -> list[Quantity]:
        return [quantity for quantity in self.quantities.values() if quantity.kind == kind]

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The axis letters of x, y, every weight, state and intermediate, by name."""
        module = self.module
        named = {"x": ("T", "B", "I"), "y": ("T", "B", "O")} | axes(module.Params) | axes(module.State)
        return named | axes(module.Trace)

    @property
    def nudges(self) -> tuple[str, ...]:
        """The intermediates that some delta is the derivative by."""
        return tuple(dict.fromkeys(quantity.by for quantity in self.of_kind("delta")))


@cache
def cell(name: str) -> Cell:
    """The registered cell of that name.

    Raises:
        KeyError: no such cell; the message lists those there are.
    """
    if name not in CELLS:
        raise KeyError(f"no cell is called {name!r}; there are {', '.join(CELLS)}")
    module = importlib.import_module(CELLS[name])
    code = Code.of(module, CELLS[name])
    declared = {quantity.name: quantity for quantity in _declared(name, module)}
    labels = [label for f in (code.forward, code.loss, code.bptt) for label in equations(f)]
    names = [label.partition(".")[2] for label in labels]
    if sorted(names) != sorted(declared):
        raise TypeError(f"{CELLS[name]}: the labels {sorted(set(names) ^ set(declared))} do not match its NamedTuples")
    return Cell(name, code, module, {name: declared[name] for name in names})


def _declared(cell_name: str, module: Any) -> Iterator[Quantity]:
    def quantity(name: str, *rest: Any) -> Quantity:
        return Quantity(name, f"{cell_name}.{name}", *rest)

    for name, letters in axes(module.Trace).items():
        yield quantity(name, "trace", letters)
    yield quantity("loss", "loss", ("T",))
    meanings = get_type_hints(module.Deltas, include_extras=True)
    for name, letters in axes(module.Deltas).items():
        meaning = meanings[name].__metadata__[1]
        match = _MEANING.fullmatch(meaning)
        if match is None:
            raise TypeError(f"{module.__name__}.Deltas.{name}: cannot read the meaning {meaning!r}")
        yield quantity(f"delta_{name}", "delta", letters, match[2], LOSSES[match[1]])
    for name, letters in ({"x": ("T", "B", "I")} | axes(module.Params) | axes(module.State)).items():
        yield quantity(f"grad_{name}", "grad", letters, name)


def run(cell: Cell, inputs: Inputs) -> dict[str, Any]:
    """The cell's own forward, loss and bptt on one problem's arrays: every quantity by its name."""
    params, x, y, state = inputs
    trace = cell.code.forward(params, x, state)
    loss = cell.code.loss(trace.y_hat, y)
    return named(cell, trace, loss, cell.code.bptt(params, x, y, state, trace))


def named(cell: Cell, trace: Any, loss: Any, grads: Any) -> dict[str, Any]:
    """The quantities in what the three functions returned, by their names, in the order of the derivation."""
    records = {"trace": (trace, ""), "loss": (loss, ""), "delta": (grads.deltas, "delta_")}
    found = {}
    for quantity in cell.quantities.values():
        if quantity.kind == "loss":
            found[quantity.name] = loss.per_step
        elif quantity.kind == "grad":
            found[quantity.name] = getattr(grad_record(cell, grads, quantity.by), quantity.by)
        else:
            record, prefix = records[quantity.kind]
            found[quantity.name] = getattr(record, quantity.name.removeprefix(prefix))
    return found


def grad_record(cell: Cell, grads: Any, name: str) -> Any:
    """The part of a `Grads` that holds the gradient by the array of that name."""
    if name == "x":
        return grads
    return grads.params if name in cell.module.Params._fields else grads.state
