"""Whether the line of a mistake is found: every single edit of an LSTM's backward pass, and pairs of edits.

Run it from the repository's root: python benchmarks/places.py [SINGLES [PAIRS [SEED]]], how many of each are drawn (all
singles by default). A place is right if it is the edited line; of a deleted statement, if it is a line beside it or one
that reads or adds to what the statement assigned.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradlab import check_gradient
from gradlab.gradients.diagnosis import located

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "lstm_lists.py"
FUNCTIONS = ("backward_step", "grad", "dsigmoid", "dtanh")
ALIKE = (
    {"f", "i", "c_bar", "c", "o", "h", "c_prev"},
    {"df", "di", "dc_bar", "do", "dc", "dh"},
    {"'Wf'", "'Wi'", "'Wc'", "'Wo'"},
)


def edits(tree: ast.Module) -> Iterator[tuple[int, str, ast.Module]]:
    """(line, what, tree) of every small change of the backward pass."""
    functions = [n for n, node in enumerate(tree.body) if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS]
    for number in functions:
        nodes = list(ast.walk(tree.body[number]))
        for at, node in enumerate(nodes):
            for what, change in _changes(node):
                new = copy.deepcopy(tree)
                if change(list(ast.walk(new.body[number]))[at], new.body[number]):
                    yield getattr(node, "lineno", 0), what, ast.fix_missing_locations(new)


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        yield "deleted", _deleted
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        yield "overwritten", _overwritten
    if isinstance(node, ast.BinOp):
        for side in ("left", "right"):
            yield f"{side} alone", lambda n, f, side=side: _replaced(n, f, getattr(n, side))
        for old, new in ((ast.Add, ast.Sub), (ast.Sub, ast.Add), (ast.Mult, ast.Add)):
            if isinstance(node.op, old):
                yield "operator", lambda n, f, new=new: not setattr(n, "op", new())
        yield "negated", lambda n, f: _replaced(n, f, ast.UnaryOp(ast.USub(), copy.deepcopy(n)))
        yield "doubled", lambda n, f: _replaced(n, f, ast.BinOp(ast.Constant(2), ast.Mult(), copy.deepcopy(n)))
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", lambda n, f: _replaced(n, f, n.value)
    if isinstance(node, (ast.Name, ast.Constant)) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        name = node.id if isinstance(node, ast.Name) else repr(node.value)
        for group in ALIKE:
            for other in sorted(group - {name}) if name in group else ():
                yield f"{name} → {other}", lambda n, f, other=other: _replaced(n, f, ast.parse(other).body[0].value)  # type: ignore[attr-defined]


def _deleted(node: ast.AST, function: ast.AST) -> bool:
    for parent in ast.walk(function):
        body = getattr(parent, "body", None)
        if isinstance(body, list) and node in body:
            body[body.index(node)] = ast.copy_location(ast.Pass(), node)  # type: ignore[arg-type, type-var]
            return True
    return False


def _overwritten(node: Any, function: ast.AST) -> bool:
    for parent in ast.walk(function):
        body = getattr(parent, "body", None)
        if isinstance(body, list) and node in body:
            body[body.index(node)] = ast.copy_location(ast.Assign([node.target], node.value), node)
            return True
    return False


def _replaced(node: ast.AST, function: ast.AST, new: ast.AST) -> bool:
    for parent in ast.walk(function):
        for name, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, name, ast.copy_location(new, node))
                return True
            if isinstance(value, list) and any(one is node for one in value):
                value[[one is node for one in value].index(True)] = ast.copy_location(new, node)
                return True
    return False


def placed(tree: ast.Module, folder: Path, number: int) -> tuple[set[int], float, bool] | None:
    """The lines that are found, the seconds, whether all is proven; None where the edit does not run or is right."""
    lines = EXAMPLE.read_text().splitlines()
    path = folder / f"edited_{number}.py"
    text = _unparsed(tree, lines)
    path.write_text(text)
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        report = check_gradient(module.loss, module.grad, module.params, points="given", diagnosis=0)
    except Exception:  # noqa: BLE001  (an edit may raise whatever it likes)
        return None
    if str(report.verdict) != "disagree":
        return None
    start = time.perf_counter()
    found = located(report, start + 10)
    places = [one.place for one in found.mistakes if one.place is not None]
    return {place.line for place in places}, time.perf_counter() - start, all(one.proven for one in found.mistakes)


def _unparsed(tree: ast.Module, lines: list[str]) -> str:
    """The source with the changed simple statements unparsed in place, so that all lines keep their numbers."""
    made = list(lines)
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Assign, ast.AugAssign, ast.Return, ast.Pass, ast.Expr))
            and node.lineno == node.end_lineno
        ):
            head = lines[node.lineno - 1]
            made[node.lineno - 1] = head[: len(head) - len(head.lstrip())] + ast.unparse(node)
    return "\n".join(made) + "\n"


def near(line: int, what: str) -> set[int]:
    """The lines that are right for an edit."""
    if what != "deleted":
        return {line}
    text = EXAMPLE.read_text().splitlines()
    name = text[line - 1].split("=")[0].strip(" +").split("[")[0]
    return {line - 1, line, line + 1} | {n for n, one in enumerate(text, 1) if name in one.replace("(", " ").split()}


def main(singles: int = 10**6, pairs: int = 0, seed: int = 0) -> None:
    """Print what was found, and how often."""
    tree, draw = ast.parse(EXAMPLE.read_text()), random.Random(seed)
    every = list(edits(tree))
    chosen = draw.sample(every, min(singles, len(every)))
    totals: Counter[str] = Counter()
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number, (line, what, new) in enumerate(chosen):
            found = placed(new, Path(folder), number)
            if found is None:
                continue
            lines, seconds, proven = found
            outcome = "right" if lines & near(line, what) else "none" if not lines else "elsewhere"
            totals[f"single: {outcome}"] += 1
            totals["unproven"] += not proven
            worst = max(worst, seconds)
            if outcome != "right":
                print(f"{outcome:9} {seconds:4.1f} s  line {line} {what}: {sorted(lines)}", flush=True)
        for number in range(pairs):
            _pair(every, draw, tree, Path(folder), 10**6 + number, totals)
    print(dict(totals), f"slowest {worst:.1f} s, {len(every)} edits in all")


def _pair(every: Any, draw: random.Random, tree: ast.Module, folder: Path, number: int, totals: Counter[str]) -> None:
    (a, first, one), (b, second, other) = draw.sample(every, 2)
    if a == b:
        return
    lines = EXAMPLE.read_text().splitlines()
    mixed = _unparsed(one, lines).splitlines()
    mixed[b - 1] = _unparsed(other, lines).splitlines()[b - 1]
    found = placed(ast.parse("\n".join(mixed) + "\n"), folder, number)
    if found is None:
        return
    hits = [bool(found[0] & near(a, first)), bool(found[0] & near(b, second))]
    totals[("pair: neither", "pair: one", "pair: both")[sum(hits)]] += 1
    totals["pair: a line that is right is blamed"] += bool(found[0] - near(a, first) - near(b, second))
    if not all(hits):
        print(f"pair      {first} {a}, {second} {b}: {sorted(found[0])}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
