"""Three hints for every equation of a lesson, each a sentence: where it comes from, what kind it is, the rule.

They are read off the cell itself, so a teacher's own cell has them too: which intermediate feeds which, and what shape
the right-hand side has. None of them holds the right-hand side.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import NamedTuple

from gradlab.cells import Cell, Quantity
from gradlab.equations import equations


class Hints(NamedTuple):
    """where: by which ways it reaches the loss. kind: the shape of the right-hand side. rule: what goes into it."""

    where: str
    kind: str
    rule: str


def feeds(cell: Cell) -> dict[str, list[str]]:
    """What each array of the forward pass goes into: {"a_hidden": ["net_hidden(t+1)", "net_output(t)"]}."""
    found: dict[str, list[str]] = {}
    arrays = {"x", *cell.module.Params._fields, *cell.module.Trace._fields, *cell.module.State._fields}
    values = right_hand_sides(cell, cell.code.forward)
    helpers = _helpers(cell.code.forward, arrays)
    for name, value in values.items():
        for used, later in _used(value, arrays, helpers):
            shown = f"{name}(t{'+1' if later else ''})"
            if shown not in found.setdefault(used, []) and used != name:
                found[used].append(shown)
    found.setdefault("y_hat", []).append("l(t)")
    return found


def _helpers(function: object, arrays: set[str]) -> dict[str, set[tuple[str, bool]]]:
    """What the unlabelled lines of a function keep under other names: {"net_input": {("x", False), …}}."""
    labelled = {equation.variable for equation in equations(function).values()}
    found: dict[str, set[tuple[str, bool]]] = {}
    for node in ast.walk(_tree(function)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name not in labelled and name not in arrays:
                found[name] = _used(node.value, arrays, found)
    return found


def _used(node: ast.expr, arrays: set[str], helpers: dict[str, set[tuple[str, bool]]]) -> set[tuple[str, bool]]:
    """The arrays in an expression, and whether each is that of the step before."""
    found: set[tuple[str, bool]] = set()
    earlier = {
        one.value.id
        for one in ast.walk(node)
        if isinstance(one, ast.Subscript) and isinstance(one.value, ast.Name) and ast.unparse(one.slice) == "t - 1"
    }
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
            found |= {(one.id, one.id in earlier)} if one.id in arrays else helpers.get(one.id, set())
    return found


def right_hand_sides(cell: Cell, function: object) -> dict[str, ast.expr]:
    """The right-hand side of each labelled equation of one of a cell's functions, by its name."""
    known = equations(function)
    first = inspect.getsourcelines(function)[1]  # type: ignore[arg-type]
    by_line = {equation.line: equation.name for equation in known.values()}
    found = {}
    for node in ast.walk(_tree(function)):
        if isinstance(node, ast.Assign) and (name := by_line.get(first + (node.end_lineno or 0) - 1)):
            found[name] = node.value
    return {equation.name: found[equation.name] for equation in known.values()}


def _tree(function: object) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]


def hints(cell: Cell) -> dict[str, Hints]:
    """The hints of every equation of the gradient, by label."""
    ways, found = feeds(cell), {}
    values = right_hand_sides(cell, cell.code.gradient)
    for name, value in values.items():
        quantity = cell.quantities[name]
        found[quantity.label] = Hints(_where(cell, quantity, ways), _kind(value), _rule(value))
    return found


def _where(cell: Cell, quantity: Quantity, ways: dict[str, list[str]]) -> str:
    by = quantity.by
    if quantity.of:
        through = "its use at step t alone" if quantity.uses == "own" else "all its uses up to step t"
        return f"{quantity.of}(t) depends on {by} through {through}."
    if by in cell.module.State._fields:
        goes_on = cell.continues.get(by, "")
        into = [way.replace("(t+1)", "(0)").replace("(t)", "(0)") for way in ways.get(goes_on, []) if "t+1" in way]
        into = into or [way.replace("(t)", "(0)").replace("(t+1)", "(0)") for way in ways.get(by, [])]
        return f"{by} goes into {_listed(into) or 'the first step'}, and into nothing else."
    into = ways.get(by, [])
    if quantity.losses == "own":
        into = [way for way in into if "t+1" not in way]
        return f"Of step t's own loss alone: {by}(t) reaches l(t) through {_listed(into)}."
    if quantity.losses == "later":
        return f"Of the losses after step t: {by}(t) reaches them through what the step t+1 takes over from step t."
    if by in cell.module.Params._fields:
        return f"{by} goes into {_listed(into)} at every step; what these say is added up."
    ways_there = "and into nothing else" if len(into) < 2 else "and the derivative is the sum over these ways"
    return f"{by}(t) goes into {_listed(into)}, {ways_there}."


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _kind(value: ast.expr) -> str:
    terms = _parts(value, ast.Add, ast.Sub)
    if len(terms) > 1:
        return f"A sum of {len(terms)} terms."
    factors = _parts(value, ast.Mult)
    products = [factor for factor in factors if _is_product(factor)]
    if _over_time(value):
        return "One matrix product over all steps and samples at once: rows(…).T @ rows(…)."
    text = ""
    if products:
        transposed = any(isinstance(n, ast.Attribute) and n.attr == "T" for n in ast.walk(products[0]))
        text = "a matrix product" + (" with a transposed weight" if transposed else "")
    if len(factors) == 1:
        return f"{text[:1].upper()}{text[1:]}." if text else "One array, or a sum of one."
    return f"An elementwise product of {len(factors)} factors{', one of them ' + text if text else ''}."


def _parts(value: ast.expr, *operators: type[ast.operator]) -> list[ast.expr]:
    if isinstance(value, ast.BinOp) and isinstance(value.op, operators):
        return [*_parts(value.left, *operators), *_parts(value.right, *operators)]
    return [value]


def _is_product(value: ast.expr) -> bool:
    called = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "multiply"
    return called or (isinstance(value, ast.BinOp) and isinstance(value.op, ast.MatMult))


def _over_time(value: ast.expr) -> bool:
    names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
    return names.count("rows") > 1


def _rule(value: ast.expr) -> str:
    names = dict.fromkeys(
        ast.unparse(node)
        for node in ast.walk(value)
        if isinstance(node, ast.Name | ast.Subscript) and _is_array(node, value)
    )
    return f"The chain rule, of what is in scope: {_listed(sorted(names))}."


def _is_array(node: ast.expr, whole: ast.expr) -> bool:
    """A name that is not called, not indexed (its subscript is taken), and no index itself."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name)
    inside = [n for n in ast.walk(whole) if isinstance(n, ast.Subscript | ast.Call | ast.Attribute)]
    for one in inside:
        if isinstance(one, ast.Subscript) and (one.value is node or any(n is node for n in ast.walk(one.slice))):
            return False
        if isinstance(one, ast.Call) and (one.func is node or any(n is node for n in ast.walk(one.func))):
            return False
    return isinstance(node, ast.Name) and node.id not in ("np", "t")
