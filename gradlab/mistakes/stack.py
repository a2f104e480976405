"""Many variants of one backward pass in a single run: each has samples of its own in the batch.

    T steps   B samples of the problem   K variants   K·B samples in the stack, variant after variant

No sample sees another, neither in a recursion nor in gradients that have a batch axis. So each variant's part of those
is what the variant alone gives. Right-hand sides for which that does not hold (a mean over the batch) are found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gradlab.cells import grad_record
from gradlab.mistakes.outcomes import FORWARD, Outcome, far
from gradlab.mistakes.runs import Variants
from gradlab.problem import Inputs

Array = np.ndarray[Any, Any]
Choice = Mapping[str, int]

CHUNK = 1 << 9  # variants in one run: few enough that the arrays of a step stay in the second-level cache


class Stack:
    """Variants of a cell's backward pass, run together from one trace.

    Args:
        known: the cell with its catalogue.
        seen: the trace, in floats.
    """

    def __init__(self, known: Variants, seen: Outcome) -> None:
        self.known, self.cell, self.seen = known, known.cell, known.right(seen)
        self.samples = seen.inputs.x.shape[1]
        self.names = [quantity.name for quantity in self.cell.of_kind("grad") if "B" in quantity.axes]

    @cached_property
    def apart(self) -> frozenset[tuple[str, int]]:
        """The options, by name and number, that run and of which no sample's value depends on another sample."""
        options = {
            name: range(1 + len(self.known.options.get(quantity.label, ())))
            for name, quantity in self.cell.quantities.items()
            if quantity.kind not in FORWARD and "B" in quantity.axes
        }
        alone = self.known.local(self.seen, options)
        found = set(alone)
        other = self._mapped([self.seen], lambda arrays, axis: arrays[0] / 2)
        for at, parts in enumerate(([self.seen, other], [other, self.seen])):
            mixed = self.known.local(self._mapped(parts, np.concatenate), options)
            ours = np.arange(self.samples) + at * self.samples
            found = {key for key in found & mixed.keys() if not far(self._taken(key[0], mixed[key], ours), alone[key])}
        return frozenset(found)

    def run(self, choices: Sequence[Choice]) -> Array:
        """The gradients of `names`, flat and one after the other: one row for each choice of options by name.

        A row is nan where one of the options is not `apart`, and empty where no gradient has a batch axis.
        """
        table = np.full((len(choices), sum(self.seen.found[name].size for name in self.names)), np.nan)
        if not self.names:
            return table
        fit = [k for k, choice in enumerate(choices) if all(self._fits(*item) for item in choice.items())]
        for start in range(0, len(fit), CHUNK):
            some = fit[start : start + CHUNK]
            table[some] = self._run([choices[k] for k in some])
        return table

    def _fits(self, name: str, option: int) -> bool:
        return (name, option) in self.apart or "B" not in self.cell.quantities[name].axes

    def _run(self, choices: Sequence[Choice]) -> Array:
        K, B = len(choices), self.samples
        variants: dict[str, dict[int, list[int]]] = {}
        for k, choice in enumerate(choices):
            for name, option in choice.items():
                variants.setdefault(name, {}).setdefault(option, []).append(k)
        samples = {
            name: {option: (np.array(ks)[:, None] * B + np.arange(B)).ravel() for option, ks in options.items()}
            for name, options in variants.items()
            if "B" in self.cell.quantities[name].axes
        }

        def choose(name: str, options: Any, index: Any) -> Any:
            value = options[0]()
            if name in samples:
                value = np.array(value)
                for option, ours in samples[name].items():
                    place = self._place(name, ours)
                    value[place] = options[option]()[place]
            return value

        (params, x, y, state), trace, *_ = self._mapped([self.seen] * K, np.concatenate)
        with np.errstate(all="ignore"):
            grads = self.known.gradient(params, x, y, state, trace, choose=choose)
        found = []
        for name in self.names:
            quantity, shape = self.cell.quantities[name], self.seen.found[name].shape
            value, axis = getattr(grad_record(self.cell, grads, quantity.by), quantity.by), quantity.axes.index("B")
            apart = np.moveaxis(value.reshape(*shape[:axis], K, *shape[axis:]), axis, 0)
            found.append(apart.reshape(K, -1))
        return np.concatenate(found, axis=1)

    def _taken(self, name: str, values: Array, samples: Array) -> Array:
        return values[self._place(name, samples)]

    def _place(self, name: str, samples: Array) -> tuple[Any, ...]:
        """The samples in an array of all steps or of one."""
        axes = self.cell.quantities[name].axes
        return (..., samples, *[slice(None)] * (len(axes) - 1 - axes.index("B")))

    def _mapped(self, parts: Sequence[Outcome], function: Any) -> Outcome:
        """An outcome of which each array with a batch axis is the function of those of the parts, and of that axis."""
        letters = self.cell.axes | {name: quantity.axes for name, quantity in self.cell.quantities.items()}

        def mapped(name: str, arrays: Sequence[Array]) -> Array:
            axes = letters.get(name, ())
            return function(arrays, axis=axes.index("B")) if "B" in axes else arrays[0]

        first = parts[0]
        inputs = {
            name: mapped(name, [dict(part.inputs.named())[name] for part in parts]) for name, _ in first.inputs.named()
        }
        state = type(first.inputs.state)(**{name: inputs[name] for name in first.inputs.state._fields})
        y = mapped("y", [part.inputs.y for part in parts])
        trace = [mapped(name, [getattr(part.trace, name) for part in parts]) for name in first.trace._fields]
        found = {name: mapped(name, [part.found[name] for part in parts]) for name in first.found}
        return Outcome(Inputs(first.inputs.params, inputs["x"], y, state), type(first.trace)(*trace), found)
