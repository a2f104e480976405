"""The hand-written GRU: its values, its closed forms, its form, and that every wrong line of it is named."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from gradlab import Verdict, compare, oracles
from gradlab.cells import cell
from gradlab.checker.submission import Submission
from gradlab.equations import equations
from gradlab.manual import gru
from gradlab.problem import Array, Problem, axes
from gradlab.strategies import problems

CELL = cell("gru")
DTYPES = (np.float32, np.float64, np.complex128)
SIZES = {"T": 4, "B": 2, "I": 3, "H": 2, "O": 1}
T, B, I, H, O = SIZES.values()
LABELS = list(CELL.equations)


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _problem(scale: float = 1.0, seed: int = 0, **arrays: Array) -> Problem:
    """Random arrays, weights times `scale`; `arrays` replaces some of them."""
    rng = np.random.default_rng(seed)
    letters = {"x": "TBI", "y": "TBO"} | axes(gru.Params) | axes(gru.State)
    drawn = {name: rng.uniform(-1, 1, [SIZES[letter] for letter in axis]) for name, axis in letters.items()}
    drawn |= {name: scale * drawn[name] for name in gru.Params._fields} | arrays
    params, state = ({name: drawn[name] for name in part._fields} for part in (gru.Params, gru.State))
    return Problem(gru.Params(**params), drawn["x"], abs(drawn["y"]), gru.State(**state))


def _run(problem: Problem, convert: Any = np.array) -> tuple[gru.Trace, gru.Loss, gru.Grads]:
    params, x, y, state = problem.inputs(convert)
    trace = gru.forward(params, x, state)
    return trace, gru.loss(trace.y_hat, y), gru.bptt(params, x, y, state, trace)


def _leaves(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in _leaves(part)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_every_value_keeps_the_dtype(dtype: Any) -> None:
    results = _run(_problem(), lambda array: array.astype(dtype))
    assert {leaf.dtype for leaf in _leaves(results)} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", ["x", *gru.Params._fields, *gru.State._fields])
def test_a_complex_step_in_one_array_alone_is_the_gradient(name: str) -> None:
    problem = _problem()
    inputs = problem.inputs()
    direction = np.random.default_rng(9).uniform(-1, 1, problem.arrays()[name].shape)
    moved = inputs.with_array(name, problem.arrays()[name] + 1j * 2.0**-60 * direction)
    trace = gru.forward(moved.params, moved.x, moved.state)
    got = gru.loss(trace.y_hat, moved.y).total.imag * 2.0**60
    _, _, grads = _run(problem)
    by = {"x": grads.x} | grads.params._asdict() | grads.state._asdict()
    # a few hundred roundings, of terms that are at most some hundred times their sum
    assert abs(got - (by[name] * direction).sum()) <= 1e-11 * abs(by[name] * direction).sum()


def test_nothing_given_is_modified() -> None:
    inputs = _problem().inputs()
    trace = gru.forward(inputs.params, inputs.x, inputs.state)
    before = [leaf.copy() for leaf in _leaves((tuple(inputs), trace))]
    gru.loss(trace.y_hat, inputs.y)
    gru.bptt(*inputs, trace)
    assert all(np.array_equal(a, b) for a, b in zip(_leaves((tuple(inputs), trace)), before, strict=True))


def test_a_gradient_has_the_type_and_shape_of_what_it_differentiates() -> None:
    problem = _problem()
    trace, _, grads = _run(problem)
    assert type(grads.params) is gru.Params and type(grads.state) is gru.State and type(grads.deltas) is gru.Deltas
    assert [g.shape for g in grads.params] == [w.shape for w in problem.params]
    assert [g.shape for g in grads.state] == [s.shape for s in problem.state] and grads.x.shape == problem.x.shape
    for quantity in CELL.of_kind("delta"):
        delta = getattr(grads.deltas, quantity.name.removeprefix("delta_"))
        assert delta.shape == getattr(trace, quantity.by).shape


def _check_stack(forward: Any) -> None:
    """A stack of K networks against one at a time: two evaluations, each within its derived bound of the exact one."""
    alone = [_problem(seed=seed) for seed in range(3)]
    stack = [np.stack([p.arrays()[name] for p in alone]) for name in alone[0].params._fields]
    x = np.stack([p.x for p in alone], axis=1)
    state = gru.State(*(np.stack(parts) for parts in zip(*(p.state for p in alone), strict=True)))
    trace = forward(gru.Params(*stack), x, state)
    for k, problem in enumerate(alone):
        own = Submission(cell("gru"))
        values, bounds = own.floats(problem), own.rounding(problem)
        for name, got in trace._asdict().items():
            assert (abs(got[:, k] - values[name]) <= 2 * bounds[name]).all(), name


def test_a_stack_of_networks_agrees_with_one_by_one() -> None:
    _check_stack(gru.forward)


@pytest.mark.parametrize("name", gru.Params._fields)
def test_a_stack_that_mixes_its_networks_is_caught(name: str) -> None:
    def mixed(params: gru.Params, x: Array, state: gru.State) -> gru.Trace:
        return gru.forward(params._replace(**{name: getattr(params, name)[::-1]}), x, state)

    with pytest.raises(AssertionError):
        _check_stack(mixed)


@pytest.mark.parametrize("name", gru.Params._fields)
def test_one_weight_may_be_stacked_and_the_others_not(name: str) -> None:
    problem = _problem()
    params, x, _, state = problem.inputs()
    stacked = params._replace(**{name: np.stack([getattr(params, name)] * 3)})
    trace = gru.forward(stacked, np.broadcast_to(x[:, None], (T, 3, B, I)), state)
    own = Submission(cell("gru"))
    values, bounds = own.floats(problem), own.rounding(problem)
    for field, got in trace._asdict().items():
        assert (abs(got - values[field][:, None]) <= 2 * bounds[field][:, None]).all(), field


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("scale", [1e3, 1e6])
def test_saturation_is_silent_and_finite(dtype: Any, scale: float) -> None:
    with np.errstate(over="warn", invalid="warn", divide="warn"):
        results = _run(_problem(scale).astype(dtype))
    assert all(np.isfinite(leaf).all() for leaf in _leaves(results))


def test_the_total_delta_is_the_sum_of_its_parts_and_the_last_is_explicit() -> None:
    deltas = _run(_problem())[2].deltas
    assert np.array_equal(deltas.h, deltas.h_explicit + deltas.h_implicit)
    assert not deltas.h_implicit[-1].any() and deltas.h_implicit[:-1].all()


SHUT, OPEN = np.full(H, -800.0), np.full(H, 800.0)  # σ is exactly 0 and exactly 1 there


def test_an_open_update_gate_keeps_the_state() -> None:
    """z = 1: h never changes, and what each step's loss sends back adds up on the way back."""
    problem = _problem(bias_z=OPEN)
    trace, _, grads = _run(problem)
    assert (trace.h == problem.state.h_initial).all()
    summed = np.cumsum(grads.deltas.h_explicit[::-1], axis=0)[::-1]
    assert np.array_equal(grads.deltas.h, summed) and np.array_equal(grads.state.h_initial, summed[0])


