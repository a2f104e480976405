"""Equations: labels found on their lines, and functions run with some of them nudged or given."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gradlab.equations import Equation, EquationError, equations, forced, nudged
from gradlab.manual import rnn
from gradlab.problem import Array

NETS = ("net_hidden", "net_output")
_count = itertools.count()
Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A module from its source."""

    def load(source: str) -> ModuleType:
        # a name of its own for each: the line cache and the cache of equations() go by file and function
        name = f"gradlab_test_equations_{next(_count)}"
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(source))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


CHAIN = """
    import numpy as np

    TWO = 2.0


    def chain(x, T):
        first = np.empty_like(x)
        for t in range(T):
            first[t] = TWO * x[t]                # toy.first
        second = (
            first
            + 1.0
        )                                        # toy.second
        third = second * first  # toy.third
        return first, second, third
"""


def _arrays(T: int = 4, B: int = 2, seed: int = 0) -> tuple[rnn.Params, Array, Array, rnn.State]:
    draw = np.random.default_rng(seed).normal
    params = rnn.Params(draw(size=(3, 5)), draw(size=(5, 5)), draw(size=(5, 2)))
    return params, draw(size=(T, B, 3)), np.abs(np.tanh(draw(size=(T, B, 2)))), rnn.State(np.tanh(draw(size=(B, 5))))


def test_labels_are_found_with_their_lines(load: Load) -> None:
    module = load(CHAIN)
    found = equations(module.chain)
    lines = Path(module.__file__ or "").read_text().splitlines()
    assert list(found) == ["toy.first", "toy.second", "toy.third"]
    assert [e.variable for e in found.values()] == ["first", "second", "third"]
    assert all(lines[e.line - 1].rstrip().endswith(f"# {e.label}") for e in found.values())
    assert found["toy.first"] == Equation("toy.first", "first", 10, "first[t] = TWO * x[t]")
    assert found["toy.third"].name == "third"


@pytest.mark.parametrize("function", [rnn.forward, rnn.loss, rnn.bptt], ids=lambda f: f.__name__)
def test_labels_of_the_rnn_stand_on_the_lines_told(function: Any) -> None:
    lines = inspect.getsource(rnn).splitlines()
    assert equations(function)
    for label, equation in equations(function).items():
        line = lines[equation.line - 1]
        assert line.endswith(f"# {label}") and line.strip().startswith(equation.text)
        assert equation.text.startswith(equation.variable)


def test_a_function_without_labels_has_no_equations(load: Load) -> None:
    assert equations(load("def f(x):\n    y = x  # see x.y for more\n    return y\n").f) == {}


