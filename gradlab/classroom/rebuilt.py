"""The records that a cell's three functions return, put together again from the quantities in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_type_hints

import numpy as np

from gradlab.cells import Cell, records
from gradlab.checker.submission import TOTAL, Returned
from gradlab.problem import Inputs

Array = np.ndarray[Any, Any]


def returned(cell: Cell, inputs: Inputs, found: Mapping[str, Array]) -> Returned:
    """What the three functions gave for some inputs, from every quantity in it by name."""
    module = cell.module
    trace = module.Trace(**{quantity.name: found[quantity.name] for quantity in cell.of_kind("trace")})
    total = found[TOTAL][()] if TOTAL in found else np.sum(found["loss"], axis=0)
    loss = module.Loss(found["loss"], total)
    return Returned(inputs, trace, loss, _grads(cell, found), dict(found))


def _grads(cell: Cell, found: Mapping[str, Array]) -> Any:
    kinds = {field: kind for kind, field in records(cell.module).items()}
    parts: dict[str, Any] = {}
    for field, record in get_type_hints(cell.module.Grads).items():
        prefix = kinds.get(field, "grad")
        if hasattr(record, "_fields"):
            parts[field] = record(*(found[f"{prefix}_{name}"] for name in record._fields))
        else:
            parts[field] = found[f"{prefix}_{field}"]
    return cell.module.Grads(**parts)
