"""Functions of SciPy: recorded with SciPy's own values, differentiated exactly, or refused by name."""

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, balls, precision
from gradlab.frontends.numpy_code import Recording
from gradlab.tape import Adjoints, NotRecorded, Recorded, replay

scipy = pytest.importorskip("scipy", reason="SciPy is not installed")
sp, sl = pytest.importorskip("scipy.special"), pytest.importorskip("scipy.linalg")

X = np.random.default_rng(0).uniform(0.5, 2, (3, 4))
STEP = 2.0**-100


def function_of(code):
    return eval(f"lambda x: {code}", {"np": np, "sp": sp, "sl": sl, "scipy": scipy})


def recorded(code):
    recording = Recording({"f": function_of(code)})
    leaf = recording.leaf(X, "parameter")
    found = recording.call(recording.functions["f"], recording.array(leaf, float))
    recording.whole()
    return recording, leaf, found


FORMS = """
sp.expit(x)
sp.logit(x / 4)
sp.log_expit(-x)
sp.xlogy(x, x)
sp.xlog1py(x, x)
sp.entr(x)
sp.rel_entr(x, 0.5)
sp.kl_div(x, 0.5)
sp.erf(x)
sp.erfc(x)
sp.ndtr(x)
sp.log_ndtr(x)
sp.gammaln(x)
sp.gamma(x)
sp.psi(x)
sp.digamma(x)
sp.betaln(x, 2.0)
sp.expm1(x)
sp.log1p(x)
sp.cbrt(x)
sp.exp2(x)
sp.exp10(x)
sp.huber(1.0, x)
sp.pseudo_huber(1.0, x)
sp.logsumexp(x)
sp.logsumexp(x, axis=1, b=x, keepdims=True)
sp.logsumexp([x[0, 0], 1.0])
sp.softmax(x, axis=0)
sp.log_softmax(x, axis=-1)
sl.block_diag(x, x[0]) * 2
sl.inv(x[:, :3])
sl.det(x[:, :3])
sl.norm(x)
sl.solve(x[:, :3], x[:, 3])
sl.cholesky(x @ x.T + np.eye(3))
sl.cholesky(x @ x.T + np.eye(3), lower=True)
sl.solve_triangular(x[:, :3], x[:, 3])
sl.solve_triangular(x[:, :3], x[:, 3], lower=True)
sl.solve_triangular(x[:, :3], x[:, 3], trans=1)
sl.cho_solve(sl.cho_factor(x @ x.T + np.eye(3)), x[:, 0])
sl.cho_solve(sl.cho_factor(x @ x.T + np.eye(3), lower=True), x)
sl.cho_factor(x @ x.T + np.eye(3))[0]
""".strip().splitlines()


@pytest.mark.parametrize("code", FORMS)
def test_recorded_as_scipy_computes_and_differentiated_as_differences_say(code):
    recording, leaf, found = recorded(code)
    assert isinstance(found, Recorded) and np.array_equal(found.floats, function_of(code)(X))
    index, direction = recording.nodes(found).reshape(-1), balls(np.random.default_rng(0).integers(1, 5, X.shape))
    with precision(400):
        run = replay(recording.program, BallArithmetic())
        slopes = [(row * direction).sum() for row in Adjoints(run, index[:, None]).rows(leaf)]
        ends = []
        for sign in (1, -1):
            moved = (balls(X) + sign * balls(STEP)[()] * direction)[None]
            run = replay(
                recording.program,
                BallArithmetic(),
                leaves=lambda b, _, moved=moved: moved if b.start == leaf[0, 0] else None,
            )
            ends.append(run.stored(index)[0])
        differences = [(up - down) / (2 * balls(STEP)[()]) for up, down in zip(*ends, strict=True)]
        assert all(abs(one - other) < 2.0**-150 for one, other in zip(slopes, differences, strict=True))


def test_what_scipy_makes_of_floats_is_recorded_and_may_be_written_to():
    _, _, found = recorded("np.add(x[:2, :2], 1, out=sl.block_diag([1.0], [2.0]))")
    assert np.array_equal(found.floats, X[:2, :2] + 1)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sp.iv(1, x)", r"scipy\.special\.iv is not recorded"),
        ("sp.logsumexp(x, return_sign=True)[0]", r"scipy\.special\.logsumexp with these options"),
        ("sl.solve(x[:, :3], x[:, 3], assume_a='gen')", r"scipy\.linalg\.solve with these options"),
        ("sl.expm(x[:, :3])", r"scipy\.linalg\.expm is not recorded"),
        ("scipy.signal.lfilter([1.0], [1.0, -0.5], x[0])", r"scipy\.signal\.lfilter is not recorded"),
        ("scipy.ndimage.gaussian_filter(x, 1.0)", r"scipy\.ndimage\.gaussian_filter is not recorded"),
        ("scipy.integrate.quad(lambda t: np.exp(-x[0, 0] * t), 0, 1)[0]", "where nothing is recorded"),
        ("sp.gamma(x - 3)", "gamma function below 0"),
    ],
)
def test_others_are_refused_by_name_and_never_taken_for_constants(code, words):

    with pytest.raises(NotRecorded, match=words):
        recorded(code)
