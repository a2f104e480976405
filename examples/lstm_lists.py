"""An LSTM over concatenated inputs, functions that pass dictionaries and lists around."""

import numpy as np

rng = np.random.RandomState(12)
n_x, n_h, n_out, T = 2, 3, 2, 4
params = {
    "Wf": rng.randn(n_h, n_h + n_x) * 0.7,
    "Wi": rng.randn(n_h, n_h + n_x) * 0.7,
    "Wc": rng.randn(n_h, n_h + n_x) * 0.7,
    "Wo": rng.randn(n_h, n_h + n_x) * 0.7,
    "bf": rng.randn(n_h, 1) * 0.3,
    "bi": rng.randn(n_h, 1) * 0.3,
    "bc": rng.randn(n_h, 1) * 0.3,
    "bo": rng.randn(n_h, 1) * 0.3,
    "Wy": rng.randn(n_out, n_h),
}
xs = [rng.randn(n_x, 1) for _ in range(T)]
labels = [0, 1, 1, 0]


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def dsigmoid(y):
    return y * (1 - y)


def dtanh(y):
    return 1 - y * y


def forward(p):
    h = np.zeros((n_h, 1))
    c = np.zeros((n_h, 1))
    caches, probs = [], []
    for x in xs:
        c_prev = c
        z = np.vstack((h, x))
        f = sigmoid(p["Wf"] @ z + p["bf"])
        i = sigmoid(p["Wi"] @ z + p["bi"])
        c_bar = np.tanh(p["Wc"] @ z + p["bc"])
        c = f * c_prev + i * c_bar
        o = sigmoid(p["Wo"] @ z + p["bo"])
        h = o * np.tanh(c)
        y = p["Wy"] @ h
        prob = np.exp(y - np.max(y)) / np.sum(np.exp(y - np.max(y)))
        caches.append((z, f, i, c_bar, c, o, h, c_prev))
        probs.append(prob)
    return probs, caches


def loss(p):
    probs, _ = forward(p)
    return -sum(np.log(probs[t][labels[t], 0]) for t in range(T))


def backward_step(p, label, prob, cache, dh_next, dc_next, grads):
    z, f, i, c_bar, c, o, h, c_prev = cache
    dy = np.copy(prob)
    dy[label] -= 1
    grads["Wy"] += dy @ h.T
    dh = p["Wy"].T @ dy
    dh += dh_next
    do = dh * np.tanh(c)
    do = dsigmoid(o) * do
    dc = np.copy(dc_next)
    dc += dh * o * dtanh(np.tanh(c))
    dc_bar = dc * i
    dc_bar = dtanh(c_bar) * dc_bar
    di = dc * c_bar
    di = dsigmoid(i) * di
    df = dc * c_prev
    df = dsigmoid(f) * df
    grads["Wf"] += df @ z.T
    grads["bf"] += df
    grads["Wi"] += di @ z.T
    grads["bi"] += di
    grads["Wc"] += dc_bar @ z.T
    grads["bc"] += dc_bar
    grads["Wo"] += do @ z.T
    grads["bo"] += do
    dz = p["Wf"].T @ df + p["Wi"].T @ di + p["Wc"].T @ dc_bar + p["Wo"].T @ do
    dh_prev = dz[:n_h, :]
    dc_prev = f * dc
    return dh_prev, dc_prev


def grad(p):
    probs, caches = forward(p)
    grads = {k: np.zeros_like(v) for k, v in p.items()}
    dh_next = np.zeros((n_h, 1))
    dc_next = np.zeros((n_h, 1))
    for t in reversed(range(T)):
        dh_next, dc_next = backward_step(p, labels[t], probs[t], caches[t], dh_next, dc_next, grads)
    return grads
