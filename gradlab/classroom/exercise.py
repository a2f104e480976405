"""`gradlab exercise CELL`: a lesson, a file whose backward equations are blanks.

It is made of the cell's own source: the records, forward and loss as they stand, and the gradient with `...` for the
right-hand side of each labelled equation. Words that could give an answer away stay behind: the docstrings of the
module and of the gradient, and what forward and loss do not need.
"""

from __future__ import annotations

import ast
import inspect

from gradlab.cells import Cell, Quantity, cell
from gradlab.equations import equations

COLUMN = 75

_HEADER = '''\
# gradlab lesson: {name}
"""The gradient of a recurrent network, to be derived and written down by you.

`forward` and `loss` are given. In `{gradient}`, replace each `...` by the right-hand side of its equation: one
assignment, in the names that are in scope there, its line still ending in its label. Lines of your own may stand
between. NumPy alone, no loops over units; the same source also runs on exact numbers, so allocate with the dtype of
the inputs (np.empty_like).

    gradlab check {file}

judges each equation by itself, with everything upstream of it as it should be: one wrong line does not fail the next.

    T steps   B batch   I inputs   H hidden units   O outputs        row vectors, time-major
    l(t)      the loss of step t        L    the sum of all l(t)
"""
'''


def write_lesson(cell_name: str, file: str = "lesson.py") -> str:
    """The text of a lesson on a cell.

    Args:
        file: what it will be called.

    Raises:
        KeyError: no such cell.
    """
    tested = cell(cell_name)
    source = inspect.getsource(tested.module)
    lines, tree = source.splitlines(), ast.parse(source)
    text = _HEADER.format(name=tested.name, gradient=tested.code.names[2], file=file)
    for node in _needed(tree, tested.code.names):
        first = _first(node)
        blank = next(n for n in range(first - 1) if lines[first - 2 - n].strip())  # lines left empty above it
        text += "\n" * blank
        if isinstance(node, ast.FunctionDef) and node.name == tested.code.names[2]:
            text += _blanked(tested, lines, node) + "\n"
        else:
            text += "\n".join(lines[first - 1 : node.end_lineno]) + "\n"
    return text


def _first(node: ast.stmt) -> int:
    """The first line of a statement, with its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])


def _needed(tree: ast.Module, names: tuple[str, ...]) -> list[ast.stmt]:
    """Imports, and the definitions that the three functions use, directly or not, in their order."""
    defined = {name: node for node in tree.body for name in _defines(node)}
    wanted, todo = set(), [*names, "Params", "State", "Trace", "Loss", "Grads"]
    while todo:
        name = todo.pop()
        if name in defined and name not in wanted:
            wanted.add(name)
            todo += [node.id for node in ast.walk(defined[name]) if isinstance(node, ast.Name)]
    imports = (ast.Import, ast.ImportFrom)
    return [node for node in tree.body if isinstance(node, imports) or wanted & set(_defines(node))]


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def _blanked(cell: Cell, lines: list[str], function: ast.FunctionDef) -> str:
    """The gradient's source with every labelled right-hand side a blank, its meaning above it, and no docstring."""
    known = equations(cell.code.gradient)
    by_line = {equation.line: label for label, equation in known.items()}
    kept = list(lines)
    dropped = [(node.lineno, node.end_lineno) for node in function.body[:1] if _is_docstring(node)]
    for node in ast.walk(function):
        label = by_line.get(node.end_lineno or 0) if isinstance(node, ast.Assign) else None
        if label is None or not isinstance(node, ast.Assign):
            continue
        place = 1 + list(known).index(label)
        indent, target = " " * node.col_offset, ast.unparse(node.targets[0])
        about = f"{indent}# Equation {place} of {len(known)}: {_meaning(cell.quantities[known[label].name], target)}"
        blank = f"{indent}{target} = ..."
        kept[node.lineno - 1] = f"{about}\n{blank:<{COLUMN}}# {label}"
        dropped.append((node.lineno + 1, node.end_lineno))
    gone = {number for first, last in dropped for number in range(first, (last or first) + 1)}
    numbered = range(_first(function), (function.end_lineno or 0) + 1)
    return "\n".join(kept[number - 1] for number in numbered if number not in gone)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


_LOSSES = {"all": "the total loss L", "own": "step t's own loss l(t)", "later": "all later losses l(k), k > t,"}
_USES = {"all": "through all its uses up to step t", "own": "through its use at step t alone"}


def _meaning(quantity: Quantity, target: str) -> str:
    """What an equation is the derivative of, by what, and its shape."""
    axes = quantity.axes[1:] if target.endswith("[t]") else quantity.axes
    shape = f"shape ({', '.join(axes)}{',' if len(axes) == 1 else ''})"
    if quantity.of:
        return f"the derivative of {quantity.of}(t) by {quantity.by}, {_USES[quantity.uses]}; {shape}"
    if quantity.losses == "each":
        return f"the derivative of each step's loss l(t) by {quantity.by}; {shape}"
    by = quantity.by if quantity.kind == "grad" else f"{quantity.by}(t)"
    return f"the derivative of {_LOSSES[quantity.losses]} by {by}; {shape}"
