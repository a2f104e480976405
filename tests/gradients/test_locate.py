"""Where a gradient leaves the truth: the place, and that with the true value there the leaves named become right."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, gaps, precision
from gradlab.gradients import check_gradient, diagnosis
from gradlab.gradients.kinds import Kind
from gradlab.gradients.locate import Locator
from gradlab.gradients.recording import record
from gradlab.gradients.worlds import World

FOLDER = Path(__file__).parent / "variants"
# Edits whose line is not the one that is found, and why.
ELSEWHERE = {
    "bidirectional-1": "two calls of one helper are handed each other's half",
    "bidirectional-2": "an entry of an array that is otherwise right",
    "cifg-1": "a line that only passes on, through a return",
    "ctc_like-0": "single numbers, put together to an array",
    "ctc_like-2": "it is no mistake: nothing is overwritten",
    "ctc_like-3": "single numbers, put together to an array",
    "deep_rnn-5": "right in the call that comes first",
    "layer_norm_mlp-6": "a line that only passes on, read thrice by one line",
    "ode_adjoint-0": "a line that only passes on, into a helper",
    "ode_adjoint-1": "a term that is missing at the end of a step",
    "ode_adjoint-3": "a helper that is wrong under both calls",
    "seq2seq_attention-3": "a statement that is missing",
}


def loaded(folder: Path, name: str, edit: int | None = None) -> tuple[ModuleType, int]:
    """A file, with an edit made; and the line of the edit."""
    text = (FOLDER / f"{name}.py").read_text()
    line = 0
    if edit is not None:
        space: dict[str, Any] = {}
        exec(text, space)
        _, old, new = space["EDITS"][edit]
        head = text.split("\nEDITS = ")[0]
        assert old in head
        line = head[: head.index(old)].count("\n") + 1
        text = text.replace(old, new, 1)
    path = folder / f"{name}_{edit}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, line


def kinds_of(name: str) -> list[str]:
    space: dict[str, Any] = {}
    exec((FOLDER / f"{name}.py").read_text(), space)
    return [kind for kind, _, _ in space["EDITS"]]


NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
CASES = [f"{name}-{edit}" for name in NAMES for edit in range(len(kinds_of(name)))]
QUICK = [case for case in CASES if case.endswith(("-0", "-3"))]


@pytest.mark.parametrize("name", NAMES)
def test_the_variants_are_edits_of_what_is_right(name: str, tmp_path: Path) -> None:
    module, _ = loaded(tmp_path, name)
    assert check_gradient(module.loss, module.grad, module.point, points="given").ok
    assert len(module.EDITS) >= 5 and {kind for kind, _, _ in module.EDITS} <= {kind.key for kind in Kind}


@pytest.mark.parametrize("case", [case for case in QUICK if case not in ELSEWHERE])
def test_the_line_is_found(case: str, tmp_path: Path) -> None:
    name, edit = case.split("-")
    module, line = loaded(tmp_path, name, int(edit))
    report = check_gradient(module.loss, module.grad, module.point, points="given", diagnosis=0)
    found = diagnosis.located(report, np.inf)
    places = [one.place for one in found.mistakes]
    assert line in [place.line for place in places if place is not None], found.lines()
    assert not found.left
    assert all(one.proven for one in found.mistakes) or name == "convolution"  # no value of one step stands there


def test_with_the_true_value_at_the_line_the_leaves_named_are_right(tmp_path: Path) -> None:
    """On balls, by a replay of its own: the leaves named, and not before."""
    for case in ("gru_batch-0", "cifg-3", "kalman-1", "seq2seq_attention-1"):
        name, edit = case.split("-")
        module, _ = loaded(tmp_path, name, int(edit))
        report = check_gradient(module.loss, module.grad, module.point, points="given", diagnosis=0)
        recorded = record(report.subject, *report.subject.run(report.subject.params.rebuilt()))
        wrong = [path for path, leaf in report.leaves.items() if str(leaf.verdict) != "agree"]
        locator = Locator(World(recorded), wrong, np.inf)
        (blamed,) = locator.run()
        with precision(200):
            world = World(recorded, BallArithmetic())
            value = blamed.fit.value(locator.truths, world)
            after = world.replayed(dict(zip(blamed.fit.made.numbers, value, strict=True)))
            for path in blamed.repairs:
                assert (gaps(world.gradients[path], world.true[path]) > 0).any()
                assert not (gaps(after.gradients[path], after.true[path]) > 0).any()


def two(p: Any) -> Any:
    """Two mistakes in one chain, of which each hides the other from single repairs of the first."""
    h = np.tanh(DATA @ p["a"])
    error = h @ p["b"] - 1.0
    up = error @ p["b"].T * 2
    down = up * (1 - h)
    return {"a": DATA.T @ down, "b": h.T @ error}


DATA = np.array([[0.5, -1.0, 0.25], [1.5, 0.75, -0.5]])
POINT = {"a": np.array([[0.5, -0.25], [0.125, 1.0], [0.75, -0.5]]), "b": np.array([[0.25, -0.5], [1.0, 0.375]])}


def loss(p: Any) -> Any:
    return 0.5 * np.sum((np.tanh(DATA @ p["a"]) @ p["b"] - 1.0) ** 2)


def test_a_name_needs_several_points() -> None:
    report = check_gradient(loss, two, POINT, points="given", diagnosis=0)
    frozen = replace(report, subject=replace(report.subject, movable=False))
    found = diagnosis.located(frozen, np.inf)
    assert found.mistakes and all(one.place is not None for one in found.mistakes)


def test_nothing_is_looked_for_where_the_gradient_cannot_be_recorded() -> None:
    def grad(p: Any) -> Any:
        return {name: np.array(leaf.tolist()) * float(str(1.5)) for name, leaf in two(p).items()}

    report = check_gradient(loss, grad, POINT, points="given")
    assert str(report.verdict) == "disagree" and (report.place is None or report.place.line)


def test_what_is_off_by_an_epsilon_is_apart(tmp_path: Path) -> None:
    module, _ = loaded(tmp_path, "layer_norm_mlp")
    grad = module.grad

    def nearly(p: Any) -> Any:
        found = grad(p)
        return {**found, "gain": found["gain"] * (1 + 3e-7), "W2": 2 * found["W2"]}

    report = check_gradient(module.loss, nearly, module.point, points="given")
    said = str(report)
    assert "nearly right: params['gain'] is off by" in said and "e-07 relative" in said
    assert "nearly right: params['W2']" not in said
    assert report.diagnosis is not None and report.diagnosis.nearly == ("params['gain']",)
    assert report.place is not None and report.place.repairs == ("params['W2']",)
    table = [line.split()[0] for line in said.splitlines() if line.startswith("params[") and "disagree" in line]
    assert table == ["params['W2']", "params['gain']"]
