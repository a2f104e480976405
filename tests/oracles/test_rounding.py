"""The derived bounds: they hold for the hand-written code's own float64, and they are no larger than they need be.

They are held against the same formulas carried out on one number at a time, and on one step of one path at a time.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from gradlab import cells
from gradlab.arithmetic.balls import balls, midpoints, precision, radii
from gradlab.arithmetic.rounded import FORMATS, Numbers, RoundedArithmetic
from gradlab.oracles._recording import recorded
from gradlab.oracles._reduction import reduced
from gradlab.oracles._rounding import rounding
from gradlab.oracles._sensitivity import of_steps, single_steps
from gradlab.strategies import problems
from gradlab.tape import Program, nodes, replay
from gradlab.tape.derivatives import PARTIALS
from gradlab.tape.paths import TINY, UNIT, Paths
from gradlab.tape.recorded import recorded as array_of

FORM = FORMATS[np.dtype(np.float64)]


class OneAtATime:
    """A run on bounds, and the sums over paths, from a program's blocks, one number and one path's step after another.

    sums: by row and node, Σ Π |p| and the error that it may carry.
    """

    def __init__(self, program: Program, numbers: dict[int, Any], roundings: float) -> None:
        self.program, self.roundings = program, roundings
        self.arithmetic = RoundedArithmetic()
        self.values: list[Numbers] = []
        for number, block in enumerate(program.blocks):
            if block.operation == "numbers":
                floats = program.span(block.start, block.stop)
                given = numbers[number] if number in numbers else self.arithmetic.exact(floats)
                self.values += [Numbers(one, FORM) for one in np.reshape(given, (4, -1, 1)).swapaxes(0, 1)]
            else:
                self.values += [self._computed(block, at) for at in np.ndindex(block.shape)]

    def _operands(self, block: Any, at: tuple[int, ...]) -> list[int]:
        """The nodes that one entry of an elementwise operation takes."""
        return [int(np.broadcast_to(index, block.shape)[at]) for index in block.operands]

    def _terms(self, block: Any, at: tuple[int, ...]) -> list[tuple[int, int]]:
        """The pairs of nodes whose products one entry of a matrix product is the sum of."""
        a, b = block.operands
        *stack, i, j = at
        return list(zip(a[(*stack, i)].tolist(), b[(*stack, slice(None), j)].tolist(), strict=True))

    def _summed(self, block: Any, at: tuple[int, ...]) -> list[int]:
        """The nodes that one entry of a sum over axes adds up."""
        index = block.operands[0]
        part = index[tuple(slice(None) if k in block.parameter else at[k] for k in range(index.ndim))]
        return [int(one) for one in part.flat]

    def _computed(self, block: Any, at: tuple[int, ...]) -> Numbers:
        if block.operation == "sum":
            return functools.reduce(operator.add, (self.values[node] for node in self._summed(block, at)))
        if block.operation == "product":
            products = (self.values[a] * self.values[b] for a, b in self._terms(block, at))
            return functools.reduce(operator.add, products)
        operands = [self.values[node] for node in self._operands(block, at)]
        return self.arithmetic.function(block.operation, *operands, parameter=block.parameter)

    def bounds(self, outputs: Any, wrt: Any) -> Any:
        """(R, …): on the derivatives of each row's sum by nodes."""
        rows = outputs.reshape(len(outputs), -1)
        sums = np.zeros((self.program.length, 2, len(rows)))
        for row, seeds in enumerate(rows):
            for node in seeds:
                sums[node, 0, row] += 1
        for block in reversed(self.program.blocks):
            for k, at in reversed([*enumerate(np.ndindex(block.shape))]):
                for node, partial in self._partials(block, at, block.start + k):
                    sums[node] += self._through(sums[block.start + k], partial)
        with np.errstate(all="ignore"):
            found = (sums[:, 1] + self.roundings * sums[:, 0])[wrt]
        return np.moveaxis(found, -1, 0)

    def _partials(self, block: Any, at: tuple[int, ...], node: int) -> Iterator[tuple[int, Any]]:
        if block.operation == "sum":
            yield from ((one, None) for one in self._summed(block, at))
        elif block.operation == "product":
            for a, b in self._terms(block, at):
                yield a, self.values[b]
                yield b, self.values[a]
        elif block.operation != "numbers":
            operands = self._operands(block, at)
            values = [self.values[one] for one in operands]
            partials = PARTIALS[block.operation](self.arithmetic, block.parameter, self.values[node], *values)
            yield from zip(operands, partials, strict=True)

    def _through(self, sums: Any, partial: Any) -> Any:
        magnitude, error = sums
        if partial is None:
            return sums
        size, slack = 1.0, 0.0
        if isinstance(partial, Numbers):
            _, slack, largest, _ = partial.closed().parts[:, 0].tolist()
            size = largest + slack
        if size == 0:
            return 0 * np.nan_to_num(sums)
        if not math.isfinite(size):
            return np.stack([np.where(magnitude > 0, np.inf, 0.0)] * 2)
        with np.errstate(all="ignore"):
            moved = size * error + slack * magnitude + self.roundings * size * magnitude
        return np.stack([size * magnitude, np.where(np.isnan(moved), np.inf, moved) + TINY * (magnitude > 0)])


