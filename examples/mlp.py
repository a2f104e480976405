"""A plain MLP with ReLU, as in many course notes."""

import numpy as np

rng = np.random.RandomState(1)
X = rng.randn(7, 3)
Y = rng.randn(7, 2)
params = {"W1": rng.randn(3, 5), "b1": rng.randn(5), "W2": rng.randn(5, 2), "b2": rng.randn(2)}


def relu(z):
    return np.maximum(z, 0)


def forward(p):
    z1 = X.dot(p["W1"]) + p["b1"]
    a1 = relu(z1)
    out = a1.dot(p["W2"]) + p["b2"]
    return z1, a1, out


def loss(p):
    z1, a1, out = forward(p)
    return 0.5 * np.sum((out - Y) ** 2)


def grad(p):
    z1, a1, out = forward(p)
    d_out = out - Y
    d_a1 = d_out.dot(p["W2"].T)
    d_z1 = d_a1 * (z1 > 0)
    return {"W1": X.T.dot(d_z1), "b1": d_z1.sum(axis=0), "W2": a1.T.dot(d_out), "b2": d_out.sum(axis=0)}
