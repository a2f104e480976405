"""Files that nobody meant to give gradlab: one line or a report, a status that is known, never a traceback.

The cases are a sample of those that benchmarks/fuzz.py makes, the same ones every time, each run in this process.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gradlab import cli

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("fuzz")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def gradlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[list[Any]], int]:
    """What the console script does, in this process: its exit status, where nothing is wrong with how it ends."""

    def run(arguments: list[Any]) -> int:
        monkeypatch.setattr(sys, "argv", ["gradlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert ended.value.code in (0, 1, 2, 3)
        assert said.err.replace("\n", "").isprintable()
        if ended.value.code == 2:
            assert len(said.err.splitlines()) == (0 if said.out else 1)
        return int(ended.value.code)

    return run


def test_hostile_run_files(fuzz: ModuleType, gradlab: Callable[[list[Any]], int], tmp_path: Path) -> None:
    fuzz.save(fuzz.Run.start(fuzz.Settings(hidden=4, epochs=10)), tmp_path / "good.npz")
    good, path = (tmp_path / "good.npz").read_bytes(), tmp_path / "run.npz"
    assert gradlab(["add", "3", "5", "--weights", tmp_path / "good.npz"]) in (0, 1)
    seen: dict[str, int] = {}
    for kind, make in fuzz.archives(good, tmp_path / "executed"):
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] % 12 != 1 or kind.startswith(("a bomb", "ten thousand")):  # which take long to make
            continue
        path.write_bytes(make())
        status = gradlab(["add", "3", "5", "--weights", path])
        assert status == 2 or kind in ("a byte flipped, every 64", "settings that cannot be"), kind
        assert not (tmp_path / "executed").exists(), kind
    assert len(seen) >= 17


@pytest.mark.parametrize(("maker", "count"), [("runs", 99), ("documents", 16), ("notebooks", 52)])
def test_files_changed_at_random(
    maker: str, count: int, fuzz: ModuleType, gradlab: Callable[[list[Any]], int], tmp_path: Path
) -> None:
    rng = np.random.default_rng(17)
    cases = getattr(fuzz, maker)(tmp_path, rng, 16)
    ended = [gradlab(arguments) for _, arguments in islice(cases, count) if arguments[0] not in ("draw", "compare")]
    assert 2 in ended


@pytest.mark.parametrize("suffix", [".py", ".md", ".ipynb", ".npz"])
def test_a_pipe_is_not_waited_for(suffix: str, gradlab: Callable[[list[Any]], int], tmp_path: Path) -> None:
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    commands = {".py": ["check", path], ".npz": ["add", "1", "2", "--weights", path]}
    assert gradlab(commands.get(suffix, ["verify", path])) == 2


def test_a_name_that_is_no_text(gradlab: Callable[[list[Any]], int], tmp_path: Path) -> None:
    name = os.fsdecode(b"o\xffd\x1b[31m\n.py")
    (tmp_path / name).write_text("x =", encoding="utf-8")
    assert (
        gradlab(
            ["check", tmp_path, "--allow-unconfined", "--json", tmp_path / "out.json", "--csv", tmp_path / "out.csv"]
        )
        == 3
    )
    assert rb"o\udcffd" in (tmp_path / "out.json").read_bytes()
    assert rb"o\udcffd" in (tmp_path / "out.csv").read_bytes()
