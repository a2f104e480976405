"""A variational autoencoder of one layer each way, with a fixed draw of the noise."""

import numpy as np

rng = np.random.default_rng(18)
B, D, Z = 3, 4, 2
data, noise = rng.uniform(0.1, 0.9, size=(B, D)), rng.normal(size=(B, Z))


def forward(p):
    mu, logvar = data @ p["Wm"], data @ p["Wv"]
    std = np.exp(0.5 * logvar)
    z = mu + std * noise
    out = 1 / (1 + np.exp(-(z @ p["Wo"])))
    return mu, logvar, std, z, out


def loss(p):
    mu, logvar, std, z, out = forward(p)
    rebuilt = -np.sum(data * np.log(out) + (1 - data) * np.log(1 - out))
    divergence = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar))
    return rebuilt + divergence


def grad(p):
    mu, logvar, std, z, out = forward(p)
    dlogit = out - data
    dWo = z.T @ dlogit
    dz = dlogit @ p["Wo"].T
    dmu = dz + mu
    dlogvar = dz * noise * 0.5 * std + 0.5 * (np.exp(logvar) - 1)
    return {"Wm": data.T @ dmu, "Wv": data.T @ dlogvar, "Wo": dWo}


point = {"Wm": rng.normal(size=(D, Z)), "Wv": rng.normal(size=(D, Z)), "Wo": rng.normal(size=(Z, D))}

EDITS = [
    ("path", "dmu = dz + mu", "dmu = dz"),
    ("factor", "dlogvar = dz * noise * 0.5 * std + 0.5 * (np.exp(logvar) - 1)",
     "dlogvar = dz * noise * std + 0.5 * (np.exp(logvar) - 1)"),
    ("operand", "dlogvar = dz * noise * 0.5 * std", "dlogvar = dz * 0.5 * std"),
    ("path", "0.5 * (np.exp(logvar) - 1)", "0.5 * np.exp(logvar)"),
    ("jacobian", "dlogit = out - data", "dlogit = (out - data) * out * (1 - out)"),
]
