"""Ways to a derivative that share no code with the hand-written backward, one file each.

Every module of this package whose name does not start with an underscore, other than `evidence`, is an oracle. It has

    evidence(cell, problem, bits) -> Evidence       values with error bounds, by quantity
    PRECISIONS                                       the bits worth asking for in turn, until all is decided

so adding an oracle is adding a file. Each is imported when it is first asked.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from gradlab.cells import CELLS, Cell, UnknownName


def names() -> list[str]:
    """The oracles there are, by name."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_") and name != "evidence")


def names_for(cell: Cell) -> list[str]:
    """The oracles that can be asked of a cell: one of one's own may have no JAX twin, and needs none."""
    return [name for name in names() if name != "autodiff" or cell.name in CELLS]


def oracle(name: str) -> ModuleType:
    """The oracle of that name.

    Raises:
        UnknownName: no such oracle; the message lists those there are.
    """
    if name not in names():
        raise UnknownName(f"no oracle is called {name!r}; there are {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
