"""Mutants of a cell: every single small change to the syntax trees of its own functions, none picked by hand.

Each kind of change is a rule that reads one node and yields what may stand in its place. A mutant's equations are those
in which a wrong line may show first: its own label, or where the line has none, the labels that read what it assigns.
"""

from __future__ import annotations
import __future__

import ast
import copy
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from types import FunctionType
from typing import Any, cast

import numpy as np

from gradlab.cells import Cell, Code
from gradlab.equations import equations
from gradlab.mistakes.equivalent import why
from gradlab.mistakes.probes import probe
from gradlab.mistakes.rules import RULES, Cut, Scope

FUNCTIONS = ("forward", "loss", "gradient")
FLAGS = __future__.annotations.compiler_flag


@dataclass(frozen=True, eq=False)
class Mutant:
    """One change.

    function: a field of Code; kind: the rule; line, column: in the function's file; labels: where it may show first.

    before, after: the changed expression; source: the whole function. why: the reason why it may change nothing, or "".
    """

    cell: Cell
    function: str
    kind: str
    line: int
    column: int
    labels: tuple[str, ...]
    before: str
    after: str
    source: str
    why: str = ""

    @cached_property
    def code(self) -> Code:
        """The cell's code with this change in it."""
        own = cast(FunctionType, getattr(self.cell.code, self.function))
        namespace = dict(inspect.unwrap(own).__globals__)
        exec(compile(self.source, f"<{self}>", "exec", flags=FLAGS, dont_inherit=True), namespace)
        return self.cell.code._replace(**{self.function: namespace[own.__name__]}, origin=str(self))

    def __getstate__(self) -> dict[str, Any]:
        """Its fields: compiled code belongs to this process."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        name = getattr(self.cell.code, self.function).__name__
        return f"{self.cell.name}.{name}:{self.line}:{self.column} {self.kind}: {self.before} -> {self.after}"


def mutants(cell: Cell) -> list[Mutant]:
    """All mutants of the three functions; of several that read alike, the first."""
    found: list[Mutant] = []
    values = _values(cell)
    for name in FUNCTIONS:
        function = cast(FunctionType, getattr(cell.code, name))
        sources = {ast.unparse(_tree(function))}
        for mutant in _of(cell, name, function, values[name]):
            if mutant.source not in sources:
                sources.add(mutant.source)
                found.append(mutant)
    return found


def _tree(function: FunctionType) -> ast.FunctionDef:
    source = textwrap.dedent(inspect.getsource(function))
    tree = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    body = tree.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        tree.body = body[1:]  # the docstring
    return tree


def _of(cell: Cell, name: str, function: FunctionType, values: dict[str, Any]) -> Iterator[Mutant]:
    first = inspect.getsourcelines(function)[1]
    tree = _tree(function)
    labels = _Labels(function, tree, first)
    assigned = {variable: one.lineno for _, _, one in reversed(list(_statements(tree))) for variable in _assigned(one)}
    arrays, integers = _arrays(values), frozenset(k for k, value in values.items() if isinstance(value, int))
    shapes = {text: array.shape for text, array in arrays.items()}
    lines, statements = ast.unparse(tree).splitlines(), list(_statements(tree))
    before_first = len(lines) - len(statements)  # unparsed, each statement, and each head of a loop, is one line
    for number, (body, index, statement) in enumerate(statements, start=before_first):
        there = {text: shape for text, shape in shapes.items() if assigned.get(text, 0) < statement.lineno}
        scope = Scope(there, integers, values["T"])
        for kind, parent, node, new in _changes(body, index, statement, scope):
            before, after = ast.unparse(node), ast.unparse(new)
            yield Mutant(
                cell,
                name,
                kind,
                first + node.lineno - 1,
                node.col_offset + 1,
                labels.of(statement, before, after),
                before,
                after,
                _with_line(lines, number, body[index]),
                why(
                    (cell.name, lines[number].strip()),
                    ast.unparse(body[index]),
                    (parent, node, new),
                    arrays,
                    scope.steps,
                ),
            )


def _with_line(lines: list[str], number: int, statement: ast.stmt) -> str:
    """The function's source with one statement in the place of a line of it."""
    indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
    return "\n".join([*lines[:number], indent + ast.unparse(statement).partition("\n")[0], *lines[number + 1 :]])


def _statements(tree: ast.AST) -> Iterator[tuple[list[ast.stmt], int, ast.stmt]]:
    """Every statement with the body it stands in and its place there, loops before their bodies."""
    body: list[ast.stmt] = getattr(tree, "body", [])
    for index, statement in enumerate(body):
        yield body, index, statement
        yield from _statements(statement)


def _changes(
    body: list[ast.stmt], at: int, statement: ast.stmt, scope: Scope
) -> Iterator[tuple[str, ast.AST, Any, ast.AST]]:
    """Make each change in the tree in turn, hand over its kind, the parent, the node and the new one, and undo it."""
    for parent, field, index, node in list(_slots(statement)):
        for rule in RULES:
            for kind, new in rule(node, parent, scope):
                _put(parent, field, index, new)
                yield kind, parent, node, new
                _put(parent, field, index, node)
    replaced: list[tuple[str, ast.stmt]] = []
    if isinstance(statement, ast.AugAssign):
        replaced.append(("= for +=", ast.Assign([statement.target], statement.value, lineno=statement.lineno)))
    if isinstance(statement, ast.Assign):
        for kind, end in Cut.ENDS:
            cut = Cut(scope, end)
            value = cut.visit(copy.deepcopy(statement.value))
            if cut.count > 1:
                replaced.append((kind, ast.Assign(statement.targets, value, lineno=statement.lineno)))
    for kind, other in replaced:
        body[at] = other
        yield kind, statement, statement, other
        body[at] = statement


