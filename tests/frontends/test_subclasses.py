"""Matrices and masked arrays made in recorded code keep their meaning."""

import numpy as np
import pytest

from gradlab.frontends.numpy_code import Recording
from gradlab.tape import Recorded

X = np.random.default_rng(0).uniform(0.5, 2, (3, 4))

FORMS = {
    "product": lambda x: np.matrix(x) * np.matrix(x).T,
    "product with an array": lambda x: np.matrix(x) * x.T,
    "array with a matrix": lambda x: x.T * np.asmatrix(x),
    "of a vector": lambda x: float((np.matrix(x[0]) * np.matrix(x[0]).T)[0, 0]),
    "by a number": lambda x: 2 * np.matrix(x) * x[0, 0],
    "elementwise": lambda x: np.multiply(np.matrix(x), x) + np.matrix(x),
    "power": lambda x: np.matrix(x[:, :3]) ** 2,
    "inverse": lambda x: np.matrix(x[:, :3]).I,
    "row": lambda x: np.matrix(x)[0],
    "column": lambda x: np.matrix(x)[:, 1],
    "entry": lambda x: np.matrix(x)[1, 2] ** 2,
    "in place": lambda x: (lambda m: (m.__imul__(np.matrix(x[:, :3])), m)[1])(np.matrix(x[:, :3])),
    "as an array": lambda x: np.matrix(x).A * x,
    "then *": lambda x: np.tanh(np.matrix(x[:, :3])) * np.matrix(x[:, :3]),
    "masked sum": lambda x: np.ma.masked_array(x, x > 1).sum(),
    "masked sum of columns": lambda x: np.sum(np.ma.masked_array(x, mask=x > 1.9), axis=0),
    "masked mean": lambda x: np.ma.masked_array(x, x > 1).mean(),
    "masked where": lambda x: np.ma.masked_where(x > 1, x).sum(),
    "compressed": lambda x: np.ma.masked_array(x, x > 1).compressed() * 2,
    "filled": lambda x: np.ma.masked_array(x, x > 1).filled(0.5) * x,
    "count": lambda x: np.ma.masked_array(x, x > 1).count() * x,
}


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("function", FORMS.values(), ids=FORMS)
def test_matrices_and_masked_arrays_keep_their_meaning(function):
    recording = Recording({"f": function})
    found = recording.call(recording.functions["f"], recording.array(recording.leaf(X, "parameter"), float))
    recording.whole()
    wanted = function(X)
    assert isinstance(found, Recorded) and np.shape(found.floats) == np.shape(wanted)
    assert np.array_equal(found.floats, np.asarray(wanted))
