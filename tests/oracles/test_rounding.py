"""The derived bounds: they hold for the hand-written code's own float64, and they are no larger than they need be.

They are held against the same formulas carried out one number at a time, on Variables of Rounded.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from gradlab import cells
from gradlab.arithmetic import Rounded, bounds, pullback, rounded, variables
from gradlab.arithmetic import rounding as rounding_in
from gradlab.arithmetic.balls import balls, midpoints, precision, radii
from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.equations import nudged
from gradlab.oracles._reduction import reduced
from gradlab.oracles._rounding import rounding
from gradlab.oracles._sensitivity import of_steps, single_steps
from gradlab.strategies import problems
from gradlab.tape import Program, nodes, replay
from gradlab.tape.paths import TINY, UNIT, Paths
from gradlab.tape.recorded import recorded


class PathSum:
    """The sums of `Paths` at one node, the rows (R,): of Π |p|, and of the error that it may carry."""

    def __init__(self, magnitude: Any, error: Any, roundings: float) -> None:
        self.magnitude, self.error, self.roundings = magnitude, error, roundings

    def __add__(self, other: Any) -> Any:
        return PathSum(self.magnitude + other.magnitude, self.error + other.error, self.roundings)

    def __mul__(self, partial: Any) -> Any:
        size, slack = abs(partial), 0.0
        if type(partial) is Rounded:
            size, slack = abs(partial.closed().v) + partial.closed().e, partial.closed().e
        if size == 0:
            return PathSum(0 * np.nan_to_num(self.magnitude), 0 * np.nan_to_num(self.error), self.roundings)
        if not math.isfinite(size):
            unknown = np.where(self.magnitude > 0, np.inf, 0.0)
            return PathSum(unknown, unknown, self.roundings)
        magnitude = size * self.magnitude
        with np.errstate(all="ignore"):
            error = size * self.error + slack * self.magnitude + self.roundings * magnitude
        error = np.where(np.isnan(error), np.inf, error)
        return PathSum(magnitude, error + TINY * (self.magnitude > 0), self.roundings)

    def bound(self) -> Any:
        return self.error + self.roundings * self.magnitude


def one_at_a_time(cell: Any, problem: Any) -> dict[str, Any]:
    """Every bound of `rounding`, by scalars."""

    def run(inputs: Any) -> Any:
        shapes = {
            name: [{**problem.sizes, "T": len(inputs.x), "B": inputs.x.shape[1]}[a] for a in cell.axes[name]]
            for name in cell.nudges
        }
        wrt = {name: variables(array) for name, array in inputs.named()}
        wrt |= {name: variables(np.full(shape, Rounded(0))) for name, shape in shapes.items()}
        apart = {name: array[..., None, :] for name, array in wrt.items()}
        params = type(inputs.params)(**{name: wrt[name] for name in inputs.params._fields})
        state = type(inputs.state)(**{name: apart[name] for name in inputs.state._fields})
        trace = nudged(cell.code.forward, cell.nudges)(params, apart["x"], state, nudges=apart)
        losses = cell.code.loss(trace.y_hat, inputs.y[..., None, :]).per_step
        return wrt, {name: array[..., 0, :] for name, array in trace._asdict().items()}, losses

    def derivatives(outputs: Any, by: Any) -> Any:
        rows = np.eye(len(outputs))
        seeds = [PathSum(row, 0 * row, roundings) for row, out in zip(rows, outputs, strict=True) for _ in out.flat]
        sums = pullback([one for out in outputs for one in out.flat], seeds, [by])[0]
        zero = np.zeros(len(outputs))
        found = np.array([one.bound() if isinstance(one, PathSum) else zero for one in sums.flat])
        return np.moveaxis(found.reshape(*sums.shape, len(outputs)), -1, 0)

    value = np.frompyfunc(lambda x: x.value, 1, 1)
    with rounding_in(np.float64), np.errstate(all="ignore"):
        T, B, _ = problem.x.shape
        roundings = (2 * (sum(problem.sizes.values()) + T * B) + 16) * UNIT
        inputs = problem.inputs(rounded)
        wrt, trace, losses = run(inputs)
        found = {name: bounds(value(array)) for name, array in trace.items()}
        found |= {"loss": bounds(value(losses).sum(axis=1)), "each loss": bounds(value(losses))}
        for name, by in wrt.items():
            found |= reduced(cell, name, derivatives(losses, by))
        for (of, uses), wanted in cell.sensitivities.items():
            values = {name: value(array) for name, array in trace.items()}
            used = (wrt, trace) if uses == "all" else run(single_steps(cell, inputs, values))[:2]
            outputs = used[1][of]
            for quantity in wanted:
                by = used[0][quantity.by]
                rows = derivatives(outputs.reshape(-1, 1), by)
                found[quantity.name] = of_steps(rows.reshape(*outputs.shape, *by.shape), T)
        return found


def differ(cell: Any, problem: Any) -> list[str]:
    """The bounds that are smaller than by scalars, or larger by more than 1e-11; beyond what summing in order costs."""
    made = rounding(cell, problem)
    found = made.values | made.derivatives | {"each loss": made.losses}
    wanted = one_at_a_time(cell, problem)
    assert found.keys() == wanted.keys()
    near = {
        name: (found[name] >= wanted[name] * (1 - 1e-13)) & (found[name] <= wanted[name] * (1 + 1e-11))
        for name in found
    }
    return [name for name, one in near.items() if not (one | (found[name] == wanted[name])).all()]


@pytest.mark.parametrize("name", list(cells.CELLS))
def test_all_at_once_is_one_at_a_time(name: str) -> None:
    @settings(max_examples=6, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(problems(name, dtypes=("float64", "float32"), max_steps=4, max_batch=2))
    def check(problem: Any) -> None:
        assert differ(cells.cell(name), problem) == []

    check()


@pytest.mark.parametrize("weight", [800.0, -800.0, 1e154, -1e200, 1e308, 1e-160, 5e-324, 0.0])
def test_all_at_once_is_one_at_a_time_where_floats_end(weight: float, lab: Any) -> None:
    """Exponentials and products that overflow, that underflow, and weights that are exactly zero."""
    plain = lab.problem(2, 1, 1, 2, 1)
    for name, array in plain.params._asdict().items():
        changed = np.array(array)
        changed.flat[0] = weight
        assert differ(lab.rnn, replace(plain, params=plain.params._replace(**{name: changed}))) == [], name


def test_a_bound_that_leaves_out_a_term_is_seen(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step's product has two factors: without what comes through one of them the bounds are too small."""
    add = Paths._add
    monkeypatch.setattr(Paths, "_add", lambda self, index, sums: add(self, index, sums * (sums.ndim != 4)))
    assert "delta_implicit" in differ(lab.rnn, lab.problem())


