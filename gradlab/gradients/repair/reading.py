"""How source reads: products and sums taken apart, what looks like a derivative, what is read and what is stored."""

from __future__ import annotations

import ast
import re

# What people call the function that gives an activation's derivative.
DERIVATIVE = re.compile(r"deriv|prime|grad|(^|_|\.)d_?(sig|tanh|relu|act|soft|log)", re.IGNORECASE)


def is_slope(node: ast.AST) -> bool:
    """Whether an expression reads like an activation's derivative: 1 − a², a(1 − a), z > 0, dtanh(a)."""
    if isinstance(node, ast.Call):
        return bool(DERIVATIVE.search(ast.unparse(node.func)))
    if isinstance(node, ast.Compare):
        return _sign_of(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return len(factors(node)) == 2 and any(logistic_with(factor, node) for factor in factors(node))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return is_slope(node.left)
    return _remainder(node)


def _sign_of(node: ast.AST) -> bool:
    """z > 0, in any of its forms."""
    return (
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], (ast.Gt, ast.GtE, ast.Lt, ast.LtE))
        and isinstance(node.comparators[0], ast.Constant)
        and node.comparators[0].value == 0
    )


def scales_inside(tree: ast.AST) -> bool:
    """Whether some function is called with a number times something."""
    arguments = [node.args[0] for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 1]
    return any(
        isinstance(argument, ast.BinOp)
        and isinstance(argument.op, (ast.Mult, ast.Div))
        and any(isinstance(side, ast.Constant) for side in (argument.left, argument.right))
        for argument in arguments
    )


def factors(node: ast.AST) -> list[ast.expr]:
    """The factors of a product."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*factors(node.left), *factors(node.right)]
    assert isinstance(node, ast.expr)
    return [node]


def terms(node: ast.expr) -> list[ast.expr]:
    """The terms of a sum."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        return [*terms(node.left), *terms(node.right)]
    return [node]


def base(text: str) -> str:
    """The variable that a text reads from."""
    return re.split(r"[^\w]", text, maxsplit=1)[0]


def names_in(text: str) -> set[str]:
    """The variables in an expression."""
    return {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}


def assigned(node: ast.AST) -> set[str]:
    """The variables that a statement, or a loop, stores into."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} | {
        base(ast.unparse(n)) for n in ast.walk(node) if isinstance(n, (ast.Subscript)) and isinstance(n.ctx, ast.Store)
    }


def plainly(loop: ast.AST) -> set[str]:
    """The variables that a loop assigns anew, where it does not add to them."""
    added = {id(n.target) for n in ast.walk(loop) if isinstance(n, ast.AugAssign)}
    own = {n.id for n in ast.walk(getattr(loop, "target", ast.Pass())) if isinstance(n, ast.Name)}
    stored = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return {n.id for n in stored if id(n) not in added} - own


def read(node: ast.AST) -> set[str]:
    """The variables that are read under a node."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def bound(tree: ast.FunctionDef, line: int) -> dict[str, str | None]:
    """What is bound before a line, and to what expression; None where that is not one of its own."""
    found: dict[str, str | None] = {a.arg: None for a in ast.walk(tree.args) if isinstance(a, ast.arg)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or node.lineno >= line:
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple):
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [None] * len(target.elts)
                pairs = list(zip(target.elts, values, strict=False))  # type: ignore[arg-type]
            for one, value in pairs:
                if isinstance(one, ast.Name):
                    found[one.id] = None if value is None else ast.unparse(value)
    return found


def _remainder(node: ast.AST) -> bool:
    """1 − something."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and _is_one(node.left)


def _is_one(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def logistic_with(factor: ast.expr, product: ast.AST) -> bool:
    """Whether a factor is the a of a(1 − a) in a product."""
    rest = [other.right for other in factors(product) if isinstance(other, ast.BinOp) and _remainder(other)]
    return ast.unparse(factor) in map(ast.unparse, rest)


def slope_part(parent: ast.AST, child: ast.expr) -> bool:
    """Whether a child makes its parent a slope, or is the a of a(1 − a) in a product."""
    if (_remainder(parent) and child is not getattr(parent, "left", None)) or _sign_of(parent):
        return True
    return isinstance(parent, ast.Call) and child is not parent.func and is_slope(parent)


def unindexed(text: str) -> str:
    """A text without the steps that it reads at."""
    return re.sub(r"\[[^\[\]'\"]*\]", "[]", text.removesuffix(".T"))


def first_lines(tree: ast.FunctionDef) -> dict[str, int]:
    """Where each variable is stored into first."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = min(node.lineno, found.get(node.id, node.lineno))
    return found
