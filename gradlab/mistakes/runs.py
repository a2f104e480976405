"""The cell's own equations beside what code gave: as they are, and with the catalogue's right-hand sides.

Everything upstream of an equation is taken from the code under test, so a mistake shows at its own equation alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import FunctionType, SimpleNamespace
from typing import Any, cast

import numpy as np

from gradlab.arithmetic.balls import BallArithmetic, as_balls
from gradlab.cells import Cell, grad_record
from gradlab.equations import choosing, equations
from gradlab.frontends.replayable import Replayable, leaves, mapped
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.outcomes import FORWARD, Outcome, disjoint, floats_of, returned, same
from gradlab.mistakes.rows import Mistake
from gradlab.problem import Inputs

__all__ = ["Outcome", "Variants", "same", "variants"]

Array = np.ndarray[Any, Any]

KEPT = 64  # programs of one cell's variants


class Variants:
    """The cell's functions with every right-hand side of the catalogue compiled in beside its own."""

    def __init__(self, cell: Cell, rows: Iterable[Mistake]) -> None:
        self.cell = cell
        self.rows = tuple(rows)
        self.options: dict[str, tuple[str, ...]] = {}
        for row in self.rows:
            for label, text in row.changes.items():
                known = self.options.get(label, ())
                self.options[label] = known if text in known else (*known, text)
        self.forward, self.loss, self.gradient = (
            choosing(f, {label: texts for label, texts in self.options.items() if label in equations(f)})
            for f in (cast(FunctionType, function) for function in cell.code[:3])
        )
        self._functions = {"forward": self.forward, "loss": self.loss, "gradient": self.gradient}
        self._programs: OrderedDict[Any, Replayable] = OrderedDict()

    def option(self, label: str, text: str) -> int:
        """The number of a right-hand side at its equation; 0 is the equation's own."""
        return 1 + self.options[label].index(text)

    def choice(self, rows: Iterable[Mistake]) -> dict[str, int]:
        """The options that these mistakes together take, by the name of the equation."""
        return {k.partition(".")[2]: self.option(k, text) for row in rows for k, text in row.changes.items()}

    def right(self, seen: Outcome) -> Outcome:
        """What the cell's own loss and third function give for the trace that was seen."""
        params, x, y, state = seen.inputs
        with np.errstate(all="ignore"):
            loss = self.cell.code.loss(seen.trace.y_hat, y)
            grads = self.cell.code.gradient(params, x, y, state, seen.trace)
        return Outcome(seen.inputs, seen.trace, dict(returned(self.cell, seen.trace, loss, grads, True)))

    def run(self, seen: Outcome, rows: Iterable[Mistake] = ()) -> dict[str, Array]:
        """The gradients that the third function gives with these mistakes in it, for the trace that was seen."""
        choice = self.choice(rows)

        def choose(name: str, options: Any, index: Any) -> Any:
            return options[choice.get(name, 0)]()

        def gradients(functions: Any, inputs: Inputs, trace: Any) -> dict[str, Array]:
            grads = functions.gradient(*inputs, trace, choose=choose)
            return {q.name: getattr(grad_record(self.cell, grads, q.by), q.by) for q in self.cell.of_kind("grad")}

        if not seen.on_balls:
            return self._on_floats(gradients, seen.inputs, seen.trace)
        return self._on_balls(("run", *sorted(choice.items())), gradients, seen.inputs, seen.trace)

    def _on_floats(self, body: Any, *arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return body(SimpleNamespace(**self._functions), *arguments)

    def _on_balls(self, key: Any, body: Any, *arguments: Any, only: frozenset[Any] | None = None) -> Any:
        """What a body gives, recorded once for each key and shapes, and replayed."""
        key = (key, *(array.shape for argument in arguments for array in leaves(argument)))
        if key not in self._programs:
            self._programs[key] = Replayable(self._functions, body, *(mapped(floats_of, one) for one in arguments))
            if len(self._programs) > KEPT:
                self._programs.popitem(last=False)
        self._programs.move_to_end(key)
        given = [mapped(lambda array: array if array.dtype.kind == "f" else as_balls(array), one) for one in arguments]
        return self._programs[key].replayed(BallArithmetic(), *given, only=only)

    def endings(self, seen: Outcome, rows: Iterable[Mistake] = ()) -> dict[tuple[str, int], Array]:
        """The gradients as `run` gives them, option 0, and as every option of their own equations gives them.

        Returns:
            The values by (name, option); those that raise are left out.
        """
        choice, grads = self.choice(rows), {quantity.name for quantity in self.cell.of_kind("grad")}
        values: dict[tuple[str, int], Array] = {}

        def choose(name: str, options: Any, index: Any) -> Any:
            value = options[choice.get(name, 0)]()
            for i in range(len(options)) if name in grads else ():
                with suppress(Exception):  # an option that does not run here reproduces nothing here
                    other = options[i]() if i else value
                    if other.shape == seen.found[name].shape:
                        values[name, i] = other
            return value

        params, x, y, state = seen.inputs
        with np.errstate(all="ignore"):
            self.gradient(params, x, y, state, seen.trace, choose=choose)
        return values

    def local(self, seen: Outcome, wanted: Mapping[str, Iterable[int]]) -> dict[tuple[str, int], Array]:
        """What the wanted options of each equation give, everything upstream as the code under test has it.

        Args:
            seen: what the code under test gave. Equations that it says nothing of are the cell's own.
            wanted: numbers of options by the name of the equation.

        Returns:
            The values by (name, option); those that raise are left out.
        """
        if not seen.on_balls:
            return self._on_floats(self._local(wanted), seen.inputs, seen.trace, seen.found)
        keys = frozenset((name, i) for name, some in wanted.items() for i in some)
        own = all(i == 0 for _, i in keys)
        tried = {name: range(1 if own else 1 + self._count(name)) for name in seen.found}
        key = ("local", own, *seen.found)
        return self._on_balls(key, self._local(tried), seen.inputs, seen.trace, seen.found, only=keys)

    def _count(self, name: str) -> int:
        """How many right-hand sides an equation has beside its own."""
        return len(self.options.get(self.cell.quantities[name].label, ()))

    def _local(self, options: Mapping[str, Iterable[int]]) -> Callable[..., dict[tuple[str, int], Array]]:
        """What evaluates these options of each equation, everything upstream as given, with functions of any kind."""
        kinds = {self.cell.quantities[name].kind for name in options}

        def body(functions: Any, inputs: Inputs, trace: Any, given: dict[str, Array]) -> dict[tuple[str, int], Array]:
            values, failed = dict[tuple[str, int], Array](), set[tuple[str, int]]()

            def choose(name: str, alternatives: Any, index: Any) -> Any:
                if name not in given:
                    return alternatives[0]()
                for i in options.get(name, ()):
                    if (name, i) not in values:
                        values[name, i] = np.empty_like(given[name])
                    try:
                        values[name, i][index] = alternatives[i]()
                    except Exception:  # noqa: BLE001  an option that does not run here reproduces nothing here
                        failed.add((name, i))
                return given[name][index]

            params, x, y, state = inputs
            if "trace" in kinds:
                functions.forward(params, x, state, choose=choose)
            if "loss" in kinds:
                functions.loss(trace.y_hat, y, choose=choose)
            if kinds - set(FORWARD):
                functions.gradient(params, x, y, state, trace, choose=choose)
            return {key: value for key, value in values.items() if key not in failed}

        return body

    def wrong(self, seen: Outcome) -> list[str]:
        """The equations, by name in the order of the derivation, that what the code gave is proven not to satisfy."""
        return list(self._wrong(seen))

    def first_wrong(self, seen: Outcome) -> str | None:
        """The first of them, None where there is none; functions that come after its own are not run."""
        return next(self._wrong(seen), None)

    def _wrong(self, seen: Outcome) -> Iterator[str]:
        kinds = {name: self.cell.quantities[name].kind for name in seen.found}
        for among in (*FORWARD, None):
            names = [name for name, kind in kinds.items() if (kind if kind in FORWARD else None) == among]
            for (name, _), value in self.local(seen, dict.fromkeys(names, (0,))).items():
                if disjoint(seen.found[name], value) or (name == "loss" and seen.misreported):
                    yield name


@cache
def variants(cell: Cell) -> Variants:
    """The cell with its catalogue compiled in."""
    return Variants(cell, mistakes(cell.name))
