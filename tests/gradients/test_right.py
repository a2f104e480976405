"""Right gradients in the ways in which people write them: none is called wrong, and each is certified."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

import gradlab

rng = np.random.default_rng(0)
C3, X, R = np.array([0.1, 0.2, 0.7]), rng.normal(size=(50, 3)), rng.normal(size=(5, 6))
W3 = np.array([1.0, 2.0, 3.0])


def constants_only():
    """The gradient is computed from captured data alone and never touches the parameters."""
    return gradlab.check_gradient(lambda b: np.mean(b * C3), lambda b: C3 / 3, W3)


def dense_layer_vjp():
    return gradlab.check_vjp(lambda W: X @ W, lambda W, u: X.T @ u, np.ones((3, 2)))


def normal_equations():
    A = X.T @ X
    return gradlab.check_gradient(lambda w: 0.5 * np.sum((X @ w) ** 2), lambda w: A @ w, W3)


def summed_rows():
    return gradlab.check_gradient(lambda b: np.sum(R * b), lambda b: R.sum(0), rng.normal(size=6))


def bias_of_least_squares():
    b = rng.normal(size=6)
    return gradlab.check_gradient(lambda b: 0.5 * np.sum((b - R) ** 2), lambda b: len(R) * (b - R.mean(0)), b)


def output_bias_of_an_rnn():
    T, I, H, O = 5, 3, 4, 2
    x, c = rng.normal(size=(T, I)), rng.normal(size=(T, O))
    p = {
        "U": rng.normal(size=(I, H)),
        "W": rng.normal(size=(H, H)),
        "V": rng.normal(size=(H, O)),
        "c": rng.normal(size=O),
    }

    def states(p):
        h = [np.zeros(H)]
        for t in range(T):
            h.append(np.tanh(x[t] @ p["U"] + h[-1] @ p["W"]))
        return h

    def loss(p):
        return sum(np.sum(c[t] * (states(p)[t + 1] @ p["V"] + p["c"])) for t in range(T))

    def grad(p):
        h, g, carry = states(p), {k: np.zeros_like(v) for k, v in p.items()}, np.zeros(H)
        for t in reversed(range(T)):
            d = (p["V"] @ c[t] + carry) * (1 - h[t + 1] ** 2)
            g["V"] += np.outer(h[t + 1], c[t])
            g["c"] += c[t]
            g["U"] += np.outer(x[t], d)
            g["W"] += np.outer(h[t], d)
            carry = p["W"] @ d
        return g

    return gradlab.check_gradient(loss, grad, p)


def epsilon_below_rounding():
    def p(z):
        return np.exp(z) / np.sum(np.exp(z))

    return gradlab.check_gradient(lambda z: -np.log(p(z)[0] + 1e-30), lambda z: p(z) - np.array([1.0, 0, 0]), W3)


def bias_before_batchnorm():
    """Its true gradient is exactly 0: what the code computes is rounding dust."""
    A = rng.normal(size=(6, 3))
    G = A[::-1]

    def forward(p):
        a = A * p["w"] + p["b"]
        return a - a.mean(0), np.sqrt(a.var(0) + 1e-5)

    def loss(p):
        k, s = forward(p)
        return np.sum(G * k / s)

    def grad(p):
        k, s = forward(p)
        d = (G - G.mean(0)) / s - k * np.mean(G * k, 0) / s**3
        return {"w": np.sum(A * d, 0), "b": np.sum(d, 0)}

    return gradlab.check_gradient(loss, grad, {"w": W3, "b": C3})


def printed_loss():
    def loss(w):
        total = np.sum(w**2)
        print(f"loss {total:.4f}, {round(float(total), 2)}, {total.item()!r:.3}")  # noqa: T201  (what is tried)
        return total

    return gradlab.check_gradient(loss, lambda w: 2 * w, W3)


def rounded_prediction():
    def loss(w):
        y = 1 / (1 + np.exp(-w))
        _ = np.round(y).astype(int)
        return np.sum((y - 1) ** 2) / 2

    def grad(w):
        y = 1 / (1 + np.exp(-w))
        return (y - 1) * y * (1 - y)

    return gradlab.check_gradient(loss, grad, W3)


class Base:
    def __init__(self, n):
        self.cache = np.zeros(n)

    def forward(self, w):
        self.cache[:] = w * w
        return self.cache

    def backward(self, w):
        return 2 * w


class Derived(Base):
    def __init__(self, n):
        super().__init__(n)
        self.buffer = np.zeros(n)

    def forward(self, w):
        self.buffer[:] = 3 * super().forward(w)
        return self.buffer

    def backward(self, w):
        return 3 * super().backward(w)


def inherited_layers():
    layer = Derived(3)
    return gradlab.check_gradient(lambda w: np.sum(layer.forward(w)), layer.backward, W3)


def random_function_imported_by_name():
    from numpy.random import randn

    class Net:
        def __init__(self):
            self.w = randn(3)  # noqa: NPY002  (what is tried)

    def net(w):
        made = Net()
        made.w = w
        return made

    return gradlab.check_gradient(lambda w: np.sum(net(w).w ** 2), lambda w: 2 * net(w).w, W3)


def upstream_is_written_to():
    A = rng.normal(size=(3, 3))

    def forward(w):
        h = [w]
        for _ in range(3):
            h.append(np.tanh(A @ h[-1]))
        return np.array(h)

    def backward(w, up):
        h, d = forward(w), up.copy()
        for t in (3, 2, 1):
            d[t - 1] += A.T @ (d[t] * (1 - h[t] ** 2))
        return d[0]

    return gradlab.check_vjp(forward, backward, W3)


def written_through_nditer():
    def loss(w):
        out = np.array(w, copy=True)
        for entry in np.nditer(out, op_flags=["readwrite"]):
            entry[...] = entry * entry
        return np.sum(out)

    return gradlab.check_gradient(loss, lambda w: 2 * w, W3)


def clipped_by_norm_with_an_epsilon():
    """The usual idiom: scale by c / (norm + eps)."""

    def grad(w):
        g = 2 * w
        norm = np.sqrt(np.sum(g**2))
        return g * min(1.0, 1.0 / (norm + 1e-6))

    return gradlab.check_gradient(lambda w: np.sum(w**2), grad, W3, clip=("norm", 1.0, 1e-6))


def tie_of_a_sanity_check():
    def loss(w):
        assert abs(np.sum(w) - np.sum(w[::-1])) < 1e-5
        return np.sum(w**2)

    return gradlab.check_gradient(loss, lambda w: 2 * w, W3)


class Cached:
    """The commonest style of all: the forward keeps its activations, the backward reads them."""

    def __init__(self):
        r = np.random.default_rng(0)
        self.x, self.y = r.normal(size=(6, 4)), r.normal(size=(6, 3))

    def loss(self, p):
        self.h = np.tanh(self.x @ p["W"])
        return 0.5 * np.sum((self.h - self.y) ** 2)

    def backward(self, p):
        return {"W": self.x.T @ ((self.h - self.y) * (1 - self.h**2))}


def cached_activations():
    net = Cached()
    return gradlab.check_gradient(net.loss, net.backward, {"W": rng.normal(size=(4, 3))})


_cache = {}


def activations_in_a_global():
    def loss(w):
        _cache["h"] = np.tanh(X @ w)
        return np.sum(_cache["h"])

    return gradlab.check_gradient(loss, lambda w: X.T @ (1 - _cache["h"] ** 2), W3)


def memoised_forward():
    from functools import lru_cache

    w_now = {}

    @lru_cache(maxsize=8)
    def forward(key):
        return np.tanh(X @ w_now["w"])

    def state(w):
        w_now["w"] = w
        return forward(w.tobytes())

    return gradlab.check_gradient(lambda w: np.sum(state(w)), lambda w: X.T @ (1 - state(w) ** 2), W3)


CASES = [name for name, value in list(globals().items()) if inspect.isfunction(value) and not name.startswith("_")]


@pytest.mark.parametrize("name", CASES)
def test_a_right_gradient_is_certified(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = getattr(sys.modules[__name__], name)()
    assert report.ok, str(report)
    assert report.oracles == ("certified", "float_run"), report.refused
    assert all(point.verdict == "agree" for point in report.points), report.points
    assert "should be" not in str(report)
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_matrix_of_the_old_kind_is_refused_in_one_line_and_told_by_differences() -> None:
    """np.matrix: `*` is the matrix product."""
    A = np.matrix(rng.normal(size=(3, 3)))
    report = gradlab.check_gradient(
        lambda w: float(np.sum(np.square(A * w))), lambda w: 2 * A.T * (A * w), np.matrix(W3).T
    )
    assert report.ok and "np.matrix is not recorded" in report.refused["certified"], str(report)


def test_an_epsilon_below_rounding_is_said() -> None:
    assert any("apart, which is below what floats resolve" in note for note in epsilon_below_rounding().notes)


def test_a_gradient_that_reads_what_the_loss_left_is_said() -> None:
    for case in (cached_activations, activations_in_a_global):
        assert "grad reads what loss leaves" in case().notes[0]
