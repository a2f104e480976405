"""How a wrong gradient is named: what is shown and what is not, and that nothing of the user's is touched."""

from __future__ import annotations

import copy
import functools
import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlab.checker.verdict import Verdict
from gradlab.gradients import (
    GradientCheckError,
    UntoldEntries,
    WrongGradient,
    assert_gradient,
    check_gradient,
    check_vjp,
)
from gradlab.gradients.kinds import Kind
from gradlab.gradients.repair.rules import changes
from gradlab.gradients.repair.search import Search
from gradlab.gradients.repair.sites import edit, places, sites

W = {"a": np.array([[0.5, -0.25], [0.125, 1.0], [0.75, -0.5]]), "b": np.array([[0.25, -0.5], [1.0, 0.375]])}
X = np.array([[1.0, -0.5, 0.25], [0.5, 2.0, -1.0]])
SEEN: list[float] = []


def loss(p):
    h = np.tanh(X @ p["a"])
    return 0.5 * np.sum((h @ p["b"]) ** 2)


def right(p):
    h = np.tanh(X @ p["a"])
    d = h @ p["b"]
    e = d @ p["b"].T * (1 - h**2)
    return {"a": X.T @ e, "b": h.T @ d}


def transpose_missing(p):
    SEEN.append(1.0)
    h = np.tanh(X @ p["a"])
    d = h @ p["b"]
    e = d @ p["b"] * (1 - h**2)
    return {"a": X.T @ e, "b": h.T @ d}


class Layer:
    def __init__(self) -> None:
        self.scale = 1.0

    def grad(self, p):
        h = np.tanh(X @ p["a"])
        d = h @ p["b"]
        return {"a": X.T @ (d @ p["b"].T), "b": h.T @ d}


def from_a_closure():
    def grad(p):
        h = np.tanh(weights @ p["a"])
        d = h @ p["b"]
        e = d @ p["b"].T * (1 - h)
        return {"a": weights.T @ e, "b": h.T @ d}

    weights = X
    return grad


def two_mistakes(p):
    h = np.tanh(X @ p["a"])
    d = h @ p["b"]
    e = d @ p["b"] * (1 - h)
    return {"a": X.T @ e, "b": h.T @ d}


def scaled(by):
    return lambda p: {name: by * leaf for name, leaf in right(p).items()}


@pytest.mark.parametrize(
    ("grad", "kind", "said"),
    [
        (scaled(-1), Kind.SIGN, "negative of what it should be"),
        (scaled(1 / 8), Kind.FACTOR, "factor 1/8"),
        (scaled(np.sqrt(2)), Kind.FACTOR, "factor sqrt(2)"),
        (lambda p: {**right(p), "b": right(p)["b"].T}, Kind.TRANSPOSE, "transpose of what it should be"),
        (lambda p: {n: np.clip(g, -0.3, 0.3) for n, g in right(p).items()}, Kind.CLIP_RECURSION, "by a clip"),
    ],
    ids=["sign", "factor", "root", "transpose", "clip"],
)
def test_what_one_operation_explains_is_named(grad, kind: Kind, said: str) -> None:
    report = check_gradient(loss, grad, W, diagnosis=600)
    assert report.verdict is Verdict.DISAGREE
    found = report.mistake
    assert found is not None and found.kind is kind and said in str(found), str(report)
    assert found.proven and said in " ".join(str(report).split())


@pytest.mark.parametrize(
    ("grad", "kind", "before", "after"),
    [
        (transpose_missing, Kind.TRANSPOSE, "p['b']", "p['b'].T"),
        (Layer().grad, Kind.SLOPE, "d @ p['b'].T", "1 - h ** 2"),
        (from_a_closure(), Kind.SLOPE, "(1 - h)", "(1 - h ** 2)"),
        (functools.partial(transpose_missing), Kind.TRANSPOSE, "p['b']", "p['b'].T"),
        (lambda p: {**right(p), "b": np.tanh(X @ p["a"]) @ np.tanh(X @ p["a"]) @ p["b"]}, Kind.TRANSPOSE, "", ".T"),
    ],
    ids=["function", "method", "closure", "partial", "lambda"],
)
def test_the_line_and_its_repair_are_shown(grad, kind: Kind, before: str, after: str) -> None:
    found = check_gradient(loss, grad, W, diagnosis=600).diagnosis
    assert found is not None and found.kind is kind, found
    (repair,) = found.repairs
    assert repair.file == "test_repair.py" and before in repair.before and after in repair.after
    line = Path(__file__).read_text().splitlines()[repair.line - 1]
    assert before.replace("'", '"') in line or before in line


