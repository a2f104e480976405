"""A batch-first RNN whose states and errors live in buffers that are allocated once."""

import numpy as np

rng = np.random.default_rng(13)
N, T, D, H = 2, 4, 3, 3
X = rng.standard_normal((N, T, D))
Y = rng.standard_normal((N, T, H))
params = (rng.standard_normal((D, H)) * 0.8, rng.standard_normal((H, H)) * 0.8, rng.standard_normal(H))


def rnn_forward(x, Wx, Wh, b):
    N, T, D = x.shape
    h = np.zeros((N, T, Wh.shape[0]))
    prev_h = np.zeros((N, Wh.shape[0]))
    cache = []
    for t in range(T):
        next_h = np.tanh(x[:, t].dot(Wx) + prev_h.dot(Wh) + b)
        cache.append((x[:, t], prev_h, next_h, Wx, Wh))
        h[:, t] = next_h
        prev_h = next_h
    return h, cache


def rnn_step_backward(dnext_h, cache):
    x, prev_h, next_h, Wx, Wh = cache
    dt = dnext_h * (1 - next_h**2)
    dx = dt.dot(Wx.T)
    dprev_h = dt.dot(Wh.T)
    dWx = x.T.dot(dt)
    dWh = prev_h.T.dot(dt)
    db = np.sum(dt, axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_backward(dh, cache):
    N, T, H = dh.shape
    dprev_h = np.zeros((N, H))
    dWx, dWh, db = 0, 0, 0
    for t in range(T - 1, -1, -1):
        dx, dprev_h, dWx_t, dWh_t, db_t = rnn_step_backward(dh[:, t] + dprev_h, cache[t])
        dWx += dWx_t
        dWh += dWh_t
        db += db_t
    return dWx, dWh, db


def loss(p):
    h, _ = rnn_forward(X, *p)
    return np.mean((h - Y) ** 2)


def grad(p):
    h, cache = rnn_forward(X, *p)
    dh = 2 * (h - Y) / h.size
    return rnn_backward(dh, cache)
