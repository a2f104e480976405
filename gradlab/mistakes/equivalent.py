"""Why a mutant may change nothing. That it does change nothing is measured, never taken from here."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ALLOCATES = re.compile(r"np\.(empty|zeros|ones|full|result_type)|\blen\(")

# Lines of which a part is never read, by the cell and the line as it is unparsed.
UNREAD = {
    ("rnn", "delta_hidden[T] = after"):
        "nothing comes after, so it stores a zero where a zero is or is overwritten",
    ("gru", "z_next = np.concatenate([z[1:], np.ones_like(z[:1])])"):
        "the last row is multiplied by the delta of step T, which is 0",
    ("rtrl", "a_by_W_input[-1], a_by_W_hidden[-1] = before"):
        "no sensitivities from before step 0 are given, so it stores zeros where zeros are or are overwritten",
}  # fmt: skip


def why(
    line: tuple[str, str],
    changed: str,
    change: tuple[ast.AST, ast.AST, ast.AST],
    arrays: Mapping[str, Array],
    steps: int,
) -> str:
    """The reason why a change may change nothing, "" where none is known.

    Args:
        line: the cell, and the line as it was. changed: the statement as it is now.
        change: what holds the changed node, the node as it was, and the new one.
        arrays: the values of the arrays in reach, by the text that reads them, on a generic problem. steps: its T.
    """
    parent, node, new = change
    before, after = ast.unparse(node), ast.unparse(new)
    if _swapped(node, new, ast.Add, ast.Mult):
        return "a sum and an elementwise product commute"
    if _swapped(node, new, ast.Sub) and _squares(parent):
        return "a square does not know the sign"
    if _number(before) is not None and _number(before) == _number(after):
        return "it is the same number"
    if before in arrays and after in arrays and _same(arrays[before], arrays[after], steps):
        return "both arrays hold the same numbers"
    if before in arrays and after == f"{before}.T" and np.array_equal(arrays[before], arrays[before].T):
        return "the matrix is symmetric"
    if line in UNREAD:
        return UNREAD[line]
    if ALLOCATES.search(changed):
        return "only shape and type of what an allocation names are read, or what it holds is overwritten"
    return ""


def _swapped(node: ast.AST, new: ast.AST, *kinds: type[ast.operator]) -> bool:
    """Whether one is the other with its sides swapped, and an operator of these kinds."""
    if not isinstance(node, ast.BinOp) or not isinstance(new, ast.BinOp) or not isinstance(node.op, kinds):
        return False
    return node.op is new.op and node.left is new.right and node.right is new.left


def _squares(parent: ast.AST) -> bool:
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow) and _number(ast.unparse(parent.right)) == 2


def _number(text: str) -> float | None:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, (int, float)) else None


def _same(left: Array, right: Array, steps: int) -> bool:
    """Whether both hold the same, at every step where they have steps; a buffer's row more is not looked at."""
    if left.ndim == right.ndim == 3:
        left, right = left[:steps], right[:steps]
    return np.array_equal(left, right)
