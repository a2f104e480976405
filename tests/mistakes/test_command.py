"""`gradlab mistakes`: what it takes, prints and exits with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradlab import cli
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.score import Row, Score
from gradlab.mistakes.workers import WorkerError, processors

Said = tuple[int, str, str]


@pytest.fixture
def gradlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """gradlab(*arguments): the exit status, stdout and stderr of `gradlab mistakes` in this process."""

    def run(*arguments: Any) -> Said:
        monkeypatch.setattr(sys, "argv", ["gradlab", "mistakes", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code, *capsys.readouterr())  # type: ignore[return-value]

    return run


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Scoring answers with "result", or raises it, and keeps what it was given."""
    kept: dict[str, Any] = {"result": Score("rnn", 9, rows=[Row(1.0, mutants=3, caught=3, located=3)])}

    def score(cell: str, **options: Any) -> Score:
        kept.update(cell=cell, **options)
        if isinstance(kept["result"], Exception):
            raise kept["result"]
        return kept["result"]

    monkeypatch.setattr("gradlab.mistakes.score", score)
    return kept


def test_the_catalogue_is_printed_and_written(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    status, out, err = gradlab("--cell", "gru", "--json", tmp_path / "out.json")
    assert (status, err) == (0, "") and mistakes("gru")[0].name in out
    assert len(json.loads((tmp_path / "out.json").read_text())["mistakes"]) == len(mistakes("gru"))


def test_as_many_processes_as_there_are_cores_or_as_asked(gradlab: Callable[..., Said], scored: dict[str, Any]) -> None:
    assert gradlab("--score", "--cell", "lstm")[0] == 0
    assert (scored["cell"], scored["jobs"]) == ("lstm", processors())
    gradlab("--score", "--jobs", 3)
    assert scored["jobs"] == 3


@pytest.mark.parametrize(
    ("flaw", "interrupted", "status"),
    [({}, False, 0), ({"escaped": ["x"]}, False, 1), ({}, True, 3), ({"escaped": ["x"]}, True, 1)],
)
def test_the_exit_status_says_whether_anything_slips_by(
    gradlab: Callable[..., Said], scored: dict[str, Any], tmp_path: Path, flaw: Any, interrupted: bool, status: int
) -> None:
    scored["result"] = Score("rnn", 9, rows=[Row(1.0, **flaw)], interrupted=interrupted)
    said, out, _ = gradlab("--score", "--json", tmp_path / "out.json")
    assert said == status and ("interrupted" in out) is interrupted
    assert json.loads((tmp_path / "out.json").read_text())["interrupted"] is interrupted


def test_a_worker_that_ended_is_one_line(gradlab: Callable[..., Said], scored: dict[str, Any]) -> None:
    scored["result"] = WorkerError("a worker process ended (SIGKILL) before it answered")
    line = "gradlab: a worker process ended (SIGKILL) before it answered\n"
    assert gradlab("--score") == (2, "", line)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--cell", "all"], "no cell is called 'all'"), (["--jobs", "0"], "greater than or equal to 1"),
     (["--jobs", "two"], "--jobs")],
    ids=["a cell that is none", "no process", "no number"],
)  # fmt: skip
def test_bad_input_is_one_line(gradlab: Callable[..., Said], arguments: list[str], words: str) -> None:
    status, out, err = gradlab(*arguments)
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1
