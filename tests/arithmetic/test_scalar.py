"""What Ball and Variable have in common: NumPy's functions, exact constants, refusals."""

import copy
import operator
import subprocess
import sys

import numpy as np
import pytest

import gradlab.arithmetic
from gradlab.arithmetic import Ball, Undecidable, midpoints, precision
from gradlab.arithmetic.ball import balls
from gradlab.arithmetic.scalar import FUNCTIONS, exact
from gradlab.arithmetic.tape import Variable, variables

ARITHMETICS = {
    "ball": balls,
    "tape-ball": lambda array: variables(balls(array)),
}
KINDS = {"ball": Ball, "tape-ball": Variable}


@pytest.fixture(params=ARITHMETICS)
def arithmetic(request):
    return request.param


@pytest.fixture
def lift(arithmetic):
    return ARITHMETICS[arithmetic]


@pytest.fixture
def kind(arithmetic):
    return KINDS[arithmetic]


def plain(array):
    """The float64 values of an array of any of the scalars."""
    untaped = np.frompyfunc(lambda x: x.value if type(x) is Variable else x, 1, 1)(np.asarray(array, dtype=object))
    return midpoints(untaped)


X = np.array([[0.5, 1.25, 2.0], [0.75, 3.0, 0.25]])
Y = np.array([[1.5, 0.25, 1.0], [2.5, 0.125, 0.5]])

NUMPY = {
    "matmul": lambda x, y: x @ y.T,
    "matmul-with-floats-left": lambda x, y: Y @ x.T,
    "matmul-with-floats-right": lambda x, y: x @ Y.T,
    "matmul-batched": lambda x, y: x[None] @ y.T[None],
    "dot": lambda x, y: np.dot(x, y.T),
    "outer": lambda x, y: np.outer(x, y),
    "tensordot": lambda x, y: np.tensordot(x, y, axes=([1], [1])),
    "einsum": lambda x, y: np.einsum("ij,kj->ik", x, y),
    "sum": lambda x, y: x.sum(),
    "sum-axis-keepdims": lambda x, y: np.sum(x, axis=0, keepdims=True),
    "mean": lambda x, y: np.mean(x, axis=1),
    "var": lambda x, y: np.var(x),
    "cumsum": lambda x, y: np.cumsum(x, axis=1),
    "prod": lambda x, y: np.prod(x),
    "norm": lambda x, y: np.linalg.norm(x),
    "square": lambda x, y: np.square(x),
    "reciprocal": lambda x, y: np.reciprocal(x),
    "negative": lambda x, y: np.negative(x),
    "positive": lambda x, y: np.positive(x),
    "abs": lambda x, y: abs(x - y),
    "fabs": lambda x, y: np.fabs(x - y),
    "power-int": lambda x, y: x**3,
    "power-negative-int": lambda x, y: x**-2,
    "power-real": lambda x, y: x**0.5 + x**-1.5,
    "power-zero": lambda x, y: x**0,
    "power-elementwise": lambda x, y: np.power(x, y),
    "power-of-number": lambda x, y: 2.0**x,
    "maximum": lambda x, y: np.maximum(x, y),
    "minimum": lambda x, y: np.minimum(x, y),
    "relu": lambda x, y: np.where(x > y, x - y, 0.0),
    "mask": lambda x, y: (x > y) * x,
    "clip": lambda x, y: np.clip(x, 0.5, 1.5),
    "max": lambda x, y: np.max(x, axis=1),
    "min": lambda x, y: x.min(),
    "argmax": lambda x, y: np.argmax(x, axis=1),
    "sign": lambda x, y: np.sign(x - y),
    "equal": lambda x, y: x == X,
    "not-equal": lambda x, y: x != Y,
    "buffer-like-the-input": lambda x, y: np.add(x, y, out=np.empty_like(x)),
    "accumulate-in-zeros-like": lambda x, y: np.zeros_like(x) + x,
    "concatenate": lambda x, y: np.concatenate([x, y], axis=1) * 2,
    "deepcopy": lambda x, y: copy.deepcopy(x) * y,
    **{name: lambda x, y, name=name: getattr(np, name)(x) for name in FUNCTIONS},
}


@pytest.mark.parametrize("function", NUMPY.values(), ids=NUMPY)
def test_numpy_functions_give_the_value_of_float64(lift, function):
    expected = function(X, Y)
    result = function(lift(X), lift(Y))
    assert np.shape(result) == np.shape(expected)
    np.testing.assert_allclose(plain(result), expected, rtol=1e-13, atol=1e-15)


