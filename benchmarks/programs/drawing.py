"""From a seed to a draft, and from a draft to the source of a module and of its twin in jax.numpy."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from programs import control, entrywise, indexing, movement, objects, products, reductions  # noqa: F401  they register
from programs.draft import Draft
from programs.losses import closed
from programs.registry import REGISTRY
from programs.wiring import CLOSURES, OBJECTS, WIRINGS, Parts

Tree = Any  # dicts and lists of the names of leaves, or one name
ACCUMULATIONS = ("gradients start as zeros", "gradients are rebound", "gradients are copied, then added to")
WAYS = ("global", "default", "attribute", "item")


@dataclass(frozen=True)
class Sketch:
    """A draft that is complete, and the manner in which it is written down."""

    draft: Draft
    tree: Tree
    total: str
    returned: str
    wiring: str
    accumulation: str
    zeros_like: bool
    forms: frozenset[str]


def sketch(seed: int, first: str) -> Sketch:
    """A complete program of this seed, in which the form `first` occurs."""
    rng = np.random.default_rng([seed, 7])
    while True:
        wiring = str(rng.choice(list(WIRINGS)))
        ways = (*WAYS, "closure", "closure") if wiring in CLOSURES else WAYS
        owner = "self" if wiring in OBJECTS else "config"
        draft, forms = Draft(rng, ways, owner, str(rng.choice(["d_", "d", "grad_"]))), set[str]()
        wanted = int(rng.integers(2, 11))
        for name in [first, *rng.choice(list(REGISTRY), wanted)]:
            taken = draft.extended(REGISTRY[name])
            if taken is not None:
                draft = taken
                forms.add(str(name))
        total = str(rng.choice(["L", "total", "cost"]))
        if first not in forms or (taken := closed(draft, total)) is None:
            continue
        draft, terms = taken
        returned = str(rng.choice([total, f"float({total})"], p=[0.9, 0.1]))
        accumulation = str(rng.choice(ACCUMULATIONS))
        captured = {f"captured: {way}" for way, _ in draft.captured.values()}
        captured |= {"captured: float32" for _, written in draft.captured.values() if "float32" in written}
        said = {"loss returned as a Python float"} if returned != total else set()
        tree = _tree(rng, list(draft.leaves))
        everything = frozenset(forms | terms | captured | said | {wiring, accumulation})
        return Sketch(draft, tree, total, returned, wiring, accumulation, bool(rng.random() < 0.5), everything)


def _tree(rng: np.random.Generator, names: list[str]) -> Tree:
    """The leaves in dicts and lists."""
    half = len(names) // 2
    whole, first, second = ({name: name for name in part} for part in (names, names[:half], names[half:]))
    trees: list[Tree] = [whole, names]
    if len(names) == 1:
        trees += [names[0]] * 3
    else:
        trees += [{"encoder": first, "decoder": second}, [first, second], {"layers": [first], **second}]
    return trees[int(rng.integers(len(trees)))]


def paths(tree: Tree, path: str = "") -> Iterator[tuple[str, str]]:
    """Each leaf with where it is: ('["layers"][0]["W1"]', "W1")."""
    if isinstance(tree, str):
        yield path, tree
        return
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from paths(value, f'{path}["{key}"]' if isinstance(key, str) else f"{path}[{key}]")


def spelled(tree: Tree, leaf: Callable[[str], str]) -> str:
    """The tree as an expression."""
    if isinstance(tree, str):
        return leaf(tree)
    if isinstance(tree, dict):
        return "{" + ", ".join(f'"{key}": {spelled(value, leaf)}' for key, value in tree.items()) + "}"
    return "[" + ", ".join(spelled(value, leaf) for value in tree) + "]"


def _backward(sketched: Sketch) -> list[str]:
    """The backward lines of all steps, last step first.

    A gradient that only a part is added to, and every one in the first manner, is an array of its own from the start:
    only such are changed in place, because any other may be somebody else's array.
    """
    draft, (zeros, *_) = sketched.draft, ACCUMULATIONS
    d, variables = draft.d, draft.variables
    own = {operand for step in draft.steps for operand, _, *index in step.pulls if index}
    begun, lines = set[str](), list[str]()
    if sketched.accumulation == zeros:
        own = begun = set(variables)
        lines = [
            f"{d}{a} = np.zeros{f'_like({a})' if sketched.zeros_like else f'({draft.shape(a)})'}" for a in variables
        ]
    for step in reversed(draft.steps):
        lines += step.before
        for operand, expression, *index in step.pulls:
            if operand not in variables:
                continue
            if operand in own and operand not in begun:
                lines.append(f"{d}{operand} = np.zeros({draft.shape(operand)})")
            lines.append(_added(sketched, operand, expression, "".join(index), operand in own, operand not in begun))
            begun.add(operand)
    return [*lines, f"g = {spelled(sketched.tree, lambda leaf: d + leaf)}"]


def _added(sketched: Sketch, operand: str, expression: str, index: str, own: bool, first: bool) -> str:
    """The line that adds to the gradient of an operand."""
    name, copied = sketched.draft.d + operand, sketched.accumulation == ACCUMULATIONS[2]
    if own or (copied and not first):
        return f"{name}{index} += {expression}"
    if first:
        return f"{name} = np.array({expression})" if copied else f"{name} = {expression}"
    return f"{name} = {name} + {expression}"


def _names(lines: Sequence[str], context: type[ast.expr_context]) -> set[str]:
    """The names that lines read, or that they write."""
    nodes = list(ast.walk(ast.parse("\n".join(lines))))
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef)} if context is ast.Store else set()
    return defined | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)}


def _head(sketched: Sketch, twin: bool = False) -> list[str]:
    """Captured data of the module, and its helpers."""
    draft = sketched.draft
    ways = {way for way, _ in draft.captured.values()}
    lines = ["DATA = {}"] if "item" in ways else []
    if "attribute" in ways and (draft.owner == "config" or twin):
        lines += ["class Config:", "    pass", "", "config = Config()"]
    for name, (way, written) in draft.captured.items():
        if way in ("global", "default"):
            lines.append(f"{name} = {written}")
        elif way == "item":
            lines.append(f'DATA["{name}"] = {written}')
        elif way == "attribute" and draft.owner == "config":
            lines.append(f"config.{name} = {written}")
    for definition in draft.helpers.values():
        lines += ["", *definition.splitlines()]
    return [*lines, ""]


def source(sketched: Sketch, edit: Sequence[str] = ()) -> str:
    """The module: params, loss(params) and grad(params), where `edit` are lines at the end of the gradient."""
    draft = sketched.draft
    forward = [line for step in draft.steps for line in step.forward]
    values = [line for step in draft.steps if step.outputs for line in step.forward]
    backward = _backward(sketched)
    read = _names(backward, ast.Load)
    kept = (read & _names(values, ast.Store)) - _names(backward, ast.Store)
    unpack = {leaf: f"{leaf} = params{path}" for path, leaf in paths(sketched.tree)}
    captured = draft.captured.items()
    parts = Parts(
        unpack=list(unpack.values()),
        unpack_read=[line for leaf, line in unpack.items() if leaf in read],
        forward=forward,
        values=values,
        backward=[*backward, *edit],
        names=sorted(kept),
        total=sketched.total,
        returned=sketched.returned,
        defaults="".join(f", {name}={name}" for name, (way, _) in captured if way == "default"),
        enclosed=[f"{name} = {written}" for name, (way, written) in captured if way == "closure"],
        attributes=[f"self.{name} = {written}" for name, (way, written) in captured if way == "attribute"],
    )
    params = spelled(sketched.tree, lambda leaf: _written(draft.leaves[leaf]))
    lines = ["import numpy as np", "", *_head(sketched), f"params = {params}", "", *WIRINGS[sketched.wiring](parts)]
    return "\n".join(lines) + "\n"


def _written(value: Any) -> str:
    return repr(value) if isinstance(value, float) else f"np.array({value.tolist()})"


def twin(sketched: Sketch) -> str:
    """A module of the same loss(params) in jax.numpy, which nothing but the forward lines went into."""
    draft = sketched.draft
    captured = draft.captured.items()
    own = [f"{name} = {written}" for name, (way, written) in captured if way == "closure"]
    attributes = [f"self.{name} = {written}" for name, (way, written) in captured if way == "attribute"]
    if draft.owner == "self" and attributes:
        own += ["self = Config()", *attributes]
    lines = [
        "import numpy",
        "import jax.numpy as np",
        "from jax import lax",
        "",
        *_head(sketched, True),
        *own,
        "",
        "def loss(params):",
    ]
    body = [f"{leaf} = params{path}" for path, leaf in paths(sketched.tree)]
    body += [line for step in draft.steps for line in (step.forward if step.twin is None else step.twin)]
    return "\n".join([*lines, *(f"    {line}" for line in body), f"    return {sketched.total}"]) + "\n"
