"""What stands in for numpy, math and float: what it makes is recorded, and is what the real one makes."""

import cmath
import math
import numbers

import numpy as np
import pytest

from gradlab.frontends.numpy_code import Recording
from gradlab.tape import NotRecorded, Recorded

X = np.random.default_rng(0).uniform(0.5, 2, (3, 4))


def recorded(function, x=X):
    """What a function of an array gives, recorded, and its floats."""
    recording = Recording({"f": function})
    made = recording.call(recording.functions["f"], recording.array(recording.leaf(x, "parameter"), x.dtype))
    recording.whole()
    return made, made.floats if isinstance(made, Recorded) else made


MADE = {
    "zeros": lambda x: np.zeros((2, 3)),
    "zeros of a format": lambda x: np.zeros(3, np.float32),
    "zeros by name": lambda x: np.zeros(3, dtype="float16"),
    "zeros of its dtype": lambda x: np.zeros(3, x.dtype),
    "ones": lambda x: np.ones(3),
    "full": lambda x: np.full((2, 2), 0.5),
    "full of an int": lambda x: np.full(2, 3, dtype=float),
    "eye": lambda x: np.eye(3),
    "identity": lambda x: np.identity(2),
    "linspace": lambda x: np.linspace(0, 1, 5),
    "arange": lambda x: np.arange(3.0),
    "logspace": lambda x: np.logspace(0, 1, 3),
    "tri": lambda x: np.tri(3),
    "vander": lambda x: np.vander([1.0, 2.0], 3),
    "random": lambda x: np.random.default_rng(0).normal(size=3),
    "drawn before": lambda x: np.random.RandomState(0).randn(2, 2),
    "array": lambda x: np.array([1.0, 2.0]),
    "array of ints as floats": lambda x: np.array([1, 2], dtype=float),
    "asarray": lambda x: np.asarray([[1.0]]),
    "zeros_like": lambda x: np.zeros_like(x),
    "ones_like of floats": lambda x: np.ones_like(np.ones(2)),
    "full_like": lambda x: np.full_like(x, 2.0),
    "loadtxt": lambda x: np.loadtxt(["1 2", "3 4"]),
    "ix": lambda x: np.diag([1.0, 2.0]),
    "hanning": lambda x: np.hanning(4),
}


@pytest.mark.parametrize("function", MADE.values(), ids=MADE)
def test_floats_that_are_made_are_recorded_and_may_be_written_to(function):
    made, floats = recorded(function)
    wanted = function(X)
    assert isinstance(made, Recorded) and made.dtype == wanted.dtype == floats.dtype
    assert np.array_equal(floats, wanted) and floats.flags.f_contiguous == wanted.flags.f_contiguous

    def written(x):
        buffer = function(x)
        buffer += x[0, 0]
        buffer[...] = buffer * 2
        return buffer

    assert np.array_equal(recorded(written)[1], written(X))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.zeros(3, int),
        lambda x: np.ones(2, bool),
        lambda x: np.arange(4),
        lambda x: np.array([1, 2]),
        lambda x: np.zeros_like([1, 2]),
        lambda x: np.zeros_like(x, dtype=int),
        lambda x: np.full(2, 7),
        lambda x: np.random.default_rng(0).integers(0, 9, 5),
        lambda x: np.array(["a"]),
        lambda x: x > 1,
        lambda x: np.argsort(x),
    ],
)
def test_what_is_no_float_stays_as_it_is(function):
    made, _ = recorded(function)
    assert (
        isinstance(made, np.ndarray)
        and not isinstance(made, Recorded)
        and made.dtype == function(X).dtype
        and np.array_equal(made, function(X))
    )


def test_a_float32_buffer_rounds_what_is_written_to_it():
    def function(x):
        buffer = np.zeros(4, np.float32)
        buffer[:] = x[0]
        return buffer * 3

    made, floats = recorded(function)
    assert made.dtype == np.float32 and np.array_equal(floats, function(X))


def test_an_uninitialised_buffer_holds_nothing():
    assert np.isnan(recorded(lambda x: np.empty(3) * x[0, :3])[1]).all()


NAMES = """exp expm1 log log1p log2 log10 sqrt sin cos tan sinh cosh tanh atan asin acos asinh atanh erf erfc lgamma
    gamma fabs degrees radians exp2 cbrt floor ceil trunc isnan isfinite isinf"""


