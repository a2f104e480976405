"""The arithmetics in which a program is replayed, each an interpreter of `gradlab.tape`'s programs.

balls    proven enclosures, to as many bits as asked for; flint is imported with it
rounded  bounds on what float64, float32 or float16 may be off by
floats   plain floats, for a run at other numbers

The names below are those of scalars, for object arrays of them; they are made when first asked for.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gradlab.arithmetic import scalar_rounded
from gradlab.arithmetic.scalar import Scalar, Undecidable
from gradlab.arithmetic.scalar_rounded import Rounded, bounds, rounding, values
from gradlab.arithmetic.tape import Variable, gradient, jacobian, pullback, variables

if TYPE_CHECKING:
    from gradlab.arithmetic.ball import Ball, balls
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
    "Rounded",
    "Scalar",
    "Undecidable",
    "Variable",
    "balls",
    "bounds",
    "contains",
    "digits",
    "finite",
    "gradient",
    "jacobian",
    "midpoints",
    "overlaps",
    "precision",
    "pullback",
    "radii",
    "relative_radius",
    "rounded",
    "rounding",
    "values",
    "variables",
    "within",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{'ball' if name == 'Ball' else 'balls'}")
    return getattr(module, name)


class _Package(ModuleType):
    """A package whose `balls` and `rounded` are functions, whether or not the files of these names are imported."""

    @property
    def balls(self) -> Any:
        return importlib.import_module(f"{__name__}.ball").balls

    @property
    def rounded(self) -> Any:
        return scalar_rounded.rounded

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("balls", "rounded"):  # the import of these files: they are found among the modules
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
