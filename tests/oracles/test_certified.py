"""Certified derivatives: they enclose, they narrow with the bits, and balls narrow enough contain each other."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb

from gradlab.arithmetic.balls import balls, contains, digits, overlaps, precision, radii, relative_radius
from gradlab.oracles import certified


def test_more_bits_narrow_every_interval_within_the_one_before(lab: Any) -> None:
    for one in lab.known[::4]:
        said = [certified.evidence(lab.rnn, one.problem, bits).values for bits in (64, 128, 256)]
        for coarse, fine in itertools.pairwise(said):
            for name, value in coarse.items():
                assert contains(value, fine[name]).all(), name
                narrowed = (radii(fine[name]) < radii(value)) | (radii(value) == 0)
                assert narrowed.all(), name


@pytest.mark.parametrize(("bits", "least"), [(128, 30), (256, 68), (512, 145)])
def test_how_many_digits_each_precision_certifies(bits: int, least: int, lab: Any) -> None:
    for scale in (1.0, 1e-3, 1e-6):
        values = certified.evidence(lab.rnn, lab.problem(scale=scale), bits).values
        assert min(digits(value).min() for value in values.values()) >= least


def test_the_pre_activation_is_enclosed_exactly(lab: Any) -> None:
    """net_hidden(0) = x(0) W_input + a(-1) W_hidden is rational: the ball holds the very fraction."""
    given = lab.problem()
    value = certified.evidence(lab.rnn, given, 128).values["net_hidden"][0]
    V, W, _ = given.params
    for b, h in np.ndindex(*value.shape):
        terms = [Fraction(float(x)) * Fraction(float(v)) for x, v in zip(given.x[0, b], V[:, h], strict=True)]
        a_initial = given.state.a_initial[b]
        terms += [Fraction(float(a)) * Fraction(float(w)) for a, w in zip(a_initial, W[:, h], strict=True)]
        exact = sum(terms)
        with precision(2000):
            assert contains(value[b, h], arb(exact.numerator) / arb(exact.denominator))


@pytest.mark.parametrize("name", ["W_input", "W_hidden", "W_output", "x", "a_initial"])
def test_differences_at_1024_bits_lie_inside(name: str, lab: Any) -> None:
    """An independent way to forty digits: central differences of the forward on balls, h = 2⁻²⁰⁰.

    Truncation is of order h², 2⁻⁴⁰⁰; what is subtracted cancels 200 bits of 1024.
    """
    given = lab.problem(3, 2, 2, 2, 1)
    enclosure = certified.evidence(lab.rnn, given, 128).values[f"grad_{name}"]
    with precision(1024):
        h = arb(2.0**-200)

        def total(at: tuple[int, ...], step: arb) -> Any:
            inputs = given.inputs(balls)
            array = dict(inputs.named())[name].copy()
            array[at] = array[at] + step
            inputs = inputs.with_array(name, array)
            trace = lab.rnn.code.forward(inputs.params, inputs.x, inputs.state)
            return lab.rnn.code.loss(trace.y_hat, inputs.y).total

        for at in np.ndindex(*enclosure.shape):
            slope = (total(at, h) - total(at, -h)) / (2 * h)
            gap = abs(enclosure[at] - slope) / abs(slope)
            assert gap < 1e-35, at


def test_an_enclosure_that_is_moved_is_seen(lab: Any) -> None:
    given = lab.problem()
    value = certified.evidence(lab.rnn, given, 128).values["delta_hidden"]
    with precision(128):
        assert not overlaps(value * (1 + arb(2.0**-100)), value).any()


def test_what_no_path_reaches_is_the_exact_zero(lab: Any) -> None:
    values = certified.evidence(lab.rnn, lab.problem(), 128).values
    assert not relative_radius(values["delta_implicit"][-1]).any()
    assert contains(np.zeros_like(values["delta_implicit"][-1]), values["delta_implicit"][-1]).all()


def test_the_parts_of_the_hidden_delta_make_the_whole(lab: Any) -> None:
    for one in lab.known[:20]:
        with precision(lab.bits):
            parts = one.exact["delta_explicit"] + one.exact["delta_implicit"]
            assert overlaps(parts, one.exact["delta_hidden"]).all()


def test_the_precision_of_the_caller_is_left_alone(lab: Any) -> None:
    with precision(77):
        before = str(arb(1) / 3)
        certified.evidence(lab.rnn, lab.problem(1, 1, 1, 1, 1), 256)
        assert str(arb(1) / 3) == before


def test_each_precision_at_least_doubles_the_one_before() -> None:
    assert all(b >= 2 * a for a, b in itertools.pairwise(certified.PRECISIONS))
