from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab.addition.train import Run, RunFileError, Settings, load, save, train


@pytest.fixture
def run(small):
    run = Run.start(small)
    for _ in train(run):
        pass
    return run


@pytest.fixture
def path(run, tmp_path):
    save(run, tmp_path / "run.npz")
    return tmp_path / "run.npz"


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), **options)
    return stream.getvalue()


def rewrite(path, changes, compression=zipfile.ZIP_STORED):
    """The file with some members replaced, added or (None) left out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= {f"{name}.npy": raw for name, raw in changes.items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, raw in members.items():
            if raw is not None:
                archive.writestr(name, raw)


def test_a_loaded_run_is_the_saved_one(run, path):
    again = load(path)
    assert again.settings == run.settings and again.step == run.step
    assert type(again.params) is type(run.params) and all(map(np.array_equal, again.params, run.params))
    np.testing.assert_equal(again.curve, run.curve)
    assert path.stat().st_size < 10_000 and [entry.name for entry in path.parent.iterdir()] == ["run.npz"]


def test_a_run_without_a_curve_is_kept_too(tmp_path):
    save(Run.start(Settings(seed=5)), tmp_path / "new.npz")
    assert load(tmp_path / "new.npz").curve == [] and load(tmp_path / "new.npz").step == 0


def test_a_resumed_run_reaches_the_same_bits(small, tmp_path):
    whole = Run.start(small)
    list(train(whole))
    parted = Run.start(small)
    for _, looks in zip(range(2), train(parted), strict=False):
        assert looks.step <= 40
    save(parted, tmp_path / "run.npz")
    resumed = load(tmp_path / "run.npz")
    assert resumed.step < whole.step
    list(train(resumed))
    assert all(map(np.array_equal, resumed.params, whole.params))
    np.testing.assert_equal(resumed.curve, whole.curve)


KILLED = """
import sys
from gradlab.addition.train import Run, Settings, load, save, train
path, epochs = sys.argv[1], int(sys.argv[2])
try:
    run = load(path)
except ValueError as error:
    assert "no such file" in str(error), error
    run = Run.start(Settings(hidden=4, bits=4, evaluate_every=2, epochs=epochs, stop="never"))
for progress in train(run):
    save(run, path)
    print(run.step, flush=True)
