"""Trees of the same shapes, drawn by Hypothesis."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis.errors import InvalidArgument

from gradlab.gradients import assert_gradient
from gradlab.strategies import params_like

Pair = namedtuple("Pair", "w n")
TREE = {"a": np.zeros((2, 3)), "b": [np.zeros(4, np.float32), 0.5], "c": Pair(np.zeros((1, 1)), np.array([3, 1]))}


@given(params_like(TREE, scales=(1.0, 1e-3)))
def test_shapes_types_and_integers_are_kept(drawn) -> None:
    assert drawn.keys() == TREE.keys() and drawn["a"].shape == (2, 3) and drawn["a"].dtype == float
    assert drawn["b"][0].dtype == np.float32 and type(drawn["b"][1]) is float and type(drawn["b"]) is list
    assert type(drawn["c"]) is Pair and drawn["c"].n is TREE["c"].n
    assert np.abs(drawn["a"]).max() <= 1


def test_scales_are_reached() -> None:
    found = find(params_like(np.zeros(3), scales=(1.0, 1e-3)), lambda w: 0 < np.abs(w).max() <= 1e-3)
    assert found.tolist() == [1e-3] * 3


@given(params_like({"w": np.zeros(3)}, mixed=True))
def test_a_gradient_can_be_asserted_on_them(params) -> None:
    assert_gradient(lambda p: np.sum(np.exp(p["w"])), lambda p: {"w": np.exp(p["w"])}, params)


@pytest.mark.parametrize(
    ("tree", "options", "message"),
    [
        ({"a": np.array([1])}, {}, "no float arrays"),
        (np.zeros(0), {}, r"shape \(0,\) has no entries"),
        (np.zeros(2, complex), {}, "must be float32 or float64"),
        (np.zeros(2), {"scales": ()}, "scales"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tree, options, message) -> None:
    with pytest.raises(InvalidArgument, match=message):
        params_like(tree, **options)