def beyond(values: dict[str, Any], exact: dict[str, Any], bounds: dict[str, Any], bits: int) -> list[str]:
    """The quantities with an entry that is further from exact than its bound."""
    with precision(bits):
        found = []
        for name, bound in bounds.items():
            error = abs(balls(values[name]) - exact[name])
            found += [name] * bool(((midpoints(error) + radii(error)) * (1 - 2.0**-48) > bound).any())
        return found


def derived(lab: Any, given: Any) -> dict[str, Any]:
    bounds = rounding(lab.rnn, given)
    return bounds.values | bounds.derivatives


def test_the_bounds_hold_for_the_hand_written_code(lab: Any) -> None:
    """The forward always; the backward where a(1 - a), which the chain rule does not have, does not cancel."""
    for one in lab.known:
        given = one.problem.astype(np.float64)
        values, bounds = cells.run(lab.rnn, given.inputs()), rounding(lab.rnn, given)
        held = bounds.values if one.kind == "saturated" else bounds.values | bounds.derivatives
        assert beyond(values, one.exact, held, lab.bits) == [], (one.scale, one.kind)


def test_where_float64_overflows_the_bound_is_infinite_or_zero(lab: Any) -> None:
    """At net_hidden = -800 the partial of the exponential is infinite, and that of another step's loss is still 0."""
    given = lab.problem(2, 1, 1, 1, 1)
    params = given.params._replace(W_input=np.full((1, 1), -800.0))
    deep = type(given)(params, np.ones_like(given.x), given.y, given.state)
    assert not any(np.isnan(bound).any() for bound in derived(lab, deep).values())


