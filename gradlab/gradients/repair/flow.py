"""The edits of whole statements: what a loop adds up, overwrites, and hands from step to step."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from gradlab.gradients.kinds import Kind
from gradlab.gradients.repair.reading import assigned, is_slope, names_in, read
from gradlab.gradients.repair.sites import ALLOCATION, Edit, Place, shape_of, span
from gradlab.gradients.repair.vocabulary import Vocabulary

CARRY = "carry_"  # a variable that no source has


def rearranged(place: Place) -> Iterator[Edit]:
    """Every edit of one statement as a whole."""
    statement = place.statement
    if isinstance(statement, ast.AugAssign):
        yield from _added(place, statement)
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        yield from _assigned(place, statement)
    if isinstance(statement, ast.For):
        yield from _never_updated(place, statement)
    if place.loops and isinstance(statement, ast.Assign):
        yield from _without_recursion(place, statement)


def _added(place: Place, statement: ast.AugAssign) -> Iterator[Edit]:
    target, value = ast.unparse(statement.target), ast.unparse(statement.value)
    if isinstance(statement.op, (ast.Add, ast.Sub)):
        other = "-" if isinstance(statement.op, ast.Add) else "+"
        yield _instead(place, Kind.ACCUMULATION, f"{target} = {value}")
        yield _instead(place, Kind.SIGN, f"{target} {other}= {value}")
        fixed = place.loops and not names_in(value) & place.moving
        yield _instead(place, Kind.LAST_LOSS if fixed else Kind.PATH, "pass")
    sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}.get(type(statement.op))
    if sign:
        yield _instead(place, Kind.STALE, f"{target} = {target} {sign} ({value})")
    if isinstance(statement.target, ast.Subscript):
        index = statement.target.slice
        first = index.elts[0] if isinstance(index, ast.Tuple) else index
        holder = ast.unparse(statement.target.value)
        if isinstance(first, ast.Name):
            yield _instead(place, Kind.KRONECKER, f"{holder}[{first.id}, {first.id}] += {value}")


def _assigned(place: Place, statement: ast.Assign) -> Iterator[Edit]:
    target, value = ast.unparse(statement.targets[0]), ast.unparse(statement.value)
    one = isinstance(statement.targets[0], (ast.Name, ast.Subscript, ast.Attribute))
    if one and place.loops:
        yield _instead(place, Kind.ACCUMULATION, f"{target} += {value}")
    whole = isinstance(statement.targets[0], ast.Subscript) and isinstance(statement.targets[0].slice, ast.Slice)
    if whole and isinstance(statement.targets[0], ast.Subscript):
        yield _instead(place, Kind.STALE, f"{ast.unparse(statement.targets[0].value)} = {value}")
    if place.loops and ALLOCATION.search(value):
        body, at = _around(place)
        moved = ((place.body, place.at, ast.copy_location(ast.Pass(), statement)), (body, slice(at, at), [statement]))
        yield _edit(place, Kind.CARRY, f"{target} = {value}", "the same, once before the loop", moved)


def _never_updated(place: Place, loop: ast.For) -> Iterator[Edit]:
    """A carry that is read in a loop and keeps its first value."""
    inside = Place(place.source, loop.body, len(loop.body) - 1, loop.body[-1], (*place.loops, loop))
    for name in sorted(inside.carried - assigned(loop)):
        for text in _handed_on(inside, place.source.shapes.get(name)):
            new = _parsed(f"{name} = {text}", loop.body[-1])
            end = len(loop.body)
            yield _edit(inside, Kind.CARRY, "nothing", f"{name} = {text}", ((loop.body, slice(end, end), [new]),))


def _without_recursion(place: Place, statement: ast.Assign) -> Iterator[Edit]:
    """A backward loop that hands nothing to the step before."""
    loop = place.loops[-1]
    shape = shape_of(statement.value, place)
    if place.carried & read(statement) or not shape or len(statement.targets) != 1 or place.at >= len(loop.body):
        return
    if any(isinstance(n, (ast.Name)) and n.id in place.carried for n in ast.walk(loop)) and place.body is not loop.body:
        return
    text = ast.unparse(statement.value)
    body, at = _around(place)
    end = len(loop.body)
    names = {n.id for target in statement.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    later = [s for s in loop.body[place.at :] if isinstance(s, ast.Assign)]
    slopes = any(is_slope(n) for n in ast.walk(statement))
    for product in _handed_on(place, shape):
        if product == ast.unparse(statement.targets[0]):
            continue
        fresh = set().union(*(assigned(s) for s in later)) & names_in(product)
        if not fresh or (slopes and not names & fresh):
            continue
        puts = (
            (place.body, place.at, _parsed(f"{ast.unparse(statement.targets[0])} = ({text}) + {CARRY}", statement)),
            (loop.body, slice(end, end), [_parsed(f"{CARRY} = {product}", loop.body[-1])]),
            (body, slice(at, at), [_parsed(f"{CARRY} = 0", loop)]),
        )
        yield _edit(place, Kind.CARRY, text, f"({text}) + carry, with carry = {product} from the step after", puts)


def _handed_on(place: Place, shape: Any) -> Iterator[str]:
    words = Vocabulary(place)
    own = assigned(place.loops[-1])
    for product in words.products(shape):
        if names_in(product) & own:
            yield product
    alike = [text for text in place.like(shape) if names_in(text) & own]
    for i, a in enumerate(alike):
        yield a
        for b in alike[i + 1 :]:
            yield f"{a} * {b}"


def _around(place: Place) -> tuple[list[ast.stmt], int]:
    """Where the innermost loop around a statement stands."""
    loop = place.loops[-1]
    for node in ast.walk(place.source.tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list) and loop in body:
                return body, body.index(loop)
    raise AssertionError("a loop stands in no body")


def _instead(place: Place, kind: Kind, text: str) -> Edit:
    puts = ((place.body, place.at, _parsed(text, place.statement)),)
    return _edit(place, kind, ast.unparse(place.statement), text, puts)


def _edit(place: Place, kind: Kind, before: str, after: str, puts: tuple[Any, ...]) -> Edit:
    return Edit(kind, place.source, place.line, before, after, puts, span(place.statement))


def _parsed(text: str, beside: ast.stmt) -> ast.stmt:
    return ast.fix_missing_locations(ast.copy_location(ast.parse(text).body[0], beside))
