"""Strategies: what they reach, what they shrink to, what they refuse."""

from __future__ import annotations

import gc
import sys
import types
from random import Random
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import InvalidArgument, NoSuchExample
from hypothesis.strategies import SearchStrategy

from gradlab import cells, strategies
from gradlab.manual import rnn
from gradlab.manual.gates import multiply
from gradlab.problem import Array, Problem

# Phase.explain is left out: it re-runs a found example hundreds of times to comment on it.
SEARCH = settings(
    max_examples=2000,
    phases=[Phase.generate, Phase.shrink],
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
REACH = settings(SEARCH, phases=[Phase.generate])
EVERY = settings(REACH, max_examples=150)


def _trace(problem: Problem) -> rnn.Trace:
    inputs = problem.inputs()
    return rnn.forward(inputs.params, inputs.x, inputs.state)


def _largest_net(problem: Problem) -> float:
    trace = _trace(problem)
    return float(max(abs(trace.net_hidden).max(), abs(trace.net_output).max()))


def _magnitudes(array: Array) -> tuple[float, float]:
    nonzero = abs(array[array != 0])
    return (float(nonzero.min()), float(nonzero.max())) if nonzero.size else (1.0, 1.0)


def _is_bits(array: Array) -> bool:
    return bool(np.isin(array, (0, 1)).all())


def _all_magnitudes(problem: Problem) -> list[tuple[float, float]]:
    return [_magnitudes(array) for array in problem.params]


FEATURES = {
    "one step": lambda p: p.sizes["T"] == 1,
    "longest": lambda p: p.sizes["T"] == 6,
    "batch of one": lambda p: p.sizes["B"] == 1,
    "largest batch": lambda p: p.sizes["B"] == 3,
    "distinct sizes": lambda p: len(set(p.sizes.values())) == 5,
    "saturated hidden unit": lambda p: abs(_trace(p).net_hidden).max() > 20,
    "saturated output unit": lambda p: abs(_trace(p).net_output).max() > 20,
    "heavily saturated unit": lambda p: _largest_net(p) > 300,
    "negatively saturated unit": lambda p: _trace(p).net_hidden.min() < -100,
    "no saturated unit": lambda p: _largest_net(p) < 5,
    "smallest scale throughout": lambda p: all(high <= 1e-6 for _, high in _all_magnitudes(p)),
    "largest scale throughout": lambda p: all(low >= 1 / 128 for low, _ in _all_magnitudes(p)),
    "scales mixed by array": lambda p: (
        p.params.W_hidden.any() and _magnitudes(p.params.W_hidden)[1] <= 1e-6 and _magnitudes(p.params.W_input)[0] > 0.1
    ),
    "scales mixed by entry": lambda p: (
        _magnitudes(p.params.W_hidden)[0] < 1e-6 < 0.1 < _magnitudes(p.params.W_hidden)[1] <= 1
    ),
    "zero beside nonzero": lambda p: bool(0 < np.count_nonzero(p.params.W_hidden) < p.params.W_hidden.size),
    "inputs of bits": lambda p: _is_bits(p.x) and len(set(p.x.flat)) == 2,
    "real inputs": lambda p: p.x.min() < 0,
    "targets of bits": lambda p: _is_bits(p.y) and len(set(p.y.flat)) == 2,
    "real targets": lambda p: not _is_bits(p.y),
    "zero state": lambda p: not p.state.a_initial.any(),
    "nonzero state": lambda p: bool(p.state.a_initial.all()),
    "asymmetric recurrence": lambda p: not np.allclose(p.params.W_hidden, p.params.W_hidden.T, rtol=0.5),
}


@pytest.mark.parametrize("name", FEATURES)
def test_reaches(name: str) -> None:
    find(strategies.problems(), FEATURES[name], settings=REACH)


def test_a_search_for_what_is_never_drawn_fails() -> None:
    with pytest.raises(NoSuchExample):
        find(strategies.problems(), lambda p: p.sizes["T"] > 6, settings=EVERY)


@EVERY
@given(strategies.problems(dtypes=("float64", "float32"), max_steps=4))
def test_every_problem_is_valid_and_within_its_bounds(problem: Problem) -> None:
    assert set(problem.sizes) == set("TBIHO") and problem.sizes["T"] <= 4
    assert len({array.dtype for array in problem.arrays().values()}) == 1
    assert abs(problem.x).max() <= 1 and abs(problem.state.a_initial).max() < 1
    assert _largest_net(problem) <= (700 if problem.dtype == np.float64 else np.log(np.finfo(np.float32).max))
    smallest = min(low for low, _ in _all_magnitudes(problem))
    assert smallest > 7e-9  # 1e-6 / 128: products of six of them stay far above underflow


@EVERY
@given(strategies.problems(scales=(1.0,), saturation=0.0))
def test_without_saturation_all_weights_lie_within_the_scale(problem: Problem) -> None:
    assert max(high for _, high in _all_magnitudes(problem)) <= 1


@EVERY
@given(strategies.problems(saturation=50.0))
def test_no_pre_activation_exceeds_the_saturation_asked_for(problem: Problem) -> None:
    assert _largest_net(problem) <= 50


@EVERY
@given(strategies.problems(saturation=42.0, min_hidden=12, max_hidden=12, scales=(1.0,)))
def test_the_other_weights_count_towards_the_saturation_asked_for(problem: Problem) -> None:
    heaviest = sum(float(abs(array).sum(axis=0).max()) for array in problem.params)
    assert heaviest <= 42 or max(high for _, high in _all_magnitudes(problem)) <= 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_reaches_each_dtype(dtype: str) -> None:
    problem = find(strategies.problems(dtypes=("float64", "float32")), lambda p: p.dtype == dtype, settings=REACH)
    assert all(array.dtype == dtype for array in problem.arrays().values())


@EVERY
@given(strategies.problems(bits=True))
def test_bits_are_bits(problem: Problem) -> None:
    assert _is_bits(problem.x) and _is_bits(problem.y)


def test_reals_can_be_demanded() -> None:
    both = strategies.problems(bits=False)
    find(both, lambda p: not _is_bits(p.x) and not _is_bits(p.y), settings=settings(REACH, max_examples=50))


def test_sizes_can_be_fixed_and_large() -> None:
    fixed = {"steps": 3, "batch": 2, "inputs": 5, "hidden": 20}
    drawn = strategies.problems(**{f"{end}_{word}": n for word, n in fixed.items() for end in ("min", "max")})
    # 400 entries repeat a pool of 127: no two rows may become the same by that alone
    problem = find(drawn, lambda p: len(np.unique(p.params.W_hidden, axis=0)) == 20, settings=REACH)
    assert problem.sizes | {"O": 0} == {"T": 3, "B": 2, "I": 5, "H": 20, "O": 0}


class _Params(NamedTuple):
    W_gates: Annotated[Array, "G H H"]
    bias: Annotated[Array, "H"]
    peephole: Annotated[Array, "Z"]


class _State(NamedTuple):
    c_initial: Annotated[Array, "B H"]
    h_initial: Annotated[Array, "B Z"]


def test_any_cell_and_any_axis_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("gradlab_test_cell")
    module.Params, module.State = _Params, _State  # type: ignore[attr-defined]
    monkeypatch.setitem(cells.CELLS, "other", module.__name__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cells, "cell", lambda name: types.SimpleNamespace(module=module))
    drawn = strategies.problems("other", min_other=2, max_other=5)
    problem = find(drawn, lambda p: p.params.W_gates.shape[0] == 5 and p.params.bias.max() > 20, settings=REACH)
    assert problem.params.peephole.shape == problem.state.h_initial.shape[1:]


def _explicit_in_recursion(problem: Problem) -> bool:
    """Whether the first seed's mistake shows: the explicit delta of t+1 in the place of its total delta."""
    inputs, trace = problem.inputs(), _trace(problem)
    right = rnn.bptt(inputs.params, inputs.x, inputs.y, inputs.state, trace).deltas
    later = np.concatenate([right.explicit[1:], np.zeros_like(right.explicit[:1])])
    wrong = multiply(later, inputs.params.W_hidden.T) * trace.a_hidden * (1 - trace.a_hidden)
    return not np.allclose(wrong, right.implicit, rtol=1e-9, atol=0)


def _missing_transpose(problem: Problem) -> bool:
    inputs, trace = problem.inputs(), _trace(problem)
    right = rnn.bptt(inputs.params, inputs.x, inputs.y, inputs.state, trace).deltas
    later = np.concatenate([right.hidden[1:], np.zeros_like(right.hidden[:1])])
    wrong = multiply(later, inputs.params.W_hidden) * trace.a_hidden * (1 - trace.a_hidden)
    return not np.allclose(wrong, right.implicit, rtol=1e-9, atol=0)


ONES = {"B": 1, "I": 1, "H": 1, "O": 1}
SHRUNK = {
    "anything": (lambda p: True, ONES | {"T": 1}),
    "three steps": (lambda p: p.sizes["T"] >= 3, ONES | {"T": 3}),
    "explicit delta in the recursion": (_explicit_in_recursion, ONES | {"T": 3}),
    "missing transpose": (_missing_transpose, ONES | {"T": 2, "H": 2}),
}


@pytest.mark.parametrize("name", SHRUNK)
def test_shrinks_to_the_simplest(name: str) -> None:
    shows, sizes = SHRUNK[name]
    problem = find(strategies.problems(dtypes=("float64", "float32")), shows, settings=SEARCH)
    assert problem.sizes == sizes and problem.dtype == np.float64
    numbers = {float(v) for array in problem.arrays().values() for v in array.flat}
    assert numbers <= {0.0, 1.0} | ({0.5, -1.0} if name == "missing transpose" else set())
    assert all(array.all() for array in problem.params) and problem.x.all()
    assert not problem.state.a_initial.any() and not problem.y.any()


@pytest.mark.parametrize("start", range(3))
def test_shrinks_to_the_smallest_sizes_from_anywhere(start: int) -> None:
    """An odd entry in a far corner would hold the sizes up, if shrinking did not move it to the near one."""
    begin = settings(SEARCH, derandomize=False)
    problem = find(strategies.problems(), _missing_transpose, settings=begin, random=Random(start))
    assert problem.sizes == ONES | {"T": 2, "H": 2}


@pytest.mark.parametrize("scales", [(1.0, 1e-6), (1e-6, 1.0)], ids=str)
def test_shrinks_to_the_first_scale(scales: tuple[float, ...]) -> None:
    problem = find(strategies.problems(scales=scales), lambda p: p.sizes["T"] >= 2, settings=SEARCH)
    assert problem.params.W_hidden.item() == scales[0]


def test_sizes_of_letters_that_no_cell_has_yet() -> None:
    drawn = find(strategies.sizes("TG", max_other=7), lambda n: n["G"] == 7, settings=SEARCH)
    assert drawn == {"T": 1, "G": 7}


def test_weights_are_scaled() -> None:
    drawn = find(strategies.weights((2, 3), scales=(0.1, 1e-3)), lambda w: w.max() == 1e-3, settings=REACH)
    assert drawn.shape == (2, 3)
    mixed = strategies.weights((2, 3), scales=(1.0, 1e-6), mixed=True)
    find(mixed, lambda w: _magnitudes(w)[0] <= 1e-6 and _magnitudes(w)[1] >= 0.1, settings=REACH)


@pytest.mark.parametrize("targets", [False, True], ids=["inputs", "targets"])
def test_sequences_are_bits_and_reals(targets: bool) -> None:
    drawn = strategies.sequences((3, 2, 2), targets=targets, dtype="float32")
    assert find(drawn, lambda x: not _is_bits(x), settings=REACH).dtype == np.float32
    assert _is_bits(find(drawn, lambda x: True, settings=SEARCH))
    assert (find(drawn, lambda x: len(set(x.flat)) > 5, settings=REACH).min() < 0) is not targets


def test_states_are_zero_or_inside_one() -> None:
    assert not find(strategies.states((2, 2)), lambda s: True, settings=SEARCH).any()
    assert find(strategies.states((2, 2)), lambda s: bool(s.all()), settings=SEARCH).max() == 0.5


def test_the_table_of_entries() -> None:
    assert strategies.REALS[:5].tolist() == [1, 0.5, -1, -0.5, 0]
    assert len(strategies.REALS) == 256 and np.count_nonzero(strategies.REALS) == 240
    assert abs(strategies.REALS).max() == 1
    assert np.array_equal(strategies.REALS * 128, np.rint(strategies.REALS * 128))


REFUSED: dict[str, tuple[Any, str]] = {
    "unknown cell": (lambda: strategies.problems("elman"), r"cell='elman' is not registered; there are .*rnn"),
    "steps the wrong way round": (
        lambda: strategies.problems(min_steps=4, max_steps=2),
        r"min_steps=4 is larger than max_steps=2",
    ),
    "hidden the wrong way round": (
        lambda: strategies.problems(min_hidden=5),
        r"min_hidden=5 is larger than max_hidden=4",
    ),
    "others the wrong way round": (lambda: strategies.sizes(min_other=9), r"min_other=9 is larger than max_other=3"),
    "no steps": (lambda: strategies.problems(min_steps=0), r"min_steps=0 must be an integer, at least 1"),
    "negative batch": (lambda: strategies.problems(max_batch=-1), r"max_batch=-1 must be an integer, at least 1"),
    "fractional inputs": (lambda: strategies.problems(max_inputs=2.5), r"max_inputs=2\.5 must be an integer"),
    "boolean outputs": (lambda: strategies.sizes(max_outputs=True), r"max_outputs=True must be an integer"),
    "no scales": (lambda: strategies.problems(scales=()), r"scales=\(\) must be a tuple of at least one number"),
    "a scale for scales": (lambda: strategies.problems(scales=0.1), r"scales=0\.1 must be a tuple"),
    "zero scale": (lambda: strategies.weights((2,), scales=(1.0, 0.0)), r"scales=\(1\.0, 0\.0\): 0\.0 must be a"),
    "scale of text": (lambda: strategies.problems(scales=("1",)), r"scales=\('1',\): '1' must be a number"),
    "scale not finite": (lambda: strategies.problems(scales=(float("nan"),)), r"nan must be a number from 1e-30"),
    "no dtypes": (lambda: strategies.problems(dtypes=[]), r"dtypes=\[\] must be a tuple of at least one dtype"),
    "integer dtype": (lambda: strategies.problems(dtypes=("int64",)), r"dtypes: 'int64' must be float32 or float64"),
    "unknown dtype": (lambda: strategies.states((2,), dtype="decimal"), r"dtype: 'decimal' must be float32 or float64"),
    "no dtype": (lambda: strategies.states((2,), dtype=None), r"dtype: None must be float32 or float64"),
    "bits by a word": (lambda: strategies.problems(bits="yes"), r"bits='yes' must be True, False or None"),
    "bits by a number": (lambda: strategies.problems(bits=1), r"bits=1 must be True, False or None"),
    "negative saturation": (lambda: strategies.problems(saturation=-1), r"saturation=-1 must be a finite number"),
    "endless saturation": (lambda: strategies.problems(saturation=float("inf")), r"saturation=inf must be a finite"),
    "empty shape": (lambda: strategies.weights(()), r"shape=\(\) must be a tuple of at least one size"),
    "number for a shape": (lambda: strategies.sequences(3), r"shape=3 must be a tuple"),
    "size zero": (lambda: strategies.states((2, 0)), r"shape\[1\]=0 must be an integer, at least 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_at_once(name: str) -> None:
    call, message = REFUSED[name]
    with pytest.raises(InvalidArgument, match=message):
        call()


def test_bounds_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        strategies.problems("rnn", 2)  # type: ignore[misc]


def test_asking_again_and_again_keeps_nothing() -> None:
    """Hypothesis keeps every strategy made of a new one: what is held would grow with each call of `check`."""

    def held() -> int:
        gc.collect()
        return sum(isinstance(one, SearchStrategy) for one in gc.get_objects())

    strategies.problems("rnn")
    before = held()
    for _ in range(3):
        strategies.problems("rnn")
    assert held() == before
