"""Problem: what it refuses and says, and what it keeps."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from gradlab.manual.rnn import Params, State
from gradlab.problem import Array, Inputs, Problem, ProblemError, axes

SIZES = {"T": 5, "B": 2, "I": 3, "H": 4, "O": 6}
SHAPES = {"x": "TBI", "W_input": "IH", "W_hidden": "HH", "W_output": "HO", "a_initial": "BH", "y": "TBO"}


def _arrays(dtype: Any = np.float64) -> dict[str, Any]:
    generator = np.random.default_rng(7)
    return {n: generator.random([SIZES[a] for a in letters]).astype(dtype) for n, letters in SHAPES.items()}


def _problem(**changed: Any) -> Problem:
    a = _arrays() | changed
    return Problem(Params(a["W_input"], a["W_hidden"], a["W_output"]), a["x"], a["y"], State(a["a_initial"]))


def _with(name: str, value: float) -> dict[str, Array]:
    array = _arrays()[name]
    array[(1,) * array.ndim] = value
    return {name: array}


NARROW = {name: array.astype(np.float32) for name, array in _arrays().items()}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "x without a batch axis": (
        {"x": np.ones((5, 3))},
        r"x has shape \(5, 3\), wanted \(T, B, I\): 3 axes, not 2",
    ),
    "weights as a vector": (
        {"W_output": np.ones(4)},
        r"W_output has shape \(4,\), wanted \(H, O\): 2 axes, not 1",
    ),
    "scalar": ({"a_initial": 0.5}, r"a_initial has shape \(\), wanted \(B, H\): 2 axes, not 0"),
    "inputs of another length": (
        {"W_input": np.ones((2, 4))},
        r"W_input has shape \(2, 4\), wanted \(I, H\) = \(3, 4\)",
    ),
    "W_hidden not square": (
        {"W_hidden": np.ones((4, 5))},
        r"W_hidden has shape \(4, 5\), wanted \(H, H\) = \(4, 4\)",
    ),
    "W_output transposed": (
        {"W_output": np.ones((6, 4))},
        r"W_output has shape \(6, 4\), wanted \(H, O\) = \(4, 4\)",
    ),
    "state of another batch": (
        {"a_initial": np.ones((1, 4))},
        r"a_initial has shape \(1, 4\), wanted \(B, H\) = \(2, 4\)",
    ),
    "one target too few": ({"y": np.ones((4, 2, 6))}, r"y has shape \(4, 2, 6\), wanted \(T, B, O\) = \(5, 2, 6\)"),
    "outputs of another number": (
        {"y": np.ones((5, 2, 5))},
        r"y has shape \(5, 2, 5\), wanted \(T, B, O\) = \(5, 2, 6\)",
    ),
    "empty sequence": ({"x": np.ones((0, 2, 3))}, r"x has shape \(0, 2, 3\), wanted \(T, B, I\) with T at least 1"),
    "no hidden units": ({"W_input": np.ones((3, 0))}, r"W_input has shape \(3, 0\), wanted \(I, H\) with H at least 1"),
    "NaN": (_with("W_hidden", np.nan), r"W_hidden\[1, 1\] = nan: every value must be finite"),
    "infinity": (_with("x", -np.inf), r"x\[1, 1, 1\] = -inf: every value must be finite"),
    "NaN target": (_with("y", np.nan), r"y\[1, 1, 1\] = nan: every value must be finite"),
    "integers": ({"x": np.ones((5, 2, 3), int)}, r"x has dtype int64, wanted float32 or float64"),
    "integer weights": ({"W_input": np.ones((3, 4), int)}, r"W_input has dtype int64, wanted float32 or float64"),
    "objects": ({"a_initial": np.ones((2, 4), object)}, r"a_initial has dtype object, wanted float32 or float64"),
    "float16": ({"x": np.ones((5, 2, 3), np.float16)}, r"x has dtype float16, wanted float32 or float64"),
    "complex": ({"y": np.ones((5, 2, 6), complex)}, r"y has dtype complex128, wanted float32 or float64"),
    "one array in float32": (
        {"W_output": NARROW["W_output"]},
        r"W_output has dtype float32, x has float64: all arrays must have one dtype",
    ),
    "x alone in float32": (
        {"x": NARROW["x"]},
        r"W_input has dtype float64, x has float32: all arrays must have one dtype",
    ),
    "target over 1": (_with("y", 1.5), r"y\[1, 1, 1\] = 1\.5: a target must lie in \[0, 1\]"),
    "target under 0": (_with("y", -1e-9), r"y\[1, 1, 1\] = -1e-09: a target must lie in \[0, 1\]"),
    "ragged weights": ({"W_input": [[1.0], [1.0, 2.0]]}, r"W_input is not an array: .*inhomogeneous"),
    "ragged x": ({"x": [[[1.0]], [[1.0, 2.0]]]}, r"x is not an array: .*inhomogeneous"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    changed, message = REFUSED[name]
    with pytest.raises(ProblemError, match=message):
        _problem(**changed)


def test_the_problem_that_is_spoiled_above_is_valid() -> None:
    assert _problem().sizes == SIZES
    assert _problem(**NARROW).dtype == np.float32


def test_the_bounds_of_a_target_are_targets() -> None:
    assert _problem(**_with("y", 0.0)).y[1, 1, 1] == 0
    assert _problem(**_with("y", 1.0)).y[1, 1, 1] == 1


def test_lists_are_accepted() -> None:
    assert np.array_equal(_problem(x=_arrays()["x"].tolist()).x, _arrays()["x"])


class _Record(NamedTuple):
    W: Annotated[Array, "G H"]
    bias: Annotated[Array, "H", "a meaning"]
    plain: Any


def test_axes_are_read_from_the_annotations() -> None:
    assert axes(Params) == {"W_input": ("I", "H"), "W_hidden": ("H", "H"), "W_output": ("H", "O")}
    assert axes(_Record) == {"W": ("G", "H"), "bias": ("H",)}


def test_float32_to_float64_is_exact_and_back() -> None:
    narrow = _problem(**NARROW)
    wide = narrow.astype(np.float64)
    for name, array in wide.arrays().items():
        assert array.dtype == np.float64
        assert [float(v) for v in array.flat] == [float(v) for v in narrow.arrays()[name].flat]
    back = wide.astype(np.float32)
    assert all(np.array_equal(array, narrow.arrays()[name]) for name, array in back.arrays().items())


def test_astype_rounds_what_float32_cannot_hold() -> None:
    narrow = _problem().astype(np.float32)
    assert narrow.dtype == np.float32
    assert not np.array_equal(narrow.x.astype(np.float64), _problem().x)


@pytest.mark.parametrize("dtype", [np.float16, int, complex], ids=lambda d: np.dtype(d).name)
def test_astype_refuses_other_dtypes(dtype: Any) -> None:
    with pytest.raises(ProblemError, match=rf"has dtype {np.dtype(dtype)}, wanted float32 or float64"):
        _problem().astype(dtype)


def test_arrays_are_read_only_copies() -> None:
    given = _arrays()
    problem = _problem(**given)
    before = {name: array.copy() for name, array in problem.arrays().items()}
    for array in given.values():
        array[...] = 0
    for name, array in problem.arrays().items():
        assert np.array_equal(array, before[name])
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_inputs_are_fresh_and_writable() -> None:
    problem = _problem()
    first, second = problem.inputs(), problem.inputs()
    for inputs in (first, second):
        for name, array in inputs.named():
            assert np.array_equal(array, problem.arrays()[name])
    for _, array in first.named():
        array[...] = 0
    first.y[...] = 0
    assert all(array.any() for _, array in second.named()) and second.y.any()
    assert all(array.any() for array in problem.arrays().values())


def test_inputs_are_converted() -> None:
    inputs = _problem().inputs(lambda array: array.astype(complex))
    assert isinstance(inputs, Inputs)
    assert {array.dtype.name for _, array in inputs.named()} | {inputs.y.dtype.name} == {"complex128"}


def test_named_arrays_are_those_that_a_loss_is_differentiated_by() -> None:
    assert [name for name, _ in _problem().inputs().named()] == ["x", "W_input", "W_hidden", "W_output", "a_initial"]


@pytest.mark.parametrize("name", ["x", "W_input", "W_hidden", "W_output", "a_initial"])
def test_with_array_replaces_one_and_leaves_the_rest(name: str) -> None:
    inputs = _problem().inputs()
    changed = inputs.with_array(name, "new")
    assert dict(changed.named()) == dict(inputs.named()) | {name: "new"}
    assert changed.y is inputs.y
    assert type(changed.params) is Params and type(changed.state) is State
    assert isinstance(dict(inputs.named())[name], np.ndarray)


def test_with_array_refuses_a_name_that_no_array_has() -> None:
    with pytest.raises(ValueError, match="W_hiden"):
        _problem().inputs().with_array("W_hiden", np.ones(1))
