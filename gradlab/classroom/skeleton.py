"""A cell without its equations: its records, shapes and names, for the process that must not know the answers."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np

from gradlab.cells import Cell, Code, Quantity

Array = np.ndarray[Any, Any]

_RECORDS = ("Params", "State", "Trace", "Loss", "Grads")


def described(cell: Cell) -> dict[str, Any]:
    """What a cell declares, of JSON's types: records in an order in which each needs only those before it."""
    module, records = cell.module, {}
    hints = get_type_hints(module.Grads, include_extras=True)
    inner = [hint for hint in hints.values() if hasattr(hint, "_fields") and hint.__name__ not in _RECORDS]
    for record in (*(getattr(module, name) for name in _RECORDS[:-1]), *inner, module.Grads):
        fields = get_type_hints(record, include_extras=True)
        records[record.__name__] = [[name, _said(hint)] for name, hint in fields.items()]
    quantities = [list(quantity) for quantity in cell.quantities.values()]
    return {"name": cell.name, "functions": list(cell.code.names), "records": records, "quantities": quantities}


def _said(hint: Any) -> Any:
    """A field that is a record by its name; one that is an array as [axes, meaning …]; another as []."""
    return hint.__name__ if hasattr(hint, "_fields") else list(getattr(hint, "__metadata__", ()))


def rebuilt(said: dict[str, Any]) -> Cell:
    """The cell that `described` described; its functions give nothing."""
    module = types.ModuleType(said["name"])
    known: dict[str, Any] = {}
    for name, fields in said["records"].items():
        known[name] = NamedTuple(name, [(field, _hint(known, hint)) for field, hint in fields])
        setattr(module, name, known[name])
    quantities = [Quantity(q[0], q[1], q[2], tuple(q[3]), *q[4:]) for q in said["quantities"]]
    forward, loss, gradient = map(_nothing, said["functions"])
    code = Code(forward, loss, gradient, said["name"])
    return Cell(said["name"], code, module, {quantity.name: quantity for quantity in quantities})


def _hint(known: dict[str, Any], said: Any) -> Any:
    if isinstance(said, str):
        return known[said]
    return Annotated[(Array, *said)] if said else Any


def _nothing(name: str) -> Callable[..., Any]:
    def function(*args: Any) -> None:
        return None

    function.__name__ = name
    return function
