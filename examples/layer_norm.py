"""Layer normalisation with an upstream gradient."""

import numpy as np

rng = np.random.RandomState(6)
EPS = 1e-5
x = {"x": rng.randn(3, 4), "gamma": rng.randn(4), "beta": rng.randn(4)}


def normalised(x):
    mu = np.mean(x, axis=-1, keepdims=True)
    var = np.var(x, axis=-1, keepdims=True)
    inv = 1.0 / np.sqrt(var + EPS)
    return (x - mu) * inv, inv


def f(p):
    xhat, inv = normalised(p["x"])
    return p["gamma"] * xhat + p["beta"]


def vjp(p, dout):
    xhat, inv = normalised(p["x"])
    n = p["x"].shape[-1]
    dxhat = dout * p["gamma"]
    dx = inv / n * (n * dxhat - dxhat.sum(-1, keepdims=True) - xhat * (dxhat * xhat).sum(-1, keepdims=True))
    return {"x": dx, "gamma": (dout * xhat).sum(axis=0), "beta": dout.sum(axis=0)}
