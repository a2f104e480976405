"""Layer normalisation between two dense layers, as a layer with upstream gradients."""

import numpy as np

rng = np.random.default_rng(16)
B, I, H, O = 3, 4, 5, 2
x, y = rng.normal(size=(B, I)), rng.normal(size=(B, O))


def normalise(z, gain, shift):
    mean = z.mean(axis=1, keepdims=True)
    spread = np.sqrt(((z - mean) ** 2).mean(axis=1, keepdims=True) + 1e-3)
    hat = (z - mean) / spread
    return gain * hat + shift, hat, spread


def forward(p):
    z = x @ p["W1"] + p["b1"]
    n, hat, spread = normalise(z, p["gain"], p["shift"])
    a = np.maximum(n, 0)
    return z, n, hat, spread, a, a @ p["W2"] + p["b2"]


def loss(p):
    return np.mean((forward(p)[-1] - y) ** 2)


def grad(p):
    z, n, hat, spread, a, out = forward(p)
    dout = 2 * (out - y) / y.size
    dW2 = a.T @ dout
    db2 = dout.sum(0)
    da = dout @ p["W2"].T
    dn = da * (n > 0)
    dgain = (dn * hat).sum(0)
    dshift = dn.sum(0)
    dhat = dn * p["gain"]
    dz = (dhat - dhat.mean(1, keepdims=True) - hat * (dhat * hat).mean(1, keepdims=True)) / spread
    return {"W1": x.T @ dz, "b1": dz.sum(0), "gain": dgain, "shift": dshift, "W2": dW2, "b2": db2}


point = {"W1": rng.normal(size=(I, H)), "b1": rng.normal(size=H), "gain": rng.normal(size=H),
         "shift": rng.normal(size=H), "W2": rng.normal(size=(H, O)), "b2": rng.normal(size=O)}

EDITS = [
    ("path", "dz = (dhat - dhat.mean(1, keepdims=True) - hat * (dhat * hat).mean(1, keepdims=True)) / spread",
     "dz = (dhat - hat * (dhat * hat).mean(1, keepdims=True)) / spread"),
    ("jacobian", "dz = (dhat - dhat.mean(1, keepdims=True) - hat * (dhat * hat).mean(1, keepdims=True)) / spread",
     "dz = dhat / spread"),
    ("factor", "dout = 2 * (out - y) / y.size", "dout = (out - y) / y.size"),
    ("factor", "dout = 2 * (out - y) / y.size", "dout = 2 * (out - y) / len(y)"),
    ("slope", "dn = da * (n > 0)", "dn = da"),
    ("operand", "dgain = (dn * hat).sum(0)", "dgain = (dn * n).sum(0)"),
    ("path", "dhat = dn * p[\"gain\"]", "dhat = dn"),
]
