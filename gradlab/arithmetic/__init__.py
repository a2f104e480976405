"""The arithmetics in which a program is replayed, each an interpreter of `gradlab.tape`'s programs.

balls    proven enclosures, to as many bits as asked for; flint is imported with it
rounded  bounds on what float64, float32 or float16 may be off by
floats   plain floats, for a run at other numbers

For terms that are evaluated number by number there are a scalar of balls (`ball`) and a tape of scalars (`tape`). The
names below are the readers of balls, and what makes balls of arrays; they are imported when first asked for.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gradlab.arithmetic.scalar import Scalar, Undecidable

if TYPE_CHECKING:
    from gradlab.arithmetic.ball import Ball
    from gradlab.arithmetic.balls import (
        contains,
        digits,
        finite,
        midpoints,
        overlaps,
        precision,
        radii,
        relative_radius,
        within,
    )

__all__ = [
    "Ball",
    "Scalar",
    "Undecidable",
    "contains",
    "digits",
    "finite",
    "midpoints",
    "overlaps",
    "precision",
    "radii",
    "relative_radius",
    "within",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module: ModuleType = importlib.import_module(f"{__name__}.{'ball' if name == 'Ball' else 'balls'}")
    return getattr(module, name)
