"""One step of an LSTM, as courses set it: the caller loops, sums and carries."""

import numpy as np

rng = np.random.default_rng(10)
I, H, B, T = 2, 3, 2, 5
params = {"Wx": rng.normal(size=(I, 4 * H)), "Wh": rng.normal(size=(H, 4 * H)), "b": rng.normal(size=4 * H)}
x = rng.normal(size=(T, B, I))
state = (rng.normal(size=(B, H)), rng.normal(size=(B, H)))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward_step(p, x_t, state):
    prev_h, prev_c = state
    a = x_t @ p["Wx"] + prev_h @ p["Wh"] + p["b"]
    i, f, o, g = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H]), np.tanh(a[:, 3 * H :])
    c = f * prev_c + i * g
    h = o * np.tanh(c)
    return h, (h, c), (x_t, prev_h, prev_c, i, f, o, g, c)


def backward_step(p, d_out, d_state, cache):
    x_t, prev_h, prev_c, i, f, o, g, c = cache
    dh = d_out + d_state[0]
    dc = d_state[1] + dh * o * (1 - np.tanh(c) ** 2)
    da = np.zeros((B, 4 * H))
    da[:, :H] = dc * g * i * (1 - i)
    da[:, H : 2 * H] = dc * prev_c * f * (1 - f)
    da[:, 2 * H : 3 * H] = dh * np.tanh(c) * o * (1 - o)
    da[:, 3 * H :] = dc * i * (1 - g**2)
    d_params = {"Wx": x_t.T @ da, "Wh": prev_h.T @ da, "b": da.sum(axis=0)}
    return d_params, (da @ p["Wh"].T, dc * f), da @ p["Wx"].T
