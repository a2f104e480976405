"""The adjoint of a scalar Kalman filter's innovations."""

import numpy as np

rng = np.random.default_rng(19)
T = 6
seen = rng.normal(size=T)


def filtered(p):
    a, q, r = p["a"], p["q"], p["r"]
    m, v, rows = 0.3, 1.5, []
    for value in seen:
        mp, vp = a * m, a * a * v + q
        s = vp + r
        gain = vp / s
        e = value - mp
        rows.append((m, v, mp, vp, s, gain, e))
        m, v = mp + gain * e, (1 - gain) * vp
    return rows


def loss(p):
    return sum(0.5 * (np.log(s) + e * e / s) for *_, s, _, e in filtered(p))


def grad(p):
    a = p["a"]
    da = dq = dr = dm = dv = 0.0
    for m, v, mp, vp, s, gain, e in reversed(filtered(p)):
        de = e / s + dm * gain
        dgain = dm * e - dv * vp
        ds = 0.5 / s - 0.5 * e * e / s**2 - dgain * vp / s**2
        dvp = dv * (1 - gain) + dgain / s + ds
        dmp = dm - de
        dr += ds
        dq += dvp
        da += dmp * m + dvp * 2 * a * v
        dm = dmp * a
        dv = dvp * a * a
    return {"a": da, "q": dq, "r": dr}


point = {"a": np.array(0.9), "q": np.array(0.4), "r": np.array(0.7)}

EDITS = [
    ("path", "dgain = dm * e - dv * vp", "dgain = dm * e"),
    ("carry", "de = e / s + dm * gain", "de = e / s"),
    ("sign", "dmp = dm - de", "dmp = dm + de"),
    ("factor", "da += dmp * m + dvp * 2 * a * v", "da += dmp * m + dvp * a * v"),
    ("carry", "dv = dvp * a * a", "dv = dvp * a"),
]
