"""Where the equations of somebody's file stand, read off its text: so that each can be run by itself.

An equation is known by the label at the end of its line; where that is lost, by what it assigns to. What the text alone
says of it is said here: it is a blank, it cannot be read, its label is lost, it assigns to another name.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gradlab.cells import Cell
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.lesson import Status
from gradlab.classroom.source import Source
from gradlab.equations import LABEL, equations

Said = tuple[Status, str]

_UNKNOWN = re.compile(r"(?:name|variable) '(\w+)'")


@dataclass
class Spot:
    """One equation of a function: the line that its statement begins at, or 0; and what it is to assign to.

    before, after: where there is no such statement, the line of the one that it is to stand before, or after; both 0:
    at the end.
    """

    function: str
    name: str
    label: str
    target: str
    line: int = 0
    before: int = 0
    after: int = 0


@dataclass
class Plan:
    """The text to run, the spots of its equations, and by equation what is known of it already."""

    text: str
    spots: list[Spot]
    said: dict[str, Said] = field(default_factory=dict)

    def to_json(self) -> list[list[Any]]:
        """What the process that runs the file needs to know."""
        return [[spot.function, spot.name, spot.target, spot.line, spot.before, spot.after] for spot in self.spots]


def planned(source: Source, cell: Cell, functions: Sequence[Any]) -> Plan:
    """Find the equations of some of a cell's functions in a file that says it is that cell.

    Args:
        functions: of the cell's own, those whose equations are looked for.

    Raises:
        SubmissionError: it is no Python, and not because of one equation; or one of the functions is not in it.
    """
    source, said = _readable(source, cell)
    spots: list[Spot] = []
    for function in functions:
        name = function.__name__
        node = next((n for n in source.tree.body if isinstance(n, ast.FunctionDef) and n.name == name), None)
        if node is None:
            raise SubmissionError(f"{source.path}: defines no function {name}; wanted {', '.join(cell.code.names)}")
        spots += _spots(source, function, node, said)
    for spot in spots:
        if spot.line and spot.name not in said and _is_blank(source, spot.line):
            said[spot.name] = (Status.NOT_DONE, "")
    return Plan(source.text, spots, said)


def _readable(source: Source, cell: Cell) -> tuple[Source, dict[str, Said]]:
    """The file with the equations that are no Python as blanks."""
    said: dict[str, Said] = {}
    while True:
        try:
            ast.parse(source.text)
            return source, said
        except SyntaxError as error:
            lines, line = source.text.split("\n"), error.lineno or 0
            label = LABEL.search(lines[line - 1]) if 0 < line <= len(lines) else None
            known = cell.equations.get(label[1]) if label else None
            if label is None or known is None or known.name in said:
                raise SubmissionError(f"{source.where(line)}:{error.offset}: {error.msg}") from None
            said[known.name] = (Status.WRONG, f"no Python: {error.msg} ({source.where(line)})")
            text = lines[line - 1]
            indent, target = text[: len(text) - len(text.lstrip())], _targets(cell)[label[1]]
            lines[line - 1] = f"{indent}{target} = ...  # {label[1]}"
            source = replace(source, text="\n".join(lines))
        except (ValueError, RecursionError, MemoryError) as error:
            raise SubmissionError(f"{source.path}: not Python that can be read: {error}") from None


def _targets(cell: Cell) -> dict[str, str]:
    """What each of a cell's equations assigns to, as text, by label."""
    found: dict[str, str] = {}
    for function in cell.code[:3]:
        found |= _own_targets(function)
    return found


def _own_targets(function: Any) -> dict[str, str]:
    found = {}
    for label, equation in equations(function).items():
        left = equation.text.partition("=")[0]
        found[label] = ast.unparse(ast.parse(f"{left} = 0")).removesuffix(" = 0")
    return found


