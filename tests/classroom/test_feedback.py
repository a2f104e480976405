"""What a class and its teacher are given: pages, a table, results for Gradescope, a test for otter."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradlab.cells import cell
from gradlab.classroom import FolderReport, Limits, equation_test, grade_folder
from gradlab.classroom.confine import missing
from gradlab.classroom.feedback import sentence, student_page, write_pages
from gradlab.classroom.gradescope import results
from gradlab.classroom.lesson import Grade, Status
from gradlab.classroom.otter import EquationWrong
from gradlab.classroom.row import Row
from gradlab.manual import rnn

FillIn = Callable[[str, dict[str, str]], str]
QUICK = Limits(seconds=2.0, grace=1.0, total=20.0, equation=0.3)
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def notebook(text: str) -> str:
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": ["# A lesson"]}]
    for part in text.split("\n\n\n"):
        lines = [f"{line}\n" for line in f"{part}\n".splitlines()]
        cells.append({"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": lines})
    cells.append(cells[-1] | {"source": ["%timeit 1\n", "!ls"]})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def graded(source: str, fill_in: FillIn, tmp_path_factory: pytest.TempPathFactory) -> FolderReport:
    """A class as learning platforms hand it over: a folder a student, files beside, what is no submission."""
    folder = tmp_path_factory.mktemp("class")
    wrong = {"rnn.delta_hidden": "delta_explicit[t]", "rnn.grad_x": "multiply(delta_hiden, W_input.T)"}
    files = {
        "Anna Bee_12_assignsubmission_file_/lesson.py": fill_in("rnn", {}),
        "Ben <b>_13_assignsubmission_file_/deep/lesson.ipynb": notebook(fill_in("rnn", wrong)),
        "carla.py": source.replace("= multiply(delta_hidden, W_input.T)", "= helper.negated(delta_hidden @ W_input.T)"),
        "helper.py": "def negated(a): return -a\n",
        "\tdan.py": source.replace("    a_hidden = a_hidden[:T]", "    a_hidden = a_hiden[:T]"),
        "notes.txt": "none",
        "__pycache__/x.pyc": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "carla.py").write_text(
        "import helper\n" + (folder / "carla.py").read_text().replace("from __future__", "# ")
    )
    return grade_folder(folder, limits=QUICK, workers=2, seed=3, allow_unconfined=True)


def row(report: FolderReport, student: str) -> Row:
    return next(row for row in report.rows if row.student == student)


def test_every_file_is_in_the_table(graded: FolderReport) -> None:
    files = {row.file: (row.student, row.verdict) for row in graded.rows}
    assert files == {
        "\tdan.py": ("\tdan", "refused"),
        "Anna Bee_12_assignsubmission_file_/lesson.py": ("Anna Bee", "agree"),
        "Ben <b>_13_assignsubmission_file_/deep/lesson.ipynb": ("Ben <b>", "disagree"),
        "__pycache__/": ("__pycache__", "not judged"),
        "carla.py": ("carla", "disagree"),
        "helper.py": ("helper", "not judged"),
        "notes.txt": ("notes", "not judged"),
    }


@pytest.mark.parametrize(
    ("student", "score", "out_of", "lost"),
    [
        ("Anna Bee", 9, 9, []),
        ("Ben <b>", 7, 9, ["rnn.delta_hidden", "rnn.grad_x"]),
        ("carla", 13, 14, ["rnn.grad_x"]),
        ("\tdan", 13, 14, ["rnn.net_output"]),
    ],
)
def test_each_equation_costs_itself(
    student: str, score: float, out_of: float, lost: list[str], graded: FolderReport
) -> None:
    found = row(graded, student)
    if student == "\tdan":  # a line between the equations: what comes after it is not reached, and what needs it
        assert 4 < (found.score or 0) <= score
        return
    assert (found.score, found.out_of) == (score, out_of)
    assert [grade.label for grade in found.grades if not grade.points] == lost


def test_the_table_holds_numbers_and_no_formula(graded: FolderReport) -> None:
    lines = list(csv.DictReader(io.StringIO(graded.to_csv())))
    anna = next(line for line in lines if line["student"] == "Anna Bee")
    assert (float(anna["score"]), float(anna["out_of"]), anna["rnn.grad_x"]) == (9.0, 9.0, "1")
    assert list(lines[0])[:7] == ["file", "student", "verdict", "score", "out_of", "rnn.net_hidden", "rnn.a_hidden"]
    for line in lines:
        for value in line.values():
            assert value[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert len(lines) == len(graded.rows)


@pytest.mark.parametrize("name", ["=1+1", "\t=1", "\r@x", " +1", "-1", "\n=2"], ids=repr)
def test_no_name_is_a_formula(name: str) -> None:
    [line] = list(csv.DictReader(io.StringIO(FolderReport("c", 1, [Row(name, "refused", name, note=name)]).to_csv())))
    for column in ("file", "student", "note"):
        assert line[column].startswith("'")
        assert line[column].isprintable()


def test_the_same_seed_gives_the_same_bytes(graded: FolderReport) -> None:
    again = grade_folder(graded.folder, limits=QUICK, workers=1, seed=3, allow_unconfined=True)
    assert again.to_csv() == graded.to_csv()
    assert json.dumps(again.to_json()) == json.dumps(graded.to_json())
    rows = zip(again.rows, graded.rows, strict=True)
    assert [student_page(a) for a, _ in rows] == [student_page(b) for b in graded.rows]


def test_pages_say_what_is_right_and_what_is_wrong_and_never_the_key(
    graded: FolderReport, answers: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    written = write_pages(graded, tmp_path / "pages")
    assert [path.name for path in written][-1] == "index.html"
    assert len(written) == 5
    for path in written:
        text = html.unescape(path.read_text())
        for answer in answers("rnn").values():
            assert answer not in text
        assert "<b>" not in path.read_text().partition("<body>")[2]
    ben = student_page(row(graded, "Ben <b>"))
    assert "7 of 9 points" in ben
    assert "did you mean delta_hidden?" in html.unescape(ben)
    index = written[-1].read_text()
    assert "7 files: 1 agree, 2 disagree, 1 refused, 3 not judged." in index
    links = re.findall('href="(.*?)"', index)
    assert sorted(links) == sorted(path.name for path in written[:-1])


@pytest.mark.parametrize(
    ("grade", "text"),
    [
        (Grade("rnn.a", Status.RIGHT), ""),
        (Grade("rnn.a", Status.WRONG, (0, 1), 2, "", "the sign"), "Wrong at every step: the sign."),
        (Grade("rnn.a", Status.WRONG, (1,), 3), "Wrong at step 1 of 0 to 2."),
        (Grade("rnn.a", Status.NOT_REACHED, note="a line before it raises"), "Not reached: a line before it raises."),
    ],
)
def test_a_hint_is_a_sentence(grade: Grade, text: str) -> None:
    assert sentence(grade) == text


def test_gradescope_reads_the_results(graded: FolderReport) -> None:
    found = results(row(graded, "Ben <b>"))
    assert found["score"] == 7
    assert sum(test["score"] for test in found["tests"]) == found["score"]
    assert {test["name"] for test in found["tests"] if test["status"] == "failed"} == {"rnn.delta_hidden", "rnn.grad_x"}
    assert {"name", "score", "max_score", "status", "output", "visibility"} == set(found["tests"][0])


def test_otter_asserts_an_equation_in_one_line() -> None:
    env = dict(vars(rnn))
    for label in cell("rnn").equations:
        equation_test(env, label)
    wrong = env | {"bptt": lambda *a: (g := rnn.bptt(*a))._replace(x=-g.x)}
    equation_test(wrong, "rnn.delta_hidden")
    with pytest.raises(
        EquationWrong, match=r"^rnn.grad_x does not hold at step 0, 1, 2, 3, 4, 5 of 0 to 5, with every"
    ):
        equation_test(wrong, "rnn.grad_x")
    with pytest.raises(EquationWrong, match="bptt must be defined first"):
        equation_test({"forward": rnn.forward, "loss": rnn.loss}, "rnn.grad_x")
    with pytest.raises(KeyError, match=r"has no equation rnn\.grad_z"):
        equation_test(env, "rnn.grad_z")


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_in_a_browser(width: int, graded: FolderReport, tmp_path: Path) -> None:
    pages = write_pages(graded, tmp_path / "pages")
    frames = "".join(
        f'<iframe width="{width}" height="900" srcdoc="{html.escape(p.read_text())}"></iframe>' for p in pages
    )
    script = """
    onload = () => { document.title = [...document.querySelectorAll("iframe")].map(f =>
        f.contentDocument.documentElement.scrollWidth - f.clientWidth).join(" ") }
    """
    (tmp_path / "all.html").write_text(f"<meta charset=utf-8><title></title>{frames}<script>{script}</script>")
    command = [
        BROWSER,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        f"--user-data-dir={tmp_path}/u",
    ]
    done = subprocess.run(
        [*map(str, command), f"file://{tmp_path}/all.html"], capture_output=True, text=True, check=False
    )
    title = re.search("<title>(.*?)</title>", done.stdout)
    assert title is not None, done.stderr
    assert [int(more) <= 0 for more in title[1].split()] == [True] * len(pages), title[1]


PLAIN = Path(__file__).parents[2] / "benchmarks" / "plain_container.py"


def test_a_folder_is_refused_where_nothing_contains_its_files(source: str, tmp_path: Path) -> None:
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "right.py").write_text(source)
    gradlab = Path(sysconfig.get_path("scripts")) / "gradlab"
    plain = [sys.executable, PLAIN, "landlock", "seccomp", "namespaces", "--", gradlab, "check"]

    def said(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*plain, *arguments], capture_output=True, text=True, check=False)

    refused = said(folder)
    if "offers no seccomp" in refused.stderr:
        pytest.skip("this kernel cannot be made to seem a plain container")
    lacking = "reading what is not its own, writing, other processes, the network, messages between processes"
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        f"gradlab: {folder}: here nothing keeps other people's files from {lacking}; --allow"
    )
    out = tmp_path / "out.json"
    allowed = said(folder, "--allow-unconfined", "--json", out)
    assert (allowed.returncode, allowed.stderr) == (0, f"gradlab: here nothing keeps {folder} from {lacking}\n")
    assert json.loads(out.read_text())["confined"] == []
    alone = said(folder / "right.py", "--examples", "1", "--json", out)
    assert (alone.returncode, alone.stderr) == (
        0,
        f"gradlab: here nothing keeps {folder / 'right.py'} from {lacking}\n",
    )
    assert json.loads(out.read_text())["confined"] == []


def test_what_is_missing_is_named() -> None:
    assert missing(["landlock", "seccomp"]) == missing(["mounts", "processes", "network", "ipc"]) == []
    assert missing(["seccomp"]) == ["reading what is not its own"]
    assert missing(["landlock", "network"]) == ["writing", "other processes", "messages between processes"]
