"""A document bound to a hand-written cell: its definitions held against the cell's own NumPy forward, on balls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import midpoints, precision
from gradlab.problem import Inputs, axes
from gradlab.verifier.evaluate import NoSuchStep
from gradlab.verifier.judge import FIRST_BITS, Judge, Judgement, compare
from gradlab.verifier.scope import Scope
from gradlab.verifier.shapes import Trouble
from gradlab.verifier.terms import Name, Time
from gradlab.verifier.world import Balls

T = Time.of("t")
LOSSES = ("l", "L")  # a document may stop before either


@dataclass
class Bound:
    """For each definition that is an intermediate of the cell, by its name: whether it is what the code computes."""

    steps: int = 0
    judgements: dict[str, Judgement] = field(default_factory=dict)
    problem: str = ""


class Unbound(Exception):
    """The document lacks something that the cell needs. Caught within this package."""


def bound_to(scope: Scope, judge: Judge) -> Bound:
    """What the cell named in the front matter says to the definitions; nothing if none is named."""
    bound = Bound(scope.steps)
    if not scope.cell:
        return bound
    try:
        for point in range(judge.points):
            with precision(FIRST_BITS):
                balls = judge.balls(point)
                found = forward(scope, balls)
                defined = {name: _defined(scope, name) for name in found}
                missing = [name for name, symbol in defined.items() if symbol is None and name not in LOSSES]
                if missing:
                    alias = f"define it, or say under `aliases:` what it is called here, as in `{missing[0]}: …`"
                    raise Unbound(f"computes {', '.join(missing)}, which the document does not define: {alias}")
                for name, values in found.items():
                    if defined[name] is not None:
                        _hold(bound, defined[name], values, scope, balls)
    except Unbound as error:
        bound.problem = f"the cell {scope.cell} {error}"
    return bound


def forward(scope: Scope, balls: Balls) -> dict[str, Any]:
    """What the cell's forward and loss give on the document's own numbers, batch 1, by the document's plain names.

    Raises:
        Unbound: a symbol that the cell needs is not declared, or has another shape than the code can run on.
    """
    from gradlab.cells import cell

    code = cell(scope.cell).code
    given = inputs(scope, balls)
    try:
        trace = code.forward(given.params, given.x, given.state)
        loss = code.loss(trace.y_hat, given.y)
    except (ValueError, TypeError, IndexError) as error:
        raise Unbound(f"cannot run on the declared shapes: {error}") from None
    return trace._asdict() | {"l": np.reshape(loss.per_step, (-1, 1, 1)), "L": np.reshape(loss.total, (1, 1))}


def inputs(scope: Scope, balls: Balls) -> Inputs:
    """The document's numbers as the arrays that its cell runs on, batch 1.

    Raises:
        Unbound: a symbol that the cell needs is not declared.
    """
    from gradlab.cells import cell

    module = cell(scope.cell).module
    params = {
        name: _given(scope, balls, name).reshape(-1) if len(letters) == 1 else _given(scope, balls, name)
        for name, letters in axes(module.Params).items()
    }
    states = {name: _given(scope, balls, _initial(scope, name), scope.first - 1) for name in module.State._fields}
    x, y = (_sequence(scope, balls, name) for name in ("x", "y"))
    return Inputs(module.Params(**params), x, y, module.State(**states))


def _defined(scope: Scope, name: str) -> str | None:
    """The document's name for what the cell calls `name`, if it defines that."""
    name = scope.aliases.get(name, name)
    symbol = scope.symbols.get(name)
    return name if symbol is not None and symbol.body is not None and symbol.kind == "forward" else None


def _hold(bound: Bound, name: str | None, values: Any, scope: Scope, balls: Balls) -> None:
    """Compare one definition with the code's values at one point."""
    assert name is not None
    symbol = scope.symbols[name]
    steps: list[int | None] = list(scope.range()) if symbol.timed else [None]
    wrong: list[int] = []
    word, left, right = "true", None, None
    for step in steps:
        code = values if step is None else values[step - scope.first]
        clock = scope.clock(step)
        try:
            document = balls.value(Name(name, T if symbol.timed else None), clock)
        except (NoSuchStep, Trouble):
            continue
        if np.size(document) == np.size(code) == 1:
            document = np.reshape(document, np.shape(code))
        outcome = compare(document, code) if np.shape(document) == np.shape(code) else "false"
        if outcome != "true" and word != "false":
            word = outcome
        if outcome == "false":
            wrong += [] if step is None else [step]
            left, right = (midpoints(document), midpoints(code)) if left is None else (left, right)
    before = bound.judgements.get(name)
    if before is None or (before.word != "false" and word != "true"):
        judged = tuple(step for step in steps if step is not None)
        bound.judgements[name] = Judgement(word, judged, tuple(wrong), left=left, right=right)


def _given(scope: Scope, balls: Balls, name: str, step: int | None = None) -> Any:
    symbol = scope.symbols.get(name)
    if symbol is None or (step is None and (symbol.kind != "given" or symbol.timed)):
        raise Unbound(f"needs the weight {name}: declare it under `symbols:`")
    return balls.name(Name(name, None if step is None else Time(step)), {})


def _initial(scope: Scope, field_name: str) -> str:
    """The symbol whose value before step 0 is the cell's state: what that goes on as, or is named after."""
    from gradlab.cells import cell

    stem = field_name.removesuffix("_initial")
    wanted = cell(scope.cell).continues.get(field_name, stem)
    before = [name for name, symbol in scope.symbols.items() if scope.first - 1 in symbol.before]
    found = wanted if wanted in before else next((name for name in before if name.startswith(f"{stem}_")), None)
    if found is None:
        raise Unbound(f"needs the state {wanted}(-1): declare it under `symbols:`")
    return found


def _sequence(scope: Scope, balls: Balls, name: str) -> Any:
    symbol = scope.symbols.get(name)
    if symbol is None or not symbol.timed or symbol.kind != "given":
        raise Unbound(f"needs the sequence {name}(t): declare it under `symbols:`")
    return np.array([balls.name(Name(name, Time(step)), {}) for step in scope.range()], dtype=object)
