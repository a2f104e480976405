"""`gradlab exercise CELL`: a lesson, a file whose backward equations are blanks.

It is made of the cell's own source: the records, forward and loss as they stand, and the gradient with `...` for the
right-hand side of each labelled equation, beside what it is the derivative of. Around it stand the forward equations as
mathematics, what feeds what, and three hints for each blank. Words that could give an answer away stay behind.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap

from gradlab.cells import Cell, Quantity, cell
from gradlab.classroom.derivation import Derivation, derivation
from gradlab.classroom.hints import feeds, hints, right_hand_sides
from gradlab.equations import equations

COLUMN = 75

_HEADER = '''\
# gradlab lesson: {name}
"""The gradient of a network, to be derived and written down by you.

{model}

`forward` and `loss` below are these equations; `@` is the matrix product, `*` the elementwise one, and rows(z) stacks
time and batch: (T, B, H) -> (T·B, H). In `{gradient}`, replace each `...` by the right-hand side of its equation: one
assignment, in the names that are in scope there, its line still ending in its label. Lines of your own may stand
between. NumPy alone, no loops over units; the same source also runs on exact numbers, so allocate with the dtype of
the inputs (np.empty_like).

    gradlab check {file}            which equations are right
    gradlab check {file} --hint     and at which steps the others are wrong, and what kind of mistake it is

Each equation is judged by itself, with everything else as it should be: one wrong line does not fail the next. Three
hints for each stand at the end of this file: where it comes from, what kind it is, the rule.
"""
'''
LETTERS = """\
    T steps   B batch   I inputs   H hidden units   O outputs        row vectors, time-major
    l(t)      the loss of step t        L    the sum of all l(t)"""


def write_lesson(cell_name: str, file: str = "lesson.py") -> str:
    """The text of a lesson on a cell, as a Python file.

    Args:
        file: what it will be called.

    Raises:
        KeyError: no such cell.
    """
    tested = cell(cell_name)
    names = tested.code.names
    text = _HEADER.format(name=tested.name, gradient=names[2], file=file, model=_model(tested))
    return text + lesson_code(tested) + "\n\n" + _hints_as_comments(tested)


def _model(tested: Cell) -> str:
    """The forward equations in plain characters, the letters, and what feeds what."""
    parts, known = [], derivation(tested.name)
    if known is not None:
        parts.append(
            "\n".join(f"    {_shown(tested, known, q)}" for q in forward_quantities(tested) if known.of(q.label))
        )
    else:
        values = right_hand_sides(tested, tested.code.forward)
        parts.append(
            "\n".join(f"    {_with_at(f'{name:<14} = {ast.unparse(value)}')}" for name, value in values.items())
        )
    parts.append(LETTERS)
    wide = max(len(name) for name in feeds(tested)) + 3
    ways = [f"    {timed(tested, name):<{wide}} → {', '.join(into)}" for name, into in feeds(tested).items()]
    parts.append("What feeds what, and so by which ways a derivative comes back:\n\n" + "\n".join(ways))
    if known is not None:
        parts.append(f"The derivation that this follows ships with gradlab:\n{known.path}")
    return "\n\n".join(parts)


def forward_quantities(tested: Cell) -> list[Quantity]:
    """The intermediates and the loss, in the order of the derivation."""
    return [*tested.of_kind("trace"), *tested.of_kind("loss")]


def _shown(tested: Cell, known: Derivation, quantity: Quantity) -> str:
    statement = known.of(quantity.label)
    assert statement is not None
    left, _, right = statement.plain.partition(":=")
    return f"{left.strip():<14} = {right.strip()}"


def timed(tested: Cell, name: str) -> str:
    """An array as it is written: `x(t)`, `W_hidden`."""
    return f"{name}(t)" if name == "x" or name in tested.module.Trace._fields else name


def lesson_code(tested: Cell) -> str:
    """Imports, records, forward and loss, and the gradient with blanks."""
    source = inspect.getsource(tested.module)
    lines, tree = source.splitlines(), ast.parse(source)
    text = ""
    for node in _needed(tree, tested.code.names):
        first = _first(node)
        blank = next(n for n in range(first - 1) if lines[first - 2 - n].strip())  # lines left empty above it
        text += "\n" * blank
        if isinstance(node, ast.FunctionDef) and node.name == tested.code.names[2]:
            part = _blanked(tested, lines, node)
        else:
            part = "\n".join(lines[first - 1 : node.end_lineno])
            part = _one_sentence(part, node) if isinstance(node, ast.FunctionDef) else part
        text += _with_at(part) + "\n"
    return _used_imports(text)


def _one_sentence(part: str, node: ast.FunctionDef) -> str:
    """A function with the first paragraph of its docstring."""
    text = ast.get_docstring(node, clean=False)
    if text is None or "\n\n" not in text:
        return part
    return part.replace(text, text.partition("\n\n")[0], 1)


def _with_at(part: str) -> str:
    """Products as people write them: `multiply(a, b)` as `a @ b`, the labels in their column again."""
    pattern = re.compile(r"multiply\(((?:[^(),]|\([^()]*\)|\[[^\[\]]*\])+), ((?:[^(),]|\([^()]*\))+)\)")
    lines = []
    for line in part.split("\n"):
        code, mark, label = line.rpartition("  # ") if re.search(r"  # \w+\.\w+$", line) else (line, "", "")
        plain = pattern.sub(r"\1 @ \2", code)
        lines.append(f"{plain.rstrip():<{COLUMN}}# {label}" if mark else plain)
    return "\n".join(lines)


def _used_imports(text: str) -> str:
    """Without the import of what `@` has taken the place of."""
    return text if re.search(r"\bmultiply\(", text) else re.sub(r"(import )multiply, |, multiply\b", r"\1", text)


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


def _blanked(tested: Cell, lines: list[str], function: ast.FunctionDef) -> str:
    """The gradient's source with every labelled right-hand side a blank, its meaning above it, and no docstring."""
    known = equations(tested.code.gradient)
    by_line = {equation.line: label for label, equation in known.items()}
    kept = list(lines)
    dropped = [(node.lineno, node.end_lineno) for node in function.body[:1] if _is_docstring(node)]
    for node in ast.walk(function):
        label = by_line.get(node.end_lineno or 0) if isinstance(node, ast.Assign) else None
        if label is None or not isinstance(node, ast.Assign):
            continue
        place, quantity = 1 + list(known).index(label), tested.quantities[known[label].name]
        indent, target = " " * node.col_offset, ast.unparse(node.targets[0])
        about = f"{indent}# Equation {place} of {len(known)}: {meaning(quantity)}; {_shape(quantity, target)}"
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


