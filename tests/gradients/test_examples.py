"""Right and wrong code in the styles that people write it in: every verdict right, and no hint misleading.

Each file in examples/ is right; the wrong ones are edits of it, one line each, from the classes of the survey.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from gradlab.checker.verdict import Verdict
from gradlab.gradients import GradientReport, check_gradient, check_step, check_vjp

FOLDER = Path(__file__).parent / "examples"
RIGHT = sorted(path.stem for path in FOLDER.glob("*.py"))

# (file, text in it, text in its place, the leaves that are wrong, words that a hint must have)
WRONG = {
    # carry
    "carry-never-added": (
        "char_rnn",
        "np.dot(Why.T, dy) + dhnext",
        "np.dot(Why.T, dy)",
        "[0] [1] [3]",
        "right: params[2]",
    ),
    "carry-never-updated": ("char_rnn", "dhnext = np.dot(Whh.T, dhraw)", "pass", "[0] [1] [3]", "right: params[2]"),
    "lstm-cell-carry-forgotten": (
        "lstm_step",
        "dc = d_state[1] + dh",
        "dc = dh",
        "",
        "right in a single step that no gradient reaches from the next",
    ),
    "carry-of-zeros": (
        "lstm_step",
        '(da @ p["Wh"].T, dc * f)',
        "(0 * prev_h, dc * f)",
        "",
        "only the gradient by the state is wrong",
    ),
    "carry-outside-the-slope": (
        "many_to_one",
        "dz = dh * (1 - h[t + 1] ** 2)",
        "dz = dh * (1 - h[T] ** 2) if t == T - 1 else dh",
        "U W h0",
        "right: params.V",
    ),
    "explicit-delta-in-the-recursion": (
        "char_rnn",
        "dhnext = np.dot(Whh.T, dhraw)",
        "dhnext = np.dot(Whh.T, (1 - hs[t] * hs[t]) * np.dot(Why.T, dy))",
        "[0] [1] [3]",
        "right: params[2]",
    ),
    # activation derivative
    "slope-at-the-pre-activation": ("layer_class", "d * self.out * (1 - self.out)", "d * (1 - d)", "", ""),
    "slope-dropped": ("layer_class", "d * self.out * (1 - self.out)", "d", "", ""),
    "slope-squared": ("many_to_one", "(1 - h[t + 1] ** 2)", "(1 - h[t + 1] ** 2) ** 2", "U W h0", "right: params.V"),
    "relu-slope-dropped": ("mlp", "d_a1 * (z1 > 0)", "d_a1", "W1 b1", "right: params['W2']"),
    "tanh-of-tanh": ("lstm_step", "dh * o * (1 - np.tanh(c) ** 2)", "dh * o * (1 - np.tanh(np.tanh(c)) ** 2)", "", ""),
    # time index
    "present-state-for-previous": (
        "char_rnn",
        "np.dot(dhraw, hs[t - 1].T)",
        "np.dot(dhraw, hs[t].T)",
        "[1]",
        "wrong: params[1]",
    ),
    "loop-misses-step-0": ("many_to_one", "range(T - 1, -1, -1)", "range(T - 1, 0, -1)", "U W h0", ""),
    "slope-one-step-off": ("many_to_one", "(1 - h[t + 1] ** 2)", "(1 - h[t] ** 2)", "U W h0", ""),
    # wrong operand
    "candidate-for-state": ("lstm_step", "dc * prev_c * f", "dc * g * f", "", ""),
    "cell-for-its-tanh": ("lstm_step", "dh * np.tanh(c) * o", "dh * c * o", "", ""),
    "another-layer's-weights": ("attention", "dA = dO @ V.T", "dA = dO @ (V + 1).T * 2", "", ""),
    # transpose
    "transpose-missing": ("char_rnn", "np.dot(Whh.T, dhraw)", "np.dot(Whh, dhraw)", "[0] [1] [3]", "right: params[2]"),
    "rtrl-weight-transposed": (
        "online_rtrl",
        "dW += np.tensordot(error, P_W, axes=(0, 0))",
        "dW += np.tensordot(error, P_W, axes=(0, 0)).T",
        "W",
        "transposed",
    ),
    "attention-transposed": ("attention", "dV = A.T @ dO", "dV = A @ dO", "[2]", ""),
    # stale, aliased
    "stale-activation": ("many_to_one", "dW += h[t].T @ dz", "dW += h[T].T @ dz", "W", ""),
    # accumulation
    "assigned-not-added": ("char_rnn", "dWxh += np.dot", "dWxh = np.dot", "[0]", ""),
    "regulariser-forgotten": (
        "softmax_ce",
        "return dW + 2 * reg * W",
        "return dW",
        "",
        "off by -1 times the parameter",
    ),
    "overwritten": ("online_rtrl", "dU += np", "dU = np", "U", ""),
    # loss at the last step injected at every step
    "last-loss-at-every-step": (
        "many_to_one",
        "dh = dz @ p.W.T",
        "dh = dz @ p.W.T + dout @ p.V.T",
        "U W h0",
        "right: params.V",
    ),
    # sum against mean
    "sum-for-mean": ("layer_class", "/ self.y.size", "", "", "scale=10"),
    "mean-over-the-batch": ("mlp", "d_out = out - Y", "d_out = (out - Y) / len(X)", "", "scale=1/7"),
    # the loss that is reported is another
    "half-forgotten": ("softmax_ce", "2 * reg * W", "reg * W", "", "off by -0.5 times the parameter"),
    "other-loss": ("mlp", "return 0.5 * np.sum((out - Y) ** 2)", "return np.sum(np.abs(out - Y))", "", ""),
    # a path missing or twice
    "path-through-the-mean-missing": (
        "layer_norm",
        "n * dxhat - dxhat.sum(-1, keepdims=True)",
        "n * dxhat",
        "['x']",
        "right: x['gamma']",
    ),
    "softmax-jacobian-diagonal": (
        "attention",
        "A * (dA - np.sum(dA * A, axis=-1, keepdims=True))",
        "A * (1 - A) * dA",
        "[0] [1]",
        "right: x[2]",
    ),
    "attention-scale-forgotten": ("attention", "dQ = dS @ K * scale", "dQ = dS @ K", "[0]", "scale=sqrt(3)"),
    "path-twice": ("updater", "decay * w)", "2 * decay * w)", "['w']", "right: params['b']"),
    # output Jacobian dropped
    "output-slope-dropped": (
        "layer_class",
        "d = 2 * (self.out - self.y) / self.y.size\n        for layer in reversed(self.layers)",
        "d = 2 * (self.out - self.y) / self.y.size\n        for layer in reversed(self.layers[:-1])",
        "",
        "",
    ),
    "tanh-of-half": (
        "many_to_one",
        "np.tanh(X[t] @ p.U + h[t] @ p.W)",
        "np.tanh((X[t] @ p.U + h[t] @ p.W) / 2)",
        "U W h0",
        "right: params.V",
    ),
    # sign, Kronecker delta
    "sign-flipped": (
        "updater",
        '(p["w"] - w) / lr, "b": (p["b"] - b)',
        '(w - p["w"]) / lr, "b": (b - p["b"])',
        "",
        "sign=-1",
    ),
    "kronecker-missing": ("online_rtrl", "Q_W[k, k, :] += h", "Q_W[k] += h", "W", "right: params['U']"),
}


def loaded(folder: Path, name: str, old: str = "", new: str = "") -> ModuleType:
    source = (FOLDER / f"{name}.py").read_text()
    if old:
        assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {name}.py"
        source = source.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checked(code: ModuleType, **options) -> GradientReport:
    if hasattr(code, "vjp"):
        return check_vjp(code.f, code.vjp, code.x, **options)
    if hasattr(code, "forward_step"):
        return check_step(code.forward_step, code.backward_step, code.params, code.x, code.state, **options)
    return check_gradient(code.loss, code.grad, code.params, **options)


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_agrees_with_certified_digits(name: str, tmp_path: Path) -> None:
    report = checked(loaded(tmp_path, name))
    assert report.verdict is Verdict.AGREE, report
    assert set(report.oracles) == {"certified", "float_run"}
    assert report.refused == {} and report.hints == () and report.kinks == {}
    assert report.digits > 14


@pytest.mark.parametrize("name", WRONG)
def test_wrong_code_is_proven_wrong(name: str, tmp_path: Path) -> None:
    file, old, new, leaves, words = WRONG[name]
    report = checked(loaded(tmp_path, file, old, new))
    assert report.verdict is Verdict.DISAGREE, report
    assert report.proven
    if leaves:
        wrong = {path for path, leaf in report.leaves.items() if leaf.verdict is Verdict.DISAGREE}
        assert wrong == {
            path for path in report.leaves if any(path.endswith((k, f".{k}", f"['{k}']")) for k in leaves.split())
        }
    assert words in " ".join(report.hints), report.hints
