"""The edits of an activation's derivative."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradlab.gradients.kinds import Kind
from gradlab.gradients.repair.reading import factors, is_slope, names_in
from gradlab.gradients.repair.sites import Site
from gradlab.gradients.repair.vocabulary import READS, Change, Vocabulary


def of_slope(site: Site, words: Vocabulary) -> Iterator[Change]:
    """A derivative put in, left out, at another point, or of another activation."""
    node = site.node
    inner = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, (ast.Mult, ast.Pow))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and is_slope(node.left):
        yield Kind.SLOPE, ast.unparse(node.left)
    if site.slope and isinstance(node, ast.Call) and len(node.args) == 1:
        yield Kind.SLOPE, ast.unparse(node.args[0])
    if not inner and not site.slope:
        yield from _reshaped(node, site, words)
    term = site.whole or (
        isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, (ast.Add, ast.Sub, ast.MatMult))
    )
    branch = isinstance(site.parent, ast.IfExp)
    if (term or branch) and not site.slope and not site.indexing and site.shape and not is_slope(node):
        kind = _missing(site)
        for slope in words.slopes(site.shape):
            yield kind, f"({site.text}) * {slope}"


def of_softmax(site: Site, words: Vocabulary) -> Iterator[Change]:
    """The Jacobian of a softmax, where one of another form stands."""
    if not site.whole or not isinstance(site.node, ast.BinOp) or not site.shape or "sum(" in site.text:
        return
    inner = [ast.unparse(n) for n in ast.walk(site.node) if isinstance(n, READS)]
    alike = [text for text in dict.fromkeys(inner) if site.place.known.get(text) == site.shape]
    for a in alike:
        for d in alike:
            if a != d:
                yield Kind.SLOPE, f"{a} * ({d} - ({d} * {a}).sum(axis=-1, keepdims=True))"


def _reshaped(node: ast.expr, site: Site, words: Vocabulary) -> Iterator[Change]:
    """A product with its derivative left out, of another activation, or at another point."""
    found = factors(node)
    if not any(is_slope(factor) for factor in found):
        return
    texts = [f"({ast.unparse(factor)})" for factor in found]
    for i, factor in enumerate(found):
        if is_slope(factor) and len(found) > 1:
            yield Kind.SLOPE, " * ".join(texts[:i] + texts[i + 1 :])
        point = _point(factor)
        if not point:
            continue
        later = fresh(site, point)
        alike = site.place.like(site.place.source.shapes.get(point, site.shape))
        others = [point, *alike, *words.activations(point), *(a for other in alike for a in words.activations(other))]
        # The a of a(1 − a) may be a factor of its own.
        for rest in (texts[:i] + texts[i + 1 :], [t for j, t in enumerate(texts) if j != i and t != f"({point})"]):
            for other in dict.fromkeys([*others, *later]):
                kind = Kind.STALE if other in later else Kind.SLOPE
                for slope in (f"(1 - {other} ** 2)", f"{other} * (1 - {other})"):
                    yield kind, " * ".join([*rest, slope])
            if rest:
                yield Kind.SLOPE, " * ".join(rest)


def _point(node: ast.expr) -> str:
    """The a of 1 − a or 1 − a²."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Sub) or not is_slope(node):
        return ""
    inner = node.right
    if isinstance(inner, ast.BinOp) and isinstance(inner.op, (ast.Pow, ast.Mult)):
        inner = inner.left
    return ast.unparse(inner)


def _missing(site: Site) -> Kind:
    """The class of a missing derivative: the output's own, where the expression is the error itself; a carry's; any."""
    carried = {n.id for n in ast.walk(site.node) if isinstance(n, ast.Name)} & site.place.carried
    if site.whole and site.place.targets & site.place.carried:
        return Kind.OUTSIDE
    if carried and not site.whole and any(is_slope(n) for n in ast.walk(site.place.statement)):
        return Kind.OUTSIDE
    if isinstance(site.place.statement, ast.AugAssign) and carried:
        return Kind.OUTSIDE
    error = any(isinstance(n, ast.Sub) for n in ast.walk(site.node)) or _is_error(site)
    product = any(
        isinstance(n, ast.MatMult) or (isinstance(n, ast.Attribute) and n.attr == "dot") for n in ast.walk(site.node)
    )
    return Kind.JACOBIAN if error and not product else Kind.SLOPE


def _is_error(site: Site) -> bool:
    """Whether a variable holds a difference with a target and nothing else."""
    if not isinstance(site.node, ast.Name):
        return False
    for statement in ast.walk(site.place.source.tree):
        if isinstance(statement, ast.Assign) and site.node.id in {
            t.id for t in statement.targets if isinstance(t, ast.Name)
        }:
            value = statement.value
            return isinstance(value, ast.BinOp) and isinstance(value.op, ast.Sub)
    return False


def fresh(site: Site, text: str) -> list[str]:
    """Where a loop reads what it does not change: the arrays of that shape that it does, at every step."""
    place = site.place
    if not place.loops or names_in(text) & place.moving:
        return []
    shape = place.source.shapes.get(text, site.shape)
    return [other for other, own in place.known.items() if own == shape and names_in(other) & place.moving]
