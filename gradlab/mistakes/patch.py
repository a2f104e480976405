"""A mistake put into a cell's own source: right-hand sides swapped in the functions' own syntax trees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, cast

from gradlab.cells import Cell, Code
from gradlab.equations import EquationError, equations, replaced
from gradlab.mistakes.outcomes import outcome
from gradlab.mistakes.probes import probe
from gradlab.mistakes.rows import Mistake


class PatchError(ValueError):
    """A change that cannot be made: the message names the equation, and what is wrong with the expression."""


def patch(cell: Cell, changes: Mapping[str, str], *, square: bool = False) -> Code:
    """The cell's own code with other right-hand sides.

    Args:
        changes: one NumPy expression, in the names of the function's own scope, for each label to change.
        square: the code need only run where inputs, hidden units and outputs are equally many.

    Raises:
        PatchError: no equation has that label; the expression does not parse or uses an unknown name; or the code does
            not run on a problem with it, or returns something of another shape.
    """
    unknown = [label for label in changes if label not in cell.equations]
    if unknown:
        raise PatchError(f"{cell.name} has no equation {unknown[0]}; it has {', '.join(cell.equations)}")
    try:
        forward, loss, gradient = (_swapped(cast(FunctionType, function), changes) for function in cell.code[:3])
    except EquationError as error:
        raise PatchError(str(error)) from None
    code = Code(forward, loss, gradient, f"{cell.code.origin} with another {', '.join(changes)}")
    _run(cell, code, changes, square)
    return code


def _swapped(function: FunctionType, changes: Mapping[str, str]) -> Callable[..., Any]:
    own = {label: changes[label] for label in equations(function) if label in changes}
    return replaced(function, own) if own else function


def with_mistakes(cell: Cell, *mistakes: Mistake) -> Code:
    """The cell's own code with those mistakes in it, all together.

    Raises:
        PatchError: two of them change the same equation, or as `patch`.
    """
    changes: dict[str, str] = {}
    for mistake in mistakes:
        both = changes.keys() & mistake.changes.keys()
        if both:
            raise PatchError(f"{mistake.name}: another of the mistakes changes {', '.join(sorted(both))} too")
        changes |= mistake.changes
    return patch(cell, changes, square=any(mistake.square for mistake in mistakes))


def _run(cell: Cell, code: Code, changes: Mapping[str, str], square: bool) -> None:
    """Run the code once and look at the shapes, so that a change that does not fit is refused where it is made."""
    problem = probe(cell, square=square)
    refused = outcome(cell, code, problem.inputs(), problem.sizes).refused
    if refused:
        what = "; ".join(f"{label} = {text}" for label, text in changes.items())
        raise PatchError(f"{what}: does not fit a problem of sizes {problem.sizes}: {refused}")