def _slots(parent: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    """Every place under a node where an expression is read: its parent, the field, its place in a list, the node."""
    for field, value in ast.iter_fields(parent):
        stored = isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store) and field == "value"
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.stmt) or stored:
                continue
            read = isinstance(getattr(child, "ctx", ast.Load()), ast.Load)
            if isinstance(child, ast.expr) and read and field != "func":
                yield parent, field, index, child
            yield from _slots(child)


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


class _Labels:
    """The equations at which a change may show first, everything upstream taken as returned.

    That of the line itself. Where the line has none, or what it stores into changes: that of its variable, and those
    that read the variable, through further lines without a label; and that of an array which now is the same memory.
    """

    def __init__(self, function: FunctionType, tree: ast.FunctionDef, first: int) -> None:
        self.by_line = {equation.line: label for label, equation in equations(function).items()}
        self.by_variable = {equation.variable: label for label, equation in equations(function).items()}
        self.first = first
        self.statements = [statement for _, _, statement in _statements(tree) if isinstance(statement, ast.Assign)]
        self.targets = {id(statement): ast.unparse(statement.targets[0]) for statement in self.statements}

    def own(self, statement: ast.stmt) -> str | None:
        if not isinstance(statement, ast.Assign):
            return None
        return self.by_line.get(self.first + (statement.end_lineno or 0) - 1)

    def of(self, statement: ast.stmt, before: str, after: str) -> tuple[str, ...]:
        label = self.own(statement)
        if isinstance(statement, ast.For):
            found = {inner for inner in map(self.own, statement.body) if inner is not None}
        elif isinstance(statement, ast.Return):
            found = self._around({*_names(ast.parse(before)), *_names(ast.parse(after))} & self.by_variable.keys())
        elif label is None or self.targets.get(id(statement)) != ast.unparse(statement.targets[0]):  # type: ignore[attr-defined]
            found = self._around(_assigned(statement))
        else:
            found = {label}
        if label is None and isinstance(statement, ast.Assign):
            found |= self._shared(statement.value, after)
        return tuple(known for known in self.by_line.values() if known in found)

    def _shared(self, value: ast.expr, after: str) -> set[str]:
        """The labels of arrays whose memory the variables now share: what the one stores, the other holds."""
        parts = value.elts if isinstance(value, ast.Tuple) else [value]
        names = {part.id for part in parts if isinstance(part, ast.Name)}
        return {self.by_variable[name] for name in names & {after} & self.by_variable.keys()}

    def _around(self, variables: set[str], seen: frozenset[str] = frozenset()) -> set[str]:
        """The labels of these variables, and of what reads them; a line that only unpacks one names it anew."""
        found = {self.by_variable[name] for name in variables if name in self.by_variable}
        for statement in self.statements:
            label = self.own(statement)
            if not variables & set(_names(statement.value)):
                continue
            if label is not None:
                found.add(label)
            elif isinstance(statement.value, ast.Name) or not _assigned(statement) & self.by_variable.keys():
                further = _assigned(statement) - variables - seen
                found |= self._around(further, seen | variables) if further else set()
        return found


def _names(node: ast.AST) -> Iterator[str]:
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _assigned(statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    stored: set[str] = set()
    for target in targets:
        base = target.value if isinstance(target, ast.Subscript) else target
        stored |= {n.id for n in ast.walk(base) if isinstance(n, ast.Name)} if base is not None else set()
    return stored


def _values(cell: Cell) -> dict[str, dict[str, Any]]:
    """The local variables of each function at its end, on a generic problem, and T."""
    params, x, y, state = probe(cell).inputs()
    trace = cell.code.forward(params, x, state)
    arguments = {"forward": (params, x, state), "loss": (trace.y_hat, y), "gradient": (params, x, y, state, trace)}
    found = {}
    for name, given in arguments.items():
        function = cast(FunctionType, getattr(cell.code, name))
        tree = _tree(function)
        tree.body[-1] = ast.parse("return dict(locals())").body[0]
        namespace = dict(inspect.unwrap(function).__globals__)
        module = ast.fix_missing_locations(ast.Module([tree], []))
        exec(compile(module, "<locals>", "exec", flags=FLAGS, dont_inherit=True), namespace)
        found[name] = {"T": len(x), **namespace[function.__name__](*given)}
    return found


def _arrays(values: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays, and the fields of all records that have no name of their own, by the text that reads them."""
    named = {name: value for name, value in values.items() if isinstance(value, np.ndarray) and value.ndim}
    records = {name: value for name, value in values.items() if hasattr(value, "_fields")}
    fields = {f"{name}.{k}": v for name, record in records.items() for k, v in record._asdict().items()}
    unnamed = {text: v for text, v in fields.items() if not any(v is known for known in named.values())}
    return named | unnamed
