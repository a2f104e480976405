"""The small changes that make mutants: a rule reads a node of a syntax tree and yields what may stand in its place."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Change = tuple[str, ast.expr]
Rule = Callable[[ast.expr, ast.AST, "Scope"], Iterator[Change]]

OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.MatMult)


@dataclass(frozen=True)
class Scope:
    """What a rule may know of the line it changes.

    arrays: the arrays that can be read there, their shape by the text that reads them.
    integers: the variables that hold an integer: steps, and indices of loops.
    steps: T.
    """

    arrays: dict[str, tuple[int, ...]]
    integers: frozenset[str]
    steps: int


def transposes(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """Drop one, or add one to an array of two axes or more."""
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "drop a transpose", node.value
    elif len(scope.arrays.get(ast.unparse(node), ())) > 1 and not _transposed(parent):
        yield "add a transpose", ast.Attribute(node, "T", ast.Load())


def _transposed(parent: ast.AST) -> bool:
    return isinstance(parent, ast.Attribute) and parent.attr == "T"


def signs(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """Turn round the sign of a right-hand side, of a term, of what a function takes; or drop a minus."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "flip a sign", node.operand
        return
    whole = isinstance(parent, ast.Assign) and not isinstance(node, (ast.Tuple, ast.Name))
    term = isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Add, ast.Sub)) and parent.left is node
    taken = isinstance(parent, ast.Call) and ast.unparse(node) in scope.arrays
    if whole or term or taken:
        yield "flip a sign", ast.UnaryOp(ast.USub(), node)


def operators(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """Another of + - * @ in the place of one of them; * for / and for **."""
    if isinstance(node, ast.BinOp):
        others = OPERATORS if isinstance(node.op, OPERATORS) else (ast.Mult,)
        for other in others:
            if not isinstance(node.op, other):
                yield "swap an operator", ast.BinOp(node.left, other(), node.right)


def parts(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """Drop a factor, a term, or a call of one argument."""
    if isinstance(node, ast.BinOp):
        what = "drop a term" if isinstance(node.op, (ast.Add, ast.Sub)) else "drop a factor"
        yield what, node.left
        yield what, ast.UnaryOp(ast.USub(), node.right) if isinstance(node.op, ast.Sub) else node.right
    elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        yield "drop a call", node.args[0]


def steps(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """t ± 1, T ± 1; a loop that leaves out its first or last step, or runs the other way."""
    if isinstance(node, ast.Name) and node.id in scope.integers:
        for op in (ast.Add(), ast.Sub()):
            yield "t ± 1", ast.BinOp(node, op, ast.Constant(1))
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "range" and len(node.args) == 1:
        yield "skip first step", ast.Call(node.func, [ast.Constant(1), *node.args], [])
        if isinstance(parent, ast.For):
            yield "reverse the loop", ast.Call(ast.Name("reversed", ast.Load()), [node], [])


def arrays(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """Another array of the same shape; the number of steps may differ by what a buffer has more."""
    shape = scope.arrays.get(ast.unparse(node))
    if shape is None:
        return
    for text, other in scope.arrays.items():
        alike = other == shape or (len(shape) == len(other) == 3 and other[1:] == shape[1:])
        if alike and text != ast.unparse(node):
            yield "another array", ast.parse(text, mode="eval").body


def operands(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """Swap the two sides of an operator, or two neighbouring arguments."""
    if isinstance(node, ast.BinOp):
        yield "swap operands", ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.Call):
        for i in range(len(node.args) - 1):
            swapped = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
            yield "swap operands", ast.Call(node.func, swapped, node.keywords)


def constants(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """An integer one up and one down; another number doubled and halved."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield "change a constant", ast.Constant(node.value + 1)
        if node.value:
            yield "change a constant", ast.Constant(node.value - 1)
    elif isinstance(node, ast.Constant) and type(node.value) is float:
        yield "change a constant", ast.Constant(node.value * 2)
        yield "change a constant", ast.Constant(node.value / 2)


def reductions(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Change]:
    """No sum, or a mean in its place."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.sum":
        yield "drop a reduction", node.args[0]
        yield "a mean for a sum", ast.Call(ast.parse("np.mean", mode="eval").body, node.args, node.keywords)


RULES: tuple[Rule, ...] = (
    transposes, signs, operators, parts, steps, arrays, operands, constants, reductions,
)  # fmt: skip


class Cut(ast.NodeTransformer):
    """Every array of all steps without its first, or without its last: `count` of them."""

    ENDS = (
        ("skip first step", ast.Slice(ast.Constant(1), None)),
        ("skip last step", ast.Slice(None, ast.Constant(-1))),
    )

    def __init__(self, scope: Scope, end: ast.Slice) -> None:
        self.scope, self.end, self.count = scope, end, 0

    def visit_Name(self, node: ast.Name) -> ast.expr:
        shape = self.scope.arrays.get(node.id, ())
        if len(shape) < 3 or shape[0] != self.scope.steps:
            return node
        self.count += 1
        return ast.Subscript(node, copy.deepcopy(self.end), ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return node  # one step of an array is no sum over steps
