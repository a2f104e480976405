"""The ways in which a document can be read where it does not say: shapes, the layout of derivatives, what ∂ means."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gradlab.verifier.judge import Judge
from gradlab.verifier.scope import Scope
from gradlab.verifier.shapes import Shape
from gradlab.verifier.terms import Derivative, Name, Term, rebuilt, walk
from gradlab.verifier.unification import Attempt
from gradlab.verifier.world import Programs

LAYOUTS = ("shape", "numerator", "denominator")
_VALUES = (2, 3, 4, 5, 6, 7)


@dataclass(eq=False)
class Reading:
    """One reading of a scope: its symbols with their shapes, and the judge of its claims.

    orientation: "columns", "rows" or "scalars". layout: as in `Scope`.
    """

    orientation: str
    scope: Scope
    judge: Judge
    layout: str = "shape"

    def in_layout(self, layout: str) -> Reading:
        """This reading in another layout."""
        worlds = [
            Programs(replace(programs.scope, layout=layout), (), programs.limits) for programs in self.judge.worlds
        ]
        for programs, old in zip(worlds, self.judge.worlds, strict=True):
            programs.below, programs.copied = old.below, old.copied
        judge = Judge(*worlds)
        judge.memory = self.judge.memory
        return Reading(self.orientation, worlds[0].scope, judge, layout)


def immediate(term: Term, states: bool = False) -> Term:
    """A term in which every ∂ is immediate that can be; states: that of a state by what has no time only."""
    if isinstance(term, Derivative):
        timed = any(isinstance(part, Name) and part.time is not None for part in walk(term.of))
        wanted = (
            timed and not term.said and not (states and (term.by.time is not None or not isinstance(term.of, Name)))
        )
        return replace(term, immediate=term.immediate or wanted)
    return rebuilt(term, lambda part: immediate(part, states))


def instance(scope: Scope, attempt: Attempt) -> Scope:
    """A scope whose symbols have the sizes of an attempt: every unknown size over 1, and none like another."""
    found = replace(scope, symbols={}, sizes=dict(scope.sizes))
    names: dict[int, str] = {}
    sizes = attempt.sizes
    for name in scope.symbols:
        for size in attempt.shape(name):
            root = sizes.find(size)
            if root and root not in names:
                names[root] = sizes.label.get(root, "")
    for label, size in list(attempt.named.items()):
        root = sizes.find(size)
        if root and isinstance(label, str) and not names.get(root):
            names[root] = label
    totals = {sizes.find(size): key[1:] for key, size in attempt.named.items() if isinstance(key, tuple)}
    _name_sizes(found, names, totals, attempt)
    for name, symbol in scope.symbols.items():
        rows, columns = (sizes.find(size) for size in attempt.shape(name))
        space = () if rows == columns == 0 else tuple(names[size] if size else "1" for size in (rows, columns))
        dims = tuple(1 if size == "1" else found.sizes[size] for size in space)
        found.symbols[name] = replace(symbol, shape=Shape(dims), space=space, before=set(symbol.before))
    return found


def _name_sizes(found: Scope, names: dict[int, str], totals: dict[int, tuple[int, ...]], attempt: Attempt) -> None:
    """A name and a number for each size; a literal keeps its number, a concatenation has the sum of its parts."""
    taken = set(found.sizes)
    values = iter([v for v in _VALUES if v not in found.sizes.values()] + [*range(8, 64)] * 2)
    free = (f"n{number}" for number in range(1, 1000))
    for root, label in names.items():
        name = label or next(name for name in free if name not in taken)
        names[root] = name
        taken.add(name)
        if name in found.sizes or root in totals:
            continue
        if name.isdigit():
            found.sizes[name] = int(name)
            found.fixed.add(name)
        else:
            found.sizes[name] = next(values) if len(names) < 7 else 2 + len(found.sizes) % 5
    for root, (parts, constant) in attempt.spans.items():
        name = names.get(attempt.sizes.find(root), "")
        along = tuple(names.get(attempt.sizes.find(part), "1") for part in parts)
        if name and name not in along and all(member in found.sizes for member in along):
            found.spans[name] = along, constant - (len(along) - 1) * (1 - found.base)
            found.sizes[name] = sum(found.sizes[member] for member in along) + found.spans[name][1]
    for label in found.labels_of_sizes - set(found.sizes):
        if len(label) <= 2 and label.isalpha():
            found.sizes[label] = next(values)
    for root, parts in totals.items():
        if root in names:
            members = [names.get(attempt.sizes.find(part), "") for part in parts]
            total = sum(found.sizes.get(member, 1) if member else 1 for member in members)
            found.sizes[names[root]] = total
            found.totals[names[root]] = tuple(member or "1" for member in members)
