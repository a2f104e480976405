"""What the source around a place calls and names, from which edits are made."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from gradlab.gradients.kinds import Kind
from gradlab.gradients.repair.reading import DERIVATIVE, base, is_slope
from gradlab.gradients.repair.sites import Place, Shape
from gradlab.mistakes.rules import Scope

Change = tuple[Kind, str]

NO_ACTIVATION = re.compile(r"zeros|ones|empty|len|range|append|copy|reversed|sum|array|list|dot|eye|asarray")
READS = (ast.Name, ast.Attribute, ast.Subscript)


class Vocabulary:
    """What else the source around a place calls and names.

    leaves: how the parameters are read. axes: the lengths that a factor may stand for.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.scope = Scope(place.known, frozenset(place.source.integers), 0)
        self.lengths = sorted(n for n in place.source.lengths if n > 1)

    @cached_property
    def functions(self) -> list[str]:
        """The functions of one argument that the source calls, beside tanh."""
        calls = [n for n in ast.walk(self.place.source.tree) if isinstance(n, ast.Call)]
        single = [
            n for n in calls if len(n.args) == 1 and not n.keywords and isinstance(n.func, (ast.Name, ast.Attribute))
        ]
        named = [ast.unparse(n.func) for n in single]
        kept = [name for name in named if not NO_ACTIVATION.search(name)]
        return list(dict.fromkeys(["np.tanh", *kept]))

    def activations(self, text: str) -> list[str]:
        """What the activations of the source make of an array."""
        return [f"{function}({text})" for function in self.functions if not DERIVATIVE.search(function)]

    @cached_property
    def matrices(self) -> list[str]:
        """The parameters and what else a step does not change: what a carry goes back through."""
        fixed = [text for text, shape in self.place.known.items() if len(shape) == 2 and text not in self.place.aliases]
        return [text for text in fixed if base(text) not in self.place.moving and not text.endswith(".T")]

    def slopes(self, shape: Shape | None) -> Iterator[str]:
        """An activation's derivative, at every array of a shape that may be what the activation gave."""
        source = self.place.source
        for text in [*self.place.like(shape), *self._activated(shape)]:
            known = text in self.place.known
            if not known or text in source.unit & source.positive:
                yield f"{text} * (1 - {text})"
            if not known or text in source.unit:
                yield f"(1 - {text} ** 2)"
            if known and source.kinked:
                yield f"({text} > 0)"

    def _activated(self, shape: Shape | None) -> list[str]:
        calls = [n for n in ast.walk(self.place.source.tree) if isinstance(n, ast.Call) and len(n.args) == 1]
        found = [ast.unparse(n) for n in calls if ast.unparse(n.func) in self.functions and not is_slope(n)]
        return [text for text in dict.fromkeys(found) if text.partition("(")[2].rstrip(")") in self.place.like(shape)]

    def products(self, shape: Shape | None) -> Iterator[str]:
        """Products of a matrix and an array that have a shape."""
        if not shape:
            return
        for matrix in self.matrices:
            rows = self.place.known[matrix]
            for text, other in self.place.known.items():
                if text == matrix or not other or len(other) != len(shape):
                    continue
                for turned, (m, n) in ((matrix, rows), (f"{matrix}.T", rows[::-1])):
                    if other[-1] == m and shape == (*other[:-1], n):
                        yield f"{text} @ {turned}"
                    if other[0] == n and shape == (m, *other[1:]):
                        yield f"{turned} @ {text}"
