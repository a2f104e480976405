"""A folder is graded whole: whatever a file does, the others get their verdicts, and nothing of it is left."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gradlab.checker.verdict import Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.classroom import FolderReport, Limits, grade_folder, write_lesson
from gradlab.classroom.row import Row

LIMITS = Limits(seconds=1.0, grace=60.0, total=600.0)  # what does not end is stopped after a second, by itself


def processes_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and str(folder).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return [process for process in found if process != os.getpid()]


@pytest.fixture(scope="module")
def graded(
    source: str, fill_in: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[FolderReport, list[tuple[str, int, int]]]:
    folder = tmp_path_factory.mktemp("class")
    files = {
        "right.py": source,
        "doubled.py": source.replace("= (y_hat - y) * y_hat", "= 2 * (y_hat - y) * y_hat"),
        "dropped.py": source.replace("multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]", "0 * slope[t]"),
        "=danger.py": "raise ValueError('=1+1 [/red]')",
        "endless.py": "while True: pass",
        "empty.py": "",
        "killer.py": source + "\nimport os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n",
        "half.py": fill_in("rnn", {"rnn.grad_x": "...", "rnn.delta_hidden": "delta_explicit[t]"}),
        "lesson.py": write_lesson("rnn"),
        "notes.txt": "no submission",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "sub.py").mkdir()
    (folder / "link.py").symlink_to("right.py")
    calls: list[tuple[str, int, int]] = []
    report = grade_folder(
        folder, limits=LIMITS, workers=2, allow_unconfined=True, progress=lambda *call: calls.append(call)
    )
    assert processes_in(folder) == []
    return report, calls


# file: (verdict, first wrong equation, steps, mistake, part of the note or score)
ROWS = {
    "=danger.py": ("refused", "", (), (), "1: importing it raises ValueError: =1+1 [/red]"),
    "doubled.py": ("disagree", "rnn.delta_output", (0, 1, 2, 3, 4, 5), ("output-delta-doubled",), ""),
    "dropped.py": ("disagree", "rnn.delta_implicit", (0, 1, 2, 3, 4), ("recurrence-dropped",), ""),
    "empty.py": ("refused", "", (), (), "defines no function forward; wanted forward, loss, bptt"),
    "endless.py": ("refused", "", (), (), "importing it did not end within 1 s"),
    "half.py": ("disagree", "rnn.delta_hidden", (0, 1, 2, 3, 4), ("carry-never-added",), "7.0 of 9.0"),
    "killer.py": ("refused", "", (), (), "."),
    "lesson.py": ("cannot tell", "", (), (), "0.0 of 9.0"),
    "link.py": ("refused", "", (), (), "a symbolic link; hand in the file itself"),
    "notes.txt": ("not judged", "", (), (), "neither .py nor .ipynb"),
    "right.py": ("agree", "", (), (), ""),
    "sub.py": ("not judged", "", (), (), "a folder"),
}


def test_every_file_has_its_row_in_the_order_of_names(graded: tuple[FolderReport, object]) -> None:
    assert [row.file for row in graded[0].rows] == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_each_row_says_what_became_of_its_file(name: str, graded: tuple[FolderReport, object]) -> None:
    [row] = [row for row in graded[0].rows if row.file == name]
    verdict, first, steps, diagnosis, said = ROWS[name]
    assert (row.verdict, row.first_wrong, row.steps) == (verdict, first, steps)
    assert row.diagnosis == diagnosis
    score = f"{row.score} of {row.out_of}"
    assert (row.note or said == "") if said in (".", "") else said in (row.note, score)


def test_progress_is_told_after_each_file(graded: tuple[FolderReport, list[tuple[str, int, int]]]) -> None:
    report, calls = graded
    assert sorted(name for name, _, _ in calls) == [row.file for row in report.judged]
    assert [(done, total) for _, done, total in calls] == [(i, 10) for i in range(1, 11)]


def test_the_report_as_text_json_and_csv(graded: tuple[FolderReport, object], tmp_path: Path) -> None:
    report = graded[0]
    assert report.verdict is Verdict.DISAGREE
    assert report.counts() == {"agree": 1, "disagree": 3, "cannot tell": 1, "refused": 5, "not judged": 2}
    assert "12 of 12 files: 1 agree, 3 disagree, 1 cannot tell, 5 refused, 2 not judged" in str(report)
    said = json.loads(json.dumps(report.to_json()))
    assert [Row.read(row) for row in said["rows"]] == report.rows
    report.write_csv(tmp_path / "out.csv")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [line["file"].lstrip("'") for line in lines] == list(ROWS)
    assert lines[0]["file"] == "'=danger.py"
    assert lines[1]["steps"] == "0 1 2 3 4 5"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: None, "no such folder", id="missing"),
        pytest.param(lambda path: path.write_text(""), "not a folder", id="a file"),
        pytest.param(lambda path: path.mkdir(), "neither a Python file nor a notebook is in it", id="empty"),
    ],
)
def test_what_holds_no_files_is_refused(make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    make(tmp_path / "class")
    with pytest.raises(SubmissionError, match=message):
        grade_folder(tmp_path / "class")


def test_an_unknown_cell_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no cell is called 'elman'"):
        grade_folder(tmp_path, "elman")


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        (["agree", "agree"], Verdict.AGREE),
        (["agree", "disagree", "refused"], Verdict.DISAGREE),
        (["agree", "refused"], Verdict.CANNOT_TELL),
        (["agree", "cannot tell"], Verdict.CANNOT_TELL),
        ([], Verdict.CANNOT_TELL),
    ],
)
def test_a_folder_agrees_only_where_every_file_does(verdicts: list[str], whole: Verdict) -> None:
    rows = [Row(str(i), verdict) for i, verdict in enumerate(verdicts)]
    assert FolderReport("class", len(rows), rows).verdict is whole
    assert FolderReport("class", len(rows), rows, interrupted=True).ok is False


# A shell that starts the tests in the background has them, and what they start, ignore Ctrl-C.
SCRIPT = """
import signal, sys
from gradlab.classroom import grade_folder, Limits
signal.signal(signal.SIGINT, signal.default_int_handler)
seen = lambda *call: print(*call, flush=True)
limits = Limits(seconds=600.0)
report = grade_folder(
    sys.argv[1], limits=limits, workers=2, diagnosis=False, allow_unconfined=True, progress=seen
)
print(report.interrupted, [row.file for row in report.rows], flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_stopped_grading_leaves_nothing_behind(number: int, source: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(source)
    (tmp_path / "b.py").write_text("while True: pass")
    with subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "a.py 1 2\n"
        process.send_signal(number)
        rest = process.stdout.read()
    assert rest == ("True ['a.py']\n" if number == signal.SIGINT else "")
    deadline = time.monotonic() + 600
    while processes_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes_in(tmp_path) == []
