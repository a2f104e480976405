"""A GRU over a batch, gates in one matrix, backward with the gates' deltas stacked."""

import numpy as np

rng = np.random.default_rng(14)
T, B, I, H = 4, 2, 3, 3
x, c = rng.normal(size=(T, B, I)), rng.normal(size=(T, B, H))


def sigma(v):
    return 1.0 / (1.0 + np.exp(-v))


def forward(p):
    h, tape = np.full((B, H), 0.2), []
    for t in range(T):
        rz = sigma(x[t] @ p["Wg"] + h @ p["Ug"] + p["bg"])
        r, z = rz[:, :H], rz[:, H:]
        n = np.tanh(x[t] @ p["Wn"] + (r * h) @ p["Un"] + p["bn"])
        tape.append((h, r, z, n))
        h = z * h + (1 - z) * n
        tape[-1] += (h,)
    return tape


def loss(p):
    return sum(np.sum(weight * step[-1]) for weight, step in zip(c, forward(p)))


def grad(p):
    g = {k: np.zeros_like(v) for k, v in p.items()}
    dh = np.zeros((B, H))
    for t, (prev, r, z, n, _) in reversed(list(enumerate(forward(p)))):
        dh = dh + c[t]
        dn = dh * (1 - z)
        dz = dh * (prev - n)
        dn_raw = dn * (1 - n * n)
        drh = dn_raw @ p["Un"].T
        dr = drh * prev
        dg = np.hstack([dr * r * (1 - r), dz * z * (1 - z)])
        g["Wn"] += x[t].T @ dn_raw
        g["Un"] += (r * prev).T @ dn_raw
        g["bn"] += np.sum(dn_raw, 0)
        g["Wg"] += x[t].T @ dg
        g["Ug"] += prev.T @ dg
        g["bg"] += np.sum(dg, 0)
        dh = dh * z + drh * r + dg @ p["Ug"].T
    return g


point = {name: rng.normal(size=s) for name, s in
         {"Wg": (I, 2 * H), "Ug": (H, 2 * H), "bg": (2 * H,), "Wn": (I, H), "Un": (H, H), "bn": (H,)}.items()}

EDITS = [
    ("path", "dh = dh * z + drh * r + dg @ p[\"Ug\"].T", "dh = dh * z + drh * r"),
    ("path", "dh = dh * z + drh * r + dg @ p[\"Ug\"].T", "dh = dh * z + drh + dg @ p[\"Ug\"].T"),
    ("sign", "dz = dh * (prev - n)", "dz = dh * (n - prev)"),
    ("slope", "dn_raw = dn * (1 - n * n)", "dn_raw = dn * (1 - n) * n"),
    ("operand", "g[\"Un\"] += (r * prev).T @ dn_raw", "g[\"Un\"] += prev.T @ dn_raw"),
    ("operand", "dn = dh * (1 - z)", "dn = dh * z"),
]