REFUSED = {
    "duplicate": ("a = x            # toy.a\n    b = a            # toy.a", r"\.f, line 3: toy\.a stands twice"),
    "no assignment": ("return x         # toy.a", r"\.f, line 2: toy\.a does not end one assignment to one target"),
    "a comment alone": ("# toy.a\n    return x", r"line 2: toy\.a does not end one assignment"),
    "augmented": ("x += 1           # toy.a", r"line 2: toy\.a does not end one assignment"),
    "two targets": ("a = b = x        # toy.a", r"line 2: toy\.a does not end one assignment to one target"),
    "first line of two": ("a = (x +         # toy.a\n         x)", r"line 2: toy\.a does not end one assignment"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_a_label_that_is_not_on_one_assignment(name: str, load: Load) -> None:
    body, message = REFUSED[name]
    module = load(f"def f(x):\n    {body}\n    return x\n")
    with pytest.raises(EquationError, match=message):
        equations(module.f)
    with pytest.raises(EquationError, match=message):
        nudged(module.f, ("a",))


def test_refuses_a_label_after_two_assignments(load: Load) -> None:
    with pytest.raises(EquationError, match=r"toy\.a does not end one assignment"):
        equations(load("def f(x):\n    a = x; b = x  # toy.a\n    return b\n").f)


def test_zero_nudges_change_nothing() -> None:
    params, x, _, state = _arrays()
    plain = rnn.forward(params, x, state)
    nudges = {name: np.zeros_like(getattr(plain, name)) for name in NETS}
    for got, wanted in zip(nudged(rnn.forward, NETS)(params, x, state, nudges=nudges), plain, strict=True):
        assert np.array_equal(got, wanted)


def test_an_unnamed_equation_is_not_nudged() -> None:
    params, x, _, state = _arrays()
    plain = rnn.forward(params, x, state)
    got = nudged(rnn.forward, ("net_output",))(params, x, state, nudges={"net_output": np.ones_like(plain.net_output)})
    assert np.array_equal(got.a_hidden, plain.a_hidden)
    assert np.array_equal(got.net_output, plain.net_output + 1)


def test_nudges_are_keyword_only_and_needed() -> None:
    params, x, _, state = _arrays()
    with pytest.raises(TypeError, match="nudges"):
        nudged(rnn.forward, NETS)(params, x, state)


@pytest.mark.parametrize("name", NETS)
def test_the_derivative_by_a_nudge_is_the_delta(name: str) -> None:
    params, x, y, state = _arrays()
    trace = rnn.forward(params, x, state)
    delta = rnn.bptt(params, x, y, state, trace).deltas._asdict()[{"net_hidden": "hidden"}.get(name, "output")]
    run = nudged(rnn.forward, NETS)
    step = 1e-5

    def total(by: float, at: tuple[int, ...]) -> float:
        nudges = {n: np.zeros_like(getattr(trace, n)) for n in NETS}
        nudges[name][at] = by
        return float(rnn.loss(run(params, x, state, nudges=nudges).y_hat, y).total)

    # Rounding: 2 · 1e3 · u · L / (2 h) < 1e-6 with L < 10; truncation: h² · |L'''| / 6 < 1e-7 with |L'''| < 1e3.
    for at in np.ndindex(delta.shape):
        assert abs((total(step, at) - total(-step, at)) / (2 * step) - delta[at]) < 1e-6, at
    assert abs(delta).max() > 1e-3


def _upstream_of_bptt(params: Any, x: Array, y: Array, state: Any) -> tuple[tuple[Any, ...], dict[str, Array]]:
    trace = rnn.forward(params, x, state)
    grads = rnn.bptt(params, x, y, state, trace)
    given = {f"delta_{k}": v for k, v in grads.deltas._asdict().items()} | {"grad_W_hidden": grads.params.W_hidden}
    return (params, x, y, state, trace), given


def test_forced_with_the_right_values_gives_them_back() -> None:
    arguments, given = _upstream_of_bptt(*_arrays())
    got = forced(rnn.bptt, given, *arguments)
    assert list(got) == ["delta_output", "delta_explicit", "delta_implicit", "delta_hidden", "grad_W_hidden"]
    for name, value in given.items():
        assert np.array_equal(got[name], value), name


def test_forced_takes_every_upstream_value_as_given() -> None:
    """One wrong given value: its own equation shows it, those fed by it take it, all others stay."""
    arguments, given = _upstream_of_bptt(*_arrays())
    wrong = dict(given, delta_explicit=given["delta_explicit"] + 1)
    got = forced(rnn.bptt, wrong, *arguments)
    assert np.array_equal(got["delta_explicit"], given["delta_explicit"])
    assert np.array_equal(got["delta_hidden"], wrong["delta_explicit"] + given["delta_implicit"])
    for name in ("delta_output", "delta_implicit", "grad_W_hidden"):
        assert np.array_equal(got[name], given[name]), name


def test_forced_isolates_a_wrong_equation(load: Load) -> None:
    """`second` is wrong and feeds `third`: given the truth, only `second` disagrees."""
    truth, wrong = load(CHAIN), load(CHAIN.replace("+ 1.0", "+ 1.5"))
    x = np.arange(3.0)
    given = dict(zip(("first", "second", "third"), truth.chain(x, 3), strict=True))
    plain = dict(zip(given, wrong.chain(x, 3), strict=True))
    got = forced(wrong.chain, given, x, 3)
    assert [n for n in given if not np.array_equal(plain[n], given[n])] == ["second", "third"]
    assert [n for n in given if not np.array_equal(got[n], given[n])] == ["second"]
    assert np.array_equal(got["second"], given["second"] + 0.5)


def test_forced_leaves_the_given_arrays_alone() -> None:
    arguments, given = _upstream_of_bptt(*_arrays())
    before = {name: value.copy() for name, value in given.items()}
    forced(rnn.bptt, given, *arguments)
    assert all(np.array_equal(value, before[name]) for name, value in given.items())


def test_a_traceback_names_the_line_that_people_read(load: Load) -> None:
    module = load("def f(x):\n\n    a = x / 0  # toy.a\n    return a\n")
    with pytest.raises(ZeroDivisionError) as raised:
        nudged(module.f, ("a",))(1, nudges={"a": 0})
    last = raised.traceback[-1]
    assert Path(last.path).name == Path(module.__file__ or "").name and last.lineno + 1 == 3


def test_default_arguments_and_globals_are_those_of_the_module(load: Load) -> None:
    module = load("K = 3\n\n\ndef f(x, by=K):\n    a = x * by * K  # toy.a\n    return a\n")
    assert nudged(module.f, ("a",))(2, nudges={"a": 1}) == 19
