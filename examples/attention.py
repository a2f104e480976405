"""Scaled dot-product attention with a causal mask, one head."""

import numpy as np

rng = np.random.RandomState(7)
n, d, dv = 4, 3, 2
x = (rng.randn(n, d), rng.randn(n, d), rng.randn(n, dv))
mask = np.tril(np.ones((n, n), dtype=bool))


def weights(Q, K):
    S = Q @ K.T / np.sqrt(d)
    S = np.where(mask, S, -1e9)
    S = S - np.max(S, axis=-1, keepdims=True)
    E = np.exp(S)
    return E / np.sum(E, axis=-1, keepdims=True)


def f(qkv):
    Q, K, V = qkv
    return np.einsum("ij,jk->ik", weights(Q, K), V)


def vjp(qkv, dO):
    Q, K, V = qkv
    A = weights(Q, K)
    dV = A.T @ dO
    dA = dO @ V.T
    dS = A * (dA - np.sum(dA * A, axis=-1, keepdims=True))
    scale = d**-0.5
    dQ = dS @ K * scale
    dK = dS.T @ Q * scale
    return dQ, dK, dV