CONSTANTS = [3, True, 0.1, np.float64(0.1), np.float32(0.1), np.float16(0.1), np.int64(3), np.uint8(3), np.True_]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("constant", CONSTANTS, ids=lambda c: f"{type(c).__name__}-{c}")
@pytest.mark.parametrize("operation", OPERATORS, ids=lambda o: o.__name__)
def test_constants_mix_on_both_sides_with_their_exact_value(lift, kind, operation, constant):
    x = lift([1.75])[0]
    number = float(constant)
    for result, expected in (
        (operation(x, constant), operation(1.75, number)),
        (operation(constant, x), operation(number, 1.75)),
    ):
        assert type(result) is kind
        np.testing.assert_allclose(plain(result), expected, rtol=1e-14)


def test_a_constant_means_the_exact_double():
    with precision(200):
        third = Ball(1) / 10
        assert np.float64(0.1) * Ball(1) == Ball(0.1)
        assert Ball(0.1) != third


@pytest.mark.parametrize("other", ["a", None, 1j, np.longdouble(1)], ids=["text", "none", "complex", "longdouble"])
def test_other_operands_are_refused(lift, other):
    with pytest.raises(TypeError):
        lift([1.0])[0] + other


@pytest.mark.parametrize("symbol", ["<", "<=", ">", ">=", "==", "!="])
def test_comparisons_refuse_what_the_enclosures_leave_open(lift, symbol):
    compare = {
        "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne
    }[symbol]  # fmt: skip
    root = np.sqrt(lift([2.0])[0])
    with pytest.raises(Undecidable, match=rf"Ball\(.*\) {symbol} Ball\(.*\) is undecidable"):
        compare(root * root, lift([2.0])[0])
    for a, b in ((1.5, 2.5), (2.5, 1.5), (1.5, 1.5)):
        assert compare(*lift([a, b])) is compare(a, b)
        assert compare(lift([a])[0], b) is compare(a, b)
        assert compare(a, lift([b])[0]) is compare(a, b)


def test_truth_is_decided_or_refused(lift):
    x = lift([2.0])[0]
    assert bool(x)
    assert not bool(lift([0.0])[0])
    with pytest.raises(Undecidable):
        bool(np.sqrt(x) * np.sqrt(x) - 2)


BUFFERS = {
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "complex": lambda x: complex(x[0]),
    "store-one": lambda x: operator.setitem(np.zeros(2), 0, x[0]),
    "store-all": lambda x: operator.setitem(np.zeros(2), slice(None), x),
    "astype": lambda x: x.astype(np.float64),
    "asarray": lambda x: np.asarray(x, dtype=np.float32),
    "floor": lambda x: np.floor(x),
}


@pytest.mark.parametrize("store", BUFFERS.values(), ids=BUFFERS)
def test_floats_are_refused(lift, kind, store):
    with pytest.raises(TypeError, match=rf"a {kind.__name__} is no float.*np\.empty_like\(x\)"):
        store(lift([1.0, 2.0]))


def test_accumulating_into_floats_is_refused(lift):
    total = np.zeros(2)
    with pytest.raises(TypeError, match="Cannot cast ufunc 'add' output"):
        total += lift([1.0, 2.0])


@pytest.mark.parametrize("array", [[1j], ["a"], [None]], ids=["complex", "text", "object"])
@pytest.mark.parametrize("lift", [balls])
def test_only_real_arrays_are_lifted(lift, array):
    with pytest.raises(TypeError, match="expected an array of floats or integers, got dtype"):
        lift(array)


@pytest.mark.parametrize("scalar", [Ball])
def test_a_scalar_is_made_of_a_real_number(scalar):
    with pytest.raises(TypeError, match="real number, got str"):
        scalar("1")


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (3, 1)], ids=str)
def test_lifting_keeps_the_shape(lift, shape):
    lifted = lift(np.ones(shape))
    assert lifted.shape == shape
    assert lifted.dtype == object
    assert plain(lifted).shape == shape


def test_exact_has_no_python_number_for_a_longdouble():
    assert exact(np.longdouble(1)) is None


def test_everything_exported_exists_and_nothing_else():
    for name in gradlab.arithmetic.__all__:
        assert getattr(gradlab.arithmetic, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = gradlab.arithmetic.nothing


def test_flint_is_imported_with_the_first_ball_and_not_before():
    source = (
        "import sys; import numpy as np; from gradlab.arithmetic import Scalar, floats, rounded\n"
        "rounded.RoundedArithmetic().exact(np.ones(2))\n"
        "assert 'flint' not in sys.modules\n"
        "from gradlab.arithmetic import Ball\n"
        "assert 'flint' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", source], check=True)
