"""The labelled equations of a function, read from its own source, and ways to run it with some of them changed.

An equation is an assignment whose line ends in a label:

    delta_hidden[t] = delta_explicit[t] + delta_implicit[t]      # rnn.delta_hidden

The changed functions are compiled from the very source that people read; no second copy of it exists anywhere.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import inspect
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

LABEL = re.compile(r"#\s*([a-z]\w*\.\w+)\s*$")
Edit = Callable[[str, ast.Assign], list[ast.stmt]]


class EquationError(ValueError):
    """A label that is missing, stands twice, or ends a line that is not one assignment."""


class Equation(NamedTuple):
    """One labelled line: `label` names it, `variable` is what it assigns to, `line` is its number in its file."""

    label: str
    variable: str
    line: int
    text: str

    @property
    def name(self) -> str:
        """The label without its cell: "delta_hidden" of "rnn.delta_hidden"."""
        return self.label.partition(".")[2]


@cache
def equations(function: Callable[..., Any]) -> dict[str, Equation]:
    """The labelled equations of a function by label, in the order of its lines.

    Raises:
        EquationError: a label stands twice, or its line does not end one assignment.
    """
    lines, first = _source(function)
    tree = _definition(lines)
    if inspect.unwrap(function).__closure__:
        raise EquationError(f"{function.__module__}.{function.__name__} has free variables: it cannot be compiled anew")
    ends: dict[int | None, list[ast.stmt]] = defaultdict(list)
    for statement in ast.walk(tree):
        if isinstance(statement, ast.stmt) and not hasattr(statement, "body"):
            ends[statement.end_lineno].append(statement)
    found: dict[str, Equation] = {}
    for number, line in enumerate(lines, start=1):
        match = LABEL.search(line)
        if match is None:
            continue
        label, target = match[1], _single_target(ends[number])
        if label in found or target is None:
            why = "stands twice" if label in found else "does not end one assignment to one target"
            raise EquationError(f"{function.__module__}.{function.__name__}, line {first + number - 1}: {label} {why}")
        variable = next(name.id for name in ast.walk(target) if isinstance(name, ast.Name))
        text = " ".join(part.strip() for part in [*lines[target.lineno - 1 : number - 1], line[: match.start()]])
        found[label] = Equation(label, variable, first + number - 1, text)
    return found


def _single_target(statements: list[ast.stmt]) -> ast.expr | None:
    """What one assignment, alone on its line, assigns to."""
    if len(statements) != 1 or not isinstance(statements[0], ast.Assign) or len(statements[0].targets) != 1:
        return None
    return statements[0].targets[0]


@cache
def nudged(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """The function with one more argument, `nudges`: an array for each name, added where that equation assigns.

    `net_hidden[t] = …` becomes `net_hidden[t] = … + nudges["net_hidden"][t]`, so the derivative of anything
    downstream by that nudge is its derivative by `net_hidden(t)`.
    """

    def edit(label: str, node: ast.Assign) -> list[ast.stmt]:
        name = label.partition(".")[2]
        if name in names:
            node.value = ast.BinOp(node.value, ast.Add(), _entry("nudges", name, node.targets[0]))
        return [node]

    return _rewritten(function, edit, ("nudges",))


def forced(function: Callable[..., Any], given: Mapping[str, Any], *args: Any) -> dict[str, Any]:
    """What each equation's right-hand side gives when everything upstream of it is `given`.

    Every equation whose name is in `given` is evaluated once with the given values of all the others in place,
    and then itself takes its given value: so an equation that is wrong shows, and one that is only fed wrong
    values does not.
    """
    local = {name: np.empty_like(value) for name, value in given.items()}
    forcing(function, tuple(given))(*args, given=given, local=local)
    return {equation.name: local[equation.name] for equation in equations(function).values() if equation.name in local}


@cache
def forcing(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """The function with two more arguments: what `forced` is given, and arrays in which it keeps what it gives."""

    def edit(label: str, node: ast.Assign) -> list[ast.stmt]:
        name, target = label.partition(".")[2], node.targets[0]
        if name not in names:
            return [node]
        record = ast.Assign([_entry("local", name, target, ast.Store())], node.value)
        return [record, ast.Assign([target], _entry("given", name, target))]

    return _rewritten(function, edit, ("given", "local"))


def replaced(function: Callable[..., Any], changes: Mapping[str, str]) -> Callable[..., Any]:
    """The function with other right-hand sides.

    Args:
        changes: an expression for each label, in the names of the function's own scope.

    Raises:
        EquationError: the function has no such label, or an expression does not parse or uses a name that is not in
            scope.
    """
    values = {label: _expression(function, label, text) for label, text in changes.items()}

    def edit(label: str, node: ast.Assign) -> list[ast.stmt]:
        node.value = values.get(label, node.value)
        return [node]

    return _rewritten(function, edit, ())


def choosing(function: Callable[..., Any], alternatives: Mapping[str, tuple[str, ...]]) -> Callable[..., Any]:
    """The function with one more argument, `choose`, that is asked at every equation what its variable shall be.

    `net_hidden[t] = …` becomes `net_hidden[t] = choose("net_hidden", (own, first, …), t)`: functions of no arguments
    that evaluate the right-hand side and its alternatives there and then, and the index, `...` where there is none.
    So one compiled function holds any number of variants of every equation.

    Raises:
        EquationError: as `replaced`.
    """
    return _choosing(function, tuple((label, tuple(texts)) for label, texts in alternatives.items()))


@cache
def _choosing(
    function: Callable[..., Any], alternatives: tuple[tuple[str, tuple[str, ...]], ...]
) -> Callable[..., Any]:
    values = {label: [_expression(function, label, text) for text in texts] for label, texts in alternatives}

    def edit(label: str, node: ast.Assign) -> list[ast.stmt]:
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        options: list[ast.expr] = [ast.Lambda(nothing, value) for value in (node.value, *values.get(label, []))]
        target = node.targets[0]
        index = target.slice if isinstance(target, ast.Subscript) else ast.Constant(...)
        asked = [ast.Constant(label.partition(".")[2]), ast.Tuple(options, ast.Load()), index]
        node.value = ast.Call(ast.Name("choose", ast.Load()), asked, [])
        return [node]

    return _rewritten(function, edit, ("choose",))


def _expression(function: Callable[..., Any], label: str, text: str) -> ast.expr:
    """The expression that is to stand in an equation of the function."""
    known = equations(function)
    if label not in known:
        where = f"{function.__module__}.{function.__name__}"
        raise EquationError(f"{where} has no equation {label}; it has {', '.join(known) or 'none'}")
    try:
        value = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise EquationError(f"{label}: {text!r} is no expression: {error.msg}, column {error.offset}") from None
    names = [node for node in ast.walk(value) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)} | _locals(function)
    scope = bound | inspect.unwrap(function).__globals__.keys() | vars(builtins).keys()
    unknown = sorted({node.id for node in names} - scope)
    if unknown:
        raise EquationError(f"{label}: {text!r} uses {', '.join(unknown)}, which {function.__name__} does not know")
    return value


def _locals(function: Callable[..., Any]) -> set[str]:
    code = inspect.unwrap(function).__code__
    return {*code.co_varnames, *code.co_cellvars, *code.co_freevars}


def _entry(record: str, name: str, target: ast.expr, context: ast.expr_context | None = None) -> ast.expr:
    """`record["name"]`, or `record["name"][t]` where the target is indexed by [t]."""
    entry: ast.expr = ast.Subscript(ast.Name(record, ast.Load()), ast.Constant(name), ast.Load())
    if isinstance(target, ast.Subscript):
        entry = ast.Subscript(entry, target.slice, ast.Load())
    if context is not None:
        entry.ctx = context  # type: ignore[attr-defined]
    return entry


@cache
def _source(function: Callable[..., Any]) -> tuple[list[str], int]:
    """The lines of the function and the number of the first; finding them costs more than compiling them anew."""
    return inspect.getsourcelines(function)


def _definition(lines: list[str]) -> ast.FunctionDef:
    source = textwrap.dedent("".join(lines))
    return next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


def _rewritten(function: Callable[..., Any], edit: Edit, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """The function compiled anew, each labelled assignment replaced by what `edit` makes of it."""
    labels = {equation.line: label for label, equation in equations(function).items()}
    lines, first = _source(function)

    class Editor(ast.NodeTransformer):
        def visit_Assign(self, node: ast.Assign) -> ast.Assign | list[ast.stmt]:
            label = labels.get(first + (node.end_lineno or 0) - 1)
            return node if label is None else edit(label, node)

    tree = _definition(lines)
    Editor().visit(tree)
    tree.args.kwonlyargs += [ast.arg(name) for name in arguments]
    tree.args.kw_defaults += [None] * len(arguments)
    ast.increment_lineno(tree, first - 1)
    module = ast.fix_missing_locations(ast.Module([tree], []))
    flags = __future__.annotations.compiler_flag
    code = compile(module, inspect.getsourcefile(function) or "<equations>", "exec", flags=flags, dont_inherit=True)
    namespace = dict(inspect.unwrap(function).__globals__)
    exec(code, namespace)
    return namespace[function.__name__]