def of_math(name):
    return lambda x: getattr(math, name)(x[0, 0] / 4)


MATH = {name: of_math(name) for name in NAMES.split()} | {
    "acosh": lambda x: math.acosh(x[0, 0] + 1),
    "log of a base": lambda x: math.log(x[0, 0], 3),
    "pow": lambda x: math.pow(x[0, 0], 2.5),
    "hypot": lambda x: math.hypot(x[0, 0], x[0, 1]),
    "atan2": lambda x: math.atan2(x[0, 0], -x[0, 1]),
    "copysign": lambda x: math.copysign(x[0, 0], -1.0),
    "fmod": lambda x: math.fmod(x[0, 0], 0.3),
    "ldexp": lambda x: math.ldexp(x[0, 0], 3),
    "fsum": lambda x: math.fsum(x[0]),
    "prod": lambda x: math.prod(x[0]),
    "isclose": lambda x: math.isclose(x[0, 0], x[0, 1]),
    "of an item": lambda x: math.exp(x[0, 0].item()) ** 2,
    "of a constant": lambda x: math.sqrt(2) * math.pi,
    "of an array of one": lambda x: math.exp(x[0, :1][0]),
}


@pytest.mark.parametrize("function", MATH.values(), ids=MATH)
def test_math_gives_pythons_own_floats(function):
    made, floats = recorded(function)
    assert type(floats) is type(function(X)) and floats == function(X)


def test_other_functions_of_a_number_are_said_to_lose_it():
    for function in (lambda x: math.ulp(x[0, 0]), lambda x: math.dist(x[0], x[1]), lambda x: cmath.exp(x[0, 0]).real):
        with pytest.raises((NotRecorded, TypeError)):
            recorded(function)


TYPES = {
    "float keeps": lambda x: float(x[0, 0]) * x,
    "float64 keeps": lambda x: np.float64(x[0, 0]) * x,
    "float32 rounds": lambda x: np.float32(x[0, 0]) * x,
    "float of text": lambda x: float("2.5") * x,
    "float of nothing": lambda x: 0.0 + x,
    "mapped": lambda x: np.array(list(map(float, x[0]))),
    "Python's power": lambda x: float(x[0, 0]) ** 2.5,
    "NumPy's power": lambda x: x[0, 0] ** 2.5,
    "a Python float takes the format": lambda x: np.ones(3, np.float32) * (float(x[0, 0]) + 1),
    "a NumPy scalar does not": lambda x: np.ones(3, np.float32) * (x[0, 0] + 1),
}


@pytest.mark.parametrize("function", TYPES.values(), ids=TYPES)
def test_numbers_calculate_as_their_type_does(function):
    made, floats = recorded(function)
    assert np.array_equal(floats, function(X)) and np.asarray(floats).dtype == np.asarray(function(X)).dtype


BELONGS = {
    "scalar in float": lambda x: isinstance(x[0, 0], float),
    "scalar in float64": lambda x: isinstance(x[0, 0], np.float64),
    "scalar in float32": lambda x: isinstance(x[0, 0], np.float32),
    "scalar in floating": lambda x: isinstance(x[0, 0], np.floating),
    "scalar in generic": lambda x: isinstance(x[0, 0], np.generic),
    "scalar in a pair": lambda x: isinstance(x[0, 0], (int, float)),
    "scalar in ndarray": lambda x: isinstance(x[0, 0], np.ndarray),
    "scalar in Number": lambda x: isinstance(x[0, 0], numbers.Number),
    "scalar in Real": lambda x: isinstance(x[0, 0], numbers.Real),
    "scalar in int": lambda x: isinstance(x[0, 0], int),
    "array in ndarray": lambda x: isinstance(x, np.ndarray),
    "array in float": lambda x: isinstance(x, float),
    "array in Number": lambda x: isinstance(x, numbers.Number),
    "float in float": lambda x: isinstance(float(x[0, 0]), float),
    "float in float64": lambda x: isinstance(float(x[0, 0]), np.float64),
    "float in floating": lambda x: isinstance(float(x[0, 0]), np.floating),
    "0-d in ndarray": lambda x: isinstance(np.array(x[0, 0]), np.ndarray),
    "ints": lambda x: isinstance(3, (np.ndarray, float)),
    "type is equal": lambda x: type(x) == np.ndarray,  # noqa: E721  (as users write it)
    "dtype is float": lambda x: x.dtype == float and x.dtype == np.float64 and x.dtype != np.float32,
    "subdtype": lambda x: np.issubdtype(x.dtype, np.floating) and np.issubdtype(np.int64, np.number),
    "subclass": lambda x: issubclass(np.float64, float) and issubclass(np.float32, np.floating),
    "isscalar": lambda x: (np.isscalar(x[0, 0]), np.isscalar(x)),
    "ndim": lambda x: (np.ndim(x[0, 0]), np.ndim(x), np.shape([x, x])),
    "iterable": lambda x: (np.iterable(x), np.iterable(x[0, 0])),
}


