"""The registry: what a cell declares, what its labels say, and that the two agree."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from gradlab import cells
from gradlab.cells import Code, Quantity, cell
from gradlab.manual import rnn
from gradlab.problem import Array, Inputs, Problem

RNN = {
    "net_hidden": "T B H",
    "a_hidden": "T B H",
    "net_output": "T B O",
    "y_hat": "T B O",
    "loss": "T",
    "delta_output": "T B O",
    "delta_explicit": "T B H",
    "delta_implicit": "T B H",
    "delta_hidden": "T B H",
    "grad_W_output": "H O",
    "grad_W_hidden": "H H",
    "grad_W_input": "I H",
    "grad_x": "T B I",
    "grad_a_initial": "B H",
}
BY = ("T", "B", "I", "H", "H")


def _problem() -> Problem:
    draw = np.random.default_rng(3).random
    params = rnn.Params(draw((3, 4)), draw((4, 4)), draw((4, 2)))
    return Problem(params, draw((5, 6, 3)), draw((5, 6, 2)), rnn.State(draw((6, 4))))


@pytest.mark.parametrize("name", cells.CELLS)
def test_every_equation_is_a_quantity_and_every_quantity_an_equation(name: str) -> None:
    registered = cell(name)
    assert [q.label for q in registered.quantities.values()] == list(registered.equations)
    assert all(label == f"{name}.{key}" for key, label in zip(registered.quantities, registered.equations, strict=True))


@pytest.mark.parametrize("name", cells.CELLS)
def test_every_label_stands_exactly_once_in_its_file(name: str) -> None:
    registered = cell(name)
    text = Path(inspect.getsourcefile(registered.module) or "").read_text()
    for label in registered.equations:
        assert len(re.findall(rf"#\s*{re.escape(label)}\b(?!\.)", text)) == 1, label
    marks = re.findall(rf"#\s*({name}\.\w+)\s*$", text, flags=re.MULTILINE)
    assert sorted(marks) == sorted(registered.equations), "a label that no function under test carries"


@pytest.mark.parametrize("name", cells.CELLS)
def test_a_cell_s_code_comes_from_its_module(name: str) -> None:
    registered = cell(name)
    module = importlib.import_module(cells.CELLS[name])
    assert registered.module is module
    gradient = module.rtrl if name == "rtrl" else module.bptt
    assert registered.code == Code(module.forward, module.loss, gradient, cells.CELLS[name])
    assert cell(name) is registered


def test_the_quantities_of_the_rnn() -> None:
    assert {name: " ".join(q.axes) for name, q in cell("rnn").quantities.items()} == RNN


@pytest.mark.parametrize(
    "quantity",
    [
        Quantity("y_hat", "rnn.y_hat", "trace", ("T", "B", "O")),
        Quantity("loss", "rnn.loss", "loss", ("T",)),
        Quantity("delta_output", "rnn.delta_output", "delta", ("T", "B", "O"), "net_output", "all"),
        Quantity("delta_explicit", "rnn.delta_explicit", "delta", ("T", "B", "H"), "net_hidden", "own"),
        Quantity("delta_implicit", "rnn.delta_implicit", "delta", ("T", "B", "H"), "net_hidden", "later"),
        Quantity("delta_hidden", "rnn.delta_hidden", "delta", ("T", "B", "H"), "net_hidden", "all"),
        Quantity("grad_W_hidden", "rnn.grad_W_hidden", "grad", ("H", "H"), "W_hidden", "all"),
        Quantity("grad_x", "rnn.grad_x", "grad", ("T", "B", "I"), "x", "all"),
        Quantity("immediate_W_input", "rtrl.immediate_W_input", "immediate", BY, "W_input", "", "net_hidden", "own"),
        Quantity("net_by_W_input", "rtrl.net_by_W_input", "net_by", BY, "W_input", "", "net_hidden", "all"),
        Quantity("a_by_W_input", "rtrl.a_by_W_input", "a_by", BY, "W_input", "", "a_hidden", "all"),
        Quantity("step_grad_W_output", "rtrl.step_grad_W_output", "step_grad", ("T", "H", "O"), "W_output", "each"),
    ],
    ids=lambda quantity: quantity.name,
)
def test_what_a_quantity_means(quantity: Quantity) -> None:
    assert cell(quantity.label.partition(".")[0]).quantities[quantity.name] == quantity


def test_a_cell_declares_only_the_gradients_that_it_has() -> None:
    assert [q.by for q in cell("rtrl").of_kind("grad")] == ["W_input", "W_hidden", "W_output"]
    assert not cell("rnn").sensitivities and not cell("rnn").step_grads
    assert list(cell("rtrl").sensitivities) == [("net_hidden", "own"), ("net_hidden", "all"), ("a_hidden", "all")]


def test_quantities_of_a_kind_and_nudges() -> None:
    rnn_cell = cell("rnn")
    assert [q.name for q in rnn_cell.of_kind("trace")] == ["net_hidden", "a_hidden", "net_output", "y_hat"]
    assert len(rnn_cell.of_kind("delta")) == 4 and len(rnn_cell.of_kind("grad")) == 5
    assert rnn_cell.nudges == ("net_output", "net_hidden")


def test_every_delta_is_by_an_intermediate_of_its_own_shape() -> None:
    for name in cells.CELLS:
        quantities = cell(name).quantities
        for delta in cell(name).of_kind("delta"):
            assert quantities[delta.by].kind == "trace" and quantities[delta.by].axes == delta.axes


def test_run_gives_every_quantity_in_its_declared_shape() -> None:
    problem, rnn_cell = _problem(), cell("rnn")
    values = cells.run(rnn_cell, problem.inputs())
    assert list(values) == list(rnn_cell.quantities)
    for name, quantity in rnn_cell.quantities.items():
        assert values[name].shape == tuple(problem.sizes[letter] for letter in quantity.axes), name


def test_run_is_the_code_that_it_is_given() -> None:
    def loss(y_hat: Array, y: Array) -> rnn.Loss:
        right = rnn.loss(y_hat, y)
        return rnn.Loss(2 * right.per_step, 2 * right.total)

    inputs: Inputs = _problem().inputs()
    right = cells.run(cell("rnn"), inputs)
    wrong = cells.run(replace(cell("rnn"), code=cell("rnn").code._replace(loss=loss)), inputs)
    assert np.array_equal(wrong["loss"], 2 * right["loss"])


def test_an_unknown_cell_is_refused_with_those_there_are() -> None:
    with pytest.raises(KeyError, match=r"no cell is called 'elman'; there are .*rnn"):
        cell("elman")


class _Deltas(NamedTuple):
    output: Annotated[Array, "T B O", "∂E / ∂net_output(t)"]


@pytest.mark.parametrize(
    "meaning",
    ["∂L / ∂W_output", "∂l(k>t) / ∂W_output", "∂l(t) / ∂W_output(t)", "∂a_hidden(t) / ∂x", "∂b(t) / ∂W_output", "∂L"],
)
def test_a_meaning_that_no_oracle_has_is_refused(meaning: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(NamedTuple):
        output: Any

    Wrong.__annotations__ = {"output": Annotated[Array, "T B O", meaning]}
    _module("no_oracle", monkeypatch, Deltas=Wrong)
    with pytest.raises(TypeError, match=re.escape(f"output: cannot read the meaning {meaning!r}")):
        cell("no_oracle")


def _module(name: str, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Register a copy of the rnn's module under its own name, with some of its declarations changed."""
    module = types.ModuleType(f"gradlab_test_{name}")
    vars(module).update({k: v for k, v in vars(rnn).items() if not k.startswith("__")} | changed)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cells.CELLS, name, module.__name__)


def test_labels_that_do_not_match_the_declarations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Trace(NamedTuple):
        net_hidden: Any

    Trace.__annotations__ = {"net_hidden": Annotated[Array, "T B H"], "a_cell": Annotated[Array, "T B H"]}
    _module("undeclared", monkeypatch, Trace=Trace)
    with pytest.raises(
        TypeError, match=r"no equation has the label undeclared\.a_cell, which its NamedTuples declare; the label"
    ):
        cell("undeclared")


def test_a_meaning_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _module("unreadable", monkeypatch, Deltas=_Deltas)
    with pytest.raises(TypeError, match=r"Deltas\.output: cannot read the meaning '∂E / ∂net_output\(t\)'"):
        cell("unreadable")