def test_nothing_of_the_users_is_touched() -> None:
    SEEN.clear()
    code, module, layer = transpose_missing.__code__, dict(vars(sys.modules[__name__])), Layer()
    given = copy.deepcopy(W)
    report = check_gradient(loss, transpose_missing, given, diagnosis=600)
    calls = len(SEEN)
    assert report.diagnosis is not None and report.diagnosis.tried > 5
    assert len(SEEN) <= calls + 12, "the edits ran in the user's own module"
    assert transpose_missing.__code__ is code and vars(layer) == {"scale": 1.0}
    assert vars(sys.modules[__name__]) == module
    assert all(np.array_equal(given[name], W[name]) for name in W)


def test_two_mistakes_are_not_taken_for_one_that_has_a_repair() -> None:
    report = check_gradient(loss, two_mistakes, W, diagnosis=600)
    found = report.diagnosis
    assert found is not None and not found.repairs and report.place is not None
    assert report.place.line == two_mistakes.__code__.co_firstlineno + 3


def test_what_two_classes_mend_is_not_named() -> None:
    def square(w):
        return np.sum(w**2) / 2 + np.sum(w)

    def grad(w):
        one = np.ones_like(w)
        return w - one * w  # drop a factor, or turn a sign and drop another: one of them is right by accident

    found = check_gradient(square, grad, np.array([0.5, -0.25]), diagnosis=600).diagnosis
    assert found is not None
    assert found.kind is None or len({repair.kind for repair in found.repairs}) == 1


def test_out_of_time_nothing_is_named() -> None:
    found = check_gradient(loss, transpose_missing, W, diagnosis=1e-6).diagnosis
    assert found is not None and not found.complete and not found.repairs


def test_a_stopped_search_says_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    report = check_gradient(loss, transpose_missing, W, diagnosis=600)
    gives = Search._gives
    ran = []

    def stopped(self, one):
        ran.append(one)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return gives(self, one)

    monkeypatch.setattr(Search, "_gives", stopped)
    found = report.diagnosis
    assert found is not None and found.tried == 3 and not found.complete
    assert found.mistakes[0].place is not None and transpose_missing(W)["a"].shape == (3, 2)


def test_without_source_a_line_is_found_and_no_repair() -> None:
    space = {"np": np, "X": X, "right": right}
    exec("def grad(p):\n    return {**right(p), 'a': right(p)['a'] * (p['a'] + 2)}", space)
    found = check_gradient(loss, space["grad"], W, diagnosis=600).diagnosis
    assert found is not None and not found.repairs and found.mistakes[0].place is not None
    exec("def grad(p):\n    return {name: -leaf for name, leaf in right(p).items()}", space)
    named = check_gradient(loss, space["grad"], W, diagnosis=600).diagnosis
    assert named is not None and named.kind is Kind.SIGN


def test_a_file_that_was_edited_since_is_not_repaired(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = "def loss(w):\n    return (w**3).sum()\n\n\ndef grad(w):\n    return 3 * w\n"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("mine", path)
    assert spec is not None and spec.loader is not None
    mine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mine)
    path.write_text(text.replace("3 * w", "3 * w * w * 2"))
    found = check_gradient(mine.loss, mine.grad, np.array([0.5, 0.75]), diagnosis=600).diagnosis
    assert found is not None and not found.repairs and not found.tried


def test_a_hint_keeps_the_repair_back() -> None:
    shown, kept = (check_gradient(loss, transpose_missing, W, diagnosis=600, hint=hint) for hint in (False, True))
    assert "repair: " in str(shown) and "repair: " not in str(kept)
    assert "place: test_repair.py" in str(kept) and "should be transposed" in " ".join(str(kept).split())


def test_no_diagnosis_where_none_is_asked_for_or_needed() -> None:
    assert check_gradient(loss, transpose_missing, W, diagnosis=0).diagnosis is None
    assert check_gradient(loss, right, W).diagnosis is None
    with pytest.raises(GradientCheckError, match="diagnosis=-1, wanted a number of seconds"):
        check_gradient(loss, right, W, diagnosis=-1)


def noisy(w):
    inverse = np.linalg.tensorinv(np.diag(w), ind=1)  # which is not recorded: differences alone speak
    return 1 / (inverse[0, 0] * inverse[1, 1] * inverse[2, 2]) + w[0] ** 2


def noisy_grad(w):
    return np.array([w[1] * w[2] + 2 * w[0], w[0] * w[2], w[0] * w[1]])


