"""Where a function's source can be edited, and what a rule may know of each place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradlab.gradients.kinds import Kind
from gradlab.gradients.repair.reading import (
    assigned,
    base,
    bound,
    factors,
    first_lines,
    logistic_with,
    names_in,
    plainly,
    read,
    slope_part,
    unindexed,
)
from gradlab.gradients.repair.source import Source

Shape = tuple[int, ...]

# What a buffer, or a carry before its first step, is made of.
ALLOCATION = re.compile(r"^(np|numpy)\.(zeros|empty)(_like)?\(|^(0|0\.0)$|\.copy\(\)$|^0 \* ")


@dataclass(frozen=True)
class Place:
    """A statement: the list that it stands in, its place there, the loops around it, the outermost first."""

    source: Source
    body: list[ast.stmt]
    at: int
    statement: ast.stmt
    loops: tuple[ast.For | ast.While, ...]

    @property
    def line(self) -> int:
        return self.statement.lineno

    @cached_property
    def known(self) -> dict[str, Shape]:
        """The arrays that have been assigned when the statement runs, or are when it runs again."""
        first = first_lines(self.source.tree)
        start = self.loops[0].lineno if self.loops else 0
        stop = self.loops[0].end_lineno or 0 if self.loops else self.line - 1
        kept = {}
        for text, shape in self.source.shapes.items():
            at = first.get(base(text))
            if at is None or at < self.line or start <= at <= stop:
                kept[text] = shape
        return kept

    def like(self, shape: Shape | None) -> list[str]:
        """The arrays of a shape that can be read here: the names that the source itself has for them."""
        return [text for text, other in self.known.items() if other == shape and text not in self.aliases]

    def steps(self, text: str) -> list[str]:
        """The same array at another step."""
        alike = unindexed(text)
        return [other for other in self.known if other != text and unindexed(other) == alike]

    @cached_property
    def aliases(self) -> set[str]:
        """What is read at a step that the source never reads, and what has a shorter name of its own."""
        own = {text for text, _ in self.source.texts}
        steps = tuple(f"[{index}]" for index in self.source.indices)
        made = {text for text in self.known if text.endswith(steps) and text not in own} if steps else set()
        for node in ast.walk(self.source.tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                pairs = [(node.targets[0], node.value)]
                if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Name):
                    made |= {f"{node.value.id}[{i}]" for i in range(len(node.targets[0].elts))}
                if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(node.targets[0].elts, node.value.elts, strict=False))
                made |= {
                    ast.unparse(value)
                    for name, value in pairs
                    if isinstance(name, ast.Name) and name.id in self.known and not isinstance(value, ast.Name)
                }
        return made

    @cached_property
    def handed(self) -> set[str]:
        """What one step, or one call, hands to the next, and what that is cut out of."""
        tree = self.source.tree
        returned = {
            n.id for r in ast.walk(tree) if isinstance(r, ast.Return) for n in ast.walk(r) if isinstance(n, ast.Name)
        }
        arguments = {a.arg for a in ast.walk(tree.args) if isinstance(a, ast.arg)}
        loops = any(isinstance(n, (ast.For, ast.While)) for n in ast.walk(tree))
        found = self.carried if loops else self.carried | (returned - arguments)
        cuts = [n for n in ast.walk(tree) if isinstance(n, ast.Assign) and isinstance(n.value, ast.Subscript)]
        return found | {base(ast.unparse(n.value)) for n in cuts if assigned(n) & found}

    @cached_property
    def moving(self) -> set[str]:
        """The variables that the loops around change."""
        return set().union(*(assigned(loop) for loop in self.loops))

    @cached_property
    def carried(self) -> set[str]:
        """What one step hands to the next: bound before a loop, and read in it."""
        found = set()
        for loop in self.loops:
            before = bound(self.source.tree, loop.lineno)
            found |= {name for name in plainly(loop) if name in before}
            zeros = {name for name, value in before.items() if value is not None and ALLOCATION.search(value)}
            found |= {name for name in zeros & read(loop) if name not in assigned(loop)}
        return found

    @cached_property
    def targets(self) -> set[str]:
        return assigned(self.statement) if not isinstance(self.statement, (ast.For, ast.While, ast.If)) else set()

    def unread(self, text: str) -> bool:
        """Whether a text is part of an argument that the function never looks at."""
        arguments = {argument.arg for argument in ast.walk(self.source.tree.args) if isinstance(argument, ast.arg)}
        own = {ast.unparse(node) for node in ast.walk(self.source.tree) if isinstance(node, ast.expr)}
        return (
            base(text) in arguments and text not in own and (text == base(text) or base(text) not in read_alone(self))
        )


@dataclass(frozen=True)
class Site:
    """An expression that is read.

    parent, field, index: where it stands. slope: it is part of an activation's derivative. whole: it is all that a
    statement stores, returns, or hands to a function. indexing: it is part of an index.
    """

    place: Place
    node: ast.expr
    parent: ast.AST
    field: str
    index: int | None
    slope: bool
    whole: bool
    indexing: bool

    @cached_property
    def text(self) -> str:
        return ast.unparse(self.node)

    @cached_property
    def shape(self) -> Shape | None:
        return shape_of(self.node, self.place)

    @cached_property
    def sequence(self) -> bool:
        """Whether it is a tuple or a list, such as a shape, which arithmetic does not scale but repeats."""
        return is_sequence(self.node, self.place.source.sequences)

    def replaced(self, text: str) -> Kind:
        """The class of a mistake that is mended by another operand here."""
        place, before = self.place, self.text
        if ALLOCATION.search(before):
            return Kind.CARRY
        names, others = names_in(before), names_in(text)
        if place.loops and not names & place.moving and others & place.moving:
            return Kind.STALE
        if self.indexing or (unindexed(before) == unindexed(text) and before != text) or self._later(before, text):
            return Kind.INDEX
        if self.slope:
            return Kind.SLOPE
        if not isinstance(self.node, (ast.Name, ast.Attribute, ast.Subscript)) and place.targets & place.carried:
            return Kind.EXPLICIT
        if place.targets & place.carried and isinstance(place.statement, ast.Assign) and self.whole:
            return Kind.EXPLICIT
        return Kind.OPERAND

    def _later(self, one: str, other: str) -> bool:
        """Whether one is what a step has left of the other for the next."""
        if not self.place.loops:
            return False
        copies = [n for n in ast.walk(self.place.loops[-1]) if isinstance(n, ast.Assign)]
        pairs = {(ast.unparse(n.targets[0]), ast.unparse(n.value)) for n in copies}
        return (one, other) in pairs or (other, one) in pairs

    def added(self, text: str) -> Kind:
        """The class of a mistake that is mended by one more term here."""
        place = self.place
        if ALLOCATION.search(self.text):
            return Kind.CARRY
        if isinstance(place.statement, ast.Assign) and text in map(ast.unparse, place.statement.targets):
            return Kind.ACCUMULATION
        carries = any(name in place.carried for name in names_in(text) - {"np"})
        if (carries or place.unread(text)) and "@" not in text:
            return Kind.OUTSIDE if self.slope else Kind.CARRY
        return Kind.CARRY if place.targets & place.carried else Kind.PATH


@dataclass(frozen=True)
class Edit:
    """One change of a source: the class of the mistake that it mends, where, and what it puts in the place of what.

    puts: (list or node, index or field, new content), in the order in which they are put. span: of what it replaces.
    """

    kind: Kind
    source: Source
    line: int
    before: str
    after: str
    puts: tuple[tuple[Any, Any, Any], ...]
    span: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))

    def within(self, other: Edit) -> bool:
        """Whether it rewrites a part of what the other rewrites, or the same in fewer words."""
        if self.source is not other.source or self is other:
            return False
        (first, last), (start, stop) = self.span, other.span
        if (first, last) == (start, stop):
            return len(self.after) < len(other.after)
        return start <= first and last <= stop

    @contextmanager
    def made(self) -> Iterator[None]:
        """The tree with the change in it."""
        kept = []
        for holder, at, new in self.puts:
            if isinstance(holder, list):
                kept.append((holder, None, list(holder)))
                holder[at] = new
            else:
                kept.append((holder, at, getattr(holder, at)))
                setattr(holder, at, new)
        try:
            yield
        finally:
            for holder, at, old in reversed(kept):
                if at is None:
                    holder[:] = old
                else:
                    setattr(holder, at, old)


def places(source: Source) -> Iterator[Place]:
    """Every statement of a function, loops before their bodies."""

    def within(body: list[ast.stmt], loops: tuple[Any, ...]) -> Iterator[Place]:
        for at, statement in enumerate(list(body)):
            yield Place(source, body, at, statement, loops)
            inner = (*loops, statement) if isinstance(statement, (ast.For, ast.While)) else loops
            for field in ("body", "orelse", "finalbody"):
                yield from within(getattr(statement, field, []), inner)

    return within(source.tree.body, ())


def sites(place: Place) -> Iterator[Site]:
    """Every expression that a statement reads, without those of the statements inside it."""
    statement = place.statement
    logistic = {
        id(factor)
        for node in ast.walk(statement)
        for factor in (factors(node) if isinstance(node, ast.BinOp) else ())
        if logistic_with(factor, node)
    }

    def within(parent: ast.AST, slope: bool, indexing: bool) -> Iterator[Site]:
        for field, value in ast.iter_fields(parent):
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(child, ast.AST) or isinstance(child, ast.stmt):
                    continue
                inside = slope or id(child) in logistic or (isinstance(child, ast.expr) and slope_part(parent, child))
                at = indexing or (isinstance(parent, ast.Subscript) and field == "slice") or _counts(parent, field)
                read = isinstance(getattr(child, "ctx", ast.Load()), ast.Load)
                if isinstance(child, ast.expr) and read and field != "func" and not isinstance(child, ast.Starred):
                    whole = parent is statement or _handed(parent, statement)
                    yield Site(place, child, parent, field, index, inside, whole, at)
                if isinstance(child, ast.expr) and not read and not isinstance(child, (ast.Subscript, ast.Tuple)):
                    continue
                yield from within(child, inside, at)

    return within(statement, False, False)


def edit(site: Site, kind: Kind, text: str) -> Edit:
    """The edit that puts an expression, given as text, in the place of another."""
    new = ast.parse(text, mode="eval").body
    new = ast.fix_missing_locations(ast.copy_location(new, site.node))
    holder = site.parent if site.index is None else getattr(site.parent, site.field)
    at = site.field if site.index is None else site.index
    place = site.place
    return Edit(kind, place.source, site.node.lineno, site.text, text, ((holder, at, new),), span(site.node))


def span(node: ast.expr | ast.stmt) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a node begins and ends: (line, column) each."""
    return (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)


