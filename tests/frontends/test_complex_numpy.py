"""A function rebound for the complex step: its imaginary part survives buffers, float() and abs(), and is the slope."""

import math

import numpy as np
import pytest

from gradlab.frontends.complex_numpy import ComplexNumPy, magnitude
from gradlab.frontends.rebind import Rebind

X = np.array([0.25, -0.5, 1.5])
H = 2.0**-60
DATA = np.array([1.0, 2.0, 3.0])


def filled(make):
    def function(x):
        buffer = make(x)
        buffer[:] = x
        return np.sum(buffer**2)

    return function


SQUARES = {
    "zeros": filled(lambda x: np.zeros(3)),
    "empty": filled(lambda x: np.empty(3, dtype=float)),
    "ones": filled(lambda x: np.ones(3, np.float64)),
    "zeros_like": filled(lambda x: np.zeros_like(DATA)),
    "full": filled(lambda x: np.full(3, 0.5)),
    "array": filled(lambda x: np.array([1.0, 2.0, 3.0])),
    "eye": filled(lambda x: np.eye(3)[0]),
    "captured": filled(lambda x: DATA),
    "asarray of a dtype": lambda x: np.sum(np.asarray(x, dtype=float) ** 2),
    "float": lambda x: sum(float(v) ** 2 for v in x),
    "float64": lambda x: sum(np.float64(v) ** 2 for v in x),
    "abs": lambda x: sum(abs(v) ** 2 for v in x),
    "np.abs": lambda x: np.sum(np.abs(x) ** 2),
    "isinstance": lambda x: sum(v * v if isinstance(v, float) else math.nan for v in x),
}


@pytest.mark.parametrize("function", SQUARES.values(), ids=SQUARES)
def test_the_imaginary_part_is_the_slope(function):
    before = DATA.copy()
    rebound = Rebind(ComplexNumPy())(function)
    for place in range(3):
        step = np.zeros(3, complex)
        step[place] = 1j * H
        found = rebound(X + step)
        assert np.isclose(found.real, np.sum(X**2), rtol=1e-15)
        assert np.isclose(found.imag / H, 2 * X[place], rtol=1e-15)
    assert np.array_equal(DATA, before)


@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"ddof": 1}, {"axis": 1, "keepdims": True}], ids=str)
@pytest.mark.parametrize("name", ["var", "std"])
def test_variances_are_continued(name, options):
    x = np.random.default_rng(0).normal(size=(3, 4))
    continued = ComplexNumPy().members["numpy"][name]
    assert np.allclose(continued(x, **options), getattr(np, name)(x, **options), rtol=1e-14)
    step = np.zeros((3, 4))
    step[1, 2] = 1
    slope = (getattr(np, name)(x + 1e-5 * step, **options) - getattr(np, name)(x - 1e-5 * step, **options)) / 2e-5
    assert np.allclose(continued(x + 1j * H * step, **options).imag / H, slope, atol=1e-8)


def test_magnitudes_follow_the_sign_of_the_real_part():
    assert magnitude(-2 + 1j) == 2 - 1j and magnitude(2 + 1j) == 2 + 1j
    assert magnitude(-2.0) == 2 and np.array_equal(magnitude(X), np.abs(X))


def test_what_is_no_float_stays_as_it_is():
    rebound = Rebind(ComplexNumPy())(lambda: (np.zeros(2, int), np.ones(2, bool), np.array([1, 2]), np.zeros_like([1])))
    assert [made.dtype.kind for made in rebound()] == ["i", "b", "i", "i"]