def meaning(quantity: Quantity) -> str:
    """What an equation is the derivative of, and by what."""
    if quantity.of:
        return f"the derivative of {quantity.of}(t) by {quantity.by}, {_USES[quantity.uses]}"
    if quantity.losses == "each":
        return f"the derivative of each step's loss l(t) by {quantity.by}"
    by = quantity.by if quantity.kind == "grad" else f"{quantity.by}(t)"
    return f"the derivative of {_LOSSES[quantity.losses]} by {by}"


def _shape(quantity: Quantity, target: str) -> str:
    axes = quantity.axes[1:] if target.endswith("[t]") else quantity.axes
    return f"shape ({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def hints_by_label(tested: Cell) -> list[tuple[str, list[tuple[str, str]]]]:
    """The hints of each blank, and where its section of the derivation is."""
    known, found = derivation(tested.name), []
    for label, (where, kind, rule) in hints(tested).items():
        levels = [("where", where), ("kind", kind), ("rule", rule)]
        statement = known.of(label) if known is not None else None
        if known is not None and statement is not None and statement.section:
            levels.append(("read", f"“{statement.section}” in {known.path.name}"))
        found.append((label, levels))
    return found


def _hints_as_comments(tested: Cell) -> str:
    lines = ["# Hints, three levels each. Read no further than you need.", "#"]
    for name in ("where", "kind", "rule", "read"):
        told = [(label, dict(levels).get(name, "")) for label, levels in hints_by_label(tested)]
        lines += [f"# {TITLES[name]}", "#"]
        for label, text in told:
            lines += textwrap.wrap(f"{label}: {text}", 115, initial_indent="#   ", subsequent_indent="#       ")
        lines.append("#")
    return "\n".join(lines[:-1]) + "\n"


TITLES = {
    "where": "1. Where it comes from",
    "kind": "2. What kind it is",
    "rule": "3. The rule",
    "read": "Where the derivation says it in full",
}