@pytest.mark.parametrize("factor", [1 + 1e-9, 1 - 1e-11])
def test_an_error_beyond_them_is_seen(factor: float, lab: Any) -> None:
    for one in [one for one in lab.known if one.kind == "plain"]:
        values = {k: v * factor for k, v in cells.run(lab.rnn, one.problem.inputs()).items()}
        probed = {name for name, value in values.items() if value.any()}
        assert set(beyond(values, one.exact, derived(lab, one.problem), lab.bits)) == probed, one.scale


def test_float32_in_float64_is_seen(lab: Any) -> None:
    for one in [one for one in lab.known if one.kind == "plain" and one.scale == 1.0]:
        values = cells.run(lab.rnn, one.problem.astype(np.float32).inputs())
        assert "delta_output" in beyond(values, one.exact, derived(lab, one.problem), lab.bits)


def test_the_bound_on_each_sample_s_loss(lab: Any) -> None:
    for one in lab.known[:30]:
        given = one.problem.astype(np.float64)
        inputs = given.inputs()
        trace = lab.rnn.code.forward(inputs.params, inputs.x, inputs.state)
        per_sample = 0.5 * ((trace.y_hat - inputs.y) ** 2).sum(axis=-1)
        with precision(lab.bits):
            exact = 0.5 * ((one.exact["y_hat"] - balls(given.y)) ** 2).sum(axis=-1)
        losses = rounding(lab.rnn, given).losses
        assert losses.shape == per_sample.shape
        assert beyond({"loss": per_sample}, {"loss": exact}, {"loss": losses}, lab.bits) == []


def test_three_oracles_ask_for_the_same_and_it_is_made_once(lab: Any) -> None:
    given = lab.problem()
    assert rounding(lab.rnn, given) is rounding(lab.rnn, given)
    assert rounding(lab.rnn, replace(given)) is not rounding(lab.rnn, given)


def test_one_unit_one_step_by_hand(lab: Any) -> None:
    """With every size 1 and T = 1 there is one path: the bound is its product, a few dozen roundings of it."""
    given = lab.problem(1, 1, 1, 1, 1)
    values, bounds = cells.run(lab.rnn, given.inputs()), rounding(lab.rnn, given).derivatives
    for name in ("delta_output", "delta_explicit", "grad_W_output", "grad_W_hidden", "grad_W_input", "grad_x"):
        ratio = bounds[name] / np.abs(values[name]) / UNIT
        assert (ratio >= 8).all() and (ratio <= 2000).all(), (name, ratio)


def test_path_sums_add_and_multiply_as_the_formula_says() -> None:
    program = Program()
    x = recorded(program, program.append("numbers", (), np.array([2.0]), "parameter"))
    used = nodes(x * -3.0 + x * 0.5 + x * 0.0)
    paths = Paths(replay(program, RoundedArithmetic()), used.reshape(1, 1), 4 * UNIT)
    assert paths.bounds(nodes(x))[0] == pytest.approx([3.5 * 8 * UNIT], rel=1e-12)


def test_the_bounds_scale_with_the_gradients(lab: Any) -> None:
    """Relative: at weights of 1e-6 the implicit delta is 1e-13 of what it is at 1, and so is its bound."""
    ratios = []
    for scale in (1.0, 1e-6):
        given = lab.problem(scale=scale)
        implicit = cells.run(lab.rnn, given.inputs())["delta_implicit"][:-1]
        ratios.append(np.median(rounding(lab.rnn, given).derivatives["delta_implicit"][:-1] / np.abs(implicit)))
    assert max(ratios) < 1e-11 and max(ratios) / min(ratios) < 30
