"""The user's source, where an instruction stands: its text, what it reads, and where that was bound."""

from __future__ import annotations

import ast
import itertools
import linecache
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gradlab.tape.program import Frame, Site

# Names under which functions stand that take arrays; of other names, methods are called.
MODULES = ("np", "numpy", "math", "np.linalg", "numpy.linalg", "scipy.special", "special")
LONGEST = 48  # characters of an expression that a sentence quotes


@lru_cache(maxsize=16)
def tree_of(file: str, text: str) -> ast.Module | None:
    """A file's tree; None where it is no Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def tree(file: str) -> ast.Module | None:
    """The tree of the file of a frame, as it is now."""
    return tree_of(file, "".join(linecache.getlines(file)))


def expression(frame: Frame) -> ast.expr | None:
    """The expression that an instruction evaluates; None where the source is not at hand."""
    node = _node(frame)
    return node if isinstance(node, ast.expr) else None


def _node(frame: Frame) -> ast.AST | None:
    """The same, or the statement that adds to something."""
    places = itertools.islice(frame.code.co_positions(), frame.instruction // 2, None)
    place = next(places, (None,) * 4)
    node: ast.AST | None = _expressions(frame.file, "".join(linecache.getlines(frame.file))).get(place)
    return node.value if isinstance(node, ast.Expr) else node


@lru_cache(maxsize=16)
def _expressions(file: str, text: str) -> dict[Any, Any]:
    """A file's expressions by where they stand: first line, last line, first column, last column."""
    whole = tree_of(file, text)
    found: dict[Any, Any] = {}
    for node in ast.walk(whole) if whole is not None else ():
        if isinstance(node, (ast.expr, ast.Expr, ast.AugAssign)):
            found.setdefault((node.lineno, node.end_lineno, node.col_offset, node.end_col_offset), node)
    return found


def text(site: Site, operation: str = "") -> str:
    """What an instruction computes, as the source has it."""
    if not site.frames:
        return operation
    found = expression(site.frames[0])
    if found is None:
        lines = statement_text(site.frames[0])
        said = lines or operation
    else:
        said = ast.unparse(found)
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def statement(frame: Frame) -> ast.stmt | None:
    """The innermost statement of a frame's line."""
    whole = tree(frame.file)
    if whole is None:
        return None
    found = [
        node for node in ast.walk(whole)
        if isinstance(node, ast.stmt) and node.lineno <= frame.line <= (node.end_lineno or node.lineno)
    ]  # fmt: skip
    return max(found, key=lambda node: (node.lineno, -(node.end_lineno or 0)), default=None)


def statement_text(frame: Frame) -> str:
    """That statement, if it is a simple one."""
    found = statement(frame)
    simple = isinstance(found, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return))
    return ast.unparse(found) if found is not None and simple else ""


def function(frame: Frame) -> ast.AST | None:
    """The function that a frame runs."""
    whole = tree(frame.file)
    if whole is None:
        return None
    for node in ast.walk(whole):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            first = node.lineno
            if isinstance(node, ast.FunctionDef):
                first = min([first, *(one.lineno for one in node.decorator_list)])
            name = node.name if isinstance(node, ast.FunctionDef) else "<lambda>"
            if first == frame.code.co_firstlineno and name == frame.code.co_name:
                return node
    return None


def operand(frame: Frame, k: int) -> ast.expr | None:
    """The expression of an operand of what an instruction evaluates."""
    node: ast.AST | None = _node(frame)
    if isinstance(node, ast.AugAssign):
        return (node.target, node.value)[k] if k < 2 else None
    if isinstance(node, ast.BinOp):
        return (node.left, node.right)[k] if k < 2 else None
    if isinstance(node, ast.UnaryOp):
        return node.operand
    if isinstance(node, ast.Call):
        args = list(node.args)
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) not in MODULES:
            args.insert(0, node.func.value)
        return args[k] if k < len(args) else None
    return None


def loops(frame: Frame) -> list[ast.For | ast.While]:
    """The loops around a frame's line, innermost first."""
    whole = function(frame)
    if whole is None:
        return []
    found = [
        node for node in ast.walk(whole)
        if isinstance(node, (ast.For, ast.While)) and node.lineno <= frame.line <= (node.end_lineno or 0)
    ]  # fmt: skip
    return sorted(found, key=lambda node: -node.lineno)


def bindings(frame: Frame, name: str) -> Iterator[ast.stmt]:
    """The statements of a frame's function that bind a name."""
    whole = function(frame)
    if whole is None:
        return
    for node in ast.walk(whole):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = {one.id for target in targets for one in ast.walk(target)
                     if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}  # fmt: skip
            if name in named:
                yield node


def bound(frame: Frame, name: str, *, later: bool = False) -> ast.stmt | None:
    """The statement that last bound a name, as a line finds it: the nearest above, else the last of the loop.

    Args:
        later: as it is found from the second time round the loop on.
    """
    found = list(bindings(frame, name))
    for loop in loops(frame) if later else ():
        within = [node for node in found if loop.lineno <= node.lineno <= (loop.end_lineno or 0)]
        if within and not any(node.lineno < frame.line for node in within):
            return max(within, key=lambda node: node.lineno)
    above = [node for node in found if (node.end_lineno or node.lineno) < frame.line]
    if above:
        return max(above, key=lambda node: node.lineno)
    for loop in loops(frame):
        within = [node for node in found if loop.lineno <= node.lineno <= (loop.end_lineno or 0)]
        if within:
            return max(within, key=lambda node: node.lineno)
    return None


def only_passes_on(node: ast.stmt) -> bool:
    """Whether a statement computes nothing: names, entries, attributes, tuples."""
    value = getattr(node, "value", None)
    if isinstance(node, ast.AugAssign) or value is None:
        return False
    computing = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Lambda)
    within = {id(inner) for one in ast.walk(value) if isinstance(one, ast.Subscript) for inner in ast.walk(one.slice)}
    return not any(isinstance(one, computing) and id(one) not in within for one in ast.walk(value))