def one_at_a_time(cell: Any, problem: Any) -> dict[str, Any]:
    """Every bound of `rounding`, number by number."""
    made, inputs = recorded(cell, problem), problem.astype(np.float64).inputs()
    T, B, _ = problem.x.shape
    roundings = (2 * (sum(problem.sizes.values()) + T * B) + 16) * UNIT

    def run(forward: Any, given: dict[str, Any]) -> OneAtATime:
        blocks = {block.start: number for number, block in enumerate(forward.call.program.blocks)}
        wrt = forward.wrt | {"y": forward.call.arguments[0]["y"]}
        arithmetic = RoundedArithmetic()
        numbers = {
            blocks[int(wrt[name].flat[0])]: one if np.ndim(one) > wrt[name].ndim else arithmetic.exact(one)
            for name, one in given.items()
        }
        return OneAtATime(forward.call.program, numbers, roundings)

    def bounds(on: OneAtATime, index: Any) -> Any:
        return np.array([on.values[node].bounds()[0] for node in index.flat]).reshape(index.shape)

    with np.errstate(all="ignore"):
        whole = run(made.whole, dict(inputs.named()) | {"y": inputs.y})
        found = {name: bounds(whole, index) for name, index in made.whole.trace.items()}
        found |= {"loss": bounds(whole, made.whole.total), "each loss": bounds(whole, made.whole.losses)}
        for name, by in made.whole.wrt.items():
            found |= reduced(cell, name, whole.bounds(made.whole.losses, by))
        for (of, uses), wanted in cell.sensitivities.items():
            forward, on = made.whole, whole
            if uses == "own":
                nodes = inputs._replace(state=type(inputs.state)(*(forward.wrt[name] for name in inputs.state._fields)))
                steps = single_steps(cell, nodes, forward.trace)
                before = {
                    name: np.concatenate([whole.values[n].parts for n in index.flat], -1).reshape(4, *index.shape)
                    for name, index in steps.state._asdict().items()
                }
                forward = made.steps
                on = run(forward, dict(steps.named()) | {"y": steps.y} | before)
            outputs = forward.trace[of]
            for quantity in wanted:
                by = forward.wrt[quantity.by]
                rows = on.bounds(outputs.reshape(-1, 1), by)
                found[quantity.name] = of_steps(rows.reshape(*outputs.shape, *by.shape), T)
        return found


def differ(cell: Any, problem: Any) -> list[str]:
    """The bounds that are smaller than number by number, or larger by more than 1e-11."""
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
    monkeypatch.setattr(
        Paths, "_add", lambda self, index, sums, start: add(self, index, sums * (sums.ndim != 4), start)
    )
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
    x = array_of(program, program.append("numbers", (), np.array([2.0]), "parameter"))
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
