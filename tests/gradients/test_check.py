"""What check_gradient says of small losses: verdicts, conventions, oracles, and every guard."""

from __future__ import annotations

import json
import time
from collections import namedtuple

import jax.numpy as jnp
import numpy as np
import pytest

from gradlab.checker.verdict import Verdict
from gradlab.gradients import GradientCheckError, assert_gradient, check_gradient

W = np.array([[0.3, -0.2], [0.5, 0.7]])
Pair = namedtuple("Pair", "w b")


def cubic(w):
    return np.sum(w**3)


def cubic_grad(w):
    return 3 * w**2


def clipped_by_norm(w):
    g = 3 * w**2
    length = np.linalg.norm(g)
    return g * (0.5 / length) if length > 0.5 else g


def inverse(w):
    return np.sum(np.linalg.tensorinv(w, ind=1))  # which is not recorded


def inverse_grad(w):
    inv = np.linalg.inv(w).T
    return -inv @ np.ones_like(w) @ inv


def unequal(w):
    return sum(np.sum(part**3) for part in (w["a"], w["b"][0], w["b"][1].w)) * w["b"][1].b


TREE = {"a": W, "b": (np.array([0.3, 0.4]), Pair(np.array([0.6]), 0.25))}


def unequal_grad(w):
    a, (c, (d, e)) = w["a"], w["b"]
    total = np.sum(a**3) + np.sum(c**3) + np.sum(d**3)
    return {"a": 3 * a**2 * e, "b": (3 * c**2 * e, Pair(3 * d**2 * e, total))}


def test_a_right_gradient_agrees_to_certified_digits() -> None:
    report = check_gradient(cubic, cubic_grad, W)
    assert report.ok and report.verdict is Verdict.AGREE
    assert report.oracles == ("certified", "float_run")
    assert report.digits > 30 and report.evidence.bits == 128
    assert "agree   to" in str(report) and "certified" in report._repr_html_()


def test_a_nearly_right_gradient_is_proven_wrong() -> None:
    report = check_gradient(cubic, lambda w: 3 * w**2 * (1 + 2.0**-40), W)
    assert report.verdict is Verdict.DISAGREE and report.proven
    assert "nearly right" in report.hints[0]


@pytest.mark.parametrize(
    ("loss", "grad"),
    [
        (lambda w: np.sum(w**3) / 3, lambda w: w**2 * 3 * (1 / 3)),
        (lambda w: np.sum(w) / np.sqrt(3), lambda w: 3**-0.5 + 0 * w),
        (lambda w: np.sum(np.tanh(0.1 * w)), lambda w: (1 - np.tanh(w / 10) ** 2) / 10),
    ],
    ids=["third", "root", "tenth"],
)
def test_a_constant_that_was_rounded_proves_nothing(loss, grad) -> None:
    report = check_gradient(loss, grad, W)
    assert report.verdict is Verdict.AGREE, str(report)
    assert 14 < report.digits < 17


def test_a_tree_is_taken_apart_and_put_together() -> None:
    report = check_gradient(unequal, unequal_grad, TREE)
    assert list(report.leaves) == ["params['a']", "params['b'][0]", "params['b'][1].w", "params['b'][1].b"]
    assert report.ok, str(report)


@pytest.mark.parametrize("subset", ["a", ["a", "b"], "params['b'][0]"])
def test_a_subset_may_be_checked(subset) -> None:
    def wrong(w):
        return unequal_grad(w) | ({"a": w["a"]} if subset == "params['b'][0]" else {})

    assert check_gradient(unequal, wrong, TREE, subset=subset).ok


def test_a_gradient_may_be_without_some_leaves() -> None:
    assert list(check_gradient(unequal, lambda w: {"a": unequal_grad(w)["a"]}, TREE).leaves) == ["params['a']"]
    part = check_gradient(lambda p: p[0] * p[1] ** 2, lambda p: [2 * p[0] * p[1]], (2.0, 3.0), subset=1)
    assert list(part.leaves) == ["params[1]"] and part.ok


