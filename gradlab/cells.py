"""The registry of cells: what there is to be checked in each, read off its hand-written module.

A cell is what its module in `gradlab.manual` declares: the NamedTuples `Params`, `State`, `Trace`, `Grads` and those
in it, annotated with shapes and meanings, and the labelled equations of `forward`, `loss` and the function that gives
the gradient, `bptt` or `rtrl`. Nothing else knows a cell by name.

What a meaning may say, for an intermediate `net` and a weight `W`:

    ∂L / ∂net(t)   ∂l(t) / ∂net(t)   ∂l(k>t) / ∂net(t)     of all losses, of step t's own, of all later ones
    ∂l(t) / ∂W                                             of each step's loss
    ∂net(t) / ∂W                                           of an intermediate, through all uses of the weight up to t
    ∂net(t) / ∂W(t)                                        through its use at step t alone, the state before step t held
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from gradlab.equations import equations
from gradlab.problem import Inputs, axes

# Those that ship with gradlab. Others are files, named by their path, or modules that a package announces as entry
# points of the group `gradlab.cells`; once loaded they are known by the name that their labels begin with.
CELLS = {
    "rnn": "gradlab.manual.rnn",
    "rtrl": "gradlab.manual.rtrl",
    "lstm": "gradlab.manual.lstm",
    "gru": "gradlab.manual.gru",
}

_MEANING = re.compile(r"∂(L|l\(t\)|l\(k>t\)|(\w+)\(t\)) / ∂(\w+)(\(t\))?")
LOSSES = {"L": "all", "l(t)": "own", "l(k>t)": "later"}
GRADIENTS = ("bptt", "rtrl")
Axes = dict[str, tuple[str, ...]]


class UnknownName(KeyError):
    """No cell or oracle has that name; the message lists those there are."""

    def __str__(self) -> str:
        return str(self.args[0])


class Code(NamedTuple):
    """The three functions under test. `origin` is where people find them: a module's name or a file's path.

    gradient: `bptt`, or what a cell has in its place (`rtrl`).
    """

    forward: Callable[..., Any]
    loss: Callable[..., Any]
    gradient: Callable[..., Any]
    origin: str

    @classmethod
    def of(cls, module: Any, origin: str, gradient: str = "") -> Code:
        """The functions of a module; `gradient` names the third, by default the first of GRADIENTS that it has."""
        found = gradient or next((name for name in GRADIENTS if hasattr(module, name)), GRADIENTS[0])
        return cls(module.forward, module.loss, getattr(module, found), origin)

    @property
    def names(self) -> tuple[str, ...]:
        """What the three functions are called."""
        return tuple(function.__name__ for function in self[:3])


class Quantity(NamedTuple):
    """One thing that a cell computes and an oracle can vouch for; `name` is its label without the cell.

    kind: "trace" (an intermediate), "loss", "grad", or the field of `Grads` that holds it, in the singular: "delta".
    by: the intermediate or array that is differentiated by.
    losses: which are differentiated: "all", "own" (of step t), "later", or "each" (of every step, by a weight).
    of: the intermediate that is differentiated, or "" for losses.
    uses: through which uses of the weight: "all", or "own" (at step t alone).
    """

    name: str
    label: str
    kind: str
    axes: tuple[str, ...]
    by: str = ""
    losses: str = "all"
    of: str = ""
    uses: str = "all"


@dataclass(frozen=True, eq=False)
class Cell:
    """A hand-written cell: its code and its quantities in the order of the derivation."""

    name: str
    code: Code
    module: Any
    quantities: dict[str, Quantity]

    @property
    def key(self) -> str:
        """What `cell` finds it by in another process: its name, or the path of its file."""
        return _FILES.get(self.name, self.name)

    @property
    def equations(self) -> dict[str, Any]:
        """The labelled equations of forward, loss and bptt by label, in the order of the derivation."""
        return {k: v for f in self.code[:3] for k, v in equations(f).items()}

    def of_kind(self, kind: str) -> list[Quantity]:
        return [quantity for quantity in self.quantities.values() if quantity.kind == kind]

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The axis letters of x, y, every weight, state and intermediate, by name."""
        module = self.module
        named = {"x": ("T", "B", "I"), "y": ("T", "B", "O")} | axes(module.Params) | axes(module.State)
        return named | axes(module.Trace)

    @property
    def nudges(self) -> tuple[str, ...]:
        """The intermediates that some delta is the derivative by."""
        return tuple(dict.fromkeys(quantity.by for quantity in self.of_kind("delta")))

    @property
    def sensitivities(self) -> dict[tuple[str, str], list[Quantity]]:
        """The derivatives of intermediates by weights: {(of, uses): quantities}."""
        found: dict[tuple[str, str], list[Quantity]] = {}
        for quantity in self.quantities.values():
            if quantity.of:
                found.setdefault((quantity.of, quantity.uses), []).append(quantity)
        return found

    @property
    def step_grads(self) -> list[Quantity]:
        """The derivatives of each step's loss by a weight."""
        return [quantity for quantity in self.quantities.values() if quantity.losses == "each"]

    @property
    def continues(self) -> dict[str, str]:
        """The intermediate that each state goes on as from step to step, where State says so: "a_hidden(-1)"."""
        hints = get_type_hints(self.module.State, include_extras=True)
        said = {name: hint.__metadata__[1] for name, hint in hints.items() if len(hint.__metadata__) > 1}
        return {name: meaning.removesuffix("(-1)") for name, meaning in said.items()}