def is_sequence(node: ast.AST, known: set[str]) -> bool:
    """Whether an expression is a tuple or a list; `known`: the texts of others that are."""
    if isinstance(node, ast.BinOp):
        return is_sequence(node.left, known) or is_sequence(node.right, known)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return is_sequence(node.value, known)
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("tuple", "list", "np.shape", "numpy.shape")
    shape = isinstance(node, ast.Attribute) and node.attr == "shape"
    return shape or isinstance(node, (ast.Tuple, ast.List, ast.ListComp)) or ast.unparse(node) in known


def shape_of(node: ast.AST, place: Place) -> Shape | None:
    """The shape of an expression, or None where it cannot be told from that of the arrays in it."""
    text = ast.unparse(node)
    if text in place.source.shapes:
        return place.source.shapes[text]
    if isinstance(node, ast.Constant) or text in place.source.integers:
        return ()
    if isinstance(node, ast.Attribute) and node.attr == "T":
        inner = shape_of(node.value, place)
        return None if inner is None else inner[::-1]
    if isinstance(node, (ast.UnaryOp, ast.Compare)):
        return shape_of(node.operand if isinstance(node, ast.UnaryOp) else node.left, place)
    if isinstance(node, ast.BinOp):
        left, right = shape_of(node.left, place), shape_of(node.right, place)
        if isinstance(node.op, ast.MatMult):
            return _product(left, right)
        if left is None or right is None:
            return left if right is None else right
        return max(left, right, key=lambda shape: (len(shape), shape))
    if isinstance(node, ast.Call) and node.args:
        name, first = ast.unparse(node.func), shape_of(node.args[0], place)
        if name in ("np.dot", "numpy.dot") and len(node.args) == 2:
            return _product(first, shape_of(node.args[1], place))
        if isinstance(node.func, ast.Attribute) and node.func.attr == "dot":
            return _product(shape_of(node.func.value, place), first)
        if name in ("np.outer", "numpy.outer") and len(node.args) == 2:
            second = shape_of(node.args[1], place)
            return None if first is None or second is None else (*first, *second)
        if len(node.args) == 1 and not node.keywords:
            return first
    return None


def _product(left: Shape | None, right: Shape | None) -> Shape | None:
    if not left or not right:
        return None
    return (*left[:-1], *right[:-2], *(right[-1:] if len(right) > 1 else ()))


def _counts(parent: ast.AST, field: str) -> bool:
    return isinstance(parent, ast.Call) and field == "args" and ast.unparse(parent.func) in ("range", "np.arange")


def _handed(parent: ast.AST, statement: ast.stmt) -> bool:
    """Whether the parent is a tuple, a list, a dict or a call that the statement is all of."""
    value = getattr(statement, "value", None)
    if parent is value:
        return isinstance(parent, (ast.Tuple, ast.List, ast.Dict, ast.Call))
    return isinstance(parent, (ast.Tuple, ast.List)) and isinstance(value, (ast.Call, ast.Tuple))


def read_alone(place: Place) -> set[str]:
    """The variables that are read whole, not by an entry."""
    tree = place.source.tree
    entries = {id(n.value) for n in ast.walk(tree) if isinstance(n, (ast.Subscript, ast.Attribute))}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in entries}