def _spots(source: Source, function: Any, node: ast.FunctionDef, said: dict[str, Said]) -> list[Spot]:
    targets = _own_targets(function)
    statements = [one for one in ast.walk(node) if isinstance(one, ast.Assign) and len(one.targets) == 1]
    lines = source.text.split("\n")
    labelled: dict[str, list[ast.Assign]] = defaultdict(list)
    for statement in sorted(statements, key=lambda one: one.lineno):
        match = LABEL.search(lines[(statement.end_lineno or statement.lineno) - 1])
        labelled[match[1] if match else ""].append(statement)
    taken: dict[str, ast.Assign] = {}
    for label, target in targets.items():
        own = labelled.get(label, [])
        found = next((one for one in own if ast.unparse(one.targets[0]) == target), None)
        if found is not None:
            taken[label] = found
    left = [one for one in statements if one not in taken.values()]
    for label, target in targets.items():
        if label in taken:
            continue
        name, other = label.partition(".")[2], next((one for one in labelled.get(label, []) if one in left), None)
        lost = next((one for one in left if ast.unparse(one.targets[0]) == target and one is not other), None)
        if other is not None and not _is_right_elsewhere(other, targets, label):
            taken[label] = other
            _judge_target(source, node, other, target, name, said)
        elif lost is not None:
            taken[label] = lost
            said.setdefault(name, (Status.NOT_DONE, f"its line ({source.where(lost.lineno)}) must end in # {label}"))
        else:
            said.setdefault(name, (Status.NOT_DONE, f"no line ends in # {label}: put it back"))
            continue
        left = [one for one in left if one is not taken[label]]
    return _placed(function.__name__, targets, taken)


def _is_right_elsewhere(statement: ast.Assign, targets: dict[str, str], label: str) -> bool:
    """Whether it assigns to what another equation does: its label is another's."""
    return ast.unparse(statement.targets[0]) in [target for other, target in targets.items() if other != label]


def _judge_target(
    source: Source, node: ast.FunctionDef, statement: ast.Assign, target: str, name: str, said: dict[str, Said]
) -> None:
    """An equation that assigns to another name is right where the rest of the function reads that name instead."""
    variable = _variable(statement.targets[0])
    read = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}
    wanted = target.partition("[")[0]
    if variable not in read or wanted in read:
        where = source.where(statement.lineno)
        said.setdefault(name, (Status.WRONG, f"assigns to {variable}, wanted {wanted} ({where})"))


def _variable(target: ast.expr) -> str:
    return next((one.id for one in ast.walk(target) if isinstance(one, ast.Name)), "")


def _placed(function: str, targets: dict[str, str], taken: dict[str, ast.Assign]) -> list[Spot]:
    labels, spots = list(targets), []
    for place, (label, target) in enumerate(targets.items()):
        spot = Spot(function, label.partition(".")[2], label, target)
        if label in taken:
            spot.line = taken[label].lineno
        else:
            spot.after = next(iter(_beside(labels[:place][::-1], target, targets, taken)), 0)
            spot.before = 0 if spot.after else next(iter(_beside(labels[place:], "", targets, taken)), 0)
        spots.append(spot)
    return spots


def _beside(labels: Sequence[str], target: str, targets: dict[str, str], taken: dict[str, ast.Assign]) -> list[int]:
    """The lines of the equations that are there; for a target that is indexed by the step, of those that are too."""
    index = target.partition("[")[2]
    if target and not index:
        return []
    return [taken[label].lineno for label in labels if label in taken and (not index or targets[label].endswith(index))]


def _is_blank(source: Source, line: int) -> bool:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and node.lineno == line:
            return isinstance(node.value, ast.Constant) and node.value.value is ...
    return False


def suggestion(text: str, source: Source) -> str:
    """For "name 'W_inptu' is not defined": the nearest name that the file knows, or ""."""
    match = _UNKNOWN.search(text)
    if match is None:
        return ""
    try:
        names = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
        names |= {node.arg for node in ast.walk(source.tree) if isinstance(node, ast.arg)}
    except SubmissionError:
        return ""
    near = difflib.get_close_matches(match[1], sorted(names - {match[1]}), n=1)
    return f"; did you mean {near[0]}?" if near else ""