@pytest.mark.parametrize("function", BELONGS.values(), ids=BELONGS)
def test_recorded_numbers_belong_to_the_types_that_numpys_do(function):
    assert recorded(function)[1] == function(X)


LISTS = {
    "sum": lambda x: np.sum([x[0], x[1]], axis=0),
    "exp": lambda x: np.exp([x[0, 0], 1.0]),
    "add": lambda x: np.add([x[0, 0], 1], [2, x[0, 1]]),
    "max": lambda x: np.max([x[0, 0], x[1, 1]]),
    "dot": lambda x: np.dot([x[0, 0], x[0, 1]], [1.0, 2.0]),
    "mean of a generator's list": lambda x: np.mean([row.sum() for row in x]),
    "array of arrays": lambda x: np.array([[x[0], x[1]], [x[2], x[0]]]),
    "array of mixed": lambda x: np.array([x[0, 0], 1, 2.5]),
    "fromiter": lambda x: np.fromiter((v * v for v in x[0]), float),
    "r_": lambda x: np.r_[x[0], 1.0, 0:2, x[1]],
    "c_": lambda x: np.c_[x[0], x[1], np.ones(4)],
    "vectorize": lambda x: np.vectorize(lambda v, n=2: v**n)(x),
    "vectorize of several": lambda x: np.vectorize(lambda v, w: v if v > w else w)(x, 1.0),
    "vectorize as a decorator": lambda x: np.vectorize(otypes=[float])(lambda v: v * 2)(x),
    "nditer": lambda x: sum(float(v) ** 2 for v in np.nditer(x)),
    "ndenumerate": lambda x: sum(v * i for (i, _), v in np.ndenumerate(x)),
    "fromfunction": lambda x: np.fromfunction(lambda i, j: i * x[0, 0] + j, (2, 3)),
    "apply_along_axis": lambda x: np.apply_along_axis(lambda row: row / row.sum(), 1, x),
    "flat": lambda x: sum(v * v for v in x.flat),
    "ndmin": lambda x: np.array(x[0], ndmin=3),
    "ascontiguousarray": lambda x: np.ascontiguousarray(x.T).sum(axis=0),
    "require": lambda x: np.require(x, requirements="C"),
    "copyto": lambda x: (lambda buffer: (np.copyto(buffer, x), buffer)[1])(np.empty((3, 4))),
    "testing": lambda x: (np.testing.assert_allclose(x, x), x)[1],
}


@pytest.mark.parametrize("function", LISTS.values(), ids=LISTS)
def test_what_numpy_asks_nobody_about(function):
    made, floats = recorded(function)
    assert (
        isinstance(made, Recorded) and np.array_equal(floats, function(X)) and np.shape(floats) == np.shape(function(X))
    )


@pytest.mark.parametrize(
    ("captured", "words"),
    [
        (np.ones((1, 1)).view(np.matrix), r"np\.matrix is not recorded: its \* is a matrix product"),
        (np.ma.masked_array([1.0], [True]), "masked arrays are not recorded; use np.where"),
        (np.recarray(2, [("a", float)]), "recarray is not recorded"),
        (np.ones(2, complex), "complex numbers among recorded numbers"),
    ],
)
def test_captured_arrays_of_another_meaning_are_refused_in_one_line(captured, words):
    with pytest.raises(NotRecorded, match=words):
        recorded(lambda x: x[0, 0] * captured)