@pytest.mark.parametrize(
    ("grad", "declared", "hint"),
    [
        (lambda w: -cubic_grad(w), {"sign": -1}, "agrees if sign=-1"),
        (lambda w: cubic_grad(w) / 8, {"scale": 1 / 8}, "agrees if scale=1/8"),
        (lambda w: -cubic_grad(w) / 7, {"sign": -1, "scale": 1 / 7}, "agrees if sign=-1, scale=1/7"),
        (lambda w: np.clip(cubic_grad(w), -0.3, 0.3), {"clip": 0.3}, "agrees if clip=0.3"),
        (lambda w: np.clip(cubic_grad(w), -0.3, 0.3), {"clip": ("value", 0.3)}, "agrees if clip=0.3"),
        (clipped_by_norm, {"clip": ("norm", 0.5)}, "agrees if clip=('norm', 0.5)"),
    ],
    ids=["sign", "scale", "both", "clip", "value", "norm"],
)
@pytest.mark.parametrize("oracle", ["certified", "finite_difference"])
def test_a_convention_is_declared_never_guessed(grad, declared, hint, oracle) -> None:
    loss = cubic if oracle == "certified" else lambda w: cubic(w) + 0.0 * inverse(w)
    undeclared = check_gradient(loss, grad, W)
    assert oracle in undeclared.oracles
    assert undeclared.verdict is Verdict.DISAGREE
    assert hint in " ".join(undeclared.hints)
    assert check_gradient(loss, grad, W, **declared).ok
    assert check_gradient(loss, lambda w: 1.01 * grad(w), W, **declared).verdict is Verdict.DISAGREE


def test_lapack_is_left_to_the_noisy_oracles_and_said_so() -> None:
    report = check_gradient(inverse, inverse_grad, W)
    assert report.ok and report.oracles == ("finite_difference", "complex_step")
    assert "np.linalg.tensorinv" in report.refused["certified"] and not report.proven
    assert 7 < report.digits < 15
    assert "estimate" in str(report)
    wrong = check_gradient(inverse, lambda w: inverse_grad(w).T, W)
    assert wrong.verdict is Verdict.DISAGREE and "transposed" in wrong.hints[0]
    assert "beyond every error bound" in str(wrong)


def test_a_twin_is_one_more_oracle() -> None:
    report = check_gradient(inverse, inverse_grad, W, twin=lambda w: jnp.sum(jnp.linalg.inv(w)))
    assert report.ok and "twin" in report.oracles
    with pytest.raises(GradientCheckError, match=r"^twin gives \[4\.5.* where loss gives \[2\.2"):
        check_gradient(inverse, inverse_grad, W, twin=lambda w: 2 * jnp.sum(jnp.linalg.inv(w)))
    wrong = check_gradient(cubic, lambda w: 3 * w, W, twin=lambda w: jnp.sum(w**3))
    assert wrong.leaves["params"].tallies["twin"].disagree == 4


@pytest.mark.parametrize(
    ("loss", "grad"),
    [
        (lambda w: np.sum((w @ w.conj().T).real) + 0 * inverse(w), lambda w: 2 * w.sum(axis=0) + 0 * w),
        (lambda w: float(np.linalg.norm(w, "nuc")), lambda w: (lambda u, s, v: u @ v)(*np.linalg.svd(w))),
    ],
    ids=["conj", "svd"],
)
def test_the_complex_step_is_refused_where_the_loss_is_not_analytic(loss, grad) -> None:
    report = check_gradient(loss, grad, W)
    assert report.ok, str(report)
    assert report.oracles == ("finite_difference",)
    assert "complex_step" in report.refused


def test_abs_and_max_are_no_hindrance_off_their_kinks() -> None:
    report = check_gradient(
        lambda w: np.sum(np.abs(w) ** 3) + np.max(w), lambda w: 3 * w * np.abs(w) + (w == w.max()), W
    )
    assert (
        report.ok and report.refused == {} and set(report.evidence.witnesses) == {"finite_difference", "complex_step"}
    )


@pytest.mark.parametrize(
    ("loss", "grad"),
    [
        (lambda w: np.sum(np.maximum(w, 0)), lambda w: (w > 0) * 1.0),
        (lambda w: np.sum(np.maximum(w, 0)), lambda w: (w >= 0) * 1.0),
        (lambda w: np.sum(np.abs(w)), np.sign),
    ],
    ids=["relu", "relu-other-side", "abs"],
)
def test_at_a_kink_every_slope_in_between_agrees(loss, grad) -> None:
    report = check_gradient(loss, grad, np.array([0.0, 1.0, 0.0]))
    assert report.ok, str(report)
    assert report.kinks["params"][0] and not report.kinks["params"][1]
    assert "kink at this point: 2 of 3 entries" in str(report)
    wrong = check_gradient(loss, lambda w: np.where(w == 0, 2.0, grad(w)), np.array([0.0, 1.0, 0.0]))
    assert wrong.proven, str(wrong)


def test_beside_a_kink_all_can_be_told() -> None:
    for at in (1e-3, -1e-6, 1e-9):
        assert check_gradient(lambda w: np.sum(np.maximum(w, 0)), lambda w: (w > 0) * 1.0, np.array([at, 1.0])).ok