class CellError(TypeError):
    """A file that is no cell: the message says what is missing, and where."""


_FILES: dict[str, str] = {}
_OWN: dict[str, Cell] = {}


def known() -> list[str]:
    """The names of all cells there are: shipped, announced by a package, loaded from a file."""
    return list(dict.fromkeys([*CELLS, *_announced(), *_OWN]))


def cell(name: str) -> Cell:
    """The cell of that name, or that a file defines; it is loaded when it is first asked for.

    Args:
        name: of a registered cell, or the path of a Python file, "mycell.py". What a file must define stands in
            CONTRIBUTING.

    Raises:
        UnknownName: no such cell; the message lists those there are.
        CellError: the file cannot be loaded, or is no cell.
    """
    if name in _OWN:
        return _OWN[name]
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name in CELLS:
        return _shipped(name)
    if name in _announced():
        return _announced_cell(name)
    raise UnknownName(f"no cell is called {name!r}; there are {', '.join(known())}, or name a file, mycell.py")


@cache
def _shipped(name: str) -> Cell:
    return _made(importlib.import_module(CELLS[name]), CELLS[name], name)


@cache
def _announced() -> dict[str, str]:
    """The modules that installed packages announce, by the name of their cell."""
    return {point.name: point.value for point in metadata.entry_points(group="gradlab.cells")}


@cache
def _announced_cell(name: str) -> Cell:
    where = _announced()[name]
    try:
        return _made(importlib.import_module(where), where, name)
    except ImportError as error:
        raise CellError(f"{where}: the cell {name} cannot be imported: {error}") from None


def _from_file(path: Path) -> Cell:
    """Load a cell from its file, once; its module stays known, so that what it defines can go to other processes."""
    full = str(path.resolve())
    for name, file in _FILES.items():
        if file == full:
            return _OWN[name]
    if not path.is_file():
        raise UnknownName(f"{path}: {'not a file' if path.exists() else 'no such file'}, so no cell")
    name = f"gradlab_cell_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, full)
    if spec is None or spec.loader is None:
        raise CellError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001  whatever the file raises is said of it
        del sys.modules[name]
        line = getattr(error, "lineno", None)
        raise CellError(
            f"{path}{f':{line}' if line else ''}: importing it raises {type(error).__name__}: {error}"
        ) from None
    found = _made(module, str(path), None)
    if found.name in CELLS:
        raise CellError(
            f"{path}: its labels begin with {found.name}, which is a cell of gradlab's own: choose another name"
        )
    _FILES[found.name], _OWN[found.name] = full, found
    return found


