"""What every oracle says, in which form; and that an oracle is a file."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlab import oracles
from gradlab.oracles.evidence import Evidence

SHIPPED = ("autodiff", "certified", "complex_step", "finite_difference")
FLOATS = ("autodiff", "complex_step", "finite_difference")

FIFTH = """
from gradlab.oracles import complex_step

PRECISIONS = (53,)

def evidence(cell, problem, bits=53):
    return complex_step.evidence(cell, problem)._replace(oracle="fifth")
"""


@pytest.fixture
def fifth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of oracles, with one in it, beside gradlab's own."""
    (tmp_path / "fifth.py").write_text(FIFTH)
    monkeypatch.setattr(oracles, "__path__", [*oracles.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in ("fifth", "_helper", "evidence_of_nothing"):
        sys.modules.pop(f"gradlab.oracles.{name}", None)
        vars(oracles).pop(name, None)


def test_the_four() -> None:
    assert tuple(oracles.names()) == SHIPPED


def test_an_unknown_oracle_is_refused_with_those_there_are() -> None:
    with pytest.raises(KeyError, match=r"no oracle is called 'guess'; there are autodiff, certified, complex_step"):
        oracles.oracle("guess")


@pytest.mark.parametrize("name", ["evidence", "_rounding", "_recording"])
def test_what_is_no_oracle_is_not_given(name: str) -> None:
    with pytest.raises(KeyError, match="no oracle is called"):
        oracles.oracle(name)


def test_an_oracle_is_a_file(fifth: Path, lab: Any) -> None:
    assert oracles.names() == [*SHIPPED[:3], "fifth", "finite_difference"]
    said = oracles.oracle("fifth").evidence(lab.rnn, lab.problem())
    assert said.oracle == "fifth" and set(said.values) == set(said.bounds)


def test_a_file_with_an_underscore_is_none(fifth: Path) -> None:
    (fifth / "_helper.py").write_text(FIFTH)
    assert "_helper" not in oracles.names()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_oracle_has_the_same_face(name: str) -> None:
    module = oracles.oracle(name)
    assert list(module.PRECISIONS) == sorted(set(module.PRECISIONS)) and min(module.PRECISIONS) >= 53
    assert list(inspect.signature(module.evidence).parameters) == ["cell", "problem", "bits"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_gradient_and_every_delta_in_its_shape(name: str, dtype: type, lab: Any) -> None:
    given = lab.problem(5, 3, 2, 4, 1).astype(dtype)
    module = oracles.oracle(name)
    said = module.evidence(lab.rnn, given, module.PRECISIONS[0])
    assert isinstance(said, Evidence) and said.oracle == name
    wanted = {q.name for kind in ("grad", "delta") for q in lab.rnn.of_kind(kind)}
    whole = {q.name for q in lab.rnn.of_kind("trace")} | {"loss"} if name in ("autodiff", "certified") else set()
    assert set(said.values) == wanted | whole
    for quantity, value in said.values.items():
        shape = tuple(given.sizes[letter] for letter in lab.rnn.quantities[quantity].axes)
        assert value.shape == shape, quantity


@pytest.mark.parametrize("name", FLOATS)
def test_floats_come_with_a_bound_for_every_entry(name: str, lab: Any) -> None:
    for one in lab.known[:25]:
        said = oracles.oracle(name).evidence(lab.rnn, one.problem)
        assert said.bits is None and set(said.bounds) == set(said.values)
        for quantity, value in said.values.items():
            bound = said.bounds[quantity]
            assert value.dtype == bound.dtype == np.float64 and value.shape == bound.shape
            assert (bound >= 0).all() and np.isfinite(value[np.isfinite(bound)]).all()


def test_balls_carry_their_own_bounds(lab: Any) -> None:
    said = oracles.oracle("certified").evidence(lab.rnn, lab.problem(), 128)
    assert said.bits == 128 and said.bounds == {}
    assert all(value.dtype == object for value in said.values.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_float32_is_taken_as_the_exact_numbers_it_holds(name: str, lab: Any) -> None:
    given = lab.problem(kind="float32")
    module = oracles.oracle(name)
    said, wide = (module.evidence(lab.rnn, p) for p in (given, given.astype(np.float64)))
    for quantity, value in said.values.items():
        if name == "certified":
            assert [str(ball) for ball in value.flat] == [str(ball) for ball in wide.values[quantity].flat]
        else:
            assert np.array_equal(value, wide.values[quantity])
            assert np.array_equal(said.bounds[quantity], wide.bounds[quantity])


@pytest.mark.parametrize("name", SHIPPED)
def test_an_oracle_leaves_the_problem_as_it_is(name: str, lab: Any) -> None:
    given = lab.problem(3, 2, 2, 2, 2)
    before = {key: array.tobytes() for key, array in given.arrays().items()}
    oracles.oracle(name).evidence(lab.rnn, given)
    assert {key: array.tobytes() for key, array in given.arrays().items()} == before


# The last step has no later losses, whatever the weights: nothing is rounded, and nothing is open.
@pytest.mark.parametrize("name", FLOATS)
def test_the_implicit_delta_of_the_last_step_is_exactly_zero(name: str, lab: Any) -> None:
    for one in lab.known[:10]:
        said = oracles.oracle(name).evidence(lab.rnn, one.problem)
        assert not said.values["delta_implicit"][-1].any() and not said.bounds["delta_implicit"][-1].any()


@pytest.mark.parametrize("name", ["autodiff", "complex_step"])
def test_what_a_weight_of_zero_cuts_off_is_exactly_zero(name: str, lab: Any) -> None:
    given = lab.problem()
    given = type(given)(given.params._replace(W_output=0 * given.params.W_output), given.x, given.y, given.state)
    said = oracles.oracle(name).evidence(lab.rnn, given)
    cut_off = ["delta_explicit", "delta_implicit", "delta_hidden", "grad_W_input", "grad_W_hidden", "grad_x"]
    for quantity in [*cut_off, "grad_a_initial"]:
        assert not said.values[quantity].any() and not said.bounds[quantity].any(), quantity
    assert said.values["grad_W_output"].all() and said.bounds["grad_W_output"].all()


@pytest.mark.parametrize(
    "name",
    ["autodiff", "complex_step", "finite_difference"],
)
def test_where_float64_overflows_nothing_is_claimed(name: str, lab: Any) -> None:
    with np.errstate(all="ignore"):
        said = oracles.oracle(name).evidence(lab.rnn, lab.problem(scale=1e300))
    assert not any(np.isnan(bound).any() for bound in said.bounds.values())
    assert all((np.isinf(bound) | np.isfinite(said.values[quantity])).all() for quantity, bound in said.bounds.items())