@pytest.mark.parametrize("seed", range(6))
def test_kinks_that_mislead_differences_do_not_mislead_the_proof(seed) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, 7, 3))
    w = 1e-6 * np.random.default_rng(seed + 10).normal(size=(3, 3))

    def loss(w):
        return 0.5 * np.sum((np.maximum(x @ w, 0) - y) ** 2)

    report = check_gradient(loss, lambda w: x.T @ ((np.maximum(x @ w, 0) - y) * (x @ w > 0)), w)
    assert report.ok and report.kinks == {} and "certified" in report.oracles
    wrong = check_gradient(loss, lambda w: x.T @ ((np.maximum(x @ w, 0) - y) * (x @ w > 1e-6)), w)
    assert wrong.proven


def test_a_maximum_of_equals_has_every_slope_in_between() -> None:
    def loss(w):
        return np.max(np.array([w[0], 2 * w[0], w[2]])) + w[1]

    for part in (0.0, 0.5, 1.0):
        at = np.array([0.0, 1.0, 0.0])
        assert check_gradient(loss, lambda w, part=part: np.array([0.0, 1.0, part]), at, points="given").ok
    assert check_gradient(loss, lambda w: np.array([0.0, 1.0, 1.5]), at, points="given").proven


def test_inputs_that_are_changed_in_place_are_said_and_do_not_spoil_the_check() -> None:
    report = check_gradient(lambda w: np.sum(np.multiply(w, 2, out=w)), lambda w: np.full_like(w, 2), W)
    assert report.ok and "loss changes params in place" in report.notes[0]
    report = check_gradient(cubic, lambda w: np.multiply(3 * w, w, out=w), W)
    assert report.ok and "grad changes params in place" in report.notes[0]


@pytest.mark.parametrize("chance", ["loss", "grad"])
def test_chance_is_no_pass(chance) -> None:
    rng = np.random.default_rng(0)
    loss = (lambda w: cubic(w) * rng.uniform()) if chance == "loss" else cubic
    grad = (lambda w: cubic_grad(w) * rng.uniform(1, 1.1)) if chance == "grad" else cubic_grad
    report = check_gradient(loss, grad, W)
    assert report.verdict is Verdict.CANNOT_TELL
    assert any(f"{chance}" in note and "is not deterministic: two calls" in note for note in report.notes)


def test_a_blind_probe_is_no_pass() -> None:
    report = check_gradient(lambda w: np.sum(0 * w), lambda w: 0 * w, W)
    assert report.verdict is Verdict.CANNOT_TELL
    assert "blind probe: the whole gradient is zero" in report.notes[0]
    half = check_gradient(lambda p: np.sum(p[0] ** 2), lambda p: (2 * p[0], 0 * p[1]), (W, W + 1))
    assert half.ok and half.leaves["params[1]"].zero
    assert "blind for params[1]" in half.notes[0]


def test_a_leaf_that_is_zero_and_should_not_be_is_wrong() -> None:
    report = check_gradient(lambda p: np.sum(p[0] * p[1]), lambda p: (p[1], 0 * p[0]), (W, W + 1))
    assert report.verdict is Verdict.DISAGREE
    assert "params[1] is zero everywhere and should not be" in report.hints[0]


def test_what_a_point_cannot_show_is_said() -> None:
    symmetric = check_gradient(cubic, cubic_grad, np.array([[1.0, 2.0], [2.0, 3.0]]))
    assert any("blind to a missing transpose: params is symmetric" in note for note in symmetric.notes)
    square = check_gradient(lambda p: np.sum((p[0] @ p[1]) ** 2), lambda p: (p[0], p[1]), (W, W + 1))
    assert any("equal sizes: every axis of every matrix is 2" in note for note in square.notes)


def test_a_float32_result_of_float64_inputs_is_said() -> None:
    report = check_gradient(cubic, lambda w: cubic_grad(w).astype(np.float32), W)
    assert report.ok and report.leaves["params"].digits["float_run"] < 8
    assert "grad returned float32 for params, which is float64" in report.notes[0]
    wrong = check_gradient(cubic, lambda w: (1.001 * cubic_grad(w)).astype(np.float32), W)
    assert wrong.verdict is Verdict.DISAGREE


def test_a_loss_that_passes_through_float32_is_as_noisy_as_float32() -> None:
    def loss(w):
        return float(np.sum(w.astype(np.float32) ** 3))

    report = check_gradient(loss, cubic_grad, W)
    assert report.ok and report.leaves["params"].digits["float_run"] < 7, str(report)
    assert check_gradient(loss, lambda w: 1.01 * cubic_grad(w), W).verdict is Verdict.DISAGREE


def test_float32_parameters_are_judged_to_float32() -> None:
    report = check_gradient(cubic, cubic_grad, W.astype(np.float32))
    assert report.ok and report.digits > 30 and report.leaves["params"].digits["float_run"] < 8


def test_a_value_that_is_no_number_disagrees() -> None:
    report = check_gradient(cubic, lambda w: np.where(w > 0.6, np.nan, 3 * w**2), W)
    assert report.verdict is Verdict.DISAGREE
    assert "params[1, 1] is nan (1 not finite)" in report.notes[0]