def _made(module: Any, where: str, name: str | None) -> Cell:
    """The cell that a module defines, of that name or, for None, of the one that its labels begin with."""
    missing = [
        one for one in ("Params", "State", "Trace", "Loss", "Grads", "forward", "loss") if not hasattr(module, one)
    ]
    missing += [] if any(hasattr(module, one) for one in GRADIENTS) else [" or ".join(GRADIENTS)]
    if missing:
        raise CellError(f"{where}: defines no {', '.join(missing)}")
    code = Code.of(module, where)
    labels = [label for f in (code.forward, code.loss, code.gradient) for label in equations(f)]
    prefixes = sorted({label.partition(".")[0] for label in labels})
    if len(prefixes) != 1:
        told = ", ".join(prefixes) or "nothing"
        raise CellError(f"{where}: its labels begin with {told}; wanted one name, the cell's")
    name = name or prefixes[0]
    try:
        declared = {quantity.name: quantity for quantity in _declared(name, module)}
    except (TypeError, NameError, AttributeError) as error:
        raise CellError(f"{where}: {error}") from None
    names = [label.partition(".")[2] for label in labels]
    if sorted(names) != sorted(declared):
        without = sorted(declared.keys() - set(names))
        unknown = sorted(set(names) - declared.keys())
        flaws = [f"no equation has the label {name}.{one}, which its NamedTuples declare" for one in without]
        flaws += [f"the label {name}.{one} is of nothing that its NamedTuples declare" for one in unknown]
        raise CellError(f"{where}: {'; '.join(flaws) or 'a label stands twice'}")
    return Cell(name, code, module, {name: declared[name] for name in names})


def _declared(cell_name: str, module: Any) -> Iterator[Quantity]:
    def quantity(name: str, *rest: Any) -> Quantity:
        return Quantity(name, f"{cell_name}.{name}", *rest)

    for name, letters in axes(module.Trace).items():
        yield quantity(name, "trace", letters)
    yield quantity("loss", "loss", ("T",))
    kinds = {field: kind for kind, field in records(module).items()}
    for field, record in get_type_hints(module.Grads, vars(module)).items():
        if field in kinds:
            meanings = get_type_hints(record, include_extras=True)
            for name, letters in axes(record).items():
                meant = _meant(module, f"{record.__name__}.{name}", meanings[name].__metadata__[1])
                yield quantity(f"{kinds[field]}_{name}", kinds[field], letters, *meant)
    given: dict[str, Axes] = {"x": {"x": ("T", "B", "I")}, "params": axes(module.Params), "state": axes(module.State)}
    for field in given.keys() & set(module.Grads._fields):
        for name, letters in given[field].items():
            yield quantity(f"grad_{name}", "grad", letters, name)


def records(module: Any) -> dict[str, str]:
    """The fields of a module's `Grads` that hold records of their own, by the kind of quantity in them."""
    others = (field for field in module.Grads._fields if field not in ("params", "x", "state"))
    return {field.removesuffix("s"): field for field in others}


def _meant(module: Any, where: str, meaning: str) -> tuple[str, str, str, str]:
    """(by, losses, of, uses) of what a meaning says.

    Raises:
        TypeError: it cannot be read.
    """
    match = _MEANING.fullmatch(meaning)
    whole, of, by, timed = (part or "" for part in match.groups()) if match else [""] * 4
    weight, losses = by in module.Params._fields, LOSSES.get(whole, "")
    if losses and timed and not weight:
        return by, losses, "", "all"
    if losses == "own" and weight and not timed:
        return by, "each", "", "all"
    if of in module.Trace._fields and weight:
        return by, "", of, "own" if timed else "all"
    raise TypeError(f"{module.__name__}.{where}: cannot read the meaning {meaning!r}")


def run(cell: Cell, inputs: Inputs) -> dict[str, Any]:
    """The cell's own forward, loss and bptt on one problem's arrays: every quantity by its name."""
    params, x, y, state = inputs
    trace = cell.code.forward(params, x, state)
    loss = cell.code.loss(trace.y_hat, y)
    return named(cell, trace, loss, cell.code.gradient(params, x, y, state, trace))


def named(cell: Cell, trace: Any, loss: Any, grads: Any) -> dict[str, Any]:
    """The quantities in what the three functions returned, by their names, in the order of the derivation."""
    fields = records(cell.module)
    found = {}
    for quantity in cell.quantities.values():
        if quantity.kind == "loss":
            found[quantity.name] = loss.per_step
        elif quantity.kind == "trace":
            found[quantity.name] = getattr(trace, quantity.name)
        elif quantity.kind == "grad":
            found[quantity.name] = getattr(grad_record(cell, grads, quantity.by), quantity.by)
        else:
            record = getattr(grads, fields[quantity.kind])
            found[quantity.name] = getattr(record, quantity.name.removeprefix(f"{quantity.kind}_"))
    return found


def grad_record(cell: Cell, grads: Any, name: str) -> Any:
    """The part of a `Grads` that holds the gradient by the array of that name."""
    if name == "x":
        return grads
    return grads.params if name in cell.module.Params._fields else grads.state
