"""From the Jacobian of the per-step losses to the quantities that a cell declares."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.cells import Cell

Array = np.ndarray[Any, Any]


def reduced(cell: Cell, name: str, jacobian: Array) -> dict[str, Array]:
    """Every quantity that is a derivative by the named array.

    Args:
        jacobian: (T, *shape): entry [k, i…] is ∂l(k) by entry i… of the array. For an intermediate, shape is (T, B, …).

    Returns:
        The total over all losses for "all", that of step t's own loss for "own", that of all later ones for "later",
        and the Jacobian itself for "each".
    """
    k = np.arange(len(jacobian))
    found = {}
    for quantity in cell.quantities.values():
        if quantity.by != name or quantity.of:
            continue
        if quantity.losses == "own":
            found[quantity.name] = jacobian[k, k]
        elif quantity.losses == "later":
            later = np.empty_like(jacobian[0])
            for t in k:
                later[t] = jacobian[t + 1 :, t].sum(axis=0)
            found[quantity.name] = later
        elif quantity.losses == "each":
            found[quantity.name] = jacobian
        else:
            found[quantity.name] = jacobian.sum(axis=0)
    return found