REFUSED = {
    "loss-no-number": (
        lambda w: w.sum(axis=0),
        cubic_grad,
        W,
        {},
        r"loss returned an array of shape \(2,\), wanted one",
    ),
    "loss-tuple": (lambda w: (1.0, w), cubic_grad, W, {}, "loss returned a tuple, wanted one number"),
    "loss-nan": (lambda w: np.sum(np.log(-w * w)), cubic_grad, W, {}, "loss is nan at this point"),
    "shape": (cubic, lambda w: np.ravel(w), W, {}, r"grad returned shape \(4,\) for params, wanted \(2, 2\)"),
    "unknown-leaf": (
        unequal,
        lambda w: {"c": w["a"]},
        TREE,
        {},
        r"params\['c'\], which is not in params: it has params\['a'\]",
    ),
    "too-few": (lambda p: p[0] * p[1], lambda p: [p[1]], (1.0, 2.0), {}, "returned 1 arrays, params has 2"),
    "nothing": (cubic, lambda w: None, W, {}, "grad returned nothing, wanted params"),
    "raises": (lambda w: w.missing, cubic_grad, W, {}, r"test_check.py:\d+: loss raises AttributeError"),
    "grad-raises": (cubic, lambda w: 1 / 0, W, {}, r"test_check.py:\d+: grad raises ZeroDivisionError: division by"),
    "too-slow": (lambda w: time.sleep(9), cubic_grad, W, {"seconds": 0.05}, "loss did not end within 0.05 s"),
    "no-function": (1, cubic_grad, W, {}, "loss is a int, wanted a function"),
    "infinite": (cubic, cubic_grad, np.array([1.0, np.inf]), {}, r"params\[1\] = inf: every value must be finite"),
    "no-floats": (cubic, cubic_grad, {"a": np.array([1, 2])}, {}, "params has no array of floats"),
    "strings": (cubic, cubic_grad, {"a": "b"}, {}, r"params\['a'\] is a str, wanted an array of floats"),
    "subset": (unequal, unequal_grad, TREE, {"subset": "c"}, r"subset: 'c' is not in params: it has params\['a'\]"),
    "truncation": (cubic, cubic_grad, W, {"truncation": 3}, "use check_step"),
    "sign": (cubic, cubic_grad, W, {"sign": 2}, "sign=2, wanted 1 or -1"),
    "scale": (cubic, cubic_grad, W, {"scale": 0}, "scale=0, wanted a number that is not 0"),
    "clip": (cubic, cubic_grad, W, {"clip": "norm"}, r"clip='norm', wanted a number, \('value', c\), \('norm', c\) or"),
    "examples": (cubic, cubic_grad, W, {"examples": 0}, "examples=0, wanted an integer, at least 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_checked_is_refused_in_one_line(name) -> None:
    loss, grad, params, options, message = REFUSED[name]
    with pytest.raises(GradientCheckError, match=message) as caught:
        check_gradient(loss, grad, params, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_assert_gradient_raises_with_the_report() -> None:
    assert assert_gradient(cubic, cubic_grad, W).ok
    with pytest.raises(AssertionError, match=r"(?s)not shown to be right.*proven wrong.*scale=2") as caught:
        assert_gradient(cubic, lambda w: 2 * cubic_grad(w), W)
    assert "params[" in str(caught.value)
    with pytest.raises(AssertionError, match="blind probe"):
        assert_gradient(lambda w: np.sum(0 * w), lambda w: 0 * w, W)


def test_json_has_it_all() -> None:
    found = json.loads(json.dumps(check_gradient(cubic, lambda w: 2 * cubic_grad(w), W).to_json()))
    assert found["verdict"] == "disagree" and found["proven"]
    leaf = found["leaves"]["params"]
    assert leaf["factor"] == pytest.approx(2) and leaf["cosine"] == pytest.approx(1) and leaf["residual"] < 1e-12
    assert leaf["worst"][0].keys() == {"index", "value", "wanted", "oracle"}
    assert leaf["oracles"]["certified"]["disagree"] == 4


def test_many_coordinates_are_sampled_and_it_is_said() -> None:
    big = np.random.default_rng(0).normal(size=(3, 3, 30))
    report = check_gradient(lambda w: np.sum(w**3) + 0 * inverse(w[:, :, 0]), lambda w: 3 * w**2, big, examples=20)
    assert report.ok and "20 of 270 coordinates were probed" in " ".join(report.notes)


def test_a_second_run_gives_the_same() -> None:
    first, second = (check_gradient(inverse, inverse_grad, W, seed=3).to_json() for _ in range(2))
    assert first | {"seconds": 0} == second | {"seconds": 0}
