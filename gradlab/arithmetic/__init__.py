"""The arithmetics in which the same NumPy source runs, on object arrays of their scalars.

`Ball` proves enclosures to as many bits as asked for; `Rounded` bounds what float64 or float32 may be off by; a
`Variable` records either, and `gradient` differentiates what it recorded. flint is imported when a ball is first asked
for.
"""

from typing import TYPE_CHECKING, Any

from gradlab.arithmetic.scalar_rounded import Rounded, bounds, rounded, rounding, values
from gradlab.arithmetic.scalar import Scalar, Undecidable
from gradlab.arithmetic.tape import Variable, gradient, jacobian, pullback, variables

if TYPE_CHECKING:
    from gradlab.arithmetic.ball import (
        Ball,
        balls,
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
    from gradlab.arithmetic import ball

    return getattr(ball, name)
