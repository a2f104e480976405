"""What no program holds is refused by name, or said to have left it, and never taken for a constant."""

import array
import decimal
import pickle
import statistics
import struct

import numpy as np
import pytest

from gradlab.tape import NotRecorded, Recorded
from gradlab.tape.functions import CALCULATE, MOVES, READ

NAMES = {"np": np, "array": array, "decimal": decimal, "pickle": pickle, "statistics": statistics, "struct": struct}

REFUSED = {
    "np.fft.fft(x)": r"np\.fft\.fft is not recorded",
    "np.linalg.svd(x)": r"np\.linalg\.svd is not recorded",
    "np.spacing(x)": r"np\.spacing is not recorded",
    "np.nextafter(x, 2)": r"np\.nextafter is not recorded",
    "np.frexp(x)": r"np\.frexp is not recorded",
    "np.exp(1j * x)": "complex numbers among recorded numbers",
    "x.astype(complex)": "as complex128 are not recorded",
    "x.astype(object)": "as object are not recorded",
    "np.asarray(x, dtype=object)": "arrays of objects are not recorded",
    "x.view(np.int64)": "a view as .* is not recorded",
    "np.matrix(x)": r"np\.matrix: its \* is a matrix product",
    "np.einsum(x, [0, 1], [1, 0])": "with lists of axes",
    "np.pad(x, 1, mode='mean')": "mode 'mean'",
    "np.pad(x[0], 2, mode='reflect', reflect_type='odd')": "reflect_type 'odd'",
    "np.histogram(x)": "between recorded edges",
    "np.unique(x, return_counts=True)": r"np\.unique with options",
    "np.take(x, 0, out=np.ndarray(4))": r"ndarray\(…\) is not recorded",
    "np.repeat(x, np.full((), x[0, 0]))": "at recorded places|with recorded",
    "np.matmul(x, x.T, axes=[(0, 1), (1, 0), (0, 1)])": r"np\.matmul with axes",
    "np.add(x, x, signature='dd->d')": r"np\.add with signature",
    "np.divide(x, x, where=x > 1)": "leaves entries in which nothing is stored",
    "np.linalg.norm(x, 2)": "order 2 is not recorded",
    "np.linalg.pinv(np.ones((3, 3)) * x[0, 0])": "without full rank",
    "np.linalg.lstsq(x.T, x[0] ** 2, rcond=None)[3][0]": "singular values are not recorded",
    "np.quantile(x, [0.1, 0.2])": "with these options",
    "np.cross(x[:, :2], x[:, :2])": "three components",
    "np.random.default_rng(0).normal(x)": "drawing with normal",
    "np.random.default_rng(0).choice(4, p=x[0] / x[0].sum())": "drawing with choice",
    "np.vectorize(lambda v: v, signature='(n)->(n)')(x)": "excluded or signature",
    "np.nditer(x, flags=['multi_index'])": "flags is not recorded",
    "np.zeros(3, dtype=int).__iadd__(x[:, 0])": "made elsewhere",
    "pickle.dumps(x)": "cannot be pickled",
    "x.ctypes": "its memory",
    "x.data": "its memory",
    "x.base": "its memory",
    "x.byteswap()": "its memory",
    "x.resize(4, 3)": "its memory",
    "x.__array_interface__": "its memory",
    "statistics.fmean(list(x[0]))": "calculated with where nothing is recorded",
    "struct.pack('d', x[0, 0])": "calculated with where nothing is recorded",
    "array.array('d', list(x[0]))": "calculated with where nothing is recorded",
    "x.dtype.type(x[0, 0])": "calculated with where nothing is recorded",
    "np.frombuffer(x.tobytes())": "the bytes of an array",
    "x[0, 0].as_integer_ratio()": "as_integer_ratio",
    "statistics.stdev(list(x[0]))": "as_integer_ratio",
}


@pytest.mark.parametrize("code", REFUSED)
def test_refused_by_name(code, engine):
    function = eval(f"lambda x: (({code}), x)[1]", NAMES)
    with pytest.raises(NotRecorded, match=REFUSED[code]):
        engine.record(function, engine.X.copy())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("decimal.Decimal(x[0, 0])", TypeError),
        ("range(x[0, 0])", TypeError),
        ("x[x[0, 0]]", IndexError),
        ("x + 'a'", TypeError),
        ("x.reshape(5)", ValueError),
        ("x @ x", ValueError),
        ("bool(x)", ValueError),
        ("float(x)", TypeError),
        ("hash(x)", TypeError),
        ("iter(x[0, 0]).__next__()", TypeError),
        ("np.sort(np.asarray(memoryview(x))) * 1", TypeError),
    ],
)
def test_wrong_for_numpy_is_wrong_here(code, kind, engine):
    function = eval(f"lambda x: (({code}), x)[1]", NAMES)
    with pytest.raises(kind):
        engine.record(function, engine.X.copy())


def test_every_function_that_numpy_asks_about_is_in_one_table_at_most():
    assert not set(CALCULATE) & set(MOVES) and not (set(CALCULATE) | set(MOVES)) & READ


def test_a_number_of_an_int_is_never_taken_for_a_node(engine):
    """Moving functions run on indices, among which a 2 is the third number of the program."""
    for code in ("np.concatenate(([2, 3], x[0]))", "np.choose([0, 1, 0, 1], [x[0], 2])", "np.insert(x[0], 0, 3)"):
        made = engine.agree(code, np.float64)
        assert isinstance(made.found, Recorded)
        literals = made.found.floats[np.isin(made.found.floats, [2, 3])]
        assert len(literals) > 0


READING = """
print(x, x[0, 0])
f"{x[0, 0]:.3f} {x[0, 0]!r} {x}"
"%.3f %s %d" % (x[0, 0], x[0, 0], x[0, 0])
"{:.2e}".format(x[0, 0])
str(x), repr(x), format(x[0, 0], "g")
np.array2string(x), np.array_repr(x)
x[0, 0].item(), x.tolist()
np.isfinite(x).all(), np.isnan(x).any()
len(x), x.shape, x.dtype, x.nbytes, x.flags
np.testing.assert_allclose(x, x)
assert_finite(x)
logging.getLogger("gradlab.test").warning("%f %s", x[0, 0], x)
""".strip().splitlines()


@pytest.mark.parametrize("code", READING)
def test_reading_is_free(code, engine, capsys):
    import logging

    def assert_finite(x):
        assert np.isfinite(x).all() and round(float(x[0, 0]), 2) > 0

    function = eval(f"lambda x: (({code}), x * 2)[1]", {"np": np, "assert_finite": assert_finite, "logging": logging})
    made = engine.record(function, engine.X.copy())
    assert not made.program.lost and made.index.size == 12
