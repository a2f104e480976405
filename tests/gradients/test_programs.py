"""Random programs are what they are said to be: their gradients right, their wrong ones wrong in one entry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from programs import FORMS, Program, program, wrong
from programs.truth import in_order, shapes, true_gradient

from gradlab.gradients import check_gradient

FORMS_NEEDED = 40


def entries(given: Program) -> np.ndarray:
    given.loss(given.params)
    return in_order(given.grad(given.params), given.params)


def test_each_form_occurs_over_300_seeds() -> None:
    assert len(FORMS) >= FORMS_NEEDED
    assert FORMS <= frozenset().union(*(program(seed).forms for seed in range(300)))


def test_captured_data_is_reached_in_every_way() -> None:
    ways = frozenset().union(*(program(seed).forms for seed in range(60))) - FORMS
    reached = {f"captured: {way}" for way in ("global", "default", "attribute", "item", "closure", "float32")}
    assert ways == reached | {"loss returned as a Python float"}


@pytest.mark.parametrize("seed", [0, 17, 4_000_000_000])
def test_a_seed_means_one_program(seed: int) -> None:
    assert program(seed).source == program(seed).source
    assert program(seed).source != program(seed + 1).source


@pytest.mark.parametrize("seed", range(0, 480, 40))
def test_the_gradient_is_that_of_the_twin(seed: int) -> None:
    right = program(seed)
    value, gradient = true_gradient(right)
    assert right.loss(right.params) == pytest.approx(value, rel=1e-12)
    assert shapes(right.grad(right.params)) == shapes(right.params)
    np.testing.assert_allclose(entries(right), in_order(gradient, right.params), rtol=1e-11, atol=1e-14)


def test_directional_differences_confirm_the_gradient() -> None:
    rng = np.random.default_rng(0)
    for seed in range(300):
        right = program(seed)
        direction = moved(right.params, lambda leaf: rng.standard_normal(np.shape(leaf)))
        slope = np.sum(entries(right) * in_order(direction, right.params))
        found = [
            (right.loss(along(right.params, direction, h)) - right.loss(along(right.params, direction, -h))) / (2 * h)
            for h in (2e-4, 1e-4)
        ]
        assert slope == pytest.approx((4 * found[1] - found[0]) / 3, rel=1e-7, abs=1e-8), right.source


@pytest.mark.parametrize("seed", range(0, 300, 50))
def test_the_wrong_one_has_lines_more_and_one_entry_off(seed: int) -> None:
    right, changed = program(seed), wrong(seed)
    assert [
        line for line in changed.source.splitlines() if line.strip() not in changed.edit
    ] == right.source.splitlines()
    found, of = entries(right), entries(changed)
    (at,) = np.flatnonzero(found != of)
    assert of[at] / found[at] - 1 == pytest.approx(1e-9, rel=1e-6)
    assert abs(found[at]) >= 0.1 * np.abs(found).max()
    true = in_order(true_gradient(right)[1], right.params)
    assert abs(found[at] / true[at] - 1) < 1e-12


def moved(tree: Any, by: Any) -> Any:
    if isinstance(tree, dict):
        return {key: moved(value, by) for key, value in tree.items()}
    return [moved(value, by) for value in tree] if isinstance(tree, list) else by(tree)


def along(params: Any, direction: Any, step: float) -> Any:
    if isinstance(params, dict):
        return {key: along(value, direction[key], step) for key, value in params.items()}
    if isinstance(params, list):
        return [along(*pair, step) for pair in zip(params, direction, strict=True)]
    value = np.asarray(params) + step * np.asarray(direction)
    return float(value) if isinstance(params, float) else value


@pytest.mark.parametrize("start", range(0, 240, 60))
def test_no_right_program_is_called_wrong_and_no_wrong_one_right(start: int) -> None:
    for seed in range(start, start + 60):
        right, changed = program(seed), wrong(seed)
        report = check_gradient(right.loss, right.grad, right.params, points="given", diagnosis=0)
        assert report.ok and "certified" in report.oracles, f"{right.source}\n{report}"
        report = check_gradient(changed.loss, changed.grad, changed.params, points="given", diagnosis=0)
        assert report.proven, f"{changed.source}\n{report}"
        right.forget()
        changed.forget()