"""


def test_killed_at_any_moment_the_file_is_the_old_one_or_the_new(tmp_path):
    path, rng, last = tmp_path / "run.npz", np.random.default_rng(0), -1
    for _ in range(8):
        command = [sys.executable, "-c", KILLED, str(path), "1000000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            said = [int(line) for line in process.stdout.read().split()]
        run = load(path)
        assert run.step > last and run.step >= max(said, default=0) and run.step % 2 == 0
        last = run.step
    whole = Run.start(Settings(**vars(run.settings) | {"epochs": last}))
    list(train(whole))
    assert all(map(np.array_equal, run.params, whole.params))
    np.testing.assert_equal(run.curve, whole.curve)


def test_a_failed_write_leaves_the_old_file_and_no_other(run, path, monkeypatch):
    old = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        save(run, path)
    assert path.read_bytes() == old and [entry.name for entry in path.parent.iterdir()] == ["run.npz"]


def test_a_link_is_written_through(run, path):
    link = path.with_name("link.npz")
    link.symlink_to(path)
    save(run, link)
    assert link.is_symlink() and load(link).step == run.step


def test_weights_that_are_not_finite_are_not_written(run, path):
    old = path.read_bytes()
    run.at = run.step, run.params._replace(W_input=run.params.W_input * np.inf)
    with pytest.raises(RunFileError, match=r"run\.npz: not written, W_input is not finite"):
        save(run, path)
    assert path.read_bytes() == old


GOOD = {"bits": 4, "hidden": 5, "epochs": 150, "rate": 0.1, "seed": 7, "init": "uniform", "cell": "rnn"}
GOOD |= {"batch": 1, "evaluate_every": 40, "stop": "wide"}
CURVE = np.array([[0, 1, 0.5, 0.5, 0]])
AHEAD = np.array([[151, 0, 0, 0, 0]])
HUGE = npy(np.zeros(3)).replace(b"(3,), }", b"(9999999999,), }")
DEFECTS = {
    "missing weight": ({"params/W_hidden": None}, r"params/W_hidden is missing"),
    "missing curve": ({"curve": None}, r"curve is missing"),
    "missing step": ({"step": None}, r"step is missing"),
    "missing settings": ({"settings": None}, r"settings are missing"),
    "no version": ({"format": None}, r"no format version: this is not a saved run"),
    "version": ({"format": npy(2)}, r"format version 2, this gradlab reads 1"),
    "version of text": ({"format": npy("1")}, r"no format version"),
    "shape": ({"params/W_hidden": npy(np.zeros((5, 4)))}, r"W_hidden has shape \(5, 4\), wanted \(5, 5\)"),
    "rank": ({"curve": npy(np.zeros(5))}, r"curve has shape \(5,\), wanted \(any, 5\)"),
    "dtype": ({"params/W_input": npy(np.zeros((2, 5), np.float32))}, r"W_input has dtype float32, wanted float64"),
    "nan": ({"params/W_input": npy(np.full((2, 5), np.nan))}, r"params/W_input holds nan, wanted finite weights"),
    "objects": ({"params/W_input": npy(np.array([None, 1]), allow_pickle=True)}, r"W_input holds pickled objects"),
    "extra": ({"params/W_extra": npy(np.zeros(2))}, r"params/W_extra is no part of a saved rnn run"),
    "not npy": ({"curve": b"no array"}, r"curve is not an array"),
    "empty member": ({"curve": b""}, r"curve is not an array"),
    "short": ({"curve": npy(np.zeros((9, 5)))[:-8]}, r"curve has 352 bytes, its header says 360"),
    "huge header": ({"curve": HUGE}, r"curve has \d+ bytes, its header says 79999999992"),
    "header": ({"curve": npy(CURVE).replace(b"'descr'", b"__class")}, r"curve is not an array"),
    "npy version": ({"curve": npy(CURVE, version=(2, 0))}, r"curve is not in \.npy format 1\.0"),
    "step": ({"step": npy(-1)}, r"step = -1: wanted 0 to"),
    "step of a float": ({"step": npy(1.0)}, r"step has dtype float64, wanted int64"),
    "settings of numbers": ({"settings": npy(3)}, r"settings are not a string"),
    "settings no json": ({"settings": npy("{")}, r"settings cannot be read: Expecting property name"),
    "settings deep": ({"settings": npy("[" * 100_000)}, r"settings cannot be read: maximum recursion depth"),
    "settings list": ({"settings": npy("[]")}, r"settings cannot be read: wanted exactly batch, bits, cell"),
    "settings short": ({"settings": npy('{"bits": 8}')}, r"settings cannot be read: wanted exactly batch, bits"),
    "settings out": ({"settings": npy(json.dumps(GOOD | {"bits": 70}))}, r"cannot be read: bits = 70: wanted 1 to 62"),
    "settings nan": ({"settings": npy(json.dumps(GOOD | {"rate": np.nan}))}, r"cannot be read: rate = nan"),
    "settings cell": ({"settings": npy(json.dumps(GOOD | {"cell": "os"}))}, r"cannot be read: no cell is called 'os'"),
    "settings type": ({"settings": npy(json.dumps(GOOD | {"init": []}))}, r"cannot be read: init = \[\]: wanted"),
    "curve ahead": (
        {"curve": npy(CURVE + AHEAD)},
        r"the curve is not one: wanted rising steps up to 150",
    ),
    "curve falls": ({"curve": npy(np.repeat(CURVE, 2, axis=0))}, r"the curve is not one"),
    "curve nan": ({"curve": npy(CURVE * [[1, np.nan, 1, 1, 1]])}, r"the curve is not one"),
    "fraction": ({"curve": npy(CURVE * 3)}, r"the curve is not one: .* fractions in \[0, 1\]"),
    "bomb": ({"bomb": b"\0" * (2**27 + 1)}, r"unpacks to 1342\d+ bytes in 8 arrays, wanted at most 134217728 in 64"),
    "crowd": ({f"a{i}": npy(0) for i in range(70)}, r"in 77 arrays, wanted at most"),
}


@pytest.mark.parametrize(("changes", "message"), DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_is_refused_in_one_line_that_names_the_file(path, changes, message):
    rewrite(path, changes)
    with pytest.raises(RunFileError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_rewriting_alone_is_no_defect(run, path):
    rewrite(path, {"settings": npy(json.dumps(GOOD)), "curve": npy(CURVE)})
    assert load(path).step == run.step


def test_a_compressed_file_is_refused(path):
    rewrite(path, {"bomb": b"\0" * 2**20}, zipfile.ZIP_DEFLATED)
    with pytest.raises(RunFileError, match=r"is compressed: a saved run is not"):
        load(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_stands_twice_is_refused(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("step.npy", npy(3))
    with pytest.raises(RunFileError, match="step stands twice"):
        load(path)


def test_what_is_no_file_or_no_zip_is_refused(path, tmp_path):
    with pytest.raises(RunFileError, match=r"gone\.npz: no such file"):
        load(tmp_path / "gone.npz")
    with pytest.raises(RunFileError, match=r"Is a directory"):
        load(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(RunFileError, match=r"run\.npz: damaged, or not an \.npz file: File is not a zip file"):
        load(path)


@given(st.data())
def test_a_damaged_file_is_the_run_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    good = folder / "good.npz"
    if not good.exists():
        save(Run.start(Settings(bits=2, hidden=2)), good)
    raw = bytearray(good.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    bad = folder / "bad.npz"
    bad.write_bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw) - 1, len(raw) // 2]))])
    found = outcome(bad)
    if isinstance(found, RunFileError):
        assert str(found).startswith(f"{bad}: ") and "\n" not in str(found)
    else:
        kept = load(good)
        assert all(map(np.array_equal, found.params, kept.params)) and found.settings == kept.settings


@pytest.mark.parametrize("kept", [0, 1, 100, -100, -1])
def test_a_torn_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RunFileError, match=r"run\.npz: damaged, or not an \.npz file"):
        load(path)


def outcome(path):
    """The run, or why there is none."""
    try:
        return load(path)
    except RunFileError as error:
        return error