def test_entries_that_cannot_be_told_are_counted_and_said() -> None:
    point = np.array([1.0, 1.0, 2.0**-60])
    report = check_gradient(noisy, noisy_grad, point)
    assert report.verdict is Verdict.AGREE and report.untold == 1, str(report)
    leaf = report.leaves["params"]
    assert leaf.untold == 1 and 0 < leaf.room < 1e-6 and not leaf.hides
    assert report.verdicts("params").tolist() == [Verdict.AGREE, Verdict.CANNOT_TELL, Verdict.AGREE]
    wrong = check_gradient(noisy, lambda w: noisy_grad(w) * np.array([2, 1, 1]), point, diagnosis=0)
    assert wrong.verdicts("params").tolist() == [Verdict.DISAGREE, Verdict.CANNOT_TELL, Verdict.AGREE]
    assert "1 of 3 entries cannot be told" in str(report) and "a mistake of up to" in str(report)
    assert report.to_json()["cannot_tell"] == 1 and report.to_json()["leaves"]["params"]["cannot_tell"] == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_gradient(noisy, noisy_grad, point)
    with pytest.raises(WrongGradient, match="strict: 1 of 3 entries cannot be told"):
        assert_gradient(noisy, noisy_grad, point, strict=True)


def test_entries_that_were_not_probed_raise_a_warning() -> None:
    point = np.array([1.0, 0.5, 0.25])
    with pytest.warns(UntoldEntries, match="1 of 3 entries cannot be told, and a mistake could hide in them"):
        assert_gradient(noisy, noisy_grad, point, examples=2)
    assert assert_gradient(noisy, noisy_grad, point, strict=True).untold == 0


def test_a_layer_is_diagnosed_too() -> None:
    def f(x):
        return np.tanh(x["x"] @ x["w"])

    def vjp(x, upstream):
        y = f(x)
        d = upstream * (1 - y)
        return {"x": d @ x["w"].T, "w": x["x"].T @ d}

    found = check_vjp(f, vjp, {"x": X, "w": W["a"]}, diagnosis=600).diagnosis
    assert found is not None and found.kind is Kind.SLOPE, found


def test_a_gradient_in_a_module_that_an_adapter_calls_is_repaired(tmp_path: Path, monkeypatch) -> None:
    text = "import numpy as np\n\n\ndef loss(w):\n    return np.sum(np.tanh(w) ** 2)\n\n\n"
    text += "def backward(w):\n    h = np.tanh(w)\n    return 2 * h * (1 - h)\n"
    (tmp_path / "theirs.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "theirs", raising=False)

    theirs = importlib.import_module("theirs")
    monkeypatch.delitem(sys.modules, "theirs")

    def their_loss(w):
        return theirs.loss(w)

    def their_gradient(w):
        return theirs.backward(w)

    found = check_gradient(their_loss, their_gradient, np.array([0.5, -0.25, 0.75]), diagnosis=600).diagnosis
    assert found is not None and found.kind is Kind.SLOPE, found
    (repair,) = found.repairs
    assert repair.file == "theirs.py" and "1 - h ** 2" in repair.after


def in_buffers(w):
    shape = (2, 3)
    parts = [
        np.zeros((2, 3)),
        np.zeros(shape),
        np.zeros(w["a"].shape[::-1]),
        np.zeros(tuple(shape)),
        np.zeros(shape[:1] + shape[1:]),
    ]
    parts[0][:] = 2 * right(w)["a"].T
    return {**right(w), "a": sum(parts).T}


def searched(grad: Any) -> Search:
    report = check_gradient(loss, grad, W)
    search = Search(report.subject, report.found, report.evidence.truth, [])
    search.sources = search._sources()
    return search


def test_no_edit_does_arithmetic_on_a_shape() -> None:
    (source,) = [one for one in searched(in_buffers).sources if one.code is in_buffers.__code__]
    edits = [(site, text) for place in places(source) for site, _, text in changes(place)]
    assert not [text for site, text in edits if site.sequence and ("*" in text or "/" in text)]
    assert any("np.zeros((2, 3))) * 2" in text for _, text in edits), "of buffers it is still done"


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory are set on Linux")
@pytest.mark.parametrize(("bytes_", "runs"), [(1 << 28, True), (1 << 32, False)])
def test_an_edit_that_takes_gigabytes_more_does_not_run(bytes_: int, runs: bool) -> None:
    search = searched(in_buffers)
    (source,) = [one for one in search.sources if one.code is in_buffers.__code__]
    site = next(site for place in places(source) for site in sites(place) if site.text == "right(w)['a']")
    greedy = edit(site, Kind.STALE, f"(right(w)['a'] + np.zeros({bytes_}, np.int8)[0])")
    assert (search._edited(greedy) is not None) is runs


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory are set on Linux")
def test_a_gradient_that_takes_gigabytes_itself_is_still_edited() -> None:
    def greedy(p):
        return {**right(p), "a": (1 + np.zeros(1 << 32, np.int8)[0]) * right(p)["a"] * 2}

    search = searched(greedy)
    assert search.most >= 1 << 32
    (place,) = places(next(one for one in search.sources if one.code is greedy.__code__))
    halved = edit(next(site for site in sites(place) if site.text == "2"), Kind.FACTOR, "1")
    leaves = search._edited(halved)
    assert leaves is not None and np.array_equal(leaves["params['a']"][0], right(W)["a"])