def test_with_both_gates_shut_there_is_no_memory() -> None:
    problem = _problem(bias_z=SHUT, bias_r=SHUT)
    trace, _, grads = _run(problem)
    assert np.array_equal(trace.h, trace.n) and np.array_equal(
        trace.net_n, problem.x @ problem.params.W_input_n + problem.params.bias_n
    )
    assert not grads.deltas.h_implicit.any() and not grads.state.h_initial.any()


def test_without_weights_the_state_halves() -> None:
    problem = _problem(scale=0.0)
    trace, _, _ = _run(problem)
    assert all(np.array_equal(trace.h[t], problem.state.h_initial / 2 ** (t + 1)) for t in range(T))


def test_the_reset_gate_acts_after_the_recurrent_product() -> None:
    """With r = 0 the bias inside the gate is reset as well; before the product (Cho et al.) it would remain."""
    trace, _, grads = _run(_problem(bias_r=SHUT))
    assert not grads.params.W_hidden_n.any() and not grads.params.bias_hidden_n.any()
    assert trace.recurrent_n.all() and grads.params.bias_n.all()


def _form(function: Any) -> list[str]:
    """What in a function breaks the law of straight lines: branches, loops beyond its one, labels that stand twice."""
    tree = ast.parse(inspect.getsource(function)).body[0]
    branches = (ast.If, ast.IfExp, ast.While, ast.Try, ast.With, ast.Match, ast.Lambda, ast.BoolOp, ast.Assert)
    found = [type(node).__name__ for node in ast.walk(tree) if isinstance(node, branches)]
    loops = sum(isinstance(node, (ast.For, ast.comprehension)) for node in ast.walk(tree))
    return found + (["loops"] if loops > 1 else [])


@pytest.mark.parametrize("function", [gru.forward, gru.loss, gru.bptt], ids=lambda f: f.__name__)
def test_the_mathematics_is_straight_lines(function: Any) -> None:
    assert _form(function) == []
    assert inspect.getsource(function).count("# gru.") == len(equations(inspect.unwrap(function)))


def test_each_pass_has_its_one_loop() -> None:
    assert inspect.getsource(gru.forward).count("for t in range(T):") == 1
    assert inspect.getsource(gru.bptt).count("for t in reversed(range(T)):") == 1


@settings(max_examples=3)
@given(problems("gru", dtypes=("float64", "float32")))
def test_four_oracles_agree(problem: Problem) -> None:
    comparison = compare("gru", problem)
    assert comparison.verdict is not Verdict.DISAGREE, comparison.label
    assert set(comparison.judged["delta_h"]) == set(oracles.names())


def test_four_oracles_agree_where_all_is_resolved() -> None:
    comparison = compare("gru", _problem())
    assert comparison.verdict is Verdict.AGREE
    assert all(verdict.agree.any() for judged in comparison.judged.values() for verdict in judged.values())


def _mutated(label: str, path: Path) -> Path:
    """A copy of the cell's file in which one right-hand side is a thousandth too large."""
    source = Path(inspect.getsourcefile(gru) or "").read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    last = CELL.equations[label].line
    node = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Assign) and n.end_lineno == last)
    value = ast.get_source_segment(source, node.value) or ""
    equation = "".join(lines[node.lineno - 1 : last])
    target = equation.index("=") + 1
    wrong = equation[:target] + equation[target:].replace(value, f"1.001 * ({value})", 1)
    assert wrong != equation
    path.write_text("".join([*lines[: node.lineno - 1], wrong, *lines[last:]]), encoding="utf-8")
    return path


@pytest.mark.parametrize("scale", [1.0, 1e-6])
@pytest.mark.parametrize("label", LABELS)
def test_every_wrong_line_is_named(label: str, scale: float, tmp_path: Path) -> None:
    comparison = compare("gru", _problem(scale), code=_mutated(label, tmp_path / "wrong.py"), oracles=["certified"])
    assert comparison.verdict is Verdict.DISAGREE
    assert comparison.label == label


def test_a_mutation_of_nothing_is_not_named(tmp_path: Path) -> None:
    copy = tmp_path / "right.py"
    copy.write_text(Path(inspect.getsourcefile(gru) or "").read_text(encoding="utf-8"), encoding="utf-8")
    comparison = compare("gru", _problem(), code=copy, oracles=["certified"])
    assert comparison.verdict is Verdict.AGREE and comparison.first_wrong is None
