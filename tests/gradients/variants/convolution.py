"""A one-dimensional convolution with tanh and a dense read-out; the backward pass runs over taps."""

import numpy as np

rng = np.random.default_rng(17)
N, K, C, F = 7, 3, 2, 3
signal = rng.normal(size=(N, C))


def conv(kernel, bias):
    return np.array([np.einsum("kc,kcf->f", signal[i : i + K], kernel) + bias for i in range(N - K + 1)])


def loss(p):
    hidden = np.tanh(conv(p["kernel"], p["bias"]))
    pooled = hidden.mean(axis=0)
    return 0.5 * (pooled @ p["read"] - 1.0) ** 2


def grad(p):
    hidden = np.tanh(conv(p["kernel"], p["bias"]))
    pooled = hidden.mean(axis=0)
    error = pooled @ p["read"] - 1.0
    dread = error * pooled
    dpooled = error * p["read"]
    dhidden = np.tile(dpooled, (len(hidden), 1)) / len(hidden)
    dpre = dhidden * (1 - hidden**2)
    dkernel = np.zeros_like(p["kernel"])
    for i in range(len(dpre)):
        for k in range(K):
            dkernel[k] += np.outer(signal[i + k], dpre[i])
    return {"kernel": dkernel, "bias": dpre.sum(axis=0), "read": dread}


point = {"kernel": rng.normal(size=(K, C, F)), "bias": rng.normal(size=F), "read": rng.normal(size=F)}

EDITS = [
    ("index", "dkernel[k] += np.outer(signal[i + k], dpre[i])", "dkernel[k] += np.outer(signal[i + K - 1 - k], dpre[i])"),
    ("accumulation", "dkernel[k] += np.outer(signal[i + k], dpre[i])", "dkernel[k] = np.outer(signal[i + k], dpre[i])"),
    ("factor", "dhidden = np.tile(dpooled, (len(hidden), 1)) / len(hidden)", "dhidden = np.tile(dpooled, (len(hidden), 1))"),
    ("slope", "dpre = dhidden * (1 - hidden**2)", "dpre = dhidden * hidden * (1 - hidden)"),
    ("operand", "dread = error * pooled", "dread = error * p[\"read\"]"),
]
