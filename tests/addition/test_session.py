from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlab.addition.data import AdditionError
from gradlab.addition.run_file import load
from gradlab.addition.session import Session

SMALL = {"bits": 4, "hidden": 5, "epochs": 600, "seed": 7, "stop": "never"}


def finished(session: Session, **options: Any) -> list[str]:
    said: list[str] = []
    arguments = {"check": None, "check_every": 0, "report_every": 250, "progress": None, "say": said.append} | options
    session.run(**arguments)
    return said


def test_it_says_the_report_of_the_seeds_and_ends() -> None:
    session = Session.begin(SMALL)
    said = finished(session)
    assert [line.split()[1] for line in said] == ["0", "250", "500", "600"]
    assert "Pred:[" in said[0]
    assert "True:[" in said[0]
    assert "all epochs are done; 600 steps" in str(session)
    assert session.exit_status == 0


def test_a_resumed_session_ends_on_the_same_bits_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    whole = Session.begin(SMALL)
    finished(whole)
    path = tmp_path / "run.npz"
    finished(Session.begin(SMALL | {"epochs": 131}, path))
    resumed = Session.begin({"epochs": 600}, path, resume=True)
    finished(resumed)
    for mine, wanted in zip(load(path).params, whole.training.params, strict=True):
        assert mine.tobytes() == wanted.tobytes()


def test_the_live_check_stops_the_run_at_a_disagreement() -> None:
    seen: list[str] = []

    def check(problem: Any, cell: str) -> bool:
        seen.append(cell)
        return len(seen) < 3

    session = Session.begin(SMALL)
    finished(session, check=check, check_every=100)
    assert session.training.step == 200
    assert session.exit_status == 1
    assert "disagrees" in str(session)


def test_an_interrupt_saves_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"

    def interrupt(cell: str, done: int, total: int) -> None:
        if done == 250:
            raise KeyboardInterrupt

    session = Session.begin(SMALL, path)
    finished(session, progress=interrupt)
    assert session.ended == "interrupted"
    assert load(path).step == 250


def test_the_carry_is_probed_over_the_session() -> None:
    session = Session.begin(SMALL)
    finished(session)
    assert "the carry, read off a_hidden" in session.probed()
    assert session.to_json()["carry"]["over_training"]["steps"] == (0, 250, 500, 600)


def test_weights_that_run_away_do_not_replace_what_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    finished(Session.begin(SMALL, path))
    kept = path.read_bytes()
    session = Session.begin({"epochs": 900}, path, resume=True)
    step, params = session.training.at
    session.training.at = step, params._replace(W_output=np.inf * params.W_output)
    finished(session)
    assert session.exit_status == 1
    assert "is not finite" in str(session)
    assert path.read_bytes() == kept


REFUSED = {
    "nothing to resume": ({}, None, True, "name the run with --save"),
    "no such folder": ({}, Path("/nowhere/at/all/run.npz"), False, "there is no folder"),
    "a rate of 0": ({"rate": 0.0}, None, False, "rate = 0.0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    given, path, resume, message = REFUSED[name]
    with pytest.raises(AdditionError, match=message):
        Session.begin(given, path, resume)


def test_a_resumed_run_keeps_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    finished(Session.begin(SMALL, path))
    with pytest.raises(AdditionError, match="hidden = 9: the run was begun with 5"):
        Session.begin({"hidden": 9}, path, resume=True)


def test_a_killed_training_leaves_a_run_to_go_on_with(tmp_path: Path) -> None:
    """SIGKILL at any moment: what is saved is whole, and leads to the bits of the run that was never killed."""
    path, options = tmp_path / "run.npz", ["--bits", "4", "--hidden", "5", "--seed", "7", "--stop", "never"]
    script = "import sys; from gradlab.cli import main; sys.argv[0] = 'gradlab'; main()"
    command = [sys.executable, "-c", script, "train", *options, "--save", str(path)]
    for delay in (0.0, 0.5, 0.7):
        resume = ["--resume"] if path.exists() else []
        with subprocess.Popen([*command, "--epochs", "1000000", *resume], stdout=subprocess.DEVNULL) as child:
            deadline = time.monotonic() + 600
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(delay)
            os.kill(child.pid, signal.SIGKILL)
    if not path.exists():
        pytest.fail("nothing was saved in time")
    step = load(path).step
    subprocess.run([*command, "--epochs", str(step + 500), "--resume"], check=True, stdout=subprocess.DEVNULL)
    whole = Session.begin(SMALL | {"epochs": step + 500})
    finished(whole)
    for mine, wanted in zip(load(path).params, whole.training.params, strict=True):
        assert mine.tobytes() == wanted.tobytes()
